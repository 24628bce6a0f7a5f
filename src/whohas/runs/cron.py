"""When a schedule is due: a cron expression in a time zone.

Summer time as Debian's cron has it, and as cronsim does: a time of day that a change of the clock skips is made up for
at once after it; one that comes twice counts once, the first time; expressions that go by the hour or finer go on
through both.
"""

from __future__ import annotations

from datetime import UTC, datetime

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
        return next(CronSim(cron, after.astimezone(zone))).astimezone(UTC)
    except CronSimError as error:
        raise InvalidArguments(
            f"The cron expression {cron!r} is wrong: {str(error) or 'a field has no such value'}."
        ) from None
    except StopIteration:
        raise InvalidArguments(f"The cron expression {cron!r} names a time that never comes.") from None
