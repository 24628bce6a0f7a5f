"""XLSX workbooks as input: sheets, cells, and what a workbook hides."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from intake import BADGES, Rig
from rendering import SUMMARY, extract
from whohas.engine.statement import ResultColumn
from whohas.errors import InvalidArguments
from whohas.formats.base import WriteOptions
from whohas.ingest.mapping import SheetOptions
from whohas.ingest.readers import xlsx
from whohas.ingest.readers.xlsx import XlsxReader
from workbooks import made as made_workbook

MAPPING = (
    '[source]\nname = "HR"\n[accounts]\nfile = "in.xlsx"\n[accounts.columns]\nnativeIdentity = "uid"\nname = "name"\n'
)
PEOPLE = [["uid", "name"], ["0001", "Ann"], ["0002", "Bob"]]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def book(path: Path, change: Callable[[Any], None] | None = None, **sheets: list[list[Any]]) -> Path:
    """Writes a workbook with those sheets."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    if change is not None:
        change(made)
    made.save(path)
    return path


def read(path: Path, **options: Any) -> tuple[XlsxReader, list[tuple[int, list[str]]]]:
    """A sheet, read: its rows with their numbers."""
    file = XlsxReader(path, SheetOptions(**options))
    rows: list[tuple[int, list[str]]] = []
    for batch in file.batches():
        cells = zip(*(column.to_pylist() for column in batch.data.columns), strict=True)
        rows += zip(batch.record_numbers.tolist(), map(list, cells), strict=True)
    return file, rows


def test_a_workbook_that_a_mapping_names_loads(rig: Rig) -> None:
    book(rig.data / "in.xlsx", Users=PEOPLE)
    rig.write(**{"m.toml": MAPPING})
    rig.load(".")
    assert [(row["nativeIdentity"], row["name"]) for row in rig.rows("accounts")] == [("0001", "Ann"), ("0002", "Bob")]
    assert rig.report.warnings == ()


def test_a_workbook_named_after_what_it_holds_loads(rig: Rig) -> None:
    rows = [
        ["sourceName", "nativeIdentity", "created"],
        ["AD", "a", dt.datetime(2024, 1, 2, 3, 4, 5)],
        ["AD", "", None],
    ]
    book(rig.data / "accounts.xlsx", Sheet1=rows)
    rig.load(".")
    assert rig.account("a")["created"] == dt.datetime(2024, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert [(r.line, r.column) for r in rig.report.rejections] == [(3, "nativeIdentity")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0001", "0001"),
        ("  x ", "  x "),
        ("line\nbreak", "line\nbreak"),
        (7, "7"),
        (-7.25, "-7.25"),
        (1e-7, "0.0000001"),
        (123456789012345, "123456789012345"),
        (1e20, "100000000000000000000"),
        (0.1, "0.1"),
        (True, "true"),
        (False, "false"),
        (dt.date(2024, 1, 31), "2024-01-31"),
        (dt.datetime(2024, 1, 31, 7, 30), "2024-01-31 07:30:00"),
        (dt.datetime(2024, 1, 31, 7, 30, 1, 250_000), "2024-01-31 07:30:01.250"),
        (dt.time(7, 30), "07:30:00"),
        (dt.timedelta(hours=30, minutes=5), "30:05:00"),
        (None, ""),
    ],
)
def test_cells_become_text_without_change(tmp_path: Path, value: Any, text: str) -> None:
    path = book(tmp_path / "in.xlsx", Users=[["uid", "x"], ["1", value]])
    assert read(path)[1] == [(2, ["1", text])]


def test_rows_are_numbered_as_in_the_sheet(tmp_path: Path) -> None:
    rows = [[], ["Users of", "today"], [], ["uid", "name"], ["1", "Ann"], [], ["2", "Bob"], [None, None], ["Total", 2]]
    path = book(tmp_path / "in.xlsx", Users=rows)
    file, found = read(path, skip=2, footer=1)
    assert (file.header, found) == (["uid", "name"], [(5, ["1", "Ann"]), (7, ["2", "Bob"])])


