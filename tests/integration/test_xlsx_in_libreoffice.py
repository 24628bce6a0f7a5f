"""Workbooks as LibreOffice reads them."""

from __future__ import annotations

import csv
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from patience import PATIENCE_SECONDS
from rendering import SUMMARY, TYPES, extract
from whohas.engine.statement import ResultColumn
from whohas.formats.base import WriteOptions
from whohas.formats.xlsx import long_texts
from workbooks import made, values

ALL = tuple(ResultColumn(type, type) for type in TYPES)  # type: ignore[arg-type]


@pytest.mark.engine
def test_libreoffice_reads_what_was_written(tmp_path: Path) -> None:
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not there")
    texts = [
        "=1+1",
        " x ",
        "a\nb\tc",
        "a\rb",
        "\x01\x1f",
        "_x0041_x0042_",
        "\ufffe",
        "<&>\"'",
        "é北😀",
        "007",
        "x" * 40_000,
    ]
    time = datetime(2026, 7, 1, 10, 0, 5, tzinfo=UTC)
    rows = extract(tmp_path, ALL, *[(text, True, 1 << 52, time, [text, "b"]) for text in texts])
    path, _ = made(rows, options=WriteOptions(zone="Europe/Berlin"))
    said = converted(path, "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1", tmp_path)
    assert (tmp_path / "out-Accounts.csv").exists(), said
    sheets = {name: read_csv(tmp_path / f"out-{name}.csv") for name in ("Accounts", "Long texts", "About")}
    header, *found = sheets["Accounts"]
    assert header == list(TYPES)
    short = [[text, "TRUE", str(1 << 52), "2026-07-01 12:00:05", f"{text}; b"] for text in texts[:-1]]
    assert found[:-1] == short
    assert found[-1][0].endswith("… see 'Long texts' row 2") and len(found[-1][0]) == long_texts.CELL_LENGTH
    assert "".join(row[3] for row in sheets["Long texts"][1:]) == texts[-1] * 2 + "; b"
    assert ["Rows", str(len(texts))] in sheets["About"]


@pytest.mark.engine
def test_libreoffice_keeps_charts_table_and_hidden_columns(tmp_path: Path) -> None:
    if shutil.which("soffice") is None:
        pytest.skip("LibreOffice is not there")
    columns = (ResultColumn("id", "text", readable="never"), ResultColumn("a\nb", "text"), ResultColumn("A\nB", "text"))
    rows = extract(tmp_path, columns, ("1", "x", "y"), ("2", "=1+1", None), summary=SUMMARY)
    path, _ = made(rows, options=WriteOptions(detail="readable"))
    written = load_workbook(path)
    said = converted(path, "xlsx", tmp_path / "read")
    assert (tmp_path / "read" / "out.xlsx").exists(), said
    read = load_workbook(tmp_path / "read" / "out.xlsx")
    assert read.sheetnames == ["Summary", "Accounts", "About"]
    assert values(read, "Accounts") == [["id", "a\nb", "A\nB_2"], ["1", "x", "y"], ["2", "=1+1", None]]
    (table,) = read["Accounts"].tables.values()
    assert (table.displayName, table.ref) == ("ReportRows", "A1:C3")
    assert read["Accounts"].column_dimensions["A"].hidden and not read["Accounts"].column_dimensions["B"].hidden
    charts = list(zip(written["Summary"]._charts, read["Summary"]._charts, strict=True))
    assert len(charts) == len(SUMMARY.breakdowns)
    for before, after in charts:
        assert (after.barDir, after.grouping) == (before.barDir, before.grouping)
        assert [numbers(one) for one in after.series] == [numbers(one) for one in before.series]


def numbers(series: Any) -> list[float]:
    return [float(point.v) for point in series.val.numRef.numCache.pt]


def converted(path: Path, format: str, folder: Path) -> str:
    """Has LibreOffice convert a file into a folder, and returns what it printed."""
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    command = ["soffice", profile, "--headless", "--convert-to", format, "--outdir", folder, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    return done.stdout + done.stderr


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
