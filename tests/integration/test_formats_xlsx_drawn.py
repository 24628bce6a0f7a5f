"""Workbooks of drawn cells."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from rendering import extract
from whohas.engine.statement import ResultColumn
from workbooks import book, column, values

PIECES = ["_x0041_", "_x005F_", "_x00", "41_", "_x", "_", "\r", "\n", "\t", " ", "\0", "\x1f", "\ufffe", "\uffff"]


NASTY = st.lists(st.sampled_from([*PIECES, *"<>&;'\"=é北😀\u2028\x85"])).map("".join)


@given(st.lists(st.none() | st.text() | NASTY, min_size=1), st.text(min_size=1) | NASTY)
@settings(deadline=None, max_examples=60)
def test_any_text_comes_back(texts: list[str | None], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = extract(
            Path(folder), (ResultColumn(name, "text"), ResultColumn("n", "integer")), *[[text, 1] for text in texts]
        )
        assert values(book(rows)) == [[name, "n"], *([text or None, 1] for text in texts)]


@given(st.lists(st.lists(st.text() | NASTY, min_size=1) | st.none(), min_size=1))
@settings(deadline=None, max_examples=30)
def test_several_texts_come_back_joined(lists: list[list[str] | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cells = column(extract(Path(folder), (ResultColumn("texts", "texts"),), *[[texts] for texts in lists]))
        assert cells == [("; ".join(texts) or None) if texts else None for texts in lists]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1) | st.none(), min_size=1))
@settings(deadline=None, max_examples=60)
def test_an_integer_is_a_number_while_a_double_holds_it(numbers: list[int | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cells = column(extract(Path(folder), (ResultColumn("n", "integer"),), *[[number] for number in numbers]))
        assert cells == [n if n is None or abs(n) < 1 << 53 else str(n) for n in numbers]


@given(st.lists(st.datetimes(timezones=st.just(UTC)) | st.none(), min_size=1))
@settings(deadline=None, max_examples=60)
def test_a_time_is_a_date_where_spreadsheets_have_one(times: list[datetime | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cells = column(extract(Path(folder), (ResultColumn("time", "time"),), *[[time] for time in times]))
    for cell, time in zip(cells, times, strict=True):
        if time is None:
            assert cell is None
        elif time >= datetime(1900, 3, 1, tzinfo=UTC) and time.year < 9999:
            assert abs(cell.replace(tzinfo=UTC) - time) < timedelta(milliseconds=1)
        elif time.year < 9999:
            assert cell.startswith(f"{time.year:04}-{time:%m-%d %H:%M:%S}")
