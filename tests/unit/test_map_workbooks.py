"""Proposals for XLSX workbooks."""

from __future__ import annotations

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from rendering import SUMMARY, extract
from whohas.engine.statement import ResultColumn
from whohas.errors import InvalidArguments
from whohas.formats.base import WriteOptions
from whohas.ingest import load
from whohas.ingest.proposals import propose
from whohas.ingest.proposals.sample import read_largest_sheet
from whohas.warehouse.store import Warehouse
from workbooks import made

USERS = [
    ["User name", "E-mail", "Active", "Created", "Roles"],
    *(
        [f"u{n}", f"u{n}@example.com", n % 2 == 0, dt.datetime(2024, 1, n), "a;b" if n % 3 else "a"]
        for n in range(1, 9)
    ),
]


def workbook(path: Path, **sheets: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_the_sheet_with_the_most_cells_is_chosen(tmp_path: Path) -> None:
    path = workbook(tmp_path / "a.xlsx", About=[["Export of users"]], Users=[["Users"], [], *USERS, ["Total: 8"]])
    target = tmp_path / "map.toml"
    found = propose([path], None, target)
    mapping = tomllib.loads(found.text)
    assert mapping["xlsx"] == {"sheet": "Users", "skip": 2, "footer": 1}
    assert mapping["accounts"]["columns"] == {
        "nativeIdentity": "User name", "name": "User name", "created": "Created",
        "disabled": {"column": "Active", "not": True},
    }  # fmt: skip
    assert mapping["accounts"]["entitlements"] == ["Roles"]
    target.write_text(found.text, encoding="utf-8")
    report = load(Warehouse(tmp_path / "warehouse"), [target], check=True)
    assert (report.rejected, report.sources[0].after) == (0, 8)


def test_a_workbook_without_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArguments, match="none of its sheets has cells"):
        propose([workbook(tmp_path / "a.xlsx", Empty=[])])


def test_the_rows_of_an_own_report_are_chosen(tmp_path: Path) -> None:
    rows = extract(tmp_path, (ResultColumn("id", "text"),), ["1"], summary=SUMMARY)
    path, _ = made(rows, options=WriteOptions(detail="readable"))
    assert read_largest_sheet(path) == ("Accounts", ["Accounts"], [(1, ["id"]), (2, ["1"])])
