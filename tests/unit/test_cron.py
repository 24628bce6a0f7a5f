"""When a schedule is due, through summer time and back."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from whohas.errors import InvalidArguments
from whohas.runs.cron import next_time

BERLIN = ZoneInfo("Europe/Berlin")


def times(cron: str, zone: str, after: datetime, count: int) -> list[str]:
    found: list[str] = []
    for _ in range(count):
        after = next_time(cron, zone, after)
        assert after.tzinfo is UTC
        found.append(after.astimezone(ZoneInfo(zone)).isoformat())
    return found


def test_a_time_is_the_wall_clock_of_its_zone() -> None:
    after = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert next_time("0 6 * * MON", "Europe/Berlin", after) == datetime(2026, 7, 6, 4, tzinfo=UTC)
    assert next_time("0 6 * * MON", "Asia/Kolkata", after) == datetime(2026, 7, 6, 0, 30, tzinfo=UTC)
    assert next_time("*/15 * * * *", "UTC", after) == datetime(2026, 7, 1, 12, 15, tzinfo=UTC)


def test_a_time_that_the_clock_skips_is_made_up_for_once() -> None:
    assert times("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=BERLIN), 3) == [
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
        "2026-03-31T02:30:00+02:00",
    ]


def test_a_time_that_comes_twice_counts_once() -> None:
    assert times("30 2 * * *", "Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=BERLIN), 3) == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
        "2026-10-27T02:30:00+01:00",
    ]


@pytest.mark.parametrize(("day", "hours"), [(datetime(2026, 3, 29), 23), (datetime(2026, 10, 25), 25)])
def test_what_goes_by_the_hour_goes_on_through_both(day: datetime, hours: int) -> None:
    start = day.replace(tzinfo=BERLIN)
    after = datetime.fromtimestamp(start.timestamp() - 1, UTC)
    seen = [datetime.fromisoformat(text).timestamp() for text in times("0 * * * *", "Europe/Berlin", after, hours)]
    assert [round(late - early) for early, late in pairwise(seen)] == [3600] * (hours - 1)
    assert datetime.fromtimestamp(seen[-1], BERLIN).hour == 23


@pytest.mark.parametrize(
    ("cron", "zone", "says"),
    [
        ("* * * *", "UTC", "five fields"),
        ("* * * * * *", "UTC", "five fields"),
        ("", "UTC", "five fields"),
        ("61 * * * *", "UTC", "is wrong"),
        ("* * * * FOO", "UTC", "is wrong"),
        ("*/0 * * * *", "UTC", "is wrong"),
        ("0 0 30 2 *", "UTC", "30 2"),
        ("* " * 1000, "UTC", "five fields"),
        ("* * * * *", "Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
        ("* * * * *", "../../etc/passwd", "no time zone"),
        ("* * * * *", "", "no time zone"),
    ],
)
def test_what_is_no_schedule_is_refused(cron: str, zone: str, says: str) -> None:
    with pytest.raises(InvalidArguments, match=says):
        next_time(cron, zone, datetime(2026, 1, 1, tzinfo=UTC))
