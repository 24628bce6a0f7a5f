"""Printed reports in the readers that people have: poppler, mupdf and pdfium open them without a warning."""

from __future__ import annotations

import re
import subprocess
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

import pypdfium2
import pytest

import people
import rendering
from content_streams import checked
from patience import PATIENCE_SECONDS
from printed import plain_text, program
from rendering import extract
from whohas.engine.statement import ResultColumn
from whohas.formats.base import WriteOptions
from whohas.formats.pdf.writer import write

TEXTS: Mapping[str, Sequence[str]] = {"names": people.names(3), "composed": tuple(people.COMPOSED.values())}
_COLUMNS = (ResultColumn("id", "text"), ResultColumn("text", "text"))
_OF_THE_PAGE = re.compile(r"^(id +text|acme · Accounts · run .*|Page \d+ of \d+)$", re.M)
_NOT_SEEN = re.compile("[\\s\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module", params=TEXTS)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Sequence[str]]:
    folder = tmp_path_factory.mktemp(request.param)
    cells = TEXTS[request.param]
    rows = [(f"row{number}", cell) for number, cell in enumerate(cells)]
    write(extract(folder, _COLUMNS, *rows), folder / "report.pdf", rendering.ABOUT, WriteOptions())
    return checked(folder / "report.pdf"), cells


def missing(cells: Sequence[str], text: str) -> list[str]:
    """The cells whose text is not there, of those that do not need ActualText or an order: not every reader has them."""
    simple = [
        cell for cell in cells
        if all(unicodedata.bidirectional(one) in ("L", "WS", "EN") and unicodedata.category(one)[0] != "M" for one in cell)
    ]  # fmt: skip
    assert simple
    there = _NOT_SEEN.sub("", text)
    return [cell for cell in simple if _NOT_SEEN.sub("", cell) not in there]


def words_of(command: Sequence[str | Path]) -> str:
    """What a program says that should have nothing to say."""
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def test_poppler_draws_and_reads_without_a_warning(report: tuple[Path, Sequence[str]], tmp_path: Path) -> None:
    path, _ = report
    assert words_of([program("pdftotext"), path, "-"]) == ""
    assert words_of([program("pdftoppm"), "-r", "40", "-gray", path, tmp_path / "page"]) == ""


def test_mupdf_draws_and_reads_without_a_warning(report: tuple[Path, Sequence[str]], tmp_path: Path) -> None:
    """Without colour management, which Debian's mupdf lacks and says so."""
    path, cells = report
    assert words_of([program("mutool"), "draw", "-q", "-N", "-r", "40", "-o", tmp_path / "page-%d.png", path]) == ""
    assert words_of([program("mutool"), "draw", "-q", "-N", "-F", "text", "-o", tmp_path / "out.txt", path]) == ""
    text = (tmp_path / "out.txt").read_bytes().decode("utf-8", "surrogatepass")
    assert "\ufffd" not in text
    assert missing(cells, text) == []


def test_pdfium_finds_each_character_inside_of_the_page(report: tuple[Path, Sequence[str]]) -> None:
    path, cells = report
    document = pypdfium2.PdfDocument(path)
    found = ""
    for page in document:
        width, height = page.get_size()
        assert page.render(scale=0.5).height > 0
        text = page.get_textpage()
        for place in range(text.count_chars()):
            left, bottom, right, top = text.get_charbox(place)
            assert 27 <= left <= right <= width - 27 or left == right, text.get_text_range(place, 1)
            assert 0 <= bottom <= top <= height
        found += text.get_text_range()
    assert missing(cells, found) == []


def test_poppler_takes_out_the_text_of_every_cell(report: tuple[Path, Sequence[str]]) -> None:
    """Those from right to left in any order: each reader orders them by rules of its own."""
    path, cells = report
    text = _OF_THE_PAGE.sub("", plain_text(path, "-raw").replace("\f", "\n"))
    _, *parts = re.split(r"^row(\d+)\b", text, flags=re.M)
    found = dict(zip(map(int, parts[::2]), parts[1::2], strict=True))
    assert sorted(found) == list(range(len(cells)))
    for number, cell in enumerate(cells):
        got, expected = (_NOT_SEEN.sub("", one) for one in (found[number], cell))
        if any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in cell):
            assert sorted(got) == sorted(expected), cell
        else:
            assert got == expected, cell
