"""A workbook: typed cells, no character lost, and what a spreadsheet cannot hold told and kept elsewhere in it."""

from __future__ import annotations

import re
import zipfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.parsers import expat

import pytest
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from rendering import ABOUT, STARTED, TYPES, extract
from whohas.engine.statement import ResultColumn
from whohas.errors import InvalidArguments
from whohas.formats.base import ReportMetadata, WriteOptions
from whohas.formats.xlsx import long_texts, writer
from whohas.formats.xlsx.cells import column_letters
from whohas.formats.xlsx.sheet_names import SheetNames
from workbooks import book, column, made, values

TEXT = (ResultColumn("text", "text"),)
ALL = tuple(ResultColumn(type, type) for type in TYPES)  # type: ignore[arg-type]


def test_cells_have_the_types_of_their_columns(tmp_path: Path) -> None:
    time = datetime(2026, 7, 1, 10, 0, 5, tzinfo=UTC)
    rows = extract(tmp_path, ALL, ("007", True, 42, time, ["a", "b"]), [None] * 5, ("", False, -1, time, []))
    workbook = book(rows, options=WriteOptions(zone="Europe/Berlin"))
    local = datetime(2026, 7, 1, 12, 0, 5)
    assert values(workbook) == [
        list(TYPES),
        ["007", True, 42, local, "a; b"],
        [None] * 5,
        [None, False, -1, local, None],
    ]
    sheet = workbook.worksheets[0]
    assert [sheet.cell(2, n).data_type for n in range(1, 6)] == ["s", "b", "n", "d", "s"]
    assert sheet["D2"].number_format == r"yyyy\-mm\-dd\ hh:mm:ss"
    assert sheet["C2"].number_format == "0"


def test_the_header_is_bold_and_stays_and_filters(tmp_path: Path) -> None:
    sheet = book(extract(tmp_path, ALL, *[["x"] + [None] * 4] * 9)).worksheets[0]
    assert all(cell.font.b for cell in sheet[1]) and not sheet["A2"].font.b
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:E10"
    assert sheet.dimensions == "A1:E10"


def test_columns_are_as_wide_as_their_texts_within_limits(tmp_path: Path) -> None:
    names = ("a", "a rather long header", "b", "c", "d")
    columns = [ResultColumn(name, "text") for name in names]
    rows = extract(tmp_path, columns, ("x", "x", "x" * 20, "北" * 20, "x" * 1000))
    widths = book(rows).worksheets[0].column_dimensions
    assert [widths[letter].width for letter in "ABCDE"] == [8, 23, 21, 41, 60]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "007",
        "true",
        "2026-01-01",
        " x ",
        "a\r\nb\tc",
        "\0\x01\x1f\x7f\x85",
        "]]>",
        "<&>",
    ],
)
def test_a_text_stays_what_it_is(tmp_path: Path, text: str) -> None:
    sheet = book(extract(tmp_path, TEXT, [text])).worksheets[0]
    assert sheet["A2"].data_type == "s"
    assert unescape(sheet["A2"].value) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "a=b"])
def test_a_text_that_looks_like_a_formula_is_quoted(tmp_path: Path, text: str) -> None:
    sheet = book(extract(tmp_path, TEXT, [text], ["x"])).worksheets[0]
    assert bool(sheet["A2"].style and sheet["A2"].quotePrefix) == (text[0] != "a")
    assert not sheet["A3"].quotePrefix


def test_what_xml_cannot_have_is_escaped_as_the_standard_says(tmp_path: Path) -> None:
    texts = ["a\rb\0", "\ufffe\uffff", "_x0041_", "_x0041_x0042_", "_x005F_", "_x00e9_", "_x12_", "x_y"]
    path, _ = made(extract(tmp_path, TEXT, *[[text] for text in texts]))
    sheet = zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml").decode()
    assert re.findall(r"<t [^>]*>([^<]*)</t>", sheet) == [
        "text",
        "a_x000D_b_x0000_",
        "_xFFFE__xFFFF_",
        "_x005F_x0041_",
        "_x005F_x0041_x005F_x0042_",
        "_x005F_x005F_",
        "_x005F_x00e9_",
        "_x12_",
        "x_y",
    ]


