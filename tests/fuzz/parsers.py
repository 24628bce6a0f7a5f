"""The parsers that are fuzzed, by name. A module is imported when its parser is chosen."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from fuzz.target import Check

PARSERS: Final = {
    "filters": "filters",
    "cron": "cron",
    "range": "ranges",
    "accept": "accept",
    "forwarded": "forwarded",
    "mapping": "mapping",
}
"""The module of each."""


def checks(name: str) -> tuple[Check, ...]:
    """Return the ways in which a parser is tried."""
    return import_module(f"fuzz.{PARSERS[name]}").checks()
