"""Texts of every script in printed reports: no glyph leaves its cell. `made` checks each page; here is what it is given."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import people
import rendering
from content_streams import checked
from pdf_objects import PdfFile
from rendering import extract
from whohas.engine.statement import ResultColumn
from whohas.formats.base import ReportMetadata, WriteOptions
from whohas.formats.pdf.writer import write

_SCRIPTS = (
    "\u0020\u0041\u0069 ",
    *(("".join(map(chr, range(first, last)))) for first, last in (
        (0x0300, 0x0370), (0x0590, 0x0600), (0x0600, 0x0700), (0x0900, 0x0980), (0x0980, 0x0a00), (0x0b80, 0x0c00),
        (0x0c00, 0x0c80), (0x0c80, 0x0d00), (0x0d00, 0x0d80), (0x0d80, 0x0e00), (0x0e00, 0x0e80), (0x0e80, 0x0f00),
        (0x0f00, 0x1000), (0x1000, 0x10a0), (0x1780, 0x1800), (0x1100, 0x1200), (0x20d0, 0x2100), (0xfb50, 0xfe00),
    )),
)  # fmt: skip
_MIXED = st.lists(st.one_of([st.text(script, max_size=30) for script in _SCRIPTS]), max_size=4).map("".join)


def made(folder: Path, columns: int, *cells: str, about: ReportMetadata = rendering.ABOUT) -> Path:
    """Return a checked report with each cell in columns of their own and a text at each side of it."""
    names = [
        ResultColumn("id", "text"),
        *(ResultColumn(f"column {n}", "text") for n in range(columns)),
        ResultColumn("note", "text"),
    ]
    rows = [(str(number), *[cell] * columns, "note") for number, cell in enumerate(cells)]
    path = folder / "report.pdf"
    write(extract(folder, names, *rows), path, about, WriteOptions())
    return checked(path)


@pytest.mark.parametrize("columns", [1, 9])
def test_names_of_every_locale_stay_in_their_cells(columns: int, tmp_path: Path) -> None:
    made(tmp_path, columns, *people.names())


@pytest.mark.parametrize("columns", [1, 9])
def test_texts_that_are_hard_to_draw_stay_in_their_cells(columns: int, tmp_path: Path) -> None:
    made(tmp_path, columns, *people.COMPOSED.values())


@pytest.mark.parametrize("name", people.COMPOSED)
def test_a_text_alone_sets_columns_that_hold_it(name: str, tmp_path: Path) -> None:
    """Widths come from the cells: other texts of the report make no room for it here."""
    made(tmp_path, 1, people.COMPOSED[name], "x")


@given(st.lists(_MIXED, min_size=1, max_size=6))
@example(["\u0301", "\u20dd", "\u093f"])
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_characters_of_a_script_stay_in_their_cells(cells: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder), 1, *cells)


@pytest.mark.parametrize("name", people.COMPOSED)
def test_headers_and_title_block_hold_any_text(name: str, tmp_path: Path) -> None:
    text = people.COMPOSED[name]
    columns = [ResultColumn("id", "text"), ResultColumn(text, "text"), ResultColumn(f"n {text}", "integer")]
    about = dataclasses.replace(rendering.ABOUT, org=text, title=text, arguments={"filter": text}, description=text)
    write(extract(tmp_path, columns, ("1", "x", 2)), tmp_path / "report.pdf", about, WriteOptions())
    checked(tmp_path / "report.pdf")


def test_the_foot_keeps_the_run_where_names_are_long(tmp_path: Path) -> None:
    about = dataclasses.replace(rendering.ABOUT, org="Organization " * 30, title="A report " * 12)
    (page,) = PdfFile(made(tmp_path, 1, "x", about=about)).pages()
    foot = page.forms["F"].decode("latin-1")
    assert f"run {about.run})Tj" in foot
    assert "(Organization Organization " in foot


def test_rows_of_many_columns_begin_at_the_same_place(tmp_path: Path) -> None:
    made(tmp_path, 11, *["text"] * 200)
