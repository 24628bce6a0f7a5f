"""SQL expressions for DuckDB that parse times: from texts in RFC 3339, LDAP's generalized time and numeric formats.

A text in none of the documented formats gives null rather than a wrong time. DuckDB's own casts accept more than these
formats: a two-digit year after blanks, `24:00:00`, an offset of 24 hours. Therefore every text is matched with a
pattern before it is cast.

The functions take and return SQL. An "arm" is one `WHEN … THEN …` of a CASE expression. A "zone" is the time zone of
texts that name no offset from UTC; `local_to_utc` lists its values.
"""

from __future__ import annotations

from typing import Final

from whohas.engine.sql import string_literal

EARLIEST_YEAR: Final = 1971
LATEST_YEAR: Final = 2099
"""The first and last year in which a number is accepted as a time. Most mistakes fall outside: seconds read as
milliseconds lie in 1970, milliseconds read as seconds far after 2099, and so do the dates 20240131 (as seconds: 1970)
and 20240131120000 (as milliseconds: the year 2611)."""

FILETIME_NEVER: Final = ("0", "9223372036854775807")
"""FILETIME values that mean "never" in Active Directory, such as in `accountExpires` and `lastLogon`."""

OFFSET_PATTERN: Final = r"[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?"
"""Pattern of an offset from UTC, for RE2 and for Python: `+05:30` as in RFC 3339, also `+0530` and `+05`."""

_SINCE_1970 = (31_536_000, 4_102_444_800)
"""The start of the year `EARLIEST_YEAR` and the end of the year `LATEST_YEAR`, in seconds since 1970."""

_FILETIME_EPOCH = 11_644_473_600
"""Seconds from 1601-01-01, the zero of FILETIME, to 1970-01-01."""

