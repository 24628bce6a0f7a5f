"""When a schedule is due, through summer time and back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whohas.errors import InvalidArguments
from whohas.schedules.cron import next_time

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


def test_a_skipped_time_is_made_up_for_once() -> None:
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
    ("cron", "plain"),
    [
        ("0 6-6/2 * * *", "0 6 * * *"),
        ("0 06-6/2,23 * * *", "0 6,23 * * *"),
        ("5-5/10 * * * *", "5 * * * *"),
        ("0 0 1-1/7 * *", "0 0 1 * *"),
        ("0 0 1 jan-1/2 *", "0 0 1 1 *"),
        ("0 0 * * MON-1/2", "0 0 * * 1"),
        ("0 0 * * sun-SUN/2", "0 0 * * 0"),
        ("0 6-8/9 * * *", "0 6 * * *"),
    ],
)
def test_a_step_in_a_span_of_one_number_leads_nowhere(cron: str, plain: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert times(cron, "UTC", start, 20) == times(plain, "UTC", start, 20)


SPRING = {
    "Europe/Berlin": datetime(2026, 3, 29),  # 02:00 to 03:00 is skipped
    "America/New_York": datetime(2026, 3, 8),  # 02:00 to 03:00
    "Australia/Lord_Howe": datetime(2026, 10, 4),  # 02:00 to 02:30
    "Asia/Beirut": datetime(2026, 3, 29),  # 00:00 to 01:00
}
AUTUMN = {
    "Europe/Berlin": datetime(2026, 10, 25),  # 02:00 to 03:00 comes twice
    "America/New_York": datetime(2026, 11, 1),  # 01:00 to 02:00
    "Australia/Lord_Howe": datetime(2026, 4, 5),  # 01:30 to 02:00
    "Asia/Beirut": datetime(2026, 10, 24),  # 23:00 to 24:00
}


def of_the_day(cron: str, zone: str, day: datetime) -> list[str]:
    """The times of day, each with its difference from UTC, at which an expression is due."""
    start = day.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    after, found = start - timedelta(seconds=1), list[str]()
    while (after := next_time(cron, zone, after)).astimezone(ZoneInfo(zone)).date() == day.date():
        found.append(after.astimezone(ZoneInfo(zone)).strftime("%H:%M%z"))
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "due"),
    [
        ("*/30 2 * * *", "Europe/Berlin", ["03:00+0200"]),
        ("0,30 2 * * *", "Europe/Berlin", ["03:00+0200"]),
        ("* 2 * * *", "Europe/Berlin", ["03:00+0200"]),
        ("59 2 * * *", "Europe/Berlin", ["03:00+0200"]),
        ("0 2,3 * * *", "Europe/Berlin", ["03:00+0200"]),
        ("15 1-3 * * *", "Europe/Berlin", ["01:15+0100", "03:00+0200", "03:15+0200"]),
        ("0 */6 * * *", "Europe/Berlin", ["00:00+0100", "06:00+0200", "12:00+0200", "18:00+0200"]),
        ("0 2-22/10 * * *", "Europe/Berlin", ["03:00+0200", "12:00+0200", "22:00+0200"]),
        ("*/30 2 * * *", "America/New_York", ["03:00-0400"]),
        ("30 1,2 * * *", "America/New_York", ["01:30-0500", "03:00-0400"]),
        ("*/30 2 * * *", "Australia/Lord_Howe", ["02:30+1100"]),
        ("*/15 2 * * *", "Australia/Lord_Howe", ["02:30+1100", "02:45+1100"]),
        ("10 2 * * *", "Australia/Lord_Howe", ["02:30+1100"]),
        ("0 0 * * *", "Asia/Beirut", ["01:00+0300"]),
        ("*/20 0 * * *", "Asia/Beirut", ["01:00+0300"]),
    ],
)
def test_skipped_times_of_day_come_once_at_the_change(cron: str, zone: str, due: list[str]) -> None:
    assert of_the_day(cron, zone, SPRING[zone]) == due


@pytest.mark.parametrize(
    ("cron", "zone", "due"),
    [
        ("*/30 2 * * *", "Europe/Berlin", ["02:00+0200", "02:30+0200"]),
        ("0 */2 * * *", "Europe/Berlin", ["00:00+0200", "02:00+0200", *(f"{h:02}:00+0100" for h in range(4, 24, 2))]),
        ("0 1-3 * * *", "Europe/Berlin", ["01:00+0200", "02:00+0200", "03:00+0100"]),
        ("*/30 1 * * *", "America/New_York", ["01:00-0400", "01:30-0400"]),
        ("0 1,2 * * *", "America/New_York", ["01:00-0400", "02:00-0500"]),
        ("*/15 1 * * *", "Australia/Lord_Howe", ["01:00+1100", "01:15+1100", "01:30+1100", "01:45+1100"]),
        ("0 2 * * *", "Australia/Lord_Howe", ["02:00+1030"]),
        ("30 23 * * *", "Asia/Beirut", ["23:30+0300"]),
    ],
)
def test_repeated_times_of_day_count_the_first_time(cron: str, zone: str, due: list[str]) -> None:
    assert of_the_day(cron, zone, AUTUMN[zone]) == due


@pytest.mark.parametrize("zone", SPRING)
@pytest.mark.parametrize("cron", ["0 * * * *", "0 0-23 * * *", "0 */1 * * *"])
def test_every_hour_is_each_hour_that_the_clock_shows(cron: str, zone: str) -> None:
    assert len(of_the_day(cron, zone, SPRING[zone])) == 23
    # on Lord Howe the half hour before two comes twice, and no full hour
    assert len(of_the_day(cron, zone, AUTUMN[zone])) == (24 if zone == "Australia/Lord_Howe" else 25)


@pytest.mark.parametrize("zone", SPRING)
def test_every_quarter_of_an_hour_goes_on_through_both(zone: str) -> None:
    for day in (SPRING[zone], AUTUMN[zone]):
        start = day.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        after = start - timedelta(seconds=1)
        for number in range(120):
            after = next_time("*/15 * * * *", zone, after)
            assert after == start + timedelta(minutes=15 * number)


@given(
    st.sampled_from(["*", "*/30", "0,30", "7", "10-50/20"]),
    st.sampled_from(["1", "2", "*/2", "0-3", "23", "2,14"]),
    st.sampled_from(sorted(SPRING)),
    st.booleans(),
)
def test_times_of_day_come_once_a_day_and_in_order(minute: str, hour: str, zone: str, spring: bool) -> None:
    day = (SPRING if spring else AUTUMN)[zone]
    usual = of_the_day(f"{minute} {hour} * * *", zone, day - timedelta(days=3))
    found = of_the_day(f"{minute} {hour} * * *", zone, day)
    clock = [text[:5] for text in found]
    assert clock == sorted(set(clock))
    if spring:
        assert 1 <= len(found) <= len(usual)
    else:
        assert clock == [text[:5] for text in usual]


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
