"""Parse the date expressions of queries: full or partial ISO 8601, `now`, date arithmetic and rounding.

Source of the rules: Elasticsearch's date math over `strict_date_optional_time||epoch_millis`. A date stands for a span
of time: `2017` is the whole year, `now` one microsecond. Conditions compare a field's value with the span's start and
end::

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

MAX_DATE_LENGTH: Final = 100
"""The most characters that a date expression may have."""

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


class DateError(ValueError):
    """Raised for a text that is not a date expression; the message says why and is shown to the user."""


@dataclass(frozen=True, slots=True)
class DateRange:
    """The span of time that a date stands for, from `start` (included) to `end` (excluded), both in UTC."""

    start: datetime
    end: datetime


def parse_date(text: str, now: datetime, zone: tzinfo) -> DateRange:
    """Return the span of time that a date expression stands for.

    `now` covers one microsecond, a date its smallest written part (`2017-09` a month), and a rounded date the unit that
    it is rounded to. Examples, with now = 2026-11-23T10:15:00Z and zone = UTC::

        2017-09      2017-09-01T00:00 to 2017-10-01T00:00
        now-1d/d     2026-11-22T00:00 to 2026-11-23T00:00
        2017||+1M/y  2017-01-01T00:00 to 2018-01-01T00:00

    A local time that daylight saving time skips is shifted by the length of the gap: 02:30 on 2026-03-29 in
    Europe/Berlin is 03:30. Of a local time that occurs twice, the first one is meant.

    Args:
        text: the expression.
        now: the time that `now` stands for.
        zone: the time zone of a date without one, and of the limits of days, weeks, months and years.

    Raises:
        DateError: it is not a date expression, or lies outside the years 1 to 9999.
    """
    if len(text) > MAX_DATE_LENGTH:
        raise DateError(f"{text[:20]!r}… is too long for a date, which may have {MAX_DATE_LENGTH} characters")
    try:
        return _span(text.strip(), now, zone)
    except OverflowError:
        raise DateError(f"{text!r} lies outside the years 1 to 9999") from None


def _span(text: str, now: datetime, zone: tzinfo) -> DateRange:
    if text.startswith("now"):
        start, unit, steps = now.astimezone(UTC), "", text[3:]
    else:
        literal, bars, steps = text.partition("||")
        start, unit, zone = _literal(literal, zone)
        if not bars:
            return DateRange(start, _end(start, unit, zone))
    index = 0
    while index < len(steps):
        step = _STEP.match(steps, index)
        if step is None:
            raise DateError(f"{text!r} is no date: after {text[: len(text) - len(steps) + index]!r} only steps such "
                            f"as +3d, -1M or /d may follow, with the units {_UNITS}")  # fmt: skip
        index = step.end()
        if step["round"]:
            unit = step["round"].replace("H", "h")
            start = _floor(start, unit, zone)
        else:
            count = int(step["count"] or 1) * (1 if step["sign"] == "+" else -1)
            start = _after(start, step["unit"].replace("H", "h"), count, zone)
    return DateRange(start, _end(start, unit, zone))


def _end(start: datetime, unit: str, zone: tzinfo) -> datetime:
    try:
        return _after(start, unit, 1, zone)
    except OverflowError:  # people write 9999-12-31 for "never expires"
        return datetime.max.replace(tzinfo=UTC)


def _literal(text: str, zone: tzinfo) -> tuple[datetime, str, tzinfo]:
    """Parse the date in front of any arithmetic (such as `||+1d`); milliseconds since 1970 are accepted too.

    Returns:
        Its start in UTC; the unit of its smallest written part (`y`, `M`, `d`, `h`, `m`, `s`, or `f3` for a second's
        fraction of three digits); its time zone, which is `zone` if none is written.
    """
    if _EPOCH.fullmatch(text):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text)), "f3", zone
    match = _DATE.fullmatch(text)
    if match is None:
        raise DateError(f"{text!r} is no date: write it as 2026-11-23, 2026-11-23T10:15:00Z or now-7d/d")
    if match["zone"]:
        try:
            zone = parse_zone(match["zone"])
        except UnknownZone as fault:
            raise DateError(f"{text!r} is no date: {fault}") from None
    digits = match["f"] or ""
    names = [name for name in "yMdhms" if match[name] is not None]
    values = {name: int(match[name]) for name in names}
    try:
        local = datetime(  # noqa: DTZ001 - the zone is applied below
            values["y"], values.get("M", 1), values.get("d", 1), values.get("h", 0), values.get("m", 0),
            values.get("s", 0), int(digits[:6].ljust(6, "0")) if digits else 0,
        )  # fmt: skip
    except ValueError as error:
        raise DateError(f"{text!r} is no date: {error}") from None
    unit = f"f{min(len(digits), 6)}" if digits else names[-1]
    return _in_zone(local, zone), unit, zone


def _in_zone(local: datetime, zone: tzinfo) -> datetime:
    """Return a local time as a time in UTC.

    A local time in a gap of daylight saving time is converted by the offset before the gap: 02:30 on 2026-03-29 in
    Europe/Berlin is read as +01:00, which gives 01:30 UTC or 03:30 local time.
    """
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _after(start: datetime, unit: str, count: int, zone: tzinfo) -> datetime:
    """Return the time `count` units after `start`.

    Days, weeks, months and years are added to the local time of `zone`; shorter units are added to the time in UTC.
    """
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
    """Return the start of the unit of time that contains `moment`; weeks begin on Monday."""
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
