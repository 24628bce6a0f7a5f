"""Names for people, made from technical names."""

from __future__ import annotations

import re
from typing import Final

_WORD_STARTS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_UNNAMED: Final = frozenset({"attributes"})
"""Beginnings of technical names that say nothing to people."""


def words_of(name: str) -> list[str]:
    """Return the words of a technical name, in lower case except for abbreviations.

    Examples: `correlatedOnly` gives `correlated` and `only`, `source.URL` gives `source` and `URL`.
    """
    words = (word for part in name.split(".") for word in _WORD_STARTS.split(part) if word)
    return [word if word.isupper() else word.lower() for word in words]


def label_of(name: str) -> str:
    """Return a label for a technical name: its words, the first with a capital letter.

    Examples: `displayName` gives `Display name`, `source.name` gives `Source name`, and `attributes.city` gives `City`.
    """
    parts = [part for part in name.split(".") if part not in _UNNAMED] or [name]
    text = " ".join(words_of(".".join(parts)))
    return text[:1].upper() + text[1:]
