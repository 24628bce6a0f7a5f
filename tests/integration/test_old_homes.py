"""A home folder of an earlier commit: it reports as before, and the next load derives what is new."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from support import ROOT, whohas
from whohas.warehouse.schema import ACCOUNTS, IDENTITY_ACCESS
from whohas.warehouse.store import Warehouse

MADE = ROOT / "tests" / "migrations" / "57d70df.tar.gz"
"""What the commit 57d70df made by `whohas load` and `whohas run`: `home`, with the `data` it loaded and the `reports`.

The data is made up: four people of HR, four accounts of Ledger with their rights by memberships, an access profile.
"""
NUMBERED = ROOT / "tests" / "migrations" / "da89039.tar.gz"
"""What the commit da89039 made likewise: two sources, whose attribute columns have the same names and different types.

The attribute `dept` is the column `shredded_0` in both files of accounts, of texts in one and of lists in the other. The
home has two runs of ACCOUNTS, whose files are in `reports` too.
"""
REPORTS = {
    "identities": ("IDENTITIES",),
    "accounts": ("ACCOUNTS", "--arg", "sourceName=Ledger"),
    "identities_details": ("IDENTITIES_DETAILS",),
    "uncorrelated_accounts": ("UNCORRELATED_ACCOUNTS",),
    "orphan_identities": ("ORPHAN_IDENTITIES",),
}
DERIVED = {"hasEntitlements", "isManager"}
"""Columns that are derived by now where no file gives them; they were empty then."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(MADE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def rows(path: Path) -> list[list[tuple[str, str]]]:
    """The rows of a report, sorted: their order is no promise between versions."""
    with path.open(newline="", encoding="utf-8") as file:
        return sorted([cell for cell in row.items() if cell[0] not in DERIVED] for row in csv.DictReader(file))


def found(home: Path, query: str) -> list[str]:
    done = whohas(home, "search", query)
    assert done.returncode == 0, done.stderr
    return sorted(line.split("  ")[0] for line in done.stdout.splitlines()[1:-1])


def access(home: Path) -> list[tuple[Any, ...]]:
    files = Warehouse(home / "warehouse").snapshot().files(IDENTITY_ACCESS)
    held = [row for file in files for row in pq.read_table(file.path, schema=IDENTITY_ACCESS.schema).to_pylist()]
    return sorted((row["type"], row["name"], row["derived"]) for row in held)


def test_an_old_home_reports_unchanged_until_the_next_load(old: Path) -> None:
    home = old / "home"
    runs = whohas(home, "runs")
    assert runs.returncode == 0 and len(runs.stdout.splitlines()) == 1 + len(REPORTS), runs.stderr
    for name, arguments in REPORTS.items():
        path = old / f"{name}.csv"
        done = whohas(home, "run", *arguments, "--quiet", "--output", path)
        assert done.returncode == 0, done.stderr
        assert rows(path) == rows(old / "reports" / f"{name}.csv"), name
    assert found(home, "@access(name:POST)") == []
    assert access(home) == []

    done = whohas(home, "load", old / "data")
    assert done.returncode == 0, done.stdout + done.stderr
    assert access(home) == [
        ("ACCESS_PROFILE", "Poster", True), ("ENTITLEMENT", "APPROVE", True), ("ENTITLEMENT", "AUDIT", True),
        ("ENTITLEMENT", "POST", True), ("ENTITLEMENT", "POST", True),
    ]  # fmt: skip
    assert found(home, "@access(name:POST)") == ["1", "2"]
    assert found(home, "@access(name:Poster)") == ["1"]
    done = whohas(home, "run", "IDENTITIES_DETAILS", "--quiet", "--output", old / "again.csv")
    assert done.returncode == 0 and rows(old / "again.csv") == rows(old / "reports" / "identities_details.csv")


def test_attribute_columns_of_other_types_are_read_and_replaced(tmp_path: Path) -> None:
    with tarfile.open(NUMBERED) as archive:
        archive.extractall(tmp_path, filter="data")
    home = tmp_path / "home"
    assert [types["shredded_0"] for types in column_types(home)] == ["string", "list<element: string>"]

    # What was recorded, on the old files, with the old names of their columns.
    ids = json.loads(whohas(home, "runs", "--output", "json").stdout)
    assert len(ids) == 2
    for run in ids:
        done = whohas(home, "replay", run["id"])
        assert done.returncode == 0, done.stdout + done.stderr
    assert accounts(tmp_path, "HR") == rows(tmp_path / "reports" / "HR.csv")
    assert accounts(tmp_path, "Ledger") == rows(tmp_path / "reports" / "Ledger.csv")

    # Both layouts side by side.
    (tmp_path / "data" / "hr.csv").write_text(
        "id,name,dept,groups,mail\n1,Ann,Law,all,a@x\n2,Bob,,all,\n3,Cy,Law,staff,\n"
    )
    done = whohas(home, "load", tmp_path / "data" / "hr.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    departments = {row["name"]: row["dept"] for row in map(dict, accounts(tmp_path, "HR"))}
    assert departments == {"Ann": "Law", "Bob": "", "Cy": "Law"}
    assert accounts(tmp_path, "Ledger") == rows(tmp_path / "reports" / "Ledger.csv")
    for run in ids:
        done = whohas(home, "replay", run["id"])
        assert done.returncode == 0, done.stdout + done.stderr

    done = whohas(home, "load", tmp_path / "data" / "ledger.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert accounts(tmp_path, "Ledger") == rows(tmp_path / "reports" / "Ledger.csv")
    both: dict[str, set[str]] = {}
    for types in column_types(home):
        for name, type in types.items():
            both.setdefault(name, set()).add(type)
    assert [name for name, of in both.items() if len(of) > 1] == []


def column_types(home: Path) -> list[dict[str, str]]:
    """The columns of the accounts' files and their types."""
    files = Warehouse(home / "warehouse").snapshot().files(ACCOUNTS)
    return [{field.name: str(field.type) for field in pq.read_schema(file.path)} for file in files]


def accounts(folder: Path, source: str) -> list[list[tuple[str, str]]]:
    path = folder / "now.csv"
    done = whohas(folder / "home", "run", "ACCOUNTS", "--arg", f"sourceName={source}", "--quiet", "--output", path)
    assert done.returncode == 0, done.stderr
    return rows(path)
