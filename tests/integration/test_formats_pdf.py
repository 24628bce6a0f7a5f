"""A printed report: every character of every cell, in order, on pages that say what they are."""

# ruff: noqa: RUF001
from __future__ import annotations

import dataclasses
import re
import subprocess
import tempfile
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import rendering
from content_streams import checked
from printed import Printed, plain_text, program
from rendering import extract
from verapdf_jars import judged
from whohas.engine.statement import ResultColumn
from whohas.formats.base import Extract, ReportMetadata, WriteOptions
from whohas.formats.pdf.writer import write

ABOUT = dataclasses.replace(
    rendering.ABOUT,
    description="All accounts (of) some sources & more.",
    arguments={"sources": ["AD", "Zürich"], "correlatedOnly": True},
    launcher="Åsa Öst",
)
NAME_TEXT = (ResultColumn("name", "text"), ResultColumn("text", "text"))
SCRIPTS = {
    "Latin": "Łukasz Dvořák Ñuñez Åsa Œuvreẞ ǅ ﬁ Nguyễn Thị Hồng",
    "Greek": "Γειά σου Κόσμε ὦ ᾧ",
    "Cyrillic": "Привет мир Ѣ Їжак",
    "Chinese": "王伟 歐陽",
    "Japanese": "山田太郎 ひらがな カタカナ ﾊﾝｶｸ",
    "Korean": "김민준 ㄱㄴ \u1100\u1161\u11a8",
    "Devanagari": "नमस्ते दुनिया क्षत्रिय",
    "Tamil": "வணக்கம் உலகம் கொ",
    "Sinhala": "ආයුබෝවන් ශ්\u200dරී",
    "Thai": "สวัสดีชาวโลก กำ",
    "Khmer": "សួស្តី\u200bពិភពលោក",
    "Myanmar": "မင်္ဂလာပါ ကမ္ဘာ",
    "Ethiopic": "ሰላም ልዑል",
    "Armenian": "Բարեւ աշխարհ",
    "Georgian": "გამარჯობა",
    "mathematics": "∑∫√ 𝔸𝕏 ≤ ℝ → ⇒",
    "emoji": "😀 👍🏽 👨\u200d👩\u200d👧\u200d👦 🇩🇪 ❤\ufe0f 1\ufe0f\u20e3 🏳\ufe0f\u200d🌈",
}
RIGHT_TO_LEFT = {
    "Arabic": "مرحبا بالعالم سلام",
    "Persian": "سلام می\u200cخواهم",
    "Hebrew": "שלום עולם",
}
_LINE_ENDS = re.compile("[\n\v\f\r\x85\u2028\u2029]")


def made(
    folder: Path,
    columns: Sequence[ResultColumn],
    rows: Sequence[Sequence[Any]],
    about: ReportMetadata = ABOUT,
    options: WriteOptions = WriteOptions(),  # noqa: B008
    group: str = "",
) -> Path:
    path = folder / "report.pdf"
    write(extract(folder, columns, *rows, group=group), path, about, options)
    return checked(path)


def texts(*names: str) -> list[ResultColumn]:
    return [ResultColumn(name, "text") for name in names]


def told(path: Path) -> dict[str, str]:
    """What pdfinfo tells."""
    done = subprocess.run([program("pdfinfo"), str(path)], capture_output=True, text=True, check=True)
    return dict(re.findall(r"^([^:]+): +(.*)$", done.stdout, re.M))


def printed_texts(folder: Path, cells: Sequence[str]) -> list[str]:
    """What a reader finds in the cells of a report; what goes on on another page is put together again."""
    found: list[str] = []
    rows = [(f"row {n}", cell) for n, cell in enumerate(cells)]
    for name, text in Printed(made(folder, NAME_TEXT, rows)).cells([2]):
        if name:
            found.append(text)
        else:
            found[-1] += text
    return found


def in_any_order(text: str) -> str:
    return "".join(sorted(text))


def runs_to_the_right(text: str) -> bool:
    return not any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text)


