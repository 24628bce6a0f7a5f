"""Which time zones there are: the same ones for searches, files, schedules and mappings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import available_timezones

import pyarrow as pa
import pytest

from whohas.zones import UnknownZone, parse_zone, zone_name


@pytest.mark.parametrize(
    ("text", "hours"),
    [("UTC", 0), ("Z", 0), ("GMT", 0), ("+01:00", 1), ("-0800", -8), ("UTC+2", 2), ("+5", 5), ("America/Chicago", -6)],
)
def test_a_zone_goes_by_name_or_by_its_difference(text: str, hours: int) -> None:
    assert parse_zone(text).utcoffset(datetime(2026, 1, 1)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text",
    ["", "Mars/Olympus", "+25:00", "../etc/passwd", "/etc/passwd", "a\0b", "CET+x", "Europe", "x" * 5000, "localtime",
     "posixrules", "right/UTC", "posix/UTC", "Factory"],
)  # fmt: skip
def test_a_text_that_names_no_zone_is_refused(text: str) -> None:
    with pytest.raises(UnknownZone, match=r"there is no time zone .*; write Europe/Berlin or \+01:00"):
        parse_zone(text)


def test_the_error_names_the_zone_that_was_meant() -> None:
    with pytest.raises(UnknownZone, match=r"no time zone 'europe/berln' \(did you mean 'Europe/Berlin'\?\)"):
        parse_zone("europe/berln")


@pytest.mark.parametrize("text", ["+01:00", "UTC+2", "-0800"])
def test_a_difference_is_refused_where_a_name_is_needed(text: str) -> None:
    with pytest.raises(UnknownZone, match="write an IANA name"):
        parse_zone(text, offsets=False)


@pytest.mark.parametrize("text", ["Z", "UTC", "GMT"])
def test_utc_is_a_name(text: str) -> None:
    assert parse_zone(text, offsets=False) is UTC


@pytest.mark.parametrize(
    ("text", "name"),
    [("Z", "UTC"), ("+0", "UTC"), ("+5", "+05:00"), ("GMT-0330", "-03:30"), (" Asia/Kolkata ", "Asia/Kolkata")],
)
def test_a_zone_has_one_name(text: str, name: str) -> None:
    assert zone_name(parse_zone(text)) == name
    assert parse_zone(name) == parse_zone(text)


def test_arrow_knows_every_zone_by_its_name() -> None:
    moment = pa.scalar(datetime(2026, 7, 1, tzinfo=UTC), pa.timestamp("us", "UTC"))
    for text in ["+05:45", "UTC-8", *sorted(available_timezones() - {"localtime", "Factory"})]:
        zone = parse_zone(text)
        assert (
            moment.cast(pa.timestamp("us", zone_name(zone))).as_py().utcoffset()
            == moment.as_py().astimezone(zone).utcoffset()
        )
