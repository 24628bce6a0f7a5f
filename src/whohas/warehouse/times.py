"""Times out of texts, as SQL. A text of no documented form gives null; none is read as another form.

DuckDB's casts take more than they should: a year of two digits behind blanks, `24:00:00`, an offset of 24 hours. So
every text is held against a pattern before it is cast.
"""

from __future__ import annotations

from typing import Final

from whohas.engine.sql import literal

EARLIEST: Final = 1971
LATEST: Final = 2099
"""The years in which a number is believed to be a time. Seconds that are given as milliseconds lie before them,
milliseconds that are given as seconds after, and so do the numbers 20240131 and 20240131120000."""

NEVER: Final = ("0", "9223372036854775807")
"""FILETIME values by which Active Directory says that something never happened, or never will."""

OFFSET: Final = r"[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?"
"""A difference from UTC, as a pattern for RE2 and for Python: RFC 3339's, with or without colon and minutes."""

_SINCE_1970 = (31_536_000, 4_102_444_800)
"""The start of the first of these years, and the end of the last, in seconds."""

_FILETIME_EPOCH = 11_644_473_600
"""Seconds from 1601, where FILETIME begins, to 1970."""

_YEARS = (-62_135_596_800_000_000, 253_402_300_799_999_999)
"""The years 1 to 9999, which reports and queries can name, in microseconds since 1970."""

_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?"
_DAY = r"[12]\d{3}-\d\d-\d\d"
_AWARE = rf"{_DAY}[T ]{_CLOCK}(?:Z|{OFFSET})"
_NAIVE = rf"{_DAY}(?:[T ]{_CLOCK})?"
_EITHER = rf"{_DAY}(?:[T ]{_CLOCK}(?:Z|{OFFSET})?)?"

_LEAPING = r"(?:[01]\d|2[0-3]):[0-5]\d(?::(?:[0-5]\d|60)(?:\.\d+)?)?"
_ANY = rf"\d{{4}}-\d\d-\d\d(?:[T ]{_LEAPING}(?: ?(?:Z|{OFFSET}))?)?"
_ANY_NAIVE = rf"\d{{4}}-\d\d-\d\d(?:[T ]{_LEAPING})?"

