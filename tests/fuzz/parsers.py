"""The parsers that are fuzzed, by name. A module is imported when its parser is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from fuzz.target import Check

PARSERS: Final = {
    "query": "query",
    "filters": "filters",
    "cron": "cron",
    "mapping": "mapping",
    "range": "ranges",
    "accept": "accept",
    "forwarded": "forwarded",
    "bodies": "bodies",
    "tokens": "tokens",
    "texts": "texts",
    "tables": "tables",
}
"""The module of each."""


def checks(name: str) -> tuple[Check, ...]:
    """Return the ways in which a parser is tried."""
    return import_module(f"fuzz.{PARSERS[name]}").checks()
