"""Parsing of time zones: IANA names and differences from UTC. All other modules use this one."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from whohas.hints import closest_match

_UTC = ("Z", "UTC", "GMT")
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?(?P<sign>[+-])(?P<hours>[0-9]{1,2})(?::?(?P<minutes>[0-9]{2}))?")
_LARGEST = 18 * 60
"""The largest difference from UTC, in minutes; real zones stay below 15 hours."""
_NO_NAMES = ("localtime", "Factory", "posixrules", "posix/", "right/")
"""Files of the time zone database that are not zones, or that differ from machine to machine."""
_SHOWN = 60


class UnknownZone(ValueError):
    """A text that is not a time zone; the message suggests a similar name."""


def parse_zone(text: str, *, offsets: bool = True) -> tzinfo:
    """Parse a time zone: an IANA name (`America/Chicago`) or a difference from UTC.

    Args:
        text: the time zone; surrounding blanks are ignored.
        offsets: whether to accept differences from UTC (`+01:00`, `-0800`, `+5`, `UTC+2`). Turn it off where daylight
            saving time matters, which only named zones have. `Z`, `UTC` and `GMT` are always accepted.

    Raises:
        UnknownZone: there is no such time zone.
    """
    name = text.strip()
    if name in _UTC:
        return UTC
    if offsets and (match := _OFFSET.fullmatch(name)):
        rest = int(match["minutes"] or 0)
        minutes = int(match["hours"]) * 60 + rest
        if rest < 60 and minutes <= _LARGEST:
            return timezone(timedelta(minutes=minutes if match["sign"] == "+" else -minutes))
    if not name.startswith(_NO_NAMES):
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder (`Europe`) or too long a name
            return ZoneInfo(name)
    raise unknown_zone(text, offsets=offsets)


def zone_name(zone: tzinfo) -> str:
    """Return the name of a zone in the form that Arrow, DuckDB and `parse_zone` accept.

    Examples: `Europe/Berlin`, `+01:00`, `UTC`.
    """
    return str(zone).removeprefix("UTC") or "UTC"


def unknown_zone(text: str, *, offsets: bool = True) -> UnknownZone:
    """Return the error for a text that is not a time zone, with the most similar name; arguments as in `parse_zone`."""
    similar = closest_match(text.strip(), available_timezones() - set(_NO_NAMES))
    hint = f" (did you mean {similar!r}?)" if similar else ""
    forms = "Europe/Berlin or +01:00" if offsets else "an IANA name, such as Europe/Berlin"
    return UnknownZone(f"there is no time zone {text[:_SHOWN]!r}{hint}; write {forms}")
