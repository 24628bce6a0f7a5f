"""Cron expressions, held to a walk along the minutes of a zone's clock."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from fuzz.drawing import fuzzed
from fuzz.target import Check, measured, single
from whohas.errors import InvalidArguments
from whohas.schedules.cron import next_time

_ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Apia", "America/Havana",
    "Asia/Kathmandu", "Africa/Casablanca", "Europe/Dublin", "Antarctica/Troll", "America/Sao_Paulo", "Asia/Pyongyang",
)  # fmt: skip
_CHANGES = tuple(
    datetime.fromisoformat(day).replace(tzinfo=UTC)
    for day in ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04", "2011-12-29", "2011-12-30",
                "2018-11-04", "2018-02-18", "2018-05-04", "2015-08-14", "2024-02-28", "2026-02-15", "2026-03-22")
)  # fmt: skip
_MONTHS = [name.upper() for name in calendar.month_abbr[1:]]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_AROUND = timedelta(hours=26)
_MINUTE = timedelta(minutes=1)


@st.composite
def _field(draw: st.DrawFn, name: str, low: int, high: int) -> str:
    number = st.integers(low, high)

    def one() -> str:
        first = draw(number)
        match draw(st.sampled_from(("*", "*", "n", "n", "-", "*/", "n/", "-/", "name", "special"))):
            case "*":
                return "*"
            case "-":
                return f"{first}-{draw(st.integers(first, high))}"
            case "*/":
                return f"*/{draw(st.integers(1, high + 3))}"
            case "n/":
                return f"{first}/{draw(st.integers(1, high))}"
            case "-/":
                return f"{first}-{draw(st.integers(first, high))}/{draw(st.integers(1, 9))}"
            case "name" if name == "month":
                return draw(st.sampled_from((str, str.lower)))(_MONTHS[first - 1])
            case "name" if name == "weekday":
                return _DAYS[first % 7]
            case "special" if name == "day":
                return draw(st.sampled_from(("L", "LW")))
            case "special" if name == "weekday":
                return draw(st.sampled_from((f"{first}L", f"{_DAYS[first % 7]}#{draw(st.integers(1, 5))}")))
            case _:
                return str(first)

    return ",".join(one() for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))))


_cron = st.tuples(*(_field(*field) for field in _FIELDS)).map(" ".join)
_near_a_change = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes), st.sampled_from(_CHANGES), st.integers(-2_880, 4_320)
)
_anywhere = st.datetimes(datetime(1980, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC))
_PIECES = (
    "*", "/", "-", ",", " ", "0", "5", "59", "60", "L", "LW", "#", "W", "MON", "JAN", "@daily", "\t", "?", "*/0", "1-0", "5#6",
    "\u0661", "+1", "99999999999", "* * * * *", "0 0 30 2 *", "0 0 29 2 1#5", "L-3", "\u00b2L", "SUN-SAT", "0,",
)  # fmt: skip


def numbers(field: str, low: int, high: int, names: list[str]) -> set[int]:
    """Return the numbers that an ordinary field names."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if first == "*":
            begin, end = low, high
        else:
            begin = _number(first, names, low)
            end = _number(last, names, low) if dash else (high if step else begin)
        found.update(range(begin, end + 1, int(step or 1)))
    return found


def _number(text: str, names: list[str], low: int) -> int:
    return names.index(text.upper()) + low if text.upper() in names else int(text)


def day_is_due(day: date, dom: str, month: str, dow: str) -> bool:
    """Return whether a date is named; as in Debian, both fields must where one begins with a star, else either."""
    if day.month not in numbers(month, 1, 12, _MONTHS):
        return False
    last = calendar.monthrange(day.year, day.month)[1]
    working = max(d for d in range(1, last + 1) if date(day.year, day.month, d).weekday() < 5)
    by_day = any(
        day.day == {"L": last, "LW": working}[part] if part in ("L", "LW") else day.day in numbers(part, 1, 31, [])
        for part in dom.split(",")
    )
    weekday = (day.weekday() + 1) % 7
    by_weekday = False
    for part in dow.split(","):
        if part.endswith("L"):
            by_weekday |= int(part[:-1]) % 7 == weekday and day.day + 7 > last
        elif "#" in part:
            name, _, count = part.partition("#")
            by_weekday |= _number(name, _DAYS, 0) % 7 == weekday and (day.day + 6) // 7 == int(count)
        else:
            by_weekday |= weekday in {number % 7 for number in numbers(part, 0, 7, _DAYS)}
    if dom.startswith("*") or dow.startswith("*"):
        return by_day and by_weekday
    return by_day or by_weekday


def walked(cron: str, zone: ZoneInfo, after: datetime, days: int) -> datetime | None:
    """Return the first time that is due by a walk along the minutes of the days that are named; None: none is near."""
    minute, hour, dom, month, dow = cron.split()
    minutes, hours = numbers(minute, 0, 59, []), numbers(hour, 0, 23, [])
    first = after.astimezone(zone).date() - timedelta(days=2)
    looked = 0
    for number in range(days):
        day = first + timedelta(days=number)
        if not day_is_due(day, dom, month, dow):
            continue
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=15)
        if begin + timedelta(hours=56) <= after:
            continue
        looked += 1
        if looked > 6:
            return None
        if found := _within(begin, day, minutes, hours, zone, after):
            return found
    return None


def _within(
    begin: datetime, day: date, minutes: set[int], hours: set[int], zone: ZoneInfo, after: datetime
) -> datetime | None:
    at = begin - _AROUND
    highest = at.astimezone(zone).replace(tzinfo=None) - _MINUTE
    for _ in range(int((timedelta(hours=56) + _AROUND) / _MINUTE)):
        wall = at.astimezone(zone).replace(tzinfo=None)
        if len(hours) == 24:
            due = wall.date() == day and wall.minute in minutes
        else:  # what the clock shows for the first time, and what it passes over
            due = False
            passed = highest + _MINUTE
            while passed <= wall and not due:
                due = passed.date() == day and passed.hour in hours and passed.minute in minutes
                passed += _MINUTE
        highest = max(highest, wall)
        if due and at > after:
            return at
        at += _MINUTE
    return None


def _check(one: tuple[str, str, datetime]) -> bool:
    cron, zone, after = one
    try:
        found = measured(len(cron), next_time, cron, zone, after)
    except InvalidArguments:
        return False
    assert found > after
    assert found.tzinfo is UTC
    assert not found.second
    assert not found.microsecond
    try:
        expected = walked(cron, ZoneInfo(zone), after, (found - after).days + 5)
    except (ValueError, IndexError):
        return True  # written in a way that the walk does not read, such as a step of a last day
    assert expected is None or found == expected, f"{found} and not {expected}"
    return True


def _check_text(cron: str) -> bool:
    return _check((cron, "Europe/Berlin", datetime(2026, 3, 28, 23, 30, tzinfo=UTC)))


def checks() -> tuple[Check, ...]:
    """Return expressions in zones at instants, and expressions of any text."""
    when = st.tuples(_cron, st.sampled_from(_ZONES), _near_a_change | _near_a_change | _anywhere)
    return single(when, _check), fuzzed(_cron, _PIECES, _check_text, 400)
