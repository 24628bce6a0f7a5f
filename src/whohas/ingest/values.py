"""SQL expressions for DuckDB that convert the text of cells to the types of columns, and that check and derive ids.

The functions take SQL of a text and return SQL; nothing is executed here.
"""

from __future__ import annotations

from dataclasses import dataclass

from whohas.engine.sql import string_literal
from whohas.ingest.forms import DEFAULT_FORM, TextForm, TimeReference, WrittenForms
from whohas.warehouse.schema import BOOLEAN, INTEGER, TEXT, TEXT_LIST, TIME, TableColumn
from whohas.warehouse.times import (
    EARLIEST_YEAR,
    FILETIME_NEVER,
    LATEST_YEAR,
    ldap_time_arms,
    local_to_utc,
    numeric_time_arm,
    rfc3339_time,
    within_supported_years,
)

MAX_ID = 128
"""The longest id, in characters."""

_TRUE = r"(?i)\s*(true|t|yes|y|1)\s*"
_FALSE = r"(?i)\s*(false|f|no|n|0)\s*"
_INTEGER = r"[+-]?\d{1,18}(?:\.0)?"
"""An integer, also with the `.0` that pandas writes for columns with gaps; `1.000` may mean a thousand, so it fails."""

_FLAGS = r"[+-]?\d{1,18}|0[xX][0-9A-Fa-f]{1,8}"
_MILLISECONDS = r"\d{13}"
"""Milliseconds since 1970, the only numbers that are times without a mapping; other lengths are ambiguous."""


@dataclass(frozen=True, slots=True)
class Value:
    """The SQL of one column's value.

    Attributes:
        sql: the value; null if the text is null or cannot be converted.
        reason: the rest of the sentence "'text' is …" for a text that cannot be converted, such as `no integer`; None
            if every text can be converted.
    """

    sql: str
    reason: str | None = None


def typed_value(
    column: TableColumn, text: str, separator: str | None = None, form: TextForm = DEFAULT_FORM, rare: bool = True
) -> Value:
    """Return the value of a column. The value of a list of objects is its JSON text, for `objects.read_lists`.

    Args:
        column: the column of the table.
        text: SQL of the text; null if the cell is empty.
        separator: the separator of several values in one text; None if only a JSON array holds several.
        form: the settings of a mapping for the text.
        rare: whether rare spellings of times are accepted; see `times.rfc3339_time`.
    """
    if column.type == TEXT:
        return Value(text)
    if column.type == BOOLEAN:
        value = _flag(text, form.flag) if form.flag is not None else _boolean(text, form)
        return Value(f"NOT ({value.sql})", value.reason) if form.negated else value
    if column.type == INTEGER:
        whole = f"replace(trim({text}), '.0', '')"
        sql = f"CASE WHEN regexp_full_match(trim({text}), '{_INTEGER}') THEN try_cast({whole} AS BIGINT) END"
        return Value(sql, "no integer; write 1000, not 1,000 or 1.000")
    if column.type == TIME:
        return _time(text, form, rare)
    if column.type == TEXT_LIST:
        return Value(_texts(text, separator))
    # All other types are lists of objects.
    sql = f"CASE WHEN json_valid({text}) AND json_type({text}) IN ('ARRAY', 'OBJECT') THEN {text} END"
    return Value(sql, "no JSON array of objects")


def null_if_absent(column: TableColumn, text: str, form: TextForm) -> str:
    """Return SQL of a text that is null if the text means "no value" by the column's settings.

    Only FILETIME has such texts: 0 and 9223372036854775807 mean "never".
    """
    if column.type == TIME and "filetime" in form.times:
        never = " OR ".join(f"trim({text}) = '{value}'" for value in FILETIME_NEVER)
        return f"CASE WHEN {never} THEN NULL ELSE {text} END"
    return text


def _boolean(text: str, form: TextForm) -> Value:
    """Return a boolean: the words of a mapping first, then the usual ones."""
    own = "".join(
        f"WHEN lower(trim({text})) = lower({string_literal(word)}) THEN {value} "
        for value, words in (("true", form.true), ("false", form.false))
        for word in words
    )
    # `true` and `false` are compared before the patterns, because folding case costs more than everything else. The
    # words are not compared with IN, because DuckDB turns that into a join.
    sql = (
        f"CASE WHEN {text} IS NULL THEN NULL {own}WHEN {text} = 'false' THEN false WHEN {text} = 'true' THEN true "
        f"WHEN regexp_full_match({text}, '{_FALSE}') THEN false "
        f"WHEN regexp_full_match({text}, '{_TRUE}') THEN true END"
    )
    words = ", ".join(map(repr, (*form.true, *form.false)))
    among = f" (nor one of {words})" if words else ""
    return Value(sql, f"neither true nor false{among}; for other words set true and false in a mapping's [values]")