def test_a_preamble_names_the_key_to_set(rig: Rig) -> None:
    book(rig.data / "in.xlsx", Users=[["Users of today"], [], *PEOPLE])
    rig.write(**{"m.toml": MAPPING})
    with pytest.raises(InvalidArguments, match=r"the header is row 3, .*\[xlsx\] skip = 2"):
        rig.load(".")
    rig.write(**{"m.toml": MAPPING + "[xlsx]\nskip = 2\n"})
    rig.load(".")
    assert rig.account("0002")


def test_the_only_sheet_with_cells_is_read(tmp_path: Path) -> None:
    assert len(read(book(tmp_path / "in.xlsx", Empty=[], Users=PEOPLE, Other=[]))[1]) == 2


def test_several_sheets_with_cells_need_a_name(rig: Rig) -> None:
    book(rig.data / "in.xlsx", Users=PEOPLE, Notes=[["x"]])
    rig.write(**{"m.toml": MAPPING})
    with pytest.raises(InvalidArguments, match=r"several sheets with cells: Users, Notes\. .*\[xlsx\] sheet"):
        rig.load(".")
    rig.write(**{"m.toml": MAPPING + '[xlsx]\nsheet = "Usres"\n'})
    with pytest.raises(InvalidArguments, match=r"no sheet 'Usres'.*did you mean 'Users'"):
        rig.load(".")
    rig.write(**{"m.toml": MAPPING + '[xlsx]\nsheet = "Users"\n'})
    rig.load(".")
    assert len(rig.rows("accounts")) == 2


def hidden_sheet(made: Any) -> None:
    made["Users"].sheet_state = "hidden"
    made.create_sheet("Front")


def hidden_row(made: Any) -> None:
    made["Users"].row_dimensions[3].hidden = True


def an_error(made: Any) -> None:
    made["Users"]["B3"] = "#N/A"
    made["Users"]["B3"].data_type = "e"


def a_formula(made: Any) -> None:
    made["Users"]["B3"] = "=1+1"


def a_long_number(made: Any) -> None:
    made["Users"]["B3"] = 1234567890123456


def merged(made: Any) -> None:
    made["Users"]["B3"] = None
    made["Users"].merge_cells("B2:B3")


def nameless(made: Any) -> None:
    made["Users"]["D3"] = "x"


@pytest.mark.parametrize(
    ("change", "note", "cell"),
    [
        (hidden_sheet, "the sheet is hidden, and was loaded", "Bob"),
        (hidden_row, "1 hidden row (3), loaded", "Bob"),
        (a_formula, "1 formula (B3) without a stored value", ""),
        (a_long_number, "1 number of 16 or more digits", "1234567890123456"),
        (merged, "1 merged range (B2:B3)", "Ann"),
        (nameless, "column D has no name in the header and was passed over with 1 value", "Bob"),
    ],
)
def test_what_a_workbook_hides_is_noted(tmp_path: Path, change: Callable[[Any], None], note: str, cell: str) -> None:
    file, rows = read(book(tmp_path / "in.xlsx", change, Users=PEOPLE))
    assert [note in text for text in file.notes()] == [True], file.notes()
    assert rows[1] == (3, ["0002", cell])


def test_an_error_of_a_formula_is_an_emptied_cell(rig: Rig) -> None:
    book(rig.data / "users.xlsx", an_error, Users=PEOPLE)
    mapping = BADGES.replace("badges.csv", "users.xlsx").replace('"No"', '"uid"').replace('"Name"', '"name"')
    rig.write(**{"users.toml": mapping})
    report = rig.load(".")
    assert [(cell.line, cell.column, cell.reason) for cell in report.emptied_cells] == [
        (3, "name", "'#N/A' is an error of a formula")
    ]
    assert (report.rejected, report.files[0].read, rig.account("0002")["name"]) == (0, 2, None)


