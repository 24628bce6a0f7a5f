"""A readable workbook: a summary with native charts, and the rows as an Excel table with hidden columns."""

from __future__ import annotations

import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import pytest
from openpyxl import load_workbook

from rendering import ABOUT, BY_STATE, BY_VALUE, STARTED, SUMMARY, TYPES, extract
from whohas.engine.statement import ResultColumn
from whohas.engine.summary import Category, RowsSummary
from whohas.formats.base import Extract, WriteOptions
from whohas.formats.xlsx import writer
from workbooks import book, made, values

READABLE = WriteOptions(detail="readable")
COLUMNS = (
    ResultColumn("id", "text", label="Account id", readable="never"),
    ResultColumn("name", "text", key=True, label="Account", section="Account"),
    ResultColumn("source", "text", label="Source", section="Account"),
    ResultColumn("manager", "text", label="Manager", section="Identity"),
)
ROWS = [("1", "ann", "AD", None), ("2", "bob", "AD", "")]
TEXT = (ResultColumn("text", "text"),)


def accounts(folder: Path, summary: RowsSummary | None = SUMMARY) -> Extract:
    return extract(folder, COLUMNS, *ROWS, summary=summary)


def cells(rows: Extract, options: WriteOptions = READABLE) -> list[list[Any]]:
    """The filled cells of each row of the summary, without empty rows."""
    found = ([cell for cell in row if cell is not None] for row in values(book(rows, options=options), "Summary"))
    return [row for row in found if row]


def test_the_summary_is_the_first_sheet(tmp_path: Path) -> None:
    workbook = book(accounts(tmp_path), options=READABLE)
    assert workbook.sheetnames == ["Summary", "Accounts", "About"]
    assert workbook.active.title == "Summary"
    assert values(workbook, "Accounts") == [["id", "name", "source", "manager"], *[[*row[:3], None] for row in ROWS]]


def test_the_summary_has_title_run_and_key_figures(tmp_path: Path) -> None:
    found = cells(accounts(tmp_path))
    assert found[:2] == [["Accounts"], ["All accounts <of> some sources & more."]]
    facts = {row[0]: row[1:] for row in found}
    assert facts["Rows"] == ["2"] and facts["Run"] == [ABOUT.run] and facts["Run by"] == [ABOUT.launcher]
    assert facts["Hidden: ids"] == ["id"] and facts["Hidden: empty"] == ["manager"]
    assert facts["Sheets of rows"] == ["Accounts"]
    place = found.index(["Key figures"])
    assert found[place + 1 : place + 5] == [
        ["Figure", "Number", "Share", "Of"],
        ["Accounts", 1_200],
        ["Disabled accounts", 150, 0.125, 1_200],
        ["Enabled, unchanged for 180 days", 0],
    ]


def test_breakdowns_are_tables_with_totals(tmp_path: Path) -> None:
    found = cells(accounts(tmp_path))
    place = found.index([BY_STATE.label])
    assert found[place + 1 : place + 4] == [
        ["Category", "Enabled", "Disabled", "Total"],
        ["Active Directory", 900, 100, 1_000],
        ["=1+1 <b>&amp;\"'", 150, 50, 200],
    ]
    place = found.index([BY_VALUE.label])
    assert found[place + 1] == ["Category", "Number"]
    assert ["7 more", 12] in found


def test_charts_refer_to_the_cells_of_their_tables(tmp_path: Path) -> None:
    sheet = book(accounts(tmp_path), options=READABLE)["Summary"]
    by_state, by_value = sheet._charts
    assert (by_state.barDir, by_state.grouping, by_state.overlap) == ("bar", "stacked", 100)
    assert (by_value.barDir, by_value.grouping) == ("bar", "clustered")
    for chart, breakdown in ((by_state, BY_STATE), (by_value, BY_VALUE)):
        assert chart.title.tx.rich.p[0].r[0].t == breakdown.label
        assert len(chart.series) == len(breakdown.series)
        for place, series in enumerate(chart.series):
            shown = [category.numbers[place] for category in breakdown.categories]
            assert [point.v for point in series.val.numRef.numCache.pt] == shown
            assert referred(sheet, series.val.numRef.f) == shown
            names = [category.name for category in breakdown.categories]
            assert [point.v for point in series.cat.strRef.strCache.pt] == names
            assert referred(sheet, series.cat.strRef.f) == names
            assert referred(sheet, series.tx.strRef.f) == [breakdown.series[place].capitalize() or "Number"]