def _flag(text: str, flag: int) -> Value:
    """Return whether a bit is set in an integer, decimal or hexadecimal.

    An example: `userAccountControl` is 514 = 512 + 2, so the flag 2 (ACCOUNTDISABLE) is set and the flag 16 is not.
    """
    number = f"CASE WHEN regexp_full_match(trim({text}), '{_FLAGS}') THEN try_cast(trim({text}) AS BIGINT) END"
    return Value(f"(({number}) & {flag}) <> 0", f"no integer, of which the flag {flag} is a bit")


def _time(text: str, form: TextForm, rare: bool) -> Value:
    """Return a time: in the formats of a mapping, in RFC 3339 unless they exclude it, or milliseconds since 1970."""
    arms = "".join(_written(text, given, form.zone) for given in form.times)
    milliseconds = numeric_time_arm(text, "milliseconds", _MILLISECONDS)
    if form.iso:
        sql = rfc3339_time(text, form.zone, arms, milliseconds, rare)
    else:
        sql = f"CASE WHEN {text} IS NULL THEN NULL {arms}{milliseconds}END"
    numbers = f"a number only of the years {EARLIEST_YEAR} to {LATEST_YEAR}"
    if not form.times:
        return Value(
            sql,
            "no time; write 2026-08-21T07:30:00Z or 2026-08-21; for other forms, such as %d.%m.%Y, ldap, filetime, "
            f"seconds or milliseconds ({numbers}), set times in a mapping's [values]",
        )
    names = ", ".join(given if isinstance(given, str) else given.text for given in form.times)
    iso = " or 2026-08-21T07:30:00Z" if form.iso else ""
    return Value(sql, f"no time of the form {names}{iso} ({numbers}); set times for it, in [values] or at the column")


def _written(text: str, given: str | WrittenForms, zone: str | None) -> str:
    r"""Return arms of a CASE expression that parse one format of times.

    An example: for `%d.%m.%Y` the arm is, shortened, `WHEN regexp_full_match(trim(t), '\d\d?\.\d\d?\.\d{4}') THEN
    try_strptime(trim(t), '%d.%m.%Y')`. The pattern rejects texts that are not in the format although
    `try_strptime` accepts them.

    Args:
        text: SQL of the text.
        given: a keyword (`ldap`, `seconds`, …) or a parsed strptime format.
        zone: the time zone of texts without an offset; None for UTC.
    """
    if given == "ldap":
        return ldap_time_arms(text, zone)
    if isinstance(given, str):
        return numeric_time_arm(text, given)
    arms = ""
    bare = f"trim({text})"
    # DuckDB parses at most six decimals of a second; further ones are cut off.
    exact = f"regexp_replace({bare}, '([.,]\\d{{6}})\\d+', '\\1')" if "%f" in given.pieces else bare
    for one in given.formats:
        time = read = f"try_strptime({exact}, {string_literal(one.format)})"
        if one.clock is not TimeReference.OFFSET:
            time = local_to_utc(read, zone if one.clock is TimeReference.ZONE else None)
        time = within_supported_years(time)
        if given.weekday is not None:
            # DuckDB accepts the name of any day, so the name is compared with that of the parsed date.
            named = f"regexp_extract({bare}, {string_literal(one.pattern)}, 1)"
            time = (
                f"CASE WHEN lower({named}) = lower(strftime({read}, {string_literal(given.weekday)})) THEN {time} END"
            )
        arms += f"WHEN regexp_full_match({bare}, {string_literal(one.pattern)}) THEN {time} "
    return arms


def _texts(text: str, separator: str | None) -> str:
    """Return SQL of a list of texts.

    Examples, with the separator `;`: `["a", "b"]` gives a and b; `{"name": true, "email": false}` gives name; `a;b`
    gives a and b. Without a separator, `a;b` is one value.
    """
    one = f"string_split({text}, {string_literal(separator)})" if separator else f"[{text}]"
    return (
        f"CASE WHEN {text} IS NULL THEN NULL "
        f"WHEN starts_with({text}, '[') AND json_valid({text}) THEN json_extract_string({text}, '$[*]') "
        # An object of booleans, such as manuallyUpdatedFields, gives the names of those that are true.
        f"WHEN starts_with({text}, '{{') AND json_valid({text}) "
        f"THEN list_filter(json_keys({text}), lambda k: ({text} ->> k) = 'true') "
        f"ELSE {one} END"
    )


def bad_id(text: str) -> str:
    """Return SQL for whether a text, given as SQL, cannot be an id.

    It cannot if it is longer than `MAX_ID` or has control characters. Null gives null.
    """
    return f"(length({text}) > {MAX_ID} OR regexp_matches({text}, '[\\x00-\\x1f\\x7f]'))"


BAD_ID = f"no id: longer than {MAX_ID} characters, or with control characters"


def derived_id(*parts: str) -> str:
    """Return SQL for a derived id: the MD5 hash of the parts, joined by a zero character."""
    return f"md5({' || chr(0) || '.join(parts)})"