def test_the_stored_value_of_a_formula_counts(tmp_path: Path) -> None:
    path = book(tmp_path / "in.xlsx", a_formula, Users=PEOPLE)
    whole = tmp_path / "stored.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(whole, "w") as new:
        for part in old.namelist():
            text = old.read(part)
            new.writestr(part, text.replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>"))
    file, rows = read(whole)
    assert (rows[1], file.notes()) == ((3, ["0002", "2"]), [])


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = book(tmp_path / "in.xlsx", Users=PEOPLE)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/more.xml", b" " * (5 << 20))
    monkeypatch.setattr(xlsx, "_LARGEST", 4 << 20)
    with pytest.raises(InvalidArguments, match=r"unpacks to 5 MiB, and up to 4 MiB are read"):
        read(path)


def test_a_part_larger_than_it_claims_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "in.xlsx", Users=PEOPLE)
    size = next(part.file_size for part in zipfile.ZipFile(path).infolist() if "sheet1" in part.filename)
    data = path.read_bytes()
    end = data.rfind(b"PK\x01\x02", 0, data.rfind(b"xl/worksheets/sheet1.xml"))
    place = data.index(size.to_bytes(4, "little"), end)
    path.write_bytes(data[:place] + (size // 2).to_bytes(4, "little") + data[place + 4 :])
    with pytest.raises(InvalidArguments, match="no XLSX file, or a damaged one"):
        read(path)


def test_a_sheet_that_spans_too_many_cells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def far(made: Any) -> None:
        made["Users"]["XFD1048576"] = "x"

    path = book(tmp_path / "in.xlsx", far, Users=PEOPLE)
    with pytest.raises(InvalidArguments, match="spans 1,048,576 rows and 16,384 columns"):
        read(path)
    monkeypatch.setattr(xlsx, "_CELLS", 30)
    assert len(read(book(tmp_path / "in.xlsx", Users=PEOPLE))[1]) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "protected by a password, or an old .xls"),
        (b"<html></html>", "is no XLSX file"),
        (b"PK\x03\x04" + b"\0" * 40, "is no XLSX file"),
    ],
)
def test_other_files_called_xlsx_are_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "in.xlsx"
    path.write_bytes(data)
    with pytest.raises(InvalidArguments, match=message):
        read(path)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "none of its sheets has cells"),
        ([["uid", "uid"], ["1", "2"]], "names 'uid' more than once"),
    ],
)
def test_a_sheet_without_a_good_header_is_refused(tmp_path: Path, rows: list[list[Any]], message: str) -> None:
    with pytest.raises(InvalidArguments, match=message):
        read(book(tmp_path / "in.xlsx", Users=rows))


def test_other_workbooks_in_a_folder_are_ignored_with_a_note(rig: Rig) -> None:
    book(rig.data / "in.xlsx", Users=PEOPLE)
    book(rig.data / "notes.xlsx", Notes=[["x"]])
    rig.write(**{"m.toml": MAPPING, "~$in.xlsx": "", "old.xls": "x", "old.ods": "x"})
    rig.load(".")
    notes = [text.rpartition("/")[2] for text in rig.report.warnings]
    assert notes == [
        "notes.xlsx was passed over: no mapping names it, and its name does not say what it holds.",
        "old.ods was passed over: .ods is not read; save it as .xlsx or CSV.",
        "old.xls was passed over: .xls is not read; save it as .xlsx or CSV.",
    ]


REPORT = (ResultColumn("uid", "text", readable="never"), ResultColumn("name", "text"), ResultColumn("city", "text"))


@pytest.mark.parametrize("detail", ["readable", "complete"])
def test_the_rows_of_an_own_report_load(rig: Rig, detail: Any) -> None:
    rows = extract(rig.data, REPORT, ("0001", "Ann", None), ("0002", "=Bob", None), summary=SUMMARY)
    path, _ = made_workbook(rows, options=WriteOptions(detail=detail))
    rows.path.unlink()
    path.rename(rig.data / "in.xlsx")
    rig.write(**{"m.toml": MAPPING})
    rig.load(".")
    assert [(row["nativeIdentity"], row["name"]) for row in rig.rows("accounts")] == [("0001", "Ann"), ("0002", "=Bob")]
    assert rig.report.rejections == () and rig.report.warnings == ()


def test_an_own_report_with_cut_texts_is_refused(tmp_path: Path) -> None:
    rows = extract(tmp_path, REPORT, ("0001", "x" * 40_000, None), summary=SUMMARY)
    path, _ = made_workbook(rows, options=WriteOptions(detail="readable"))
    with pytest.raises(InvalidArguments, match="several sheets with cells: Summary, Accounts, Long texts, About"):
        XlsxReader(path, SheetOptions())
