"""Cells as Excel writes them: the XML of its workbooks, which openpyxl does not write."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from whohas.errors import InvalidArguments
from whohas.ingest.mapping import SheetOptions
from whohas.ingest.readers.xlsx import XlsxReader

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
FORMATS = ["dd\\.mm\\.yyyy;@", "0000", "[h]:mm:ss", "0%", "#,##0", "[Red]yyyy\\-mm\\-dd", "@", "0&quot; days&quot;"]
"""Formats of the styles 3 and following; 1 is a date, 2 a date with a time."""
TEXTS = [
    "<t>uid</t>",
    '<r><t>An</t></r><r><rPr><b/></rPr><t xml:space="preserve">n </t></r>',
    '<t>東京</t><rPh sb="0" eb="1"><t>トウキョウ</t></rPh>',
    "<t>a_x000D_\nb</t>",
]


def workbook(path: Path, cell: str, book: str = "", state: str = "") -> Path:
    """Writes a workbook with one row: the number 1, and a cell in column B."""
    formats = "".join(f'<numFmt numFmtId="{n}" formatCode="{code}"/>' for n, code in enumerate(FORMATS, 200))
    styles = "".join(f'<xf numFmtId="{n}"/>' for n in (0, 14, 22, *range(200, 200 + len(FORMATS))))
    header = '<c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>x</t></is></c>'
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}"><Relationship Id="r1" Type="{RELATED}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">'
        + "".join(
            f'<Relationship Id="r{n}" Type="{RELATED}/{kind}" Target="{target}"/>'
            for n, (kind, target) in enumerate(
                {
                    "worksheet": "worksheets/sheet1.xml",
                    "styles": "styles.xml",
                    "sharedStrings": "sharedStrings.xml",
                }.items()
            )
        )
        + "</Relationships>",
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{RELATED}">{book}<sheets><sheet name="Users" sheetId="1" {state} '
        'r:id="r0"/></sheets></workbook>',
        "xl/styles.xml": f"<styleSheet {MAIN}><numFmts>{formats}</numFmts><cellXfs>{styles}</cellXfs></styleSheet>",
        "xl/sharedStrings.xml": f"<sst {MAIN}>{''.join(f'<si>{text}</si>' for text in TEXTS)}</sst>",
        "xl/worksheets/sheet1.xml": f'<worksheet {MAIN}><sheetData><row r="1">{header}</row><row r="2"><c r="A2"><v>1</v>'
        f"</c>{cell}</row></sheetData></worksheet>",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return path


def read(path: Path) -> tuple[str, list[str], list[str | None]]:
    """The cell in column B, the notes, and the values that cannot be read."""
    file = XlsxReader(path, SheetOptions())
    (batch,) = file.batches()
    return batch.data.column(1)[0].as_py(), file.notes(), [fault.cell_text for fault in batch.row_errors]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="B2" t="s"><v>1</v></c>', "Ann "),
        ('<c r="B2" t="s"><v>2</v></c>', "東京"),
        ('<c r="B2" t="s"><v>3</v></c>', "a\r\nb"),
        ('<c r="B2" t="inlineStr"><is><r><t>An</t></r><r><t>n</t></r></is></c>', "Ann"),
        ('<c r="B2" t="str"><f>A1&amp;"x"</f><v>0001x</v></c>', "0001x"),
        ('<c r="B2" t="b"><f>TRUE()</f><v>1</v></c>', "true"),
        ('<c r="B2"><f t="shared" si="0"/><v>9</v></c>', "9"),
        ('<c r="B2" s="1"><f>TODAY()</f><v>45322</v></c>', "2024-01-31"),
        ('<c r="B2" s="2"><v>45322.3125</v></c>', "2024-01-31 07:30:00"),
        ('<c r="B2" s="3"><v>45322</v></c>', "2024-01-31"),
        ('<c r="B2" s="8"><v>45322</v></c>', "2024-01-31"),
        ('<c r="B2" t="d"><v>2024-01-31</v></c>', "2024-01-31"),
        ('<c r="B2" s="4"><v>7</v></c>', "0007"),
        ('<c r="B2" s="4"><v>12345</v></c>', "12345"),
        ('<c r="B2" s="4"><v>7.5</v></c>', "7.5"),
        ('<c s="4" r="B2" t="n"><v>7</v></c>', "0007"),
        ('<c r="B2" s="4" t="s"><v>1</v></c>', "Ann "),
        ('<c r="B2" s="5"><v>1.25</v></c>', "30:00:00"),
        ('<c r="B2" s="6"><v>0.25</v></c>', "0.25"),
        ('<c r="B2" s="7"><v>12345</v></c>', "12345"),
        ('<c r="B2" s="9"><v>45322</v></c>', "45322"),
        ('<c r="B2" s="10"><v>5</v></c>', "5"),
        ('<c r="B2"><v>1.1000000000000001</v></c>', "1.1"),
    ],
)
def test_cells_of_excel_have_their_values(tmp_path: Path, cell: str, text: str) -> None:
    assert read(workbook(tmp_path / "in.xlsx", cell)) == (text, [], [])


def test_dates_since_1904_are_four_years_later(tmp_path: Path) -> None:
    cell = '<c r="B2" s="1"><v>43860</v></c>'
    assert read(workbook(tmp_path / "in.xlsx", cell, '<workbookPr date1904="1"/>'))[0] == "2024-01-31"


@pytest.mark.parametrize("error", ["#N/A", "#DIV/0!", "#REF!", "#NAME?", "#VALUE!", "#NUM!", "#NULL!"])
def test_errors_of_formulas_are_no_values(tmp_path: Path, error: str) -> None:
    cell = f'<c r="B2" t="e"><f>A2/0</f><v>{error}</v></c>'
    assert read(workbook(tmp_path / "in.xlsx", cell)) == ("", [], [error])


def test_an_error_that_is_not_known_names_its_cell(tmp_path: Path) -> None:
    with pytest.raises(InvalidArguments, match=r"cell B2 holds an error that is not known: .*#SPILL!"):
        read(workbook(tmp_path / "in.xlsx", '<c r="B2" t="e"><v>#SPILL!</v></c>'))


def test_a_sheet_that_is_very_hidden_is_noted(tmp_path: Path) -> None:
    _, notes, _ = read(workbook(tmp_path / "in.xlsx", '<c r="B2"><v>1</v></c>', state='state="veryHidden"'))
    assert notes == ["in.xlsx, sheet 'Users': the sheet is hidden, and was loaded."]
