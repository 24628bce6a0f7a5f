"""Filters and sorters of lists, held to an evaluation in Python over a few rows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from fuzz.drawing import fuzzed
from fuzz.target import Check, measured, single
from whohas.errors import InvalidArguments
from whohas.runs.filters import MAX_FILTER_CHARACTERS, FilterField, parse_filter, parse_sorters
from whohas.runs.listing import FIELDS

_TASK = sa.table("task", sa.column("id"), sa.column("name"), sa.column("ended"))
_OURS = {
    "name": FilterField(_TASK.c.name.in_, is_null=_TASK.c.name.is_(None)),
    "ended": FilterField(_TASK.c.ended.in_, is_null=_TASK.c.ended.is_(None)),
    "id": FilterField(_TASK.c.id.in_),
}
_SORTERS = {"id": _TASK.c.id, "name": _TASK.c.name, "ended": _TASK.c.ended}
_WORDS = ("a", "b", 'say "hi"', "back\\slash", "and", "or", "é", "", " ", "%", "'", "(", "not")
_ROWS: list[dict[str, str | None]] = [
    {"id": str(number), "name": name, "ended": ended}
    for number, (name, ended) in enumerate((name, ended) for name in (*_WORDS, None) for ended in ("x", "a", "", None))
]


@cache
def _database() -> sa.Connection:
    connection = sa.create_engine("sqlite://").connect()
    connection.exec_driver_sql("CREATE TABLE task (id, name, ended)")
    for row in _ROWS:
        connection.exec_driver_sql("INSERT INTO task VALUES (?, ?, ?)", (row["id"], row["name"], row["ended"]))
    return connection


Truth = bool | None
Means = Callable[[dict[str, str | None]], Truth]


@dataclass(frozen=True)
class Filter:
    """A filter as text, and what it means for a row: null is neither true nor false, as in SQL."""

    text: str
    means: Means


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def _equals(name: str, texts: list[str]) -> Means:
    return lambda row: None if row[name] is None else row[name] in texts


def _not(means: Means) -> Means:
    def turned(row: dict[str, str | None]) -> Truth:
        truth = means(row)
        return None if truth is None else not truth

    return turned


def _together(parts: list[Means], decisive: bool) -> Means:
    def joined(row: dict[str, str | None]) -> Truth:
        truths = [part(row) for part in parts]
        return decisive if decisive in truths else None if None in truths else not decisive

    return joined


_case = st.sampled_from((str, str.upper, str.title))
_name = st.sampled_from(("name", "ended"))
_value = st.sampled_from(_WORDS) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4
)


@st.composite
def _tests(draw: st.DrawFn) -> Filter:
    name, word, blank = draw(_name), draw(_case), draw(st.sampled_from((" ", "  ", "\n", "\t ")))
    match draw(st.sampled_from(("eq", "ne", "in", "isnull", "pr"))):
        case "eq":
            text = draw(_value)
            return Filter(f"{name} {word('eq')}{blank}{_quoted(text)}", _equals(name, [text]))
        case "ne":
            text = draw(_value)
            return Filter(f"{name} {word('ne')}{blank}{_quoted(text)}", _not(_equals(name, [text])))
        case "in":
            texts = draw(st.lists(_value, min_size=1, max_size=4))
            listed = f",{blank}".join(map(_quoted, texts))
            return Filter(f"{name} {word('in')}{blank}({listed})", _equals(name, texts))
        case "isnull":
            return Filter(f"{name} {word('isnull')}", lambda row: row[name] is None)
        case _:
            return Filter(f"{name} {word('pr')}", lambda row: row[name] is not None)


@st.composite
def _groups(draw: st.DrawFn, inner: st.SearchStrategy[Filter]) -> Filter:
    word = draw(_case)
    match draw(st.sampled_from(("and", "or", "not", "mixed"))):
        case "not":
            one = draw(inner)
            return Filter(f"{word('not')} ({one.text})", _not(one.means))
        case "mixed":  # without brackets: `and` binds tighter
            first, second, third = draw(_tests()), draw(_tests()), draw(_tests())
            text = f"{first.text} {word('or')} {second.text} {word('and')} {third.text}"
            return Filter(text, _together([first.means, _together([second.means, third.means], False)], True))
        case other:
            parts = draw(st.lists(inner, min_size=2, max_size=3))
            text = f" {word(other)} ".join(f"({one.text})" for one in parts)
            return Filter(text, _together([one.means for one in parts], other == "or"))


_filters = st.recursive(_tests(), _groups, max_leaves=8)
_PIECES = (
    "name", "ended", "id", " eq ", " ne ", " in ", " isnull", " pr", "and ", "or ", "not ", "(", ")", ",", '"', '"a"', "\\",
    '\\"', "\0", "\ud800", "\u3000", "name eq ", 'name eq "a" and ', "not(", '"a",', "completionStatus", '"SUCCESS"', "co",
)  # fmt: skip
_sorter = st.lists(st.sampled_from(("id", "name", "ended")), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.tuples(*(st.sampled_from((name, f"-{name}")) for name in names)).map(",".join)
)
_SORTER_PIECES = ("id", "-", ",", " ", "name", "ended", "--id", "created")


def _check_filter(one: Filter | str) -> bool:
    text = one if isinstance(one, str) else one.text
    for fields in (_OURS, FIELDS):
        try:
            found: Any = measured(len(text), parse_filter, text, fields)
            found.compile(dialect=_database().dialect)
        except InvalidArguments as error:
            assert error.message.startswith("filters"), error.message
            if fields is FIELDS:
                continue
            assert isinstance(one, str) or len(text) > MAX_FILTER_CHARACTERS or "levels deep" in error.message, (
                error.message
            )
            return False
        if fields is _OURS:
            ids = set(_database().execute(sa.select(_TASK.c.id).where(found)).scalars())
            if isinstance(one, Filter):
                assert ids == {row["id"] for row in _ROWS if one.means(row)}, text
    return True


def _check_sorters(text: str) -> bool:
    try:
        order = measured(len(text), parse_sorters, text, _SORTERS)
    except InvalidArguments as error:
        assert error.message.startswith("sorters"), error.message
        return False
    ids = list(_database().execute(sa.select(_TASK.c.id).order_by(*order, sa.literal_column("rowid"))).scalars())
    rows = list(_ROWS)
    for name in reversed([name.strip() for name in text.split(",")] if text.strip() else []):
        bare = name.removeprefix("-")
        rows.sort(key=lambda row: (row[bare] is not None, (row[bare] or "").encode()), reverse=name.startswith("-"))
        if name.startswith("-"):  # a stable order is kept within equals
            rows = [row for key in dict.fromkeys(r[bare] for r in rows) for row in _in_order(rows, bare, key)]
    assert ids == [row["id"] for row in rows], text
    return True


def _in_order(rows: list[dict[str, str | None]], name: str, value: str | None) -> list[dict[str, str | None]]:
    return [row for row in rows if row[name] == value]


def checks() -> tuple[Check, ...]:
    """Return filters with a known meaning, filters of any text, and sorters."""
    return (
        single(_filters, _check_filter),
        fuzzed(_filters.map(lambda one: one.text), _PIECES, _check_filter, MAX_FILTER_CHARACTERS + 100),
        fuzzed(_sorter, _SORTER_PIECES, _check_sorters, MAX_FILTER_CHARACTERS),
    )
