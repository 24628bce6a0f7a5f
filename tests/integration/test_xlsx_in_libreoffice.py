"""Workbooks as LibreOffice reads them."""

from __future__ import annotations

import csv
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS
from rendering import TYPES, extract
from whohas.engine.statement import ResultColumn
from whohas.formats.base import WriteOptions
from whohas.formats.xlsx import long_texts
from workbooks import made

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
    options = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    command = ["soffice", profile, "--headless", "--convert-to", options, "--outdir", tmp_path, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (tmp_path / "out-Accounts.csv").exists(), done.stdout + done.stderr
    sheets = {name: read_csv(tmp_path / f"out-{name}.csv") for name in ("Accounts", "Long texts", "About")}
    header, *found = sheets["Accounts"]
    assert header == list(TYPES)
    short = [[text, "TRUE", str(1 << 52), "2026-07-01 12:00:05", f"{text}; b"] for text in texts[:-1]]
    assert found[:-1] == short
    assert found[-1][0].endswith("… see 'Long texts' row 2") and len(found[-1][0]) == long_texts.CELL_LENGTH
    assert "".join(row[3] for row in sheets["Long texts"][1:]) == texts[-1] * 2 + "; b"
    assert ["Rows", str(len(texts))] in sheets["About"]


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))
