"""Hints for error messages: spelling suggestions ("Did you mean …?") and lists of ambiguous matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from whohas.errors import InvalidArguments

_SHOWN = 10
"""Number of ambiguous matches that a message lists."""


def closest_match(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to a misspelled one, ignoring case; None if none is similar."""
    by_folded: Mapping[str, str] = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(name[:200].casefold(), by_folded, 1)
    return by_folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean NAME?`, with a leading blank, to append to a message; empty if no known name is similar."""
    suggestion = closest_match(name, known)
    return f" Did you mean {suggestion}?" if suggestion else ""


def ambiguous_id(beginning: str, matches: Sequence[str]) -> InvalidArguments:
    """Return the error for an id prefix that several runs share.

    Args:
        beginning: the prefix that the user typed.
        matches: one line for each run, beginning with its id; the message shows the first ten.
    """
    shown = "".join(f"\n  {match}" for match in matches[:_SHOWN])
    more = "\n  and more" if len(matches) > _SHOWN else ""
    return InvalidArguments(f"Several runs have an id that begins with {beginning!r}; write more of it:{shown}{more}")
