"""Time zones by name: the one place that says which names there are."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from whohas.hints import near

_UTC = ("Z", "UTC", "GMT")
_OFFSET = re.compile(r"(?:UTC|GMT|UT)?(?P<sign>[+-])(?P<hours>[0-9]{1,2})(?::?(?P<minutes>[0-9]{2}))?")
_LARGEST = 18 * 60
"""Minutes of a difference from UTC; those of real zones are below 15 hours."""
_NO_NAMES = ("localtime", "Factory", "posixrules", "posix/", "right/")
"""Files of the time zone database that are no zones, or other ones on each machine."""
_SHOWN = 60


class UnknownZone(ValueError):
    """A text that names no time zone; its message says so for people, and which was probably meant."""


def parse_zone(text: str, *, offsets: bool = True) -> tzinfo:
    """Return the time zone of an IANA name (`America/Chicago`) or of a difference from UTC.

    Args:
        offsets: whether differences (`+01:00`, `-0800`, `+5`, `UTC+2`) are taken; without them a zone has a name, and
            so its summer time. `Z`, `UTC` and `GMT` are always taken.

    Raises:
        UnknownZone: there is none of that name.
    """
    name = text.strip()
    if name in _UTC:
        return UTC
    if offsets and (found := _OFFSET.fullmatch(name)):
        rest = int(found["minutes"] or 0)
        minutes = int(found["hours"]) * 60 + rest
        if rest < 60 and minutes <= _LARGEST:
            return timezone(timedelta(minutes=minutes if found["sign"] == "+" else -minutes))
    if not name.startswith(_NO_NAMES):
        with suppress(ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, as `Europe`, or too long
            return ZoneInfo(name)
    raise unknown_zone(text, offsets=offsets)


def zone_name(zone: tzinfo) -> str:
    """Return the name by which Arrow, DuckDB and `parse_zone` know a zone: `Europe/Berlin`, `+01:00` or `UTC`."""
    return str(zone).removeprefix("UTC") or "UTC"


def unknown_zone(text: str, *, offsets: bool = True) -> UnknownZone:
    """Return the error for a text that names no zone."""
    meant = near(text.strip(), available_timezones() - set(_NO_NAMES))
    hint = f" (did you mean {meant!r}?)" if meant else ""
    forms = "Europe/Berlin or +01:00" if offsets else "an IANA name, such as Europe/Berlin"
    return UnknownZone(f"there is no time zone {text[:_SHOWN]!r}{hint}; write {forms}")
