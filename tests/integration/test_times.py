"""Which texts are times, and which times they are."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from whohas.ingest.forms import (
    InvalidTextForm,
    TextForm,
    compatible_with_rfc3339,
    find_ambiguous_formats,
    parse_time_form,
    parse_zone_setting,
)
from whohas.ingest.values import null_if_absent, typed_value
from whohas.warehouse.columns import TIME, TableColumn

COLUMN = TableColumn("created", TIME, "")
CONNECTION = duckdb.connect(config={"autoload_known_extensions": "false", "threads": 1})
CONNECTION.execute("SET TimeZone = 'UTC'")


def read(texts: list[str], *times: str, zone: str | None = None) -> list[str | None]:
    """The times that texts are read as, in ISO 8601 and UTC."""
    forms = tuple(parse_time_form(text) for text in times)
    form = TextForm(forms, zone=parse_zone_setting(zone) if zone else None, iso=compatible_with_rfc3339(forms))
    CONNECTION.register("given", pa.table({"t": pa.array(texts, pa.string())}))
    value = typed_value(COLUMN, "x", form=form)
    sql = f"SELECT {value.sql} AS v FROM (SELECT {null_if_absent(COLUMN, 't', form)} AS x FROM given)"
    micros = CONNECTION.sql(f"SELECT epoch_us(v) AS e FROM ({sql})").to_arrow_table().column("e").to_pylist()
    return [None if e is None else (datetime(1970, 1, 1) + timedelta(microseconds=e)).isoformat() for e in micros]


GOOD = {
    "2024-01-31T12:30:45Z": "2024-01-31T12:30:45",
    "2024-01-31T12:30:45.678Z": "2024-01-31T12:30:45.678000",
    "2024-01-31": "2024-01-31T00:00:00",
    "2024-01-31T12:30:45.1Z": "2024-01-31T12:30:45.100000",
    "2024-01-31T12:30:45.1234567Z": "2024-01-31T12:30:45.123456",
    "2024-01-31T12:30:45.999999999999Z": "2024-01-31T12:30:45.999999",
    "2024-01-31t12:30:45z": "2024-01-31T12:30:45",
    "2024-01-31 12:30:45": "2024-01-31T12:30:45",
    "2024-01-31 12:30:45Z": "2024-01-31T12:30:45",
    "2024-01-31 12:30:45 Z": "2024-01-31T12:30:45",
    "2024-01-31 12:30:45 +05:30": "2024-01-31T07:00:45",
    "2024-01-31 12:30:45 -0200": "2024-01-31T14:30:45",
    "2024-01-31T12:30:45.5 +02:00": "2024-01-31T10:30:45.500000",
    "2024-01-31T12:30:45+0530": "2024-01-31T07:00:45",
    "2024-01-31T12:30:45+05": "2024-01-31T07:30:45",
    "2024-01-31T12:30:45-00:00": "2024-01-31T12:30:45",
    "2024-01-31T12:30:45+23:59": "2024-01-30T12:31:45",
    "2024-01-31T12:30": "2024-01-31T12:30:00",
    "2024-01-31 12:30": "2024-01-31T12:30:00",
    "2024-01-31T12:30Z": "2024-01-31T12:30:00",
    " 2024-01-31 ": "2024-01-31T00:00:00",
    " 2024-01-31T12:30:45Z": "2024-01-31T12:30:45",
    "2016-12-31T23:59:60Z": "2016-12-31T23:59:59.999999",
    "2016-12-31T23:59:60.75Z": "2016-12-31T23:59:59.999999",
    "1990-12-31T15:59:60-08:00": "1990-12-31T23:59:59.999999",
    "2017-01-01T05:29:60+05:30": "2016-12-31T23:59:59.999999",
    "2015-06-30 23:59:60": "2015-06-30T23:59:59.999999",
    "2024-02-29": "2024-02-29T00:00:00",
    "0001-01-01": "0001-01-01T00:00:00",
    "0024-01-31T00:00:00Z": "0024-01-31T00:00:00",
    "9999-12-31T23:59:59.999Z": "9999-12-31T23:59:59.999000",
    "1969-07-20T20:17:40Z": "1969-07-20T20:17:40",
    "1704164645678": "2024-01-02T03:04:05.678000",
}
BAD = [
    "  24-01-31", " 024-01-31", "24-01-31", "2024-01-31T12:00:00+24:00", "2024-01-31T12:00:00+05:60",
    "2024-01-31T24:00:00Z", "2024-01-31T24:00:00", "2024-01-31T12:60:00Z", "2024-01-31T12:00:61Z",
    "2024-01-31T12:00:60Z", "2024-01-15T23:59:60Z", "2016-12-31T23:59:60+01:00", "2016-12-31T23:58:60Z",
    "2023-02-29", "2023-02-30T00:00:00Z", "2024-13-01", "2024-00-10", "2024-01-00", "0000-01-01", "0000-00-00",
    "2024-1-31", "2024-01-1", "2024-01-1 ", "2024-01-31T 1:00:00Z", "2024-01-31T12:00: 1Z", "2024-01-31T12:00:0.Z",
    "2024-01-31T12:00:00.Z", "2024-01-31T12:00:00,5Z", "2024-01-31T12Z", "2024-01-31T12", "2024-01-31Z", "12024-01-31",
    "+2024-01-31", "-2024-01-31", "2024-01-31T12:00:00  Z", "2024-01-31  12:00:00", "2024-01-31T12:00:00+5",
    "2024-01-31T12:00:00 UTC", "2024-01-31T12:00:00 Europe/Rome", "2024-01-31T12:00:00Zx", "x2024-01-31",
    "2024/01/31", "31.01.2024", "01/31/2024", "infinity", "epoch", "now", "today", "2024-01-31 (BC)",
    "20240131", "20240131120000", "20240131120000Z", "202401311200", "1704164645", "133500000000000000",
    "0", "-1", "45322", "4102444800000", "9999999999999", "0001704164645", "1.7041646E12", "2024-W05-3", "2024-031",
    "\u0662\u0660\u0662\u0664-\u0660\u0661-\u0663\u0661", "\uff12\uff10\uff12\uff14-01-31", "9999-12-31T23:30:00-01:00", "0001-01-01T00:00:00+01:00", "2024-01-31\t", "null",
]  # fmt: skip


def test_texts_of_documented_forms_are_these_times() -> None:
    assert dict(zip(GOOD, read(list(GOOD)), strict=True)) == GOOD


def test_other_texts_are_no_times() -> None:
    assert dict(zip(BAD, read(BAD), strict=True)) == dict.fromkeys(BAD)


_STRICT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ]([0-2]\d:[0-5]\d)(:[0-5]\d)?(?:(?<=:\d\d:\d\d)(\.\d+))?( ?[Zz]| ?[+-]\d\d(?::?[0-5]\d)?)?)?",
    re.ASCII,
)


def strictly(text: str) -> str | None:
    """The time that Python reads in a text of a documented form; leap seconds aside."""
    found = _STRICT.fullmatch(text.strip(" "))
    if found is None:
        return None
    day, minute, second, fraction, offset = found.groups()
    offset = (offset or "Z").strip().upper()
    try:
        time = datetime.fromisoformat(f"{day}T{minute or '00:00'}{second or ':00'}{(fraction or '')[:7]}{offset}")
        if (minute or "") >= "24":
            return None
        return time.astimezone(UTC).replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError):
        return None


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 30), timezones=OFFSETS)


@given(
    MOMENTS, st.sampled_from("T t"), st.sampled_from(["", " "]), st.sampled_from(["auto", "milliseconds", "seconds"])
)
@settings(deadline=None, max_examples=60)
def test_a_moment_written_in_any_form_reads_back(moment: datetime, between: str, blank: str, precision: str) -> None:
    text = moment.isoformat(between if between != "t" else "T", precision)
    text = f"{text[:-6]}{blank}{text[-6:]}"
    wanted = datetime.fromisoformat(moment.isoformat(timespec=precision)).astimezone(UTC).replace(tzinfo=None)
    assert read([text, text.lower() if between == "t" else text]) == [wanted.isoformat()] * 2


@given(
    st.sampled_from([text for text in GOOD if ":60" not in text and not text.isdigit()]),
    st.lists(st.tuples(st.integers(0, 40), st.characters(codec="ascii") | st.sampled_from(list("0123456789:-+. TZtz")),
                       st.booleans()), min_size=1, max_size=1),
)  # fmt: skip
@settings(deadline=None, max_examples=200)
@example("2024-01-31", [(0, " ", False)])
def test_a_mutated_text_is_read_strictly_or_not_at_all(text: str, changes: list[tuple[int, str, bool]]) -> None:
    for number, character, insert in changes:
        place = number % len(text)
        text = text[:place] + character + text[place + (not insert) :]
    if ":60" not in text:
        assert read([text]) == [strictly(text)]


@pytest.mark.parametrize("text", ["2024-01-31T10:09:08Z", "2024-01-31T10:09:08.123Z", "2024-01-31"])
def test_any_two_characters_in_any_place_are_read_strictly(text: str) -> None:
    few = [chr(n) for n in range(1, 128)]
    texts = [text[:n] + c + text[n + 1 :] for n in range(len(text)) for c in few]
    texts += [
        text[:n] + a + b + text[n + 2 :] for n in range(len(text) - 1) for a, b in product(" \t+-.:019TZe", repeat=2)
    ]
    texts = [text for text in texts if ":60" not in text]
    found = read(texts)
    assert {t: v for t, v in zip(texts, found, strict=True) if v != strictly(t)} == {}


@pytest.mark.parametrize(
    ("times", "text", "time"),
    [
        (["%d.%m.%Y"], "31.01.2024", "2024-01-31T00:00:00"),
        (["%d.%m.%Y"], "1.1.2024", "2024-01-01T00:00:00"),
        (["%d.%m.%Y"], " 31.01.2024 ", "2024-01-31T00:00:00"),
        (["%d.%m.%Y"], "31.01.24", None),
        (["%d.%m.%Y"], "31.01.0000", None),
        (["%d.%m.%Y"], "31.01. 024", None),
        (["%d.%m.%Y"], "31.01.2024 x", None),
        (["%d.%m.%Y"], "30.02.2024", None),
        (["%d.%m.%Y"], "2024-01-31", "2024-01-31T00:00:00"),
        (["%d.%m.%y"], "31.01.68", "2068-01-31T00:00:00"),
        (["%d.%m.%y"], "31.01.69", "1969-01-31T00:00:00"),
        (["%d.%m.%y"], "31.01.2024", None),
        (["%m/%d/%Y %I:%M:%S %p"], "1/2/2024 3:04:05 PM", "2024-01-02T15:04:05"),
        (["%m/%d/%Y %I:%M:%S %p"], "01/02/2024 12:04:05 am", "2024-01-02T00:04:05"),
        (["%m/%d/%Y %I:%M:%S %p"], "01/02/2024 13:04:05 PM", None),
        (["%m/%d/%Y %I:%M:%S %p"], "01/02/2024  3:04:05 PM", None),
        (["%Y%m%d"], "20240131", "2024-01-31T00:00:00"),
        (["%Y%m%d"], "2024131", None),
        (["%Y%m%d%H%M%S"], "20240131123045", "2024-01-31T12:30:45"),
        (["%Y%j"], "2024031", "2024-01-31T00:00:00"),
        (["%d-%b-%Y"], "31-JAN-2024", "2024-01-31T00:00:00"),
        (["%d %B %Y"], "31 January 2024", "2024-01-31T00:00:00"),
        (["%a, %d %b %Y %T %z"], "Wed, 31 Jan 2024 12:00:00 +0200", "2024-01-31T10:00:00"),
        (["%a, %d %b %Y %T %z"], "Mon, 31 Jan 2024 12:00:00 +0200", None),
        (["%d.%m.%Y %T%z"], "31.01.2024 12:00:00Z", "2024-01-31T12:00:00"),
        (["%d.%m.%Y %T%z"], "31.01.2024 12:00:00+24:00", None),
        (["%d.%m.%Y %T.%f"], "31.01.2024 12:00:00.1234567", "2024-01-31T12:00:00.123456"),
        (["%d.%m.%Y %R"], "31.01.2024 24:00", None),
        (["%Y-%d-%m"], "2024-02-01", "2024-01-02T00:00:00"),
        (["ldap"], "20240131120000Z", "2024-01-31T12:00:00"),
        (["ldap"], "20240131120000.0Z", "2024-01-31T12:00:00"),
        (["ldap"], "20240131120000,25+0530", "2024-01-31T06:30:00.250000"),
        (["ldap"], "202401311200Z", "2024-01-31T12:00:00"),
        (["ldap"], "2024013112-05", "2024-01-31T17:00:00"),
        (["ldap"], "20240131120000", "2024-01-31T12:00:00"),
        (["ldap"], "20161231235960Z", "2016-12-31T23:59:59.999999"),
        (["ldap"], "20240230120000Z", None),
        (["ldap"], "20240131240000Z", None),
        (["ldap"], "240131120000Z", None),
        (["filetime"], "133486410000000000", "2024-01-02T03:50:00"),
        (["filetime"], "0", None),
        (["filetime"], "9223372036854775807", None),
        (["filetime"], "1704164645678", "2024-01-02T03:04:05.678000"),
        (["filetime"], "116444736000000000", None),
        (["seconds"], "1704164645", "2024-01-02T03:04:05"),
        (["seconds"], "1704164645.25", "2024-01-02T03:04:05.250000"),
        (["seconds"], "20240131", None),
        (["seconds"], "0", None),
        (["milliseconds"], "915148800000", "1999-01-01T00:00:00"),
        (["milliseconds"], "1704164645", None),
        (["milliseconds"], "133486410000000000", None),
        (["milliseconds"], "20240131120000", None),
        (["seconds", "milliseconds", "filetime", "ldap"], "1704164645678", "2024-01-02T03:04:05.678000"),
    ],
)  # fmt: skip
def test_a_form_reads_its_texts_and_no_others(times: list[str], text: str, time: str | None) -> None:
    assert read([text], *times) == [time]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "+05:30"])
def test_times_without_offset_are_local_around_clock_changes(zone: str) -> None:
    hours = [datetime(2024, 1, 1) + timedelta(minutes=15 * n) for n in range(0, 366 * 96, 53)]
    hours += [datetime(2024, month, day, 0, 30) + timedelta(minutes=15 * n) for month, day in ((3, 31), (10, 27), (3, 10), (11, 3), (4, 7), (10, 6)) for n in range(14)]  # fmt: skip
    clock: Any = ZoneInfo(zone) if "/" in zone else timezone(timedelta(hours=5, minutes=30))
    wanted = [h.replace(tzinfo=clock).astimezone(UTC).replace(tzinfo=None).isoformat() for h in hours]
    assert read([h.isoformat() for h in hours], zone=zone) == wanted
    assert read([h.strftime("%d.%m.%Y %H:%M") for h in hours], "%d.%m.%Y %H:%M", zone=zone) == wanted


def test_a_zone_leaves_times_with_an_offset_alone() -> None:
    texts = [
        "2024-01-31T12:00:00Z",
        "2024-01-31T12:00:00.500Z",
        "2024-01-31 12:00:00 +0100",
        "2024-01-31",
        "1704164645678",
    ]
    assert read(texts, zone="Europe/Berlin") == [
        "2024-01-31T12:00:00", "2024-01-31T12:00:00.500000", "2024-01-31T11:00:00", "2024-01-30T23:00:00",
        "2024-01-02T03:04:05.678000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("%d.%m.%Q", "'%Q', which is no directive"), ("%d.%m.%", "no directive"), ("%s", 'use "seconds"'),
        ("%d.%m", "gives no date"), ("%Y-%m", "gives no single date"), ("%Y-%m-%d %d", "%d twice"), ("%Y %y-%m-%d", "twice"),
        ("%Y-%m-%d %I:%M", "no clear hour"), ("%Y-%m-%d %H:%M %p", "no clear hour"), ("%Y-%m-%d %S", "%S without"),
        ("%Y-%m-%d %z", "%z without"), ("lsap", "did you mean 'ldap'"), ("dd.MM.yyyy", "neither a form with %"),
        ("%Y-%m-%d %Z", "name the zone by zone"),
    ],
)  # fmt: skip
def test_a_form_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidTextForm, match=re.escape(says)):
        parse_time_form(text)


@pytest.mark.parametrize(
    ("times", "clash"),
    [
        (["%d/%m/%Y", "%m/%d/%Y"], True), (["%d.%m.%y", "%y.%m.%d"], True), (["%Y%m%d", "%Y%d%m"], True),
        (["%Y%m%d%H", "seconds"], True), (["%Y%d%m%H%M%S", "ldap"], True), (["%Y%m%d%H%M%S", "ldap"], False),
        (["%d.%m.%Y", "%d.%m.%y"], False), (["%d/%m/%Y", "%m/%d/%Y %I:%M %p"], False), (["%Y%m%d", "seconds"], False),
        (["%d %b %Y", "%d %B %Y"], False), (["seconds", "milliseconds", "filetime", "ldap"], False),
    ],
)  # fmt: skip
def test_forms_that_read_a_text_as_different_times_are_ambiguous(times: list[str], clash: bool) -> None:
    assert (find_ambiguous_formats([parse_time_form(text) for text in times]) is not None) is clash


@pytest.mark.parametrize(
    ("text", "says"),
    [("Europe/Berln", "did you mean 'Europe/Berlin'"), ("../x", "no time zone"), ("CEST", "no time zone")],
)
def test_a_zone_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidTextForm, match=re.escape(says)):
        parse_zone_setting(text)


def test_every_zone_that_is_taken_is_known_to_the_engine() -> None:
    known = {name for (name,) in CONNECTION.sql("SELECT name FROM pg_timezone_names()").fetchall()}
    from zoneinfo import available_timezones

    def taken(name: str) -> bool:
        try:
            return parse_zone_setting(name) is not None
        except InvalidTextForm:
            return False

    assert {name for name in available_timezones() if taken(name)} - known == set()
