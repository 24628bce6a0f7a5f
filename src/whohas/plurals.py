"""Numbers with their nouns, for messages."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 row`, `0 rows`, `2,000 rows`.

    Args:
        noun: the noun for one; it may go on, as in `row has`.
        plural: the same for several; default: the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
