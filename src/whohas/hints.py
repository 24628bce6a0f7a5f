"""Hints for error messages: spelling suggestions ("Did you mean …?") and lists of ambiguous matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from whohas_client.errors import ambiguous_id

__all__ = ["ambiguous_id", "closest_match", "did_you_mean"]


def closest_match(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is most similar to a misspelled one, ignoring case; None if none is similar."""
    by_folded: Mapping[str, str] = {candidate.casefold(): candidate for candidate in known}
    matches = get_close_matches(name[:200].casefold(), by_folded, 1)
    return by_folded[matches[0]] if matches else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` Did you mean NAME?`, with a leading blank, to append to a message; empty if no known name is similar."""
    suggestion = closest_match(name, known)
    return f" Did you mean {suggestion}?" if suggestion else ""
