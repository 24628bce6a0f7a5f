"""What date expressions of queries cover."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whohas.search.dates import DateError, parse_date

NOW = datetime(2026, 11, 23, 10, 15, 30, 123456, UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def covered(text: str, zone=UTC) -> tuple[str, str]:
    found = parse_date(text, NOW, zone)
    return tuple(moment.isoformat().removesuffix("+00:00") for moment in (found.start, found.end))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2017", "2017-01-01T00:00:00", "2018-01-01T00:00:00"),
        ("2017-09", "2017-09-01T00:00:00", "2017-10-01T00:00:00"),
        ("2017-12", "2017-12-01T00:00:00", "2018-01-01T00:00:00"),
        ("2017-09-25", "2017-09-25T00:00:00", "2017-09-26T00:00:00"),
        ("2017-09-25T10", "2017-09-25T10:00:00", "2017-09-25T11:00:00"),
        ("2017-09-25T10:15", "2017-09-25T10:15:00", "2017-09-25T10:16:00"),
        ("2017-09-25 10:15:30", "2017-09-25T10:15:30", "2017-09-25T10:15:31"),
        ("2017-09-25T10:15:30.123Z", "2017-09-25T10:15:30.123000", "2017-09-25T10:15:30.124000"),
        ("2017-09-25T10:15:30,123456789Z", "2017-09-25T10:15:30.123456", "2017-09-25T10:15:30.123457"),
        ("2017-09-25T10:15:30+02:00", "2017-09-25T08:15:30", "2017-09-25T08:15:31"),
        ("2017-09-25T10:15:30-0530", "2017-09-25T15:45:30", "2017-09-25T15:45:31"),
        ("1506300000000", "2017-09-25T00:40:00", "2017-09-25T00:40:00.001000"),
        ("now", "2026-11-23T10:15:30.123456", "2026-11-23T10:15:30.123457"),
        ("now-7d", "2026-11-16T10:15:30.123456", "2026-11-16T10:15:30.123457"),
        ("now-7d/d", "2026-11-16T00:00:00", "2026-11-17T00:00:00"),
        ("now/w", "2026-11-23T00:00:00", "2026-11-30T00:00:00"),
        ("now-1d/w", "2026-11-16T00:00:00", "2026-11-23T00:00:00"),
        ("now/M", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("now/y-1y", "2025-01-01T00:00:00", "2026-01-01T00:00:00"),
        ("now+h/h", "2026-11-23T11:00:00", "2026-11-23T12:00:00"),
        ("2026-11||/M", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        ("2017-09-25||/M", "2017-09-01T00:00:00", "2017-10-01T00:00:00"),
        ("2024-01-31||+1M", "2024-02-29T00:00:00", "2024-03-01T00:00:00"),
        ("2024-02-29||+1y", "2025-02-28T00:00:00", "2025-03-01T00:00:00"),
        ("9999-12-31", "9999-12-31T00:00:00", "9999-12-31T23:59:59.999999"),
        ("2024-01-01||-1s", "2023-12-31T23:59:59", "2024-01-01T23:59:59"),
    ],
)
def test_a_date_covers_its_smallest_part(text: str, start: str, end: str) -> None:
    assert covered(text) == (start, end)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        # summer: two hours ahead of UTC; winter: one
        ("2026-07-01", "2026-06-30T22:00:00", "2026-07-01T22:00:00"),
        ("2026-01-01", "2025-12-31T23:00:00", "2026-01-01T23:00:00"),
        # the clock is put forward on 29 March at two, and back on 25 October at three
        ("2026-03-29", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
        ("2026-10-25", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        ("2026-03-29T02:30", "2026-03-29T01:30:00", "2026-03-29T01:31:00"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00", "2026-10-25T00:31:00"),
        ("2026-03-28T12:00:00||+1d", "2026-03-29T10:00:00", "2026-03-29T10:00:01"),
        ("2026-03-28T12:00:00||+24h", "2026-03-29T11:00:00", "2026-03-29T11:00:01"),
        ("2026-07-01T00:00:00Z||/d", "2026-07-01T00:00:00", "2026-07-02T00:00:00"),
    ],
)
def test_days_begin_and_end_by_the_clock_of_the_zone(text: str, start: str, end: str) -> None:
    assert covered(text, BERLIN) == (start, end)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-13", "2026-02-30", "2026-1-1", "26-01-01", "2026-11-23T25:00", "2026-11-23T10:15x", "now-7x",
     "now-", "now7d", "2026-11|/M", "2026-11||M", "2026-11||/q", "now-99999999999d", "now-999999999y", "now+9000y",
     "0001-01-01||-1y", "12/31/2026", "99999999999999999", "-99999999999999", "now" * 50, "2026-11-23Z", "2026-11-23T10:00+05:99", "now||+1d"],
)  # fmt: skip
def test_what_is_no_date_says_so(text: str) -> None:
    with pytest.raises(DateError):
        parse_date(text, NOW, UTC)


def test_a_fault_names_what_was_written_and_what_is_expected() -> None:
    with pytest.raises(DateError, match=r"'now-7x' is no date: after 'now' .* y, M, w, d, h, m or s"):
        parse_date("now-7x", NOW, UTC)
    with pytest.raises(DateError, match=r"'2026-13' is no date: month must be in 1\.\.12"):
        parse_date("2026-13", NOW, UTC)


@given(
    st.text(max_size=40)
    | st.text("0123456789-T:.Z+nowyMdhms/|, ", max_size=30)
    | st.builds("{}||{}".format, st.dates().map(str), st.text("+-/0123456789yMwdhms", max_size=10)),
    st.sampled_from([UTC, BERLIN, ZoneInfo("America/St_Johns"), ZoneInfo("Pacific/Apia")]),
)
def test_any_text_covers_something_or_is_a_fault(text: str, zone) -> None:
    try:
        found = parse_date(text, NOW, zone)
    except DateError:
        return
    assert found.start < found.end
