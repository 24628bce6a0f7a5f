"""When a schedule is due: a cron expression in a time zone.

On the days when the clock changes, an expression whose hours are all 24 is due whenever the clock shows such a minute:
not at what is skipped, and both times at what comes twice. Any other names times of day, however its fields are
written. Each of these counts once a day: one that the clock skips is made up for at the moment of the change, several
skipped ones together; one that comes twice counts the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from whohas.errors import InvalidArguments
from whohas.zones import UnknownZone, parse_zone

LONGEST = 200
"""Characters of an expression."""


def next_time(cron: str, time_zone: str, after: datetime) -> datetime:
    """The first time after another that an expression names, in UTC.

    Args:
        cron: five fields: minute, hour, day of the month, month, day of the week.
        time_zone: an IANA name, such as Europe/Berlin.

    Raises:
        InvalidArguments: no such expression, no such zone, or a day that never comes.
    """
    from cronsim import CronSim, CronSimError

    try:
        zone = parse_zone(time_zone, offsets=False)
    except UnknownZone as fault:
        raise InvalidArguments(f"timeZone: {fault}.") from None
    if len(cron) > LONGEST or len(cron.split()) != 5:
        raise InvalidArguments(
            f"The cron expression {cron[:60]!r} must have five fields: minute, hour, day of the month, month, day of "
            "the week; such as `0 6 * * MON`."
        )
    try:
        CronSim(cron, after)
        cron = " ".join(_SPAN.sub(_without_step, field) for field in cron.split())
        every = CronSim(cron, after.astimezone(zone))
        if len(every.hours) == 24:
            minute, _, rest = cron.split(maxsplit=2)
            return next(CronSim(f"{minute} * {rest}", after.astimezone(zone))).astimezone(UTC)
        # without a zone it walks along the clock on the wall
        return _first(CronSim(cron, after.astimezone(zone).replace(tzinfo=None)), zone, after)
    except CronSimError as error:
        raise InvalidArguments(
            f"The cron expression {cron!r} is wrong: {str(error) or 'a field has no such value'}."
        ) from None
    except StopIteration:
        raise InvalidArguments(f"The cron expression {cron!r} names a time that never comes.") from None


_SPAN = re.compile(r"(?P<first>\w+)-(?P<last>\w+)/[0-9]+")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NUMBERS = {
    name: str(number) for names, least in ((_DAYS, 0), (_MONTHS, 1)) for number, name in enumerate(names, least)
}


def _without_step(span: re.Match[str]) -> str:
    """Leave out the step of a span of one number: cronsim reads `6-6/2` as `6/2`, which has no end."""
    first, last = (int(_NUMBERS.get(name.upper(), name)) for name in span.group("first", "last"))
    return span["first"] if first == last else span[0]


def _first(times: Iterator[datetime], zone: tzinfo, after: datetime) -> datetime:
    """Return the first of some times of a wall clock that comes after an instant, in UTC.

    Europe/Berlin skips 02:00 to 03:00 on 29 March 2026: 02:30 comes at 01:00 UTC, which is 03:00 there. On 25 October
    it has 02:30 twice: 02:30 comes at 00:30 UTC, and not at 01:30 again.
    """
    while True:
        instant = _instant(next(times), zone)
        if instant > after:
            return instant


def _instant(wall: datetime, zone: tzinfo) -> datetime:
    """Return when a clock on the wall first shows a time; where it never does, when it passes over it."""
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # it is skipped: read by the difference from UTC after the change it lies before the change, and the other way round
    early, late = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late