# --- the text


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_is_drawn_by_glyphs_and_extracted_in_order(script: str, tmp_path: Path) -> None:
    path = made(tmp_path, NAME_TEXT, [("row", SCRIPTS[script])])
    document = Printed(path)
    assert list(document.cells([2])) == [["row", SCRIPTS[script]]]
    assert b"[U+" not in document.content(0)
    assert " ".join(["row", *SCRIPTS[script].split()]) in " ".join(plain_text(path, "-raw").split())


@pytest.mark.parametrize("script", RIGHT_TO_LEFT)
def test_words_from_right_to_left_come_out_in_their_order(script: str, tmp_path: Path) -> None:
    text = plain_text(made(tmp_path, NAME_TEXT, [("row", RIGHT_TO_LEFT[script])]), "-raw")
    words = re.sub("[\u202a-\u202e]", "", text).split()
    assert set(RIGHT_TO_LEFT[script].split()) <= set(words)


@pytest.mark.parametrize(
    "char", ["\0", "\x1b", "\x7f", "\u202e", "\u2066", "\ufeff", "\u00ad", "\ue000", "\U0010ffff", "𠮷"]
)
def test_an_undrawable_character_is_printed_by_number_and_extracted(char: str, tmp_path: Path) -> None:
    document = Printed(made(tmp_path, NAME_TEXT, [("row", f"a{char}b")]))
    assert list(document.cells([2])) == [["row", f"a{char}b"]]
    assert f"[U+{ord(char):04X}]".encode() in re.sub(rb"\)?\[?\(|\)\]?(TJ)?", b"", document.content(0))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), min_size=1, max_size=12))
@example(["(a)\\b) (((", ")Tj T*(", ")Tj EMC", "\\", "\\)", "("])
@example(["word " * 5_000, "x" * 10_000, "short"])
@example(["é" * 10_000, "王" * 3_000, "\n" * 300 + "end"])
@example(["الله " * 500, "नमस्ते " * 2_000])
@example(["a\nb\r\nc\n", "\n", " ", "  two  spaces ", "\t"])
@example(["e\u0301\u0323", "\u0301", "👍🏽", "\U0001f3fd", "\u200d", "\ufe0f", "\u20e3", "🇩", "\u1100\u1161"])
@settings(max_examples=25, deadline=None)
def test_any_text_is_there_again(cells: list[str]) -> None:
    """A line end becomes a line end. Glyphs from right to left stand as they are seen, so their order is not compared."""
    with tempfile.TemporaryDirectory() as folder:
        found = printed_texts(Path(folder), cells)
    assert len(found) == len(cells)
    for text, cell in zip(found, cells, strict=True):
        expected = _LINE_ENDS.sub("", cell)
        if runs_to_the_right(cell):
            assert text == expected
        else:
            assert in_any_order(text) == in_any_order(expected)


def test_no_line_is_wider_than_its_column(tmp_path: Path) -> None:
    rows = [(f"row {n}", "Wörter und " * n + "W" * n * 20) for n in range(40)]
    path = made(tmp_path, NAME_TEXT, rows)
    done = subprocess.run([program("pdftotext"), "-bbox", str(path), "-"], capture_output=True, text=True, check=True)
    width = float(re.search(r'<page width="([\d.]+)"', done.stdout)[1])  # type: ignore[index]
    rights = [float(one) for one in re.findall(r'xMax="([\d.]+)"', done.stdout)]
    assert max(rights) <= width - 28 + 0.01


# --- the page


def test_the_title_block_says_what_the_report_is(tmp_path: Path) -> None:
    rows = [("a", "b")] * 1234
    text = plain_text(made(tmp_path, NAME_TEXT, rows, options=WriteOptions(zone="Europe/Berlin")), "-l", "1", "-layout")
    for line in (
        "Accounts",
        "All accounts (of) some sources & more.",
        "Report Accounts (ACCOUNTS)",
        "Organization acme",
        "Arguments sources: AD, Zürich; correlated only: yes",
        "Run by Åsa Öst",
        "Started 2026-03-29 14:30:44 Europe/Berlin",
        "Snapshot 17, loaded 2026-03-28 02:00:00 Europe/Berlin",
        "Rows 1,234",
        f"Run {ABOUT.run}",
    ):
        assert line in [re.sub(" +", " ", one).strip() for one in text.splitlines()]