_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The start of the year 1 and the end of the year 9999, the years that reports and queries support, in microseconds
since 1970."""

_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
_DAY = r"[12]\d{3}-\d\d-\d\d"
_AWARE = rf"{_DAY}[T ]{_CLOCK}(?:Z|{OFFSET_PATTERN})"
_NAIVE = rf"{_DAY}(?:[T ]{_CLOCK})?"
_EITHER = rf"{_DAY}(?:[T ]{_CLOCK}(?:Z|{OFFSET_PATTERN})?)?"

_LEAPING = r"(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d+)?)?"
_ANY = rf"\d{{4}}-\d\d-\d\d(?:[T ]{_LEAPING}(?: ?(?:Z|{OFFSET_PATTERN}))?)?"
_ANY_NAIVE = rf"\d{{4}}-\d\d-\d\d(?:[T ]{_LEAPING})?"

_GENERALIZED = (
    (
        rf"\d{{14}}(?:[.,]\d+)?(?:Z|{OFFSET_PATTERN})?",
        r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(.*)$",
        r"\1-\2-\3T\4:\5:\6\7",
    ),
    (rf"\d{{12}}(?:Z|{OFFSET_PATTERN})", r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(.*)$", r"\1-\2-\3T\4:\5\6"),
    (rf"\d{{10}}(?:Z|{OFFSET_PATTERN})", r"^(\d{4})(\d\d)(\d\d)(\d\d)(.*)$", r"\1-\2-\3T\4:00\5"),
)
"""The forms of LDAP's generalized time (RFC 4517, 3.3.13): pattern of the whole text, pattern of its parts, and the
replacement that puts the parts into RFC 3339. Example: `20240131120000Z` becomes `2024-01-31T12:00:00Z`."""


def rfc3339_time(text: str, zone: str | None = None, before: str = "", after: str = "", rare: bool = True) -> str:
    """Return SQL that parses a text in RFC 3339, also without an offset, without seconds or without a time of day.

    Args:
        text: SQL of the text.
        zone: time zone of texts without an offset, as in `local_to_utc`.
        before: arms for further forms, tried after the three most frequent forms of RFC 3339 and before the
            others.
        after: arms for further forms, tried after those of RFC 3339 and before those of `lenient_rfc3339_time`.
        rare: whether the spellings of `lenient_rfc3339_time` are parsed too. Without them a text in such a spelling
            gives null, but DuckDB plans the statement in a third of the time.
    """
    others = f"{before}{_others(text, zone)}{after}" + (f"ELSE {lenient_rfc3339_time(text, zone)}" if rare else "")
    # coalesce, because a frequent form may match and still give null: `2016-12-31T23:59:60Z` looks like one, but its
    # leap second is only parsed by `lenient_rfc3339_time`.
    return f"coalesce(CASE {_frequent(text, zone)}END, CASE WHEN {text} IS NULL THEN NULL {others} END)"


def _frequent(text: str, zone: str | None) -> str:
    """Return arms for the most frequent forms: second or millisecond precision with Z, and a date alone.

    They use LIKE, because a regular expression takes six times as long. In LIKE, `_` matches any character, not only a
    digit. The parsing functions reject everything else but blanks and signs before the year, and such texts sort before
    '0001', so the comparison rejects them. A test tries every character at every position.
    """
    year = f"{text} >= '0001'"
    # a zone moves a date by up to a day, out of the four-digit years in the first and the last of them
    inner = f"{text} >= '0002' AND {text} < '9999'" if zone else year
    second = _utc(f"try_strptime({text}, '%Y-%m-%dT%H:%M:%SZ')")
    millisecond = _utc(f"try_strptime({text}, '%Y-%m-%dT%H:%M:%S.%gZ')")
    day = local_to_utc(f"try_cast({text} AS TIMESTAMP)", zone)
    return (
        f"WHEN strlen({text}) = 20 AND {text} LIKE '____-__-__T__:__:__Z' AND {year} "
        f"THEN {second} "
        f"WHEN strlen({text}) = 24 AND {text} LIKE '____-__-__T__:__:__.___Z' AND {year} "
        f"THEN {millisecond} "
        f"WHEN strlen({text}) = 10 AND {text} LIKE '____-__-__' AND {inner} THEN {day} "
    )


def _others(text: str, zone: str | None) -> str:
    """Return arms for the other ordinary forms of RFC 3339: any offset, any number of decimals, no seconds."""
    if zone is None:
        return f"WHEN regexp_full_match({text}, {string_literal(_EITHER)}) THEN try_cast({text} AS TIMESTAMPTZ) "
    return (
        f"WHEN regexp_full_match({text}, {string_literal(_AWARE)}) THEN try_cast({text} AS TIMESTAMPTZ) "
        f"WHEN regexp_full_match({text}, {string_literal(_NAIVE)}) "
        f"THEN {local_to_utc(f'try_cast({text} AS TIMESTAMP)', zone)} "
    )


def lenient_rfc3339_time(text: str, zone: str | None) -> str:
    """Return SQL that parses every spelling of RFC 3339: lower case, a blank before the offset, leap seconds, padding.

    A leap second becomes the last microsecond before the next month, so that it stays on its day. At any other moment
    than the end of a month in UTC there is no leap second (RFC 3339, 5.7), and the result is null. Example:
    `2016-12-31t23:59:60z` → upper case → `:60` replaced by `:59` → 2016-12-31T23:59:59Z, which is the last second of a
    month → 2016-12-31T23:59:59.999999Z.

    Args:
        text: SQL of the text.
        zone: time zone of texts without an offset, as in `local_to_utc`. None: such a text is in UTC.
    """
    # list_transform([x], lambda v: …)[1] binds a value to a name, so that it is computed once
    plain = "regexp_replace(replace(u, ':60', ':59'), ' (Z|[+-])', '\\1')"
    aware = f"WHEN regexp_full_match(u, {string_literal(_ANY)}) THEN epoch_us(try_cast({plain} AS TIMESTAMPTZ)) "
    if zone is not None:
        naive = f"epoch_us({local_to_utc(f'try_cast({plain} AS TIMESTAMP)', zone)})"
        aware = f"WHEN regexp_full_match(u, {string_literal(_ANY_NAIVE)}) THEN {naive} {aware}"
    leap = (
        "CASE WHEN e % 86400000000 // 1000000 = 86399 AND day(make_timestamp(e + 1000000)) = 1 "
        "THEN e - e % 1000000 + 999999 END"
    )
    first, last = _YEARS
    found = (
        f"list_transform([CASE {aware}END], lambda e: CASE WHEN e BETWEEN {first} AND {last} "
        f"THEN make_timestamptz(CASE WHEN contains(u, ':60') THEN {leap} ELSE e END) END)[1]"
    )
    return f"list_transform([upper(trim({text}))], lambda u: {found})[1]"


def local_to_utc(time: str, zone: str | None) -> str:
    """Return SQL that turns a local time (TIMESTAMP) into the moment (TIMESTAMPTZ) at which a zone's clocks show it.

    A time that occurs twice, when clocks are set back, is the first of the two. A time that clocks skip is read with
    the offset from before the change: 02:30 in a night that skips 02:00 to 03:00 is 03:30 on the new clock. Python's
    `datetime` (fold=0) and the dates in queries follow the same rule.

    Args:
        time: SQL of a TIMESTAMP.
        zone: a time zone's name (`Europe/Berlin`), an offset from UTC (`+05:30`), or None for UTC.
    """
    if zone is None:
        return _utc(time)
    if zone[0] in "+-":
        seconds = (int(zone[1:3]) * 60 + int(zone[4:6])) * 60 * (-1 if zone[0] == "-" else 1)
        return f"make_timestamptz(epoch_us({time}) - {seconds * 1_000_000})"
    name = string_literal(zone)
    # Of two moments DuckDB returns the later. The earlier one is found with the offset of the day before: when Berlin
    # sets its clocks back, DuckDB reads 02:30 as 01:30Z (+01:00); with the offset of the day before (+02:00) it is
    # 00:30Z, and because Berlin's clocks show 02:30 then too, this is the result.
    earlier = (
        f"make_timestamptz(epoch_us(t) - epoch_us(timezone({name}, timezone({name}, t) - INTERVAL 1 DAY)) "
        f"+ epoch_us(timezone({name}, t) - INTERVAL 1 DAY))"
    )
    return (
        f"list_transform([{time}], lambda t: CASE WHEN timezone({name}, {earlier}) = t THEN {earlier} "
        f"ELSE timezone({name}, t) END)[1]"
    )


def ldap_time_arms(text: str, zone: str | None) -> str:
    """Return arms that parse LDAP's generalized time (RFC 4517, 3.3.13), with a decimal point or comma.

    Args:
        text: SQL of the text.
        zone: time zone of texts without an offset, as in `local_to_utc`.
    """
    bare = f"upper(trim({text}))"
    arms = ""
    for pattern, parts, replacement in _GENERALIZED:
        rfc3339 = f"regexp_replace(replace({bare}, ',', '.'), {string_literal(parts)}, {string_literal(replacement)})"
        arms += f"WHEN regexp_full_match({bare}, {string_literal(pattern)}) THEN {lenient_rfc3339_time(rfc3339, zone)} "
    return arms


def numeric_time_arm(text: str, unit: str, digits: str = "") -> str:
    """Return an arm that parses a number as a time; null outside the years `EARLIEST_YEAR` to `LATEST_YEAR`.

    Args:
        text: SQL of the text.
        unit: `seconds` or `milliseconds` since 1970, or `filetime`: steps of 100 ns since 1601.
        digits: pattern of the numbers to parse; empty for the unit's own pattern, which fits those years.
    """
    first, end = _SINCE_1970
    bare = f"trim({text})"
    match unit:
        case "seconds":
            pattern, number = r"\d{8,10}(?:\.\d{1,9})?", f"try_cast({bare} AS DECIMAL(28, 9))"
            micros = f"CAST(floor({number} * 1000000) AS BIGINT)"
        case "milliseconds":
            pattern, number, first, end = r"\d{11,13}", f"try_cast({bare} AS BIGINT)", first * 1000, end * 1000
            micros = f"{number} * 1000"
        case _:
            pattern, number = r"\d{18}", f"try_cast({bare} AS BIGINT)"
            micros = f"{number} // 10 - {_FILETIME_EPOCH * 1_000_000}"
            first, end = ((since + _FILETIME_EPOCH) * 10_000_000 for since in (first, end))
    return (
        f"WHEN regexp_full_match({bare}, {string_literal(digits or pattern)}) "
        f"THEN CASE WHEN {number} >= {first} AND {number} < {end} THEN make_timestamptz({micros}) END "
    )


def _utc(time: str) -> str:
    # A cast is slower: it looks up the session's time zone for each value.
    return f"make_timestamptz(epoch_us({time}))"


def within_supported_years(time: str) -> str:
    """Return SQL that gives a time, or null if it lies outside the years 1 to 9999 (an offset can move it there)."""
    first, last = _YEARS
    return f"list_transform([{time}], lambda t: CASE WHEN epoch_us(t) BETWEEN {first} AND {last} THEN t END)[1]"
