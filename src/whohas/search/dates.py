"""Dates as queries write them: ISO 8601 in parts, `now`, arithmetic and rounding.

Source of the rules: Elasticsearch's date math over `strict_date_optional_time||epoch_millis`. A date covers a span of
time, from the whole year that `2017` means down to one microsecond, and what a query does with it follows from that::

    field:2017-09-25    start <= value < end
    [2017-09-25 TO      value >= start          TO 2017-09-25]    value < end
    {2017-09-25 TO      value >= end            TO 2017-09-25}    value < start
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from whohas.zones import UnknownZone, parse_zone

LONGEST: Final = 100
"""Characters of a date expression."""

_DATE = re.compile(
    r"(?P<y>[0-9]{4})(?:-(?P<M>[0-9]{2})(?:-(?P<d>[0-9]{2})"
    r"(?:[T ](?P<h>[0-9]{2})(?::(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?)?"
    r"(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?)?)?"
)
_EPOCH = re.compile(r"-?[0-9]{5,15}")
_STEP = re.compile(r"(?P<sign>[+-])(?P<count>[0-9]{0,9})(?P<unit>[yMwdhHms])|/(?P<round>[yMwdhHms])")
_UNITS = "y, M, w, d, h, m or s"
_SMALLEST = timedelta(microseconds=1)
_FIXED = {"w": timedelta(weeks=1), "d": timedelta(days=1)}
_CLOCK = {"h": timedelta(hours=1), "m": timedelta(minutes=1), "s": timedelta(seconds=1)}


class DateFault(ValueError):
    """A text that is no date; its text says what is wrong, for people."""


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a date covers, from `start` up to, not with, `end`; both in UTC."""

    start: datetime
    end: datetime


def span(text: str, now: datetime, zone: tzinfo) -> Span:
    """What a date expression covers.

    `now` covers a microsecond, a date its smallest part that is written, a rounded one the unit that it is rounded to.
    A date that names no zone is in `zone`, and so are the borders of days, weeks, months and years. Where a clock is
    put forward, a time that never was counts as long after; where it is put back, the first of two times is meant.

    Raises:
        DateFault: it is no date, or lies outside the years 1 to 9999.
    """
    if len(text) > LONGEST:
        raise DateFault(f"{text[:20]!r}… is too long for a date")
    try:
        return _span(text.strip(), now, zone)
    except OverflowError:
        raise DateFault(f"{text!r} lies outside the years 1 to 9999") from None


def _span(text: str, now: datetime, zone: tzinfo) -> Span:
    if text.startswith("now"):
        start, unit, steps = now.astimezone(UTC), "", text[3:]
    else:
        literal, bars, steps = text.partition("||")
        start, unit, zone = _literal(literal, zone)
        if not bars:
            return Span(start, _end(start, unit, zone))
    at = 0
    while at < len(steps):
        found = _STEP.match(steps, at)
        if found is None:
            raise DateFault(f"{text!r} is no date: after {text[: len(text) - len(steps) + at]!r} there may be steps "
                            f"such as +3d, -1M or /d, with the units {_UNITS}")  # fmt: skip
        at = found.end()
        if found["round"]:
            unit = found["round"].replace("H", "h")
            start = _floor(start, unit, zone)
        else:
            count = int(found["count"] or 1) * (1 if found["sign"] == "+" else -1)
            start = _after(start, found["unit"].replace("H", "h"), count, zone)
    return Span(start, _end(start, unit, zone))


def _end(start: datetime, unit: str, zone: tzinfo) -> datetime:
    try:
        return _after(start, unit, 1, zone)
    except OverflowError:  # 9999-12-31 is how people write "for ever"
        return datetime.max.replace(tzinfo=UTC)


def _literal(text: str, zone: tzinfo) -> tuple[datetime, str, tzinfo]:
    """A date as it is written: its start, its smallest part (`f3` for three digits of a second), its zone."""
    if _EPOCH.fullmatch(text):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text)), "f3", zone
    found = _DATE.fullmatch(text)
    if found is None:
        raise DateFault(f"{text!r} is no date: write it as 2026-11-23, 2026-11-23T10:15:00Z or now-7d/d")
    if found["zone"]:
        try:
            zone = parse_zone(found["zone"])
        except UnknownZone as fault:
            raise DateFault(f"{text!r} is no date: {fault}") from None
    digits = found["f"] or ""
    names = [name for name in "yMdhms" if found[name] is not None]
    values = {name: int(found[name]) for name in names}
    try:
        local = datetime(  # noqa: DTZ001 - a zone is put to it below
            values["y"], values.get("M", 1), values.get("d", 1), values.get("h", 0), values.get("m", 0),
            values.get("s", 0), int(digits[:6].ljust(6, "0")) if digits else 0,
        )  # fmt: skip
    except ValueError as error:
        raise DateFault(f"{text!r} is no date: {error}") from None
    unit = f"f{min(len(digits), 6)}" if digits else names[-1]
    return _in_zone(local, zone), unit, zone


def _in_zone(local: datetime, zone: tzinfo) -> datetime:
    """The moment of a clock's time. One that a clock skips counts with the difference from before it was put forward,
    which makes it as much later."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _after(start: datetime, unit: str, count: int, zone: tzinfo) -> datetime:
    """So many units later: days and longer ones by the calendar of the zone, shorter ones by the clock of UTC."""
    if unit in _CLOCK:
        return start + _CLOCK[unit] * count
    if unit == "" or unit.startswith("f"):
        digits = int(unit[1:] or 6)
        return start + _SMALLEST * 10 ** (6 - digits) * count
    local = start.astimezone(zone).replace(tzinfo=None)
    if unit in _FIXED:
        return _in_zone(local + _FIXED[unit] * count, zone)
    months = local.year * 12 + local.month - 1 + count * (12 if unit == "y" else 1)
    year, month = months // 12, months % 12 + 1
    if not 1 <= year <= 9999:
        raise OverflowError
    return _in_zone(local.replace(year=year, month=month, day=min(local.day, _days(year, month))), zone)


def _days(year: int, month: int) -> int:
    return 29 if month == 2 and _leap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _floor(moment: datetime, unit: str, zone: tzinfo) -> datetime:
    """The start of the unit that a moment lies in; a week begins on Monday."""
    local = moment.astimezone(zone)
    if unit in _CLOCK:
        minute = 0 if unit == "h" else local.minute
        second = local.second if unit == "s" else 0
        return local.replace(minute=minute, second=second, microsecond=0).astimezone(UTC)
    plain = local.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "w":
            plain -= timedelta(days=plain.weekday())
        case "M":
            plain = plain.replace(day=1)
        case "y":
            plain = plain.replace(month=1, day=1)
        case _:
            pass
    return _in_zone(plain, zone)
