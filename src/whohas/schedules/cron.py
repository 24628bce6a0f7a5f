"""Computes the next time of a cron expression in a time zone, with rules for the days when the clock changes.

- An expression whose hour field covers all 24 hours (such as `*/15 * * * *`) is due whenever the clock shows such a
  minute: not in the hour that is skipped in spring, twice in the hour that is repeated in autumn.
- Any other expression names times of day, each of which is due once a day. A time that is skipped is due at the moment
  of the change, several skipped times only once together. A time that is repeated is due the first time.

Example, Europe/Berlin: `30 2 * * *` is due on 29 March 2026 at 03:00 summer time (02:00 to 03:00 is skipped), and on
25 October 2026 at the first of the two 02:30.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo

from whohas.errors import InvalidArguments
from whohas.zones import UnknownZone, parse_zone

MAX_EXPRESSION_CHARACTERS = 200
"""The largest number of characters of an expression."""


def next_time(cron: str, time_zone: str, after: datetime) -> datetime:
    """Return the first time after an instant at which a cron expression is due, in UTC.

    Args:
        cron: five fields: minute, hour, day of the month, month, day of the week.
        time_zone: an IANA name, such as Europe/Berlin.
        after: the instant; the result is later than it.

    Raises:
        InvalidArguments: the expression is malformed or never due (such as 30 February), or the time zone is unknown.
    """
    from cronsim import CronSim, CronSimError

    try:
        zone = parse_zone(time_zone, offsets=False)
    except UnknownZone as fault:
        raise InvalidArguments(f"timeZone: {fault}.") from None
    if len(cron) > MAX_EXPRESSION_CHARACTERS or len(cron.split()) != 5:
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
        # a naive datetime makes cronsim yield local times without its own rules for clock changes
        return _first(CronSim(cron, after.astimezone(zone).replace(tzinfo=None)), zone, after)
    except CronSimError as error:
        raise InvalidArguments(
            f"The cron expression {cron!r} is wrong: {str(error) or 'a field has no such value'}. Write one such as "
            "`0 6 * * MON`."
        ) from None
    except StopIteration:
        raise InvalidArguments(
            f"The cron expression {cron!r} names a time that never comes. Choose another day or month."
        ) from None


_SPAN = re.compile(r"(?P<first>\w+)-(?P<last>\w+)/[0-9]+")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NUMBERS = {
    name: str(number) for names, least in ((_DAYS, 0), (_MONTHS, 1)) for number, name in enumerate(names, least)
}


def _without_step(span: re.Match[str]) -> str:
    """Remove the step of a range that has one value: `6-6/2` becomes `6`, because cronsim reads it as `6/2`, that is
    every second value from 6 on. Other ranges stay as they are."""
    first, last = (int(_NUMBERS.get(name.upper(), name)) for name in span.group("first", "last"))
    return span["first"] if first == last else span[0]


def _first(times: Iterator[datetime], zone: tzinfo, after: datetime) -> datetime:
    """Return, in UTC, the first of some local times that is later than an instant.

    Example, Europe/Berlin: on 29 March 2026 02:30 is skipped, so it is taken as 01:00 UTC, when the clock goes from
    02:00 to 03:00. On 25 October 2026 02:30 is repeated: it is taken as 00:30 UTC, and not as 01:30 UTC again.

    Args:
        times: naive local times, in ascending order.
    """
    while True:
        instant = _instant(next(times), zone)
        if instant > after:
            return instant


def _instant(local: datetime, zone: tzinfo) -> datetime:
    """Return the first instant, in UTC, at which a clock in the zone shows a local time; where the time is skipped, the
    instant of the clock change, to the second."""
    first = local.replace(tzinfo=zone).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == local:
        return first
    # The time is skipped. Read with the UTC offset after the change (fold=1) it lies before the change, and read with
    # the one before (fold=0) after it: a binary search between the two finds the change. Berlin, 29 March 2026, 02:30:
    # fold=1 (+02:00) gives 00:30 UTC, fold=0 (+01:00) gives 01:30 UTC, and the change is at 01:00 UTC.
    early, late = local.replace(tzinfo=zone, fold=1).astimezone(UTC), first
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + timedelta(seconds=(late - early) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late
