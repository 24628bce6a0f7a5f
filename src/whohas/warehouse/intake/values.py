"""From text to typed values, as SQL."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pyarrow as pa

from whohas.engine.sql import literal
from whohas.warehouse.tables import BOOLEAN, INTEGER, TEXT, TEXTS, TIME, Column

MAX_ID = 128
"""The longest id, in characters."""

_TRUE = r"(?i)\s*(true|t|yes|y|1)\s*"
_FALSE = r"(?i)\s*(false|f|no|n|0)\s*"
_DATE = r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?(Z|[+-]\d\d(:?\d\d)?))?)?"
_USUAL = ("____-__-__T__:__:__Z", "____-__-__T__:__:__.___Z", "____-__-__")
"""What most times look like: told by LIKE at a sixth of the cost."""

_MILLISECONDS = r"\d{12,14}"


@dataclass(frozen=True, slots=True)
class Value:
    """SQL for one column's value.

    Attributes:
        sql: the value; null where the text is null, or wrong.
        reason: what the text then is not; None where no text is wrong.
    """

    sql: str
    reason: str | None = None


def typed(column: Column, text: str, separator: str | None = None) -> Value:
    """The value of a column from SQL that gives its text, null where it is empty.

    Args:
        separator: what separates several values in one text; None where only a JSON array has several.
    """
    if column.type == TEXT:
        return Value(text)
    if column.type == BOOLEAN:
        # the usual words first, for folding costs more than all the rest; no IN, which DuckDB makes a join of
        sql = (
            f"CASE WHEN {text} IS NULL THEN NULL WHEN {text} = 'false' THEN false WHEN {text} = 'true' THEN true "
            f"WHEN regexp_full_match({text}, '{_FALSE}') THEN false "
            f"WHEN regexp_full_match({text}, '{_TRUE}') THEN true END"
        )
        return Value(sql, "neither true nor false")
    if column.type == INTEGER:
        sql = f"CASE WHEN regexp_full_match(trim({text}), '[+-]?\\d{{1,18}}') THEN try_cast(trim({text}) AS BIGINT) END"
        return Value(sql, "no integer")
    if column.type == TIME:
        folded = f"upper(trim({text}))"
        usual = " OR ".join(f"{text} LIKE {literal(shape)}" for shape in _USUAL)
        sql = (
            f"CASE WHEN {text} IS NULL THEN NULL "
            f"WHEN {usual} THEN try_cast({text} AS TIMESTAMPTZ) "
            f"WHEN regexp_full_match({folded}, '{_DATE}') THEN try_cast({folded} AS TIMESTAMPTZ) "
            f"WHEN regexp_full_match({folded}, '{_MILLISECONDS}') "
            f"THEN make_timestamptz(try_cast({folded} AS BIGINT) * 1000) END"
        )
        return Value(sql, "no time; write 2026-08-21T07:30:00Z, 2026-08-21 or milliseconds since 1970")
    if column.type == TEXTS:
        return Value(_texts(text, separator))
    structure = json.dumps(_structure(column.type))
    objects = f"json_transform({text}, {literal(structure)})"
    sql = f"CASE WHEN json_valid({text}) AND json_type({text}) = 'ARRAY' THEN {objects} END"
    return Value(sql, "no JSON array of objects")


def _texts(text: str, separator: str | None) -> str:
    one = f"string_split({text}, {literal(separator)})" if separator else f"[{text}]"
    return (
        f"CASE WHEN {text} IS NULL THEN NULL "
        f"WHEN starts_with({text}, '[') AND json_valid({text}) THEN json_extract_string({text}, '$[*]') "
        # an object of flags, such as manuallyUpdatedFields: the names of those that are true
        f"WHEN starts_with({text}, '{{') AND json_valid({text}) "
        f"THEN list_filter(json_keys({text}), lambda k: ({text} ->> k) = 'true') "
        f"ELSE {one} END"
    )


def _structure(kind: pa.DataType) -> object:
    if pa.types.is_list(kind):
        return [_structure(kind.value_type)]
    if pa.types.is_struct(kind):
        return {field.name: _structure(field.type) for field in kind}
    return "BOOLEAN" if kind == BOOLEAN else "VARCHAR"


def bad_id(text: str) -> str:
    """SQL: whether a text cannot be an id."""
    return f"(length({text}) > {MAX_ID} OR regexp_matches({text}, '[\\x00-\\x1f\\x7f]'))"


BAD_ID = f"no id: longer than {MAX_ID} characters, or with control characters"


def made_id(*parts: str) -> str:
    """SQL: the id of what has none, made from what it is known by; the same for the same parts."""
    return f"md5({' || chr(0) || '.join(parts)})"