def test_every_page_has_header_row_number_and_run(tmp_path: Path) -> None:
    path = made(tmp_path, NAME_TEXT, [("a", "b")] * 500)
    pages = plain_text(path, "-raw").split("\f")[:-1]
    assert len(pages) == int(told(path)["Pages"]) > 5
    for number, page in enumerate(pages, 1):
        assert "name text" in page
        assert f"Page {number} of {len(pages)}" in page
        assert f"acme · Accounts · run {ABOUT.run}" in page


def test_numbers_end_at_the_right_and_so_does_their_header(tmp_path: Path) -> None:
    columns = [ResultColumn("count", "integer"), ResultColumn("text", "text")]
    path = made(tmp_path, columns, [(n, "x") for n in (1, 22, 333, -4444, 9_223_372_036_854_775_807)])
    done = subprocess.run([program("pdftotext"), "-bbox", str(path), "-"], capture_output=True, text=True, check=True)
    rights = [
        float(right)
        for right, word in re.findall(r'xMax="([\d.]+)" yMax="[\d.]+">(.*?)</word>', done.stdout)
        if word in ("count", "22", "333", "-4444", "9223372036854775807")
    ]
    assert len(rights) == 5
    assert max(rights) - min(rights) < 0.1


def test_times_lists_and_nulls_are_shown_as_people_expect(tmp_path: Path) -> None:
    columns = [ResultColumn(type, type) for type in ("time", "boolean", "texts", "text")]  # type: ignore[arg-type]
    rows = [(datetime(2026, 3, 29, 0, 59, 59, tzinfo=UTC), True, ["a", "b; c"], None), (None, None, None, "x")]
    document = Printed(made(tmp_path, columns, rows, options=WriteOptions(zone="Europe/Berlin")))
    assert list(document.cells([4])) == [["2026-03-29 01:59:59", "true", "a; b; c", ""], ["", "", "", "x"]]


def test_a_report_without_rows_is_a_page_that_says_so(tmp_path: Path) -> None:
    path = made(tmp_path, NAME_TEXT, [])
    assert told(path)["Pages"] == "1"
    text = plain_text(path)
    assert "No rows" in text
    assert "Page 1 of 1" in text


@pytest.mark.parametrize(("page", "size"), [("a4", "595.28 x 841.89 pts (A4)"), ("letter", "612 x 792 pts (letter)")])
def test_the_paper_is_the_one_asked_for(page: Any, size: str, tmp_path: Path) -> None:
    assert told(made(tmp_path, NAME_TEXT, [("a", "b")], options=WriteOptions(page=page)))["Page size"] == size


def test_a_wide_report_lies(tmp_path: Path) -> None:
    path = made(tmp_path, texts(*(f"column {n}" for n in range(14))), [["some text"] * 14])
    assert told(path)["Page size"] == "841.89 x 595.28 pts (A4)"


def test_a_row_longer_than_a_page_continues_on_the_next(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(20_000)]
    path = made(tmp_path, NAME_TEXT, [("first", " ".join(words)), ("second", "x")])
    found = [word for page in plain_text(path, "-raw").split("\f") for word in re.findall(r"\bword\d+\b", page)]
    assert found == words


def test_columns_beyond_the_page_continue_beside_the_keys(tmp_path: Path) -> None:
    columns = [ResultColumn("account", "text", key=True), *texts(*(f"column {n}" for n in range(300)))]
    rows = [[f"account {r}", *(f"{r}/{n}" for n in range(300))] for r in range(60)]
    document = Printed(made(tmp_path, columns, rows))
    on_page = [[text for role, text in document.marked(n) if role == "TH"] for n in range(len(document.pages))]
    panels = [headers for headers in on_page if headers]
    assert all(headers[0] == "account" for headers in panels)
    assert [name for headers in panels for name in headers[1:]] == [f"column {n}" for n in range(300)]
    found: dict[str, list[str]] = {}
    for row in document.cells([len(headers) for headers in panels]):
        found.setdefault(row[0], []).extend(row[1:])
    assert [[name, *cells] for name, cells in found.items()] == rows