@pytest.mark.parametrize(
    ("zone", "time", "cell"),
    [
        ("UTC", datetime(1900, 3, 1), datetime(1900, 3, 1)),
        ("UTC", datetime(1900, 2, 28, 23, 59, 59), "1900-02-28 23:59:59"),
        ("UTC", datetime(1, 1, 1), "0001-01-01 00:00:00"),
        ("UTC", datetime(9999, 12, 31, 23, 59, 59), datetime(9999, 12, 31, 23, 59, 59)),
        ("America/New_York", datetime(2026, 1, 1), datetime(2025, 12, 31, 19)),
        ("Asia/Kolkata", datetime(2026, 1, 1), datetime(2026, 1, 1, 5, 30)),
        ("+01:00", datetime(2026, 7, 1), datetime(2026, 7, 1, 1)),
        ("Europe/Berlin", datetime(2026, 10, 25, 0, 30), datetime(2026, 10, 25, 2, 30)),
        ("Europe/Berlin", datetime(2026, 10, 25, 1, 30), datetime(2026, 10, 25, 2, 30)),
    ],
)
def test_times_are_local(tmp_path: Path, zone: str, time: datetime, cell: object) -> None:
    rows = extract(tmp_path, (ResultColumn("time", "time"),), [time.replace(tzinfo=UTC)], [None])
    assert column(rows, WriteOptions(zone=zone)) == [cell, None]


