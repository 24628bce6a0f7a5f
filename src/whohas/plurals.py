"""Numbers with singular or plural nouns, for messages."""

from __future__ import annotations


def pluralize(count: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun in the singular or plural: `1 row`, `0 rows`, `2,000 rows`.

    Args:
        noun: the singular; it may include a verb, as in `row has`.
        plural: the plural, such as `rows have`; default: `noun` with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