def test_a_single_bar_is_a_table_without_a_chart(tmp_path: Path) -> None:
    single = replace(BY_STATE, categories=BY_STATE.categories[:1])
    sheet = book(accounts(tmp_path, replace(SUMMARY, breakdowns=(single,))), options=READABLE)["Summary"]
    assert not sheet._charts
    assert ["Active Directory", 900, 100, 1000] in [list(row[:4]) for row in sheet.iter_rows(values_only=True)]


def test_a_chart_of_one_state_has_a_legend(tmp_path: Path) -> None:
    one = replace(BY_STATE, series=("enabled",), categories=(Category("a", (3,)), Category("b", (1,))))
    summary = replace(SUMMARY, breakdowns=(one, BY_VALUE))
    of_states, of_types = book(accounts(tmp_path, summary), options=READABLE)["Summary"]._charts
    assert of_states.legend is not None and of_types.legend is None


def test_columns_are_explained_below_the_summary(tmp_path: Path) -> None:
    columns = [
        ResultColumn("id", "text", "The account's id.", label="Account id", readable="never"),
        ResultColumn("accountCount", "integer", "The number of its accounts.", label="Accounts"),
        ResultColumn("mail", "text", label="mail"),
    ]
    rows = extract(tmp_path, columns, ("1", 2, "a@acme.example"))
    found = cells(rows)
    assert found[found.index(["Columns"]) + 1 :] == [
        ["Header", "Meaning"],
        ["id", "Account id: The account's id. (hidden)"],
        ["accountCount", "Accounts: The number of its accounts."],
        ["", "1 more column, named as in the data."],
    ]
    labelled = cells(rows, replace(READABLE, labels=True))
    assert ["Accounts", "accountCount: The number of its accounts."] in labelled


def test_very_many_columns_are_not_all_explained(tmp_path: Path) -> None:
    columns = [ResultColumn(f"c{n}", "text", "Its value.", label=f"Label {n}") for n in range(150)]
    found = cells(extract(tmp_path, columns, tuple("x" * 150)))
    assert found[-2:] == [["c99", "Label 99: Its value."], ["", "50 more columns, named as in the data."]]


def test_headers_stand_at_the_side_of_their_values(tmp_path: Path) -> None:
    columns = [ResultColumn(type, type) for type in ("text", "integer", "boolean", "time")]
    sheet = book(extract(tmp_path, columns, ("x", 1, True, STARTED)), options=READABLE).worksheets[1]
    assert [cell.alignment.horizontal for cell in sheet[1]] == [None, "right", None, "right"]
    assert [cell.alignment.horizontal for cell in sheet[2]] == [None, None, "left", None]


def referred(sheet: Any, formula: str) -> list[Any]:
    """The values of the cells to which a formula refers."""
    name, _, range = formula.rpartition("!")
    assert name == "'Summary'"
    found = sheet[range.replace("$", "")]
    return [cell.value for row in found for cell in row] if isinstance(found, tuple) else [found.value]