_GENERALIZED = (
    (rf"\d{{14}}(?:[.,]\d+)?(?:Z|{OFFSET})?", r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(.*)$", r"\1-\2-\3T\4:\5:\6\7"),
    (rf"\d{{12}}(?:Z|{OFFSET})", r"^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(.*)$", r"\1-\2-\3T\4:\5\6"),
    (rf"\d{{10}}(?:Z|{OFFSET})", r"^(\d{4})(\d\d)(\d\d)(\d\d)(.*)$", r"\1-\2-\3T\4:00\5"),
)
"""Generalized time of LDAP (RFC 4517, 3.3.13): its pattern, its parts, and these in the form of RFC 3339."""


def iso_time(text: str, zone: str | None = None, before: str = "", after: str = "", rare: bool = True) -> str:
    """The time that a text is by RFC 3339, or by its forms without an offset, without seconds or without a time.

    Args:
        zone: of times without an offset, as `local` takes it.
        before: arms for further forms, before all but the most usual ones of RFC 3339; likewise `after`.
        rare: whether the spellings of `general` are read too. The engine plans the statement in a third of the time
            without them; a text that only they read is null then.
    """
    others = f"{before}{_others(text, zone)}{after}" + (f"ELSE {general(text, zone)}" if rare else "")
    # an arm that is entered and finds nothing goes on to the others: `…:60Z` looks usual, and is a leap second
    return f"coalesce(CASE {_usual(text, zone)}END, CASE WHEN {text} IS NULL THEN NULL {others} END)"


def _usual(text: str, zone: str | None) -> str:
    """Arms for what most times look like, without a regular expression, which costs six times as much.

    LIKE takes any character for a digit. What the functions after it take beside digits are blanks and signs before
    the year, and these sort before '0001'. A test tries every character in every place.
    """
    year = f"{text} >= '0001'"
    inner = f"{text} >= '0002' AND {text} < '9999'" if zone else year  # a zone can move the others out of four digits
    second = _utc(f"try_strptime({text}, '%Y-%m-%dT%H:%M:%SZ')")
    millisecond = _utc(f"try_strptime({text}, '%Y-%m-%dT%H:%M:%S.%gZ')")
    day = local(f"try_cast({text} AS TIMESTAMP)", zone)
    return (
        f"WHEN strlen({text}) = 20 AND {text} LIKE '____-__-__T__:__:__Z' AND {year} "
        f"THEN {second} "
        f"WHEN strlen({text}) = 24 AND {text} LIKE '____-__-__T__:__:__.___Z' AND {year} "
        f"THEN {millisecond} "
        f"WHEN strlen({text}) = 10 AND {text} LIKE '____-__-__' AND {inner} THEN {day} "
    )


def _others(text: str, zone: str | None) -> str:
    """Arms for all other forms that have nothing unusual in them."""
    if zone is None:
        return f"WHEN regexp_full_match({text}, {literal(_EITHER)}) THEN try_cast({text} AS TIMESTAMPTZ) "
    return (
        f"WHEN regexp_full_match({text}, {literal(_AWARE)}) THEN try_cast({text} AS TIMESTAMPTZ) "
        f"WHEN regexp_full_match({text}, {literal(_NAIVE)}) THEN {local(f'try_cast({text} AS TIMESTAMP)', zone)} "
    )


def general(text: str, zone: str | None) -> str:
    """The time of RFC 3339 in any spelling: small letters, a blank before the offset, a leap second, blanks around.

    A leap second is the last microsecond of its month, so that it stays in its day; elsewhere than at the end of a
    month in UTC there is none (RFC 3339, 5.7). `2016-12-31T23:59:60Z` is read as `…23:59:59Z` and then moved.
    """
    plain = "regexp_replace(replace(u, ':60', ':59'), ' (Z|[+-])', '\\1')"
    aware = f"WHEN regexp_full_match(u, {literal(_ANY)}) THEN epoch_us(try_cast({plain} AS TIMESTAMPTZ)) "
    if zone is not None:
        naive = f"epoch_us({local(f'try_cast({plain} AS TIMESTAMP)', zone)})"
        aware = f"WHEN regexp_full_match(u, {literal(_ANY_NAIVE)}) THEN {naive} {aware}"
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


def local(time: str, zone: str | None) -> str:
    """The moment at which clocks of a zone show a time: SQL of a TIMESTAMP to SQL of a TIMESTAMPTZ.

    A time that clocks show twice is the first of the two; one that they skip counts by the clock from before the
    change, which makes it as much later. So do Python's `datetime` and the dates of queries.

    Args:
        zone: a name (`Europe/Berlin`), a difference from UTC (`+05:30`), or None for UTC.
    """
    if zone is None:
        return _utc(time)
    if zone[0] in "+-":
        seconds = (int(zone[1:3]) * 60 + int(zone[4:6])) * 60 * (-1 if zone[0] == "-" else 1)
        return f"make_timestamptz(epoch_us({time}) - {seconds * 1_000_000})"
    name = literal(zone)
    # of two moments the engine takes the later; the earlier one is by the difference from UTC of the day before
    earlier = (
        f"make_timestamptz(epoch_us(t) - epoch_us(timezone({name}, timezone({name}, t) - INTERVAL 1 DAY)) "
        f"+ epoch_us(timezone({name}, t) - INTERVAL 1 DAY))"
    )
    return (
        f"list_transform([{time}], lambda t: CASE WHEN timezone({name}, {earlier}) = t THEN {earlier} "
        f"ELSE timezone({name}, t) END)[1]"
    )


def generalized(text: str, zone: str | None) -> str:
    """Arms for generalized time, as LDAP has it; without an offset it is in the zone."""
    bare = f"upper(trim({text}))"
    arms = ""
    for pattern, parts, form in _GENERALIZED:
        same = f"regexp_replace(replace({bare}, ',', '.'), {literal(parts)}, {literal(form)})"
        arms += f"WHEN regexp_full_match({bare}, {literal(pattern)}) THEN {general(same, zone)} "
    return arms


def counted(text: str, unit: str, digits: str = "") -> str:
    """An arm for a number of a unit: `seconds` or `milliseconds` since 1970, `filetime` (100 ns since 1601).

    Numbers outside of the years that are believed are null.

    Args:
        digits: the pattern of what is a number, where it is not every one in these years.
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
        f"WHEN regexp_full_match({bare}, {literal(digits or pattern)}) "
        f"THEN CASE WHEN {number} >= {first} AND {number} < {end} THEN make_timestamptz({micros}) END "
    )


def _utc(time: str) -> str:
    # a cast would ask the calendar of the session's zone for each value
    return f"make_timestamptz(epoch_us({time}))"


def bounded(time: str) -> str:
    """A time, or null where it lies outside the years 1 to 9999, out of which an offset can move it."""
    first, last = _YEARS
    return f"list_transform([{time}], lambda t: CASE WHEN epoch_us(t) BETWEEN {first} AND {last} THEN t END)[1]"