@pytest.mark.parametrize("name", ["", "x" * 500, "(a)\\", "a\nb", "عمود", "displayNameOfTheWholeOrganization" * 5])
def test_a_column_may_have_any_name(name: str, tmp_path: Path) -> None:
    document = Printed(made(tmp_path, texts("id", name), [("1", "2")]))
    headers = [text for role, text in document.marked(0) if role == "TH"]
    assert in_any_order(headers[1]) == in_any_order(_LINE_ENDS.sub("", name))


def test_arguments_longer_than_a_page_are_all_there(tmp_path: Path) -> None:
    ids = [f"2c9180835d2e5168015d32f89{n:07d}" for n in range(1500)]
    path = made(tmp_path, NAME_TEXT, [("a", "b")], dataclasses.replace(ABOUT, arguments={"sources": ids}))
    assert re.findall(r"2c9180835d2e5168015d32f89\d{7}", plain_text(path)) == ids


# --- the document


def in_dictionaries(rows: Extract) -> Extract:
    """The same in a file of the engine's, which keeps texts that come again in dictionaries."""
    path = rows.path.with_name("dictionaries.parquet")
    duckdb.sql(f"COPY ({rows.rows.sql}) TO '{path}' (FORMAT parquet)")
    return dataclasses.replace(rows, path=path)


def test_dictionary_texts_of_the_file_are_typeset_like_others(tmp_path: Path) -> None:
    columns = [
        ResultColumn("name", "text"),
        ResultColumn("text", "text"),
        ResultColumn("number", "integer"),
        ResultColumn("yes", "boolean"),
    ]
    some = [(name, text * 40, n, n % 2 == 0) for n, (name, text) in enumerate(SCRIPTS.items())]
    rows = extract(tmp_path, columns, *[*some, ("none", None, None, None), (None, "", 0, True)] * 100, group="name")
    repeated = in_dictionaries(rows)
    (batch, *_) = repeated.batches(1000, dictionaries=True)
    assert [pa.types.is_dictionary(field.type) for field in batch.schema] == [True, True, False, False]
    for one in (rows, repeated):
        write(one, one.path.with_suffix(".pdf"), ABOUT, WriteOptions())
    checked(rows.path.with_suffix(".pdf"))
    assert rows.path.with_suffix(".pdf").read_bytes() == repeated.path.with_suffix(".pdf").read_bytes()


def test_a_repeated_long_text_is_not_typeset_all_at_once(tmp_path: Path) -> None:
    told_of: list[int] = []
    rows = in_dictionaries(extract(tmp_path, NAME_TEXT, *[("a", "a word " * 20_000)] * 400))
    (batch,) = rows.batches(1000, dictionaries=True)
    assert batch.nbytes < 1 << 20
    write(dataclasses.replace(rows, on_rows=told_of.append), tmp_path / "report.pdf", ABOUT, WriteOptions())
    assert told_of == [200, 400]


def test_a_full_disk_is_told_by_the_one_who_writes(tmp_path: Path) -> None:
    rows = extract(tmp_path, NAME_TEXT, *[("a", "b")] * 60_000)
    with pytest.raises(OSError, match="No space left"):
        write(rows, Path("/dev/full"), ABOUT, WriteOptions())


def test_progress_is_told_in_rows(tmp_path: Path) -> None:
    told_of: list[int] = []
    rows = dataclasses.replace(extract(tmp_path, NAME_TEXT, *[("a", "b")] * 20_000), on_rows=told_of.append)
    write(rows, tmp_path / "report.pdf", ABOUT, WriteOptions())
    assert told_of == sorted(told_of)
    assert told_of[-1] == 20_000
    assert len(told_of) > 2


