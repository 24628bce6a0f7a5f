"""A home folder of an earlier commit: it reports as before, and the next load derives what is new."""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from support import ROOT, whohas
from whohas.warehouse.schema import IDENTITY_ACCESS
from whohas.warehouse.store import Warehouse

MADE = ROOT / "tests" / "migrations" / "57d70df.tar.gz"
"""What the commit 57d70df made by `whohas load` and `whohas run`: `home`, with the `data` it loaded and the `reports`.

The data is made up: four people of HR, four accounts of Ledger with their rights by memberships, an access profile.
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
