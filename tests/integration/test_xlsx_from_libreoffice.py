"""Workbooks that LibreOffice wrote, of an untidy CSV file and of a workbook with all that sheets hide."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.styles import numbers

from intake import Rig
from patience import PATIENCE_SECONDS

CSV = '''Export of 31.01.2026;;;;;;
;;;;;;
Nr;Name;Start;Aktiv;Betrag;Notiz;
0001;"Müller, ""Jo""";31.01.2024;WAHR;1.234,50;"zwei
Zeilen";
0002;  Ann ;01.02.2024 07:30;FALSCH;7;=1+1;
00012345678901234567;Bob;2024-03-01;;0,10;'x;
;;;;;;
Total;3;;;;;
'''
MAPPING = """
[source]
name = "{name}"
[values]
times = ["%d.%m.%Y %H:%M", "%d.%m.%Y"]
true = ["WAHR"]
false = ["FALSCH"]
[accounts]
file = "{name}.xlsx"
[accounts.columns]
nativeIdentity = "{key}"
name = "Name"
created = "Start"
disabled = {{ column = "Aktiv", not = true }}
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not there")
    return Rig(tmp_path)


def converted(rig: Rig, *options: str, path: Path) -> None:
    """Has LibreOffice write a workbook of a file into the rig's folder."""
    profile = f"-env:UserInstallation={(rig.data.parent / 'profile').as_uri()}"
    command = ["soffice", profile, "--headless", *options, "--convert-to", "xlsx", "--outdir", rig.data, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (rig.data / f"{path.stem}.xlsx").exists(), done.stdout + done.stderr


def test_a_workbook_of_an_untidy_csv_keeps_every_value(rig: Rig, tmp_path: Path) -> None:
    source = tmp_path / "untidy.csv"
    source.write_text(CSV, encoding="utf-8")
    # all columns as text, as the import dialog offers them, so that 0001 stays
    columns = "/".join(f"{n}/2" for n in range(1, 8))
    converted(rig, f"--infilter=Text - txt - csv (StarCalc):59,34,76,1,{columns}", path=source)
    rig.write(**{"m.toml": MAPPING.format(name="untidy", key="Nr") + "[xlsx]\nskip = 2\n"})
    rig.load(".")
    rows = {row["nativeIdentity"]: row for row in rig.rows("accounts")}
    assert list(rows) == ["0001", "0002", "00012345678901234567"]
    first, second, third = rows.values()
    assert (first["name"], first["disabled"], first["created"]) == (
        'Müller, "Jo"', False, dt.datetime(2024, 1, 31, tzinfo=dt.UTC)
    )  # fmt: skip
    assert dict(first["attributes"])["Notiz"] == ["zwei\nZeilen"]
    assert dict(first["attributes"])["Betrag"] == ["1.234,50"]
    assert (second["disabled"], second["created"]) == (True, dt.datetime(2024, 2, 1, 7, 30, tzinfo=dt.UTC))
    assert dict(second["attributes"])["Notiz"] == ["=1+1"]
    assert (third["disabled"], third["created"]) == (None, dt.datetime(2024, 3, 1, tzinfo=dt.UTC))
    (rejected,) = rig.report.rejections
    assert rejected.line == 8 and "looks like a footer" in rejected.reason


def workbook(path: Path) -> None:
    made: Any = openpyxl.Workbook()
    sheet = made.active
    sheet.title = "Users"
    sheet.append(["No", "Name", "Start", "Aktiv", "Sum", "Check"])
    for number in range(1, 6):
        start = dt.datetime(2024, 1, number, 7, 30)
        sheet.append([number, f'=CONCATENATE("P",A{number + 1})', start, f"=A{number + 1}>2", f"=A{number + 1}*1.5", 1])
        sheet.cell(number + 1, 1).number_format = "0000"
        sheet.cell(number + 1, 3).number_format = numbers.FORMAT_DATE_DATETIME
    sheet["F2"], sheet["F3"], sheet["F4"] = "=NA()", "=1/0", "=nothing()"
    sheet["F5"] = "'0005"
    sheet["F5"].number_format = "@"
    sheet["B6"] = None
    sheet.merge_cells("B5:B6")
    sheet.row_dimensions[4].hidden = True
    other = made.create_sheet("Lists")
    other.append(["hidden"])
    other.sheet_state = "hidden"
    made.save(path)


def test_a_workbook_that_libreoffice_calculated_loads(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    workbook(tmp_path / "in" / "full.xlsx")
    converted(rig, path=tmp_path / "in" / "full.xlsx")
    rig.write(**{"m.toml": MAPPING.format(name="full", key="No") + '[xlsx]\nsheet = "Users"\n'})
    rig.load(".")
    rows = {row["nativeIdentity"]: row for row in rig.rows("accounts")}
    assert list(rows) == ["0001", "0002", "0003", "0004", "0005"]
    assert [row["name"] for row in rows.values()] == ["P1", "P2", "P3", "P4", "P4"]
    assert [row["disabled"] for row in rows.values()] == [True, True, False, False, False]
    assert rows["0003"]["created"] == dt.datetime(2024, 1, 3, 7, 30, tzinfo=dt.UTC)
    assert [dict(row["attributes"])["Sum"] for row in rows.values()] == [["1.5"], ["3"], ["4.5"], ["6"], ["7.5"]]
    told = [(cell.line, cell.column, cell.reason.split("'")[1]) for cell in rig.report.emptied_cells]
    assert told == [(2, "Check", "#N/A"), (3, "Check", "#DIV/0!"), (4, "Check", "#NAME?")]
    notes = " ".join(rig.report.warnings)
    assert "1 hidden row (4), loaded" in notes and "1 merged range (B5:B6)" in notes
