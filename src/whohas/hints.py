"""Hints in messages: what was probably meant, and what of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from whohas.errors import InvalidArguments

_SHOWN = 10
"""Matches that a message lists."""


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, without regard to case; None where none is like it."""
    folded: Mapping[str, str] = {one.casefold(): one for one in known}
    found = get_close_matches(name[:200].casefold(), folded, 1)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence with the name that was probably meant, and a blank before it; empty where none is like it."""
    found = near(name, known)
    return f" Did you mean {found}?" if found else ""


def ambiguous(beginning: str, matches: Sequence[str]) -> InvalidArguments:
    """The error for the beginning of an id that several runs have.

    Args:
        matches: a line each, with the id.
    """
    shown = "".join(f"\n  {match}" for match in matches[:_SHOWN])
    more = "\n  and more" if len(matches) > _SHOWN else ""
    return InvalidArguments(f"Several runs have an id that begins with {beginning!r}; write more of it:{shown}{more}")
