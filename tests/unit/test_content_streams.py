"""The check of content streams finds what it looks for: streams that are wrong are fed to it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import rendering
from content_streams import findings, page_findings
from pdf_objects import Page, PdfFile
from rendering import extract
from whohas.engine.statement import ResultColumn
from whohas.formats.base import WriteOptions
from whohas.formats.pdf.writer import write

ID_NAME_NOTE = (ResultColumn("id", "text"), ResultColumn("name", "text"), ResultColumn("note", "text"))
RAISED = ["Anna", "مصطفیٰ", "Zoe", "Bob"]
POINTED = ["שָׂרָה", "רִבְקָה", "בְּרֵאשִׁית", "ยุภา อุ่นอก", "साळुंखे", "سور الغزلان"]


def page_of(folder: Path, names: Sequence[str]) -> Page:
    rows = [(str(number), name, "note") for number, name in enumerate(names, 1)]
    write(extract(folder, ID_NAME_NOTE, *rows), folder / "report.pdf", rendering.ABOUT, WriteOptions())
    (page,) = PdfFile(folder / "report.pdf").pages()
    return page


def found_after(page: Page, change: Callable[[bytes], bytes]) -> str:
    """What is found on a page whose last stream, with the table, is changed; before, nothing."""
    assert page_findings(page) == []
    changed = change(page.streams[-1])
    assert changed != page.streams[-1]
    return "\n".join(page_findings(dataclasses.replace(page, streams=[*page.streams[:-1], changed])))


def test_an_operator_without_space_before_its_neighbour_is_found(tmp_path: Path) -> None:
    """As a name was drawn whose last letter has a raised mark: `Tj-0.308` is no operator."""
    found = found_after(page_of(tmp_path, RAISED), lambda stream: re.sub(rb"Tj (-?[\d.]+ Ts)", rb"Tj\1", stream))
    assert re.search(r"unknown operator 'Tj-?[\d.]+'", found)


def test_numbers_that_were_run_together_are_found(tmp_path: Path) -> None:
    """As points were drawn: `101` and `25` between two glyphs became `10125`, ten em to the left."""
    page = page_of(tmp_path, POINTED)
    found = found_after(page, lambda stream: re.sub(rb"\)(\d{2,3})\(", rb")\g<1>25(", stream, count=1))
    assert re.search(r"cell \(\d, 1\): ink beyond by .* left", found)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (rb"\(1\)Tj", b"(1)TJ", "operands of TJ"),
        (rb"\(1\)Tj", b"(1)(1)Tj", "operands of Tj"),
        (rb"\(1\)Tj", b" 1 Tj", "operands of Tj"),
        (rb"\(1\)Tj", b"[(1)/x]TJ", "an array of other things"),
        (rb"\(1\)Tj", b"[(1)10125(1)]TJ", "ink beyond by .* left"),
        (rb"\(1\)Tj", b"[(1)-30125(1)]TJ", "ink beyond by .* right"),
        (rb"\(1\)Tj", b" 1 Ts(1)Tj 0 Ts", "ink beyond by .* above"),
        (rb"\(1\)Tj", b" -1 Ts(1)Tj 0 Ts", "ink beyond by .* below"),
        (rb"\(1\)Tj", b"()Tj T*(1)Tj", "begins 4.83 below its row"),
        (rb"\(1\)Tj", b"(1)Tj 1 2.3.4 Td", "unknown operator '2.3.4'"),
        (rb"\(1\)Tj", b"(1)Tj q Q", "q inside of a text object"),
        (rb"\(1\)Tj", b"(\x85)Tj", "ends within a code"),
        (rb"\(1\)Tj", b"(\xef\xff)Tj", "no glyph for"),
        (rb"\(1\)Tj", b"<31Tj", "no token"),
        (rb"\(1\)Tj", b"]Tj", "out of place"),
        (rb" EMC(?= [\d.-]+ 0 Td)", b"", "a mark begins inside of a text object"),
        (rb"EMC$", b"", "at the end of a stream"),
        (rb"EMC$", b"EMC EMC", "EMC ends nothing"),
        (rb"EMC$", b"EMC 1", "operands without an operator"),
        (rb"BT", b"", "outside of a text object"),
        (rb"ET\n", b"", "BT inside of a text object|Do inside of a text object"),
        (rb" 0 Td/TD", rb" -1 Td/TD", r"begins [\d.]+ below its row"),
        (rb" 0 Td/TD", rb" 9 Td/TD", "the last cell is"),
        (rb" 0 Td/TD", rb" 0 Td 1 0 Td/TD", "where no column does"),
        (rb"/TD<</MCID (\d+)>>", rb"/TD<</MCID 9\1>>", "marks are not numbered"),
        (rb"/TD<</MCID (\d+)>>", rb"/TD<</MCID \1/X 1>>", "facts of TD"),
        (rb"/R 1 Tf", b"/X 1 Tf", "Tf 'X'"),
        (rb"0\.955 g", b"9.55 g", "g: 9.550 is not between 0 and 1"),
        (rb"/F Do", b"/Q Do", "no form 'Q'"),
        (rb" Tm", b" Tn", "unknown operator 'Tn'"),
    ],
)
def test_what_is_wrong_in_a_stream_is_found(old: bytes, new: bytes, says: str, tmp_path: Path) -> None:
    page = page_of(tmp_path, ["Anna", "Bob"])
    found = found_after(page, lambda stream: re.sub(old, new, stream.rstrip(), count=1))
    assert re.search(says, found), found


def test_a_table_that_reaches_the_page_foot_is_found(tmp_path: Path) -> None:
    page = page_of(tmp_path, ["Anna", "Bob"])
    found = found_after(page, lambda stream: re.sub(rb"0\.955 g 28 [\d.]+", b"0.955 g 28 30", stream))
    assert "rows end at 30.00, below 44" in found


def test_text_of_the_title_block_beyond_the_margin_is_found(tmp_path: Path) -> None:
    page = page_of(tmp_path, ["Anna"])
    assert page_findings(page) == []
    title, table = page.streams
    moved = title.replace(b" 100 ", b" 560 ", 1)
    assert moved != title
    assert "the title block: ink beyond" in "\n".join(page_findings(dataclasses.replace(page, streams=[moved, table])))


def test_a_file_that_was_cut_is_found(tmp_path: Path) -> None:
    page_of(tmp_path, ["Anna"])
    whole = (tmp_path / "report.pdf").read_bytes()
    (tmp_path / "report.pdf").write_bytes(whole[:-100])
    assert findings(tmp_path / "report.pdf") == ["no whole PDF 1.7"]