def test_charts_are_described_and_do_not_overlap(tmp_path: Path) -> None:
    path, _ = made(accounts(tmp_path), options=READABLE)
    drawing = zipfile.ZipFile(path).read("xl/drawings/drawing1.xml").decode()
    descriptions = re.findall(r'descr="([^"]*)"', drawing)
    assert descriptions[0].startswith(
        "Accounts by source and state: Active Directory 1,000 (enabled 900, disabled 100)"
    )
    assert descriptions[1].endswith("The chart shows the 10 largest categories; 7 more categories together have 12.")
    tops = [int(row) for row in re.findall(r"<xdr:row>(\d+)</xdr:row>", drawing)]
    heights = [int(size) // 9_525 for size in re.findall(r' cy="(\d+)"/><xdr:graphicFrame', drawing)]
    assert tops[0] + heights[0] / 20 < tops[1], "rows have at least 20 pixels"


def test_every_part_is_wellformed_related_and_typed(tmp_path: Path) -> None:
    path, _ = made(accounts(tmp_path), options=READABLE)
    with zipfile.ZipFile(path) as file:
        names = set(file.namelist())
        for name in names:
            expat.ParserCreate().Parse(file.read(name), True)
        assert set(re.findall('PartName="/([^"]*)"', file.read("[Content_Types].xml").decode())) == {
            name for name in names if not name.endswith(".rels") and name != "[Content_Types].xml"
        }
        for name in names:
            if name.endswith(".rels"):
                folder = Path(name).parent.parent
                for target in re.findall('Target="([^"]*)"', file.read(name).decode()):
                    assert str(Path("/", folder, target).resolve())[1:] in names, (name, target)


def test_the_rows_are_a_banded_table_with_filters(tmp_path: Path) -> None:
    sheet = book(accounts(tmp_path), options=READABLE)["Accounts"]
    (table,) = sheet.tables.values()
    assert (table.name, table.displayName, table.ref, table.autoFilter.ref) == ("ReportRows",) * 2 + ("A1:D3",) * 2
    assert table.tableStyleInfo.showRowStripes
    assert table.column_names == ["id", "name", "source", "manager"]
    assert sheet.auto_filter.ref is None, "the filter is that of the table"
    assert sheet.freeze_panes == "A2"


def test_ids_and_empty_columns_are_hidden(tmp_path: Path) -> None:
    sheet = book(accounts(tmp_path), options=READABLE)["Accounts"]
    assert [sheet.column_dimensions[letter].hidden for letter in "ABCD"] == [True, False, False, True]


def test_details_are_visible(tmp_path: Path) -> None:
    columns = [ResultColumn("name", "text"), ResultColumn("nick", "text", readable="xlsx_only")]
    sheet = book(extract(tmp_path, columns, ("Ada", "a")), options=READABLE).worksheets[1]
    assert not sheet.column_dimensions["B"].hidden


def test_columns_that_the_caller_named_are_visible(tmp_path: Path) -> None:
    rows = extract(tmp_path, [replace(column, readable="always") for column in COLUMNS], *ROWS)
    sheet = book(rows, options=READABLE)["Accounts"]
    assert not any(sheet.column_dimensions[letter].hidden for letter in "ABCD")


def test_labels_are_the_header_where_asked(tmp_path: Path) -> None:
    options = WriteOptions(detail="readable", labels=True)
    workbook = book(accounts(tmp_path), options=options)
    (table,) = workbook["Accounts"].tables.values()
    header = ["Account id", "Account", "Source", "Manager"]
    assert values(workbook, "Accounts")[0] == table.column_names == header
    assert ["Hidden: ids", "Account id"] in cells(accounts(tmp_path), options)


@pytest.mark.parametrize("count", [0, 1])
def test_a_table_has_at_least_one_row(tmp_path: Path, count: int) -> None:
    rows = extract(tmp_path, COLUMNS, *ROWS[:count], summary=RowsSummary("", count, SUMMARY.figures))
    workbook = book(rows, options=READABLE)
    (table,) = workbook["Accounts"].tables.values()
    assert table.ref == "A1:D2"
    hidden = [workbook["Accounts"].column_dimensions[letter].hidden for letter in "ABCD"]
    assert hidden == [True, False, False, count == 1], "without rows, no column counts as empty"
    assert not workbook["Summary"]._charts


@pytest.mark.parametrize("count", [9, 10, 27])
def test_each_sheet_of_rows_has_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(writer, "ROWS", 10)
    path, notes = made(extract(tmp_path, TEXT, *[[f"row {n}"] for n in range(count)]), options=READABLE)
    workbook = load_workbook(path)
    sheets = workbook.worksheets[1:-1]
    assert [sheet.title for sheet in sheets] == ["Accounts", "Accounts (2)", "Accounts (3)"][: -(-count // 9)]
    tables = [table for sheet in sheets for table in sheet.tables.values()]
    assert [table.name for table in tables] == ["ReportRows", "ReportRows2", "ReportRows3"][: len(sheets)]
    assert [table.id for table in tables] == [*range(1, len(sheets) + 1)]
    assert [table.ref for table in tables] == [sheet.dimensions for sheet in sheets]
    assert [cell for sheet in sheets for (cell,) in list(sheet.values)[1:]] == [f"row {n}" for n in range(count)]
    shown = [row.value for row in workbook["Summary"]["B"] if row.value]
    assert all(note in shown for note in notes)


@pytest.mark.parametrize(
    ("names", "header"),
    [
        (["mail", "Mail", "mail"], ["mail", "Mail_2", "mail_3"]),
        (["", "a"], ["column_1", "a"]),
        (["two\nlines", "tab\there"], ["two\nlines", "tab\there"]),
        (["=1+1", '<"&>', "_x0041_"], ["=1+1", '<"&>', "_x005F_x0041_"]),
    ],
)
def test_names_of_table_columns_are_unique_and_escaped(tmp_path: Path, names: list[str], header: list[str]) -> None:
    rows = extract(tmp_path, [ResultColumn(name, "text") for name in names], "x" * len(names))
    path, _ = made(rows, options=READABLE)
    assert [cell.value for cell in load_workbook(path)["Accounts"][1]] == header
    table = ElementTree.fromstring(zipfile.ZipFile(path).read("xl/tables/table1.xml"))  # noqa: S314 - our own
    found = [item.attrib["name"] for item in table.iter() if item.tag.endswith("tableColumn")]
    assert found == [name.replace("\n", "_x000a_").replace("\t", "_x0009_") for name in header]


def test_a_header_longer_than_tables_allow_is_shortened(tmp_path: Path) -> None:
    long, other = "x" * 300, "x" * 299 + "y"
    rows = extract(tmp_path, [ResultColumn(name, "text") for name in (long, other)], "ab")
    path, notes = made(rows, options=READABLE)
    workbook = load_workbook(path)
    header = [cell.value for cell in workbook["Accounts"][1]]
    assert [len(name) for name in header] == [255, 255] and header[0] != header[1]
    assert [name.partition("…")[2] for name in header] == [" see 'Long texts' row 2", " see 'Long texts' row 3"]
    assert [row[3] for row in values(workbook, "Long texts")[1:]] == [long, other]
    assert notes == [
        "2 headers are longer than the 255 characters that a table allows: the sheet 'Long texts' has all of them."
    ]


def test_a_run_without_a_summary_has_the_sheet(tmp_path: Path) -> None:
    workbook = book(accounts(tmp_path, None), options=READABLE)
    assert workbook.sheetnames[0] == "Summary" and not workbook["Summary"]._charts
    assert ["Key figures"] not in cells(accounts(tmp_path, None))


def test_a_part_of_a_zip_has_its_own_summary(tmp_path: Path) -> None:
    rows = extract(tmp_path, COLUMNS, *ROWS, name="Roles", summary=replace(SUMMARY, part="Roles"))
    workbook = book(rows, options=READABLE)
    assert workbook.sheetnames == ["Summary", "Roles", "About"]
    assert values(workbook, "Summary")[0][0] == "Accounts: Roles"


def test_a_report_named_summary_has_another_name(tmp_path: Path) -> None:
    workbook = book(extract(tmp_path, TEXT, ["x"], name="summary"), options=READABLE)
    assert workbook.sheetnames == ["Summary", "summary (2)", "About"]


def test_hostile_texts_of_a_summary_stay_texts(tmp_path: Path) -> None:
    names = ["=1+1", "a\0b\r\n\x0b", "]]></c:v>", "_x0041_", "x" * 40_000, "half \ud800"]
    breakdown = replace(BY_VALUE, categories=tuple(Category(name, (1,)) for name in names), label='<&"\n>\x01')
    summary = RowsSummary("", 1, SUMMARY.figures, (breakdown,))
    path, _ = made(accounts(tmp_path, summary), replace(ABOUT, title="=T\ud800", launcher="-x"), READABLE)
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            expat.ParserCreate().Parse(file.read(name), True)
    workbook = load_workbook(path)
    found = {value for row in values(workbook, "Summary") for value in row}
    assert {"=1+1", "a\0b\r\n\x0b", "]]></c:v>", "_x0041_", "half \\ud800", "=T\\ud800", "-x"} <= found
    by_value = {cell.value: cell for row in workbook["Summary"] for cell in row}
    assert by_value["=1+1"].data_type == "s" and by_value["=1+1"].quotePrefix and by_value["-x"].quotePrefix
    pieces = values(workbook, "Long texts")[1:]
    assert "".join(piece[3] for piece in pieces) == "x" * 40_000 and pieces[0][0] == "Summary"


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    rows = accounts(tmp_path)
    before = made(rows, options=READABLE)[0].read_bytes()
    assert made(rows, options=READABLE)[0].read_bytes() == before


def test_the_summary_prints_on_one_page(tmp_path: Path) -> None:
    workbook = book(accounts(tmp_path), options=READABLE)
    summary, rows = workbook["Summary"], workbook["Accounts"]
    assert (summary.page_setup.orientation, summary.page_setup.fitToHeight) == ("portrait", 1)
    assert summary.print_title_rows is None and rows.print_title_rows == "$1:$1"
    assert (rows.page_setup.orientation, rows.page_setup.fitToWidth) == ("landscape", 1)


def test_hidden_columns_take_no_room_on_paper(tmp_path: Path) -> None:
    hidden = [ResultColumn(f"id {n}", "text", readable="never") for n in range(40)]
    rows = extract(tmp_path, [*COLUMNS, *hidden], [*ROWS[0], *["x" * 30] * 40])
    assert book(rows, options=READABLE)["Accounts"].page_setup.fitToWidth == 1


def test_booleans_have_a_format_with_words(tmp_path: Path) -> None:
    """LibreOffice shows booleans that stand next to each other as 1 and 0 without it."""
    rows = extract(tmp_path, [ResultColumn(name, "boolean") for name in "ab"], (True, False), (None, True))
    sheet = book(rows, options=READABLE)["Accounts"]
    assert [cell.value for row in sheet["A2:B3"] for cell in row] == [True, False, None, True]
    assert {sheet[cell].number_format for cell in ("A2", "B2", "B3")} == {'"TRUE";"TRUE";"FALSE"'}


def test_rows_and_charts_have_room_for_long_names(tmp_path: Path) -> None:
    breakdown = replace(BY_VALUE, categories=(Category("word " * 20, (1,)), Category("b", (1,))), further=0)
    path, _ = made(accounts(tmp_path, replace(SUMMARY, breakdowns=(breakdown, BY_STATE))), options=READABLE)
    sheet = load_workbook(path)["Summary"]
    rows = {cell.value: cell.row for cell in sheet["A"]}
    assert sheet.row_dimensions[rows["word " * 20]].height == 3 * sheet.row_dimensions[rows["b"]].height
    drawing = zipfile.ZipFile(path).read("xl/drawings/drawing1.xml").decode()
    (long, _), heights = re.findall(r"<xdr:row>(\d+)</xdr:row>", drawing), re.findall(r' cy="(\d+)"/><xdr:gr', drawing)
    room = sum((sheet.row_dimensions[row].height or 15) / 0.75 for row in range(int(long) + 1, rows[BY_STATE.label]))
    assert room >= int(heights[0]) / 9_525


def test_a_complete_workbook_has_neither_summary_nor_table(tmp_path: Path) -> None:
    path, _ = made(extract(tmp_path, [ResultColumn(type, type) for type in TYPES], summary=SUMMARY))  # type: ignore[arg-type]
    assert load_workbook(path).sheetnames == ["Accounts", "About"]
    assert not [name for name in zipfile.ZipFile(path).namelist() if "table" in name or "drawing" in name]
