"""CSV files of drawn texts."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csvfiles import written
from whohas.engine.sql import string_literal
from whohas.engine.statement import ResultColumn


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1))
def test_any_text_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("csv")
    rows = ", ".join(f"({string_literal(text)}, 'end')" for text in texts)
    written(folder, f"SELECT * FROM (VALUES {rows})", [ResultColumn("text", "text"), ResultColumn("last", "text")])
    with (folder / "out.csv").open(newline="") as file:
        assert list(csv.reader(file))[1:] == [[text, "end"] for text in texts]