def test_bookmarks_lead_to_each_group(tmp_path: Path) -> None:
    rows = [(f"Source {n // 300}", str(n)) for n in range(1200)]
    document = Printed(made(tmp_path, NAME_TEXT, rows, group="name"))
    assert [one["title"] for one in document.outlines] == [f"Source {n}" for n in range(4)]
    for number, one in enumerate(document.outlines):
        page = one["destpageposfrom1"] - 1
        assert f"Source {number}" in [text for _, text in document.marked(page)]
        before = [text for _, text in document.marked(page - 1)] if page else []
        assert f"Source {number}" not in before


def test_without_groups_bookmarks_are_by_rows(tmp_path: Path) -> None:
    document = Printed(made(tmp_path, NAME_TEXT, [("a", "b")] * 200))
    titles = [one["title"] for one in document.outlines]
    assert titles[0].startswith("Rows 1 to ")
    assert titles[-1].endswith(" to 200")


def test_the_document_says_what_it_is(tmp_path: Path) -> None:
    facts = told(made(tmp_path, NAME_TEXT, [("a", "b")], dataclasses.replace(ABOUT, title="Ünï <&> 王\0")))
    assert facts["Title"] == "Ünï <&> 王\ufffd"
    assert facts["Author"] == "Åsa Öst"
    assert facts["Subject"] == ABOUT.description
    assert facts["Tagged"] == "yes"
    assert facts["PDF version"] == "1.7"


def test_fonts_are_embedded_as_subsets_and_tell_their_text(tmp_path: Path) -> None:
    path = made(tmp_path, NAME_TEXT, list(SCRIPTS.items()))
    done = subprocess.run([program("pdffonts"), str(path)], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()[2:]
    assert len(lines) == 2
    assert all(re.search(r" yes yes yes ", line) for line in lines)
    assert path.stat().st_size < 300_000


def test_two_runs_over_equal_rows_differ_only_in_metadata(tmp_path: Path) -> None:
    other = dataclasses.replace(ABOUT, run="f" * 32, started=datetime(2027, 11, 5, 6, 7, 8, tzinfo=UTC).timestamp())
    rows = [(name, text * 3) for name, text in SCRIPTS.items()] * 20
    first = made(tmp_path, NAME_TEXT, rows).read_bytes()
    assert made(tmp_path, NAME_TEXT, rows).read_bytes() == first
    second = made(tmp_path, NAME_TEXT, rows, other).read_bytes()
    for one, two in (
        (b"2026-03-29 12:30:44", b"2027-11-05 06:07:08"),
        (b"2026-03-29T12:30:44Z", b"2027-11-05T06:07:08Z"),
        (b"20260329123044Z", b"20271105060708Z"),
        (ABOUT.run.encode(), b"f" * 32),
    ):
        assert one in first
        first, second = first.replace(one, b"-"), second.replace(two, b"-")
    assert first == second


@pytest.mark.engine
def test_verapdf_finds_nothing(tmp_path: Path) -> None:
    """PDF/A-2a and PDF/UA-1 where it is tagged, PDF/A-2u where it is too large for that."""
    hostile = ["", "\0", "\u202e", "(", "word " * 5_000, "\n" * 200, "𠮷", *SCRIPTS.values(), *RIGHT_TO_LEFT.values()]
    documents: list[tuple[str, Path]] = []
    for name, columns, rows in (
        ("scripts", NAME_TEXT, [(str(n), text) for n, text in enumerate(hostile)]),
        ("empty", NAME_TEXT, []),
        ("wide", texts("", *(f"column {n}" for n in range(60))), [["text"] * 61] * 100),
        ("large", NAME_TEXT, [("a", "b")] * 50_001),
    ):
        folder = tmp_path / name
        folder.mkdir()
        path = made(folder, columns, rows, dataclasses.replace(ABOUT, title='A <title> & "more"'))
        program("qpdf")
        subprocess.run(["qpdf", "--check", str(path)], check=True, capture_output=True)
        documents += [("2u", path)] if name == "large" else [("2a", path), ("ua1", path)]
    assert judged(*documents) == [f"{standard} PASS" for standard, _ in documents]