@pytest.mark.parametrize("count", [0, 1, 8, 9, 10, 18, 19, 100])
def test_rows_beyond_a_sheet_continue_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(writer, "ROWS", 10)
    columns = (ResultColumn("n", "integer"), ResultColumn("text", "text"))
    path, notes = made(extract(tmp_path, columns, *[(n, f"row {n}") for n in range(count)]))
    workbook = load_workbook(path)
    *names, about = workbook.sheetnames
    assert (names[0], about) == ("Accounts", "About")
    assert names[1:] == [f"Accounts ({n})" for n in range(2, max(1, -(-count // 9)) + 1)]
    found = [values(workbook, name) for name in names]
    assert all(header == ["n", "text"] and len(rows) <= 9 for header, *rows in found)
    assert [row for _, *rows in found for row in rows] == [[n, f"row {n}"] for n in range(count)]
    assert [workbook[name].auto_filter.ref for name in names] == [f"A1:B{len(rows)}" for rows in found]
    assert notes == ([f"The rows are on {len(names)} sheets: one holds 10, its header with them."] if count > 9 else [])


def test_how_many_rows_are_written_is_told_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_CELLS", 100)
    said: list[int] = []
    rows = extract(tmp_path, TEXT, *[[str(n)] for n in range(1000)], on_rows=said.append)
    writer.write(rows, tmp_path / "out.xlsx", ABOUT, WriteOptions())
    assert said == list(range(100, 1001, 100))


def test_heavy_rows_are_taken_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_BYTES", 60_000)
    said: list[int] = []
    texts = [str(n) for n in range(300)] + [str(n) * 10_000 for n in range(10, 20)]
    writer.write(
        extract(tmp_path, TEXT, *zip(texts), on_rows=said.append), path := tmp_path / "out.xlsx", ABOUT, WriteOptions()
    )
    assert said[-1] == 310 and all(after - before <= 3 for before, after in pairwise(said[-3:]))
    assert [row for (row,) in values(load_workbook(path))[1:]] == texts


def test_an_empty_report_is_its_header(tmp_path: Path) -> None:
    workbook = book(extract(tmp_path, ALL))
    assert workbook.sheetnames == ["Accounts", "About"]
    assert values(workbook) == [list(TYPES)]


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize("letter", ["x", "é", "北", "😀", "\0", "&"])
def test_a_text_beyond_a_cell_has_its_own_sheet(tmp_path: Path, letter: str) -> None:
    fits = letter * (long_texts.CELL_LENGTH // units(letter))
    text = "y" + fits * 2 + "end"
    rows = extract(
        tmp_path, (*TEXT, ResultColumn("texts", "texts")), (fits, None), ("z", [text, "b"]), (text, [fits + "zz"])
    )
    path, notes = made(rows)
    assert sorted(tmp_path.iterdir()) == [path, rows.path]
    workbook = load_workbook(path)
    assert workbook.sheetnames == ["Accounts", "Long texts", "About"]
    header, *pieces = values(workbook, "Long texts")
    assert header == ["Sheet", "Cell", "Part", "Text"]
    wholes: dict[str, str] = {}
    for sheet, cell, part, piece in pieces:
        assert sheet == "Accounts" and units(piece) <= long_texts.CELL_LENGTH
        assert bool(wholes.get(cell)) == (part > 1)
        wholes[cell] = wholes.get(cell, "") + piece
    assert wholes == {"B3": text + "; b", "A4": text, "B4": fits + "zz"}
    cells = values(workbook)
    assert cells[1] == [fits, None] and cells[2][0] == "z"
    for row, place, cell in ((2, 1, "B3"), (3, 0, "A4"), (3, 1, "B4")):
        begin, _, told = cells[row][place].rpartition("… see 'Long texts' row ")
        assert wholes[cell].startswith(begin) and begin
        assert pieces[int(told) - 2][1:3] == [cell, 1]
        assert long_texts.CELL_LENGTH - 1 <= units(cells[row][place]) <= long_texts.CELL_LENGTH
    assert notes == [
        "3 texts are longer than the 32,767 characters that a cell holds: the cell shows the begin, and the sheet "
        "'Long texts' has all of it in pieces."
    ]
    assert ["Note", notes[0]] in values(workbook, "About")


def test_long_texts_of_many_pieces_go_on_in_further_sheets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "ROWS", 4)
    monkeypatch.setattr(long_texts, "CELL_LENGTH", 100)
    texts = [str(n) * 250 for n in range(5)]
    workbook = book(extract(tmp_path, TEXT, *[[text] for text in texts]))
    assert [name for name in workbook.sheetnames if name.startswith("Long")] == [
        "Long texts", *(f"Long texts ({n})" for n in range(2, 6))
    ]  # fmt: skip
    assert workbook.sheetnames[-1] == "About"
    pieces = [row for name in workbook.sheetnames if name.startswith("Long") for row in values(workbook, name)[1:]]
    kept = [piece for sheet, _, _, piece in pieces if sheet.startswith("Accounts")]
    assert "".join(kept) == "".join(texts)
    assert values(workbook)[2][0].endswith("… see 'Long texts (2)' row 2")


def test_long_headers_and_facts_are_kept_too(tmp_path: Path) -> None:
    name, query = "n" * 40_000, "q" * 40_000
    about = ReportMetadata(
        **{field: getattr(ABOUT, field) for field in ReportMetadata.__slots__} | {"arguments": {"query": query}}
    )
    workbook = book(extract(tmp_path, (ResultColumn(name, "text"),), ["x"]), about)
    pieces = values(workbook, "Long texts")[1:]
    assert [piece[:3] for piece in pieces] == [
        ["Accounts", "A1", 1], ["Accounts", "A1", 2], ["About", "B5", 1], ["About", "B5", 2]
    ]  # fmt: skip
    assert "".join(piece[3] for piece in pieces) == name + query
    assert values(workbook, "About")[4][1].endswith("… see 'Long texts' row 4")
    assert values(workbook, "About")[-1][1].startswith("2 texts are longer than")


def test_the_last_sheet_tells_of_the_run(tmp_path: Path) -> None:
    rows = extract(tmp_path, TEXT, ["x"], ["y"], name="Identities")
    workbook = book(rows, options=WriteOptions(zone="Europe/Berlin"))
    assert workbook.sheetnames == ["Identities", "About"]
    assert values(workbook, "About") == [
        ["Fact", "Value"],
        ["Report", "Accounts"],
        ["Part", "Identities"],
        ["Description", "All accounts <of> some sources & more."],
        ["Type", "ACCOUNTS"],
        ["Argument authoritativeSource", "2c9180835d2e5168015d32f890ca1581"],
        ["Argument sources", '["AD", "Zürich"]'],
        ["Argument all", "true"],
        ["Launched by", 'Åsa "the auditor" Öst'],
        ["Started", "2026-03-29 14:30:44"],
        ["Snapshot", 17],
        ["Loaded", "2026-03-28 02:00:00"],
        ["Time zone", "Europe/Berlin"],
        ["Rows", 2],
        ["Run", "0123456789abcdef0123456789abcdef"],
        ["Organization", "acme"],
    ]
    facts = workbook.properties
    assert (facts.title, facts.creator) == ("Accounts", 'Åsa "the auditor" Öst')
    assert facts.created == facts.modified == STARTED.replace(tzinfo=None)


def test_what_is_not_known_of_the_run_is_left_out(tmp_path: Path) -> None:
    about = ReportMetadata(
        **{field: getattr(ABOUT, field) for field in ReportMetadata.__slots__} | {"loaded": 0.0, "org": ""}
    )
    facts = [fact for fact, _ in values(book(extract(tmp_path, TEXT, ["x"]), about), "About")]
    assert "Snapshot" in facts and not {"Loaded", "Organization", "Part", "Note"} & {*facts}


def test_half_a_surrogate_pair_in_an_argument_is_escaped(tmp_path: Path) -> None:
    facts = {field: getattr(ABOUT, field) for field in ReportMetadata.__slots__}
    about = ReportMetadata(**facts | {"arguments": {"query": "a\ud800"}, "title": "T\ud83d\x01"})
    workbook = book(extract(tmp_path, TEXT, ["x"]), about)
    assert ["Argument query", "a\\ud800"] in values(workbook, "About")
    assert workbook.sheetnames[0] == "T" and workbook.properties.title == "T\ufffd\ufffd"


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Accounts", "Accounts"),
        ("a[b]c:d*e?f/g\\h", "a b c d e f g h"),
        ("x" * 40, "x" * 31),
        ("😀" * 20, "😀" * 15),
        ("'quoted'", "quoted"),
        ("Söders' & <co>", "Söders' & <co>"),
        ("_x0041_", "x0041_"),
        ("", "Report"),
        ("///", "Report"),
        ("about", "about (2)"),
        ("History", "History (2)"),
        ("LONG TEXTS", "LONG TEXTS (2)"),
    ],
)
def test_a_sheet_is_called_after_the_report(tmp_path: Path, title: str, name: str) -> None:
    about = ReportMetadata(**{field: getattr(ABOUT, field) for field in ReportMetadata.__slots__} | {"title": title})
    workbook = book(extract(tmp_path, TEXT, ["x"]), about)
    assert workbook.sheetnames == [name, "About"]
    assert workbook.worksheets[0].auto_filter.ref == "A1:A2"


def test_names_of_sheets_differ_and_stay_short() -> None:
    names = SheetNames("About")
    made = [names.unique_sheet_name("The report of all the accounts that there are") for _ in range(12)]
    assert made[0] == "The report of all the accounts" and made[11] == "The report of all the acco (12)"
    assert len({name.casefold() for name in made}) == 12 and max(map(len, made)) <= 31


def test_columns_beyond_z_have_two_letters_and_more(tmp_path: Path) -> None:
    assert [column_letters(n) for n in (0, 25, 26, 701, 702, 16_383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]
    columns = [ResultColumn(f"column {n}", "text") for n in range(800)]
    workbook = book(extract(tmp_path, columns, [f"cell {n}" for n in range(800)]))
    assert values(workbook) == [[f"column {n}" for n in range(800)], [f"cell {n}" for n in range(800)]]


def test_columns_that_no_sheet_has_room_for_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "COLUMNS", 2)
    with pytest.raises(InvalidArguments, match="2 columns at most, and this report has 5: choose another format"):
        writer.write(extract(tmp_path, ALL), tmp_path / "out.xlsx", ABOUT, WriteOptions())


def test_two_columns_may_have_one_name(tmp_path: Path) -> None:
    rows = extract(
        tmp_path, (ResultColumn("mail", "text"), ResultColumn("Mail", "text"), ResultColumn("mail", "text")), "abc"
    )
    assert values(book(rows)) == [["mail", "Mail", "mail"], ["a", "b", "c"]]


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    rows = extract(tmp_path, ALL, *[("x", True, n, STARTED, ["a"]) for n in range(50)], ("y" * 40_000, *[None] * 4))
    path, _ = made(rows)
    before = path.read_bytes()
    assert made(rows)[0].read_bytes() == before
    with zipfile.ZipFile(path) as file:
        assert {entry.date_time for entry in file.infolist()} == {(2026, 3, 29, 12, 30, 44)}
        names = set(file.namelist())
        assert set(re.findall('PartName="/([^"]*)"', file.read("[Content_Types].xml").decode())) < names
        for name in names:
            expat.ParserCreate().Parse(file.read(name), True)


@pytest.mark.parametrize(("page", "paper"), [("a4", "9"), ("letter", "1")])
def test_each_sheet_prints_in_landscape_with_repeated_headers(tmp_path: Path, page: Any, paper: str) -> None:
    workbook = book(
        extract(tmp_path, ALL, ["y" * 40_000, *[None] * 4], name="O'Brien"), options=WriteOptions(page=page)
    )
    assert len(workbook.sheetnames) == 3
    for sheet in workbook:
        assert sheet.print_title_rows == "$1:$1"
        assert (sheet.page_setup.orientation, str(sheet.page_setup.paperSize)) == ("landscape", paper)
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (1, 0)


def test_a_wide_report_prints_on_enough_pages_to_be_legible(tmp_path: Path) -> None:
    wide = [ResultColumn(f"column {n}", "text") for n in range(40)]
    sheet = book(extract(tmp_path, wide, ["x" * 30] * 40)).worksheets[0]
    assert (sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight) == (5, 0)
