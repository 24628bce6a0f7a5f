"""Values as people write them: times in a time zone, `yes` and `no`, names of sources, arguments in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

_SOURCES = {"application": "source", "authoritativeSource": "authoritativeSource"}
"""Arguments that contain the id of a source, with the name under which the source is shown."""


def describe_arguments(arguments: Mapping[str, Any], source_name: Callable[[str], str]) -> str:
    """Return arguments of a report for people: `source name: Payroll; correlated only: yes`; empty without arguments.

    Args:
        arguments: by name. The id of a source is left out if its name is there too, and otherwise replaced by its name.
        source_name: returns the name of a source by its id, or the id if there is no such source.
    """
    from whohas.formats.metadata import describe_arguments as describe

    shown: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in _SOURCES and arguments.get("sourceName"):
            continue
        if name in _SOURCES and isinstance(value, str):
            shown[_SOURCES[name]] = source_name(value)
        else:
            shown[name] = value
    return describe(shown) if shown else ""


def describe_run_arguments(arguments: Mapping[str, Any], source_name: Callable[[str], str]) -> str:
    """Return the arguments of a run for people, as `describe_arguments` does.

    The formats are left out: the command line always sends them, and `whohas show` lists the files.
    """
    shown = {name: value for name, value in arguments.items() if name != "selectedFormats"}
    return describe_arguments(shown, source_name)


def parse_time(text: str | None) -> datetime | None:
    """Return a time of the HTTP API; None for null."""
    return None if text is None else datetime.fromisoformat(text)


def format_time(time: datetime | None, zone: str) -> str:
    """Return a time in a zone: `2026-11-23 14:05:09`; empty for None."""
    from whohas.zones import parse_zone

    return "" if time is None else f"{time.astimezone(parse_zone(zone)):%Y-%m-%d %H:%M:%S}"
