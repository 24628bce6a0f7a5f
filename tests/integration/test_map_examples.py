"""Proposals for the repository's own examples load as they stand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support import ROOT
from whohas.ingest import LoadReport, load
from whohas.ingest.proposals import propose
from whohas.warehouse.store import Warehouse

EXAMPLES = ROOT / "examples"
FILES = [
    "acme/badges.csv",
    *(f"own-data/{name}.csv" for name in ("hr", "active-directory", "saas", "finance-app/users-roles")),
]


def checked(tmp_path: Path, file: str) -> LoadReport:
    """The report of a check of the proposal for one file, which has been copied beside it."""
    copy = tmp_path / Path(file).name
    shutil.copy(EXAMPLES / file, copy)
    target = tmp_path / "map.toml"
    target.write_text(propose([copy], None, target).text, encoding="utf-8")
    return load(Warehouse(tmp_path / "warehouse"), [target], check=True)


@pytest.mark.parametrize("file", FILES)
def test_the_proposal_for_an_example_loads(tmp_path: Path, file: str) -> None:
    report = checked(tmp_path, file)
    # the one row of hr.csv that repeats a number is rejected, as the proposal says
    assert report.rejected == (1 if "hr.csv" in file else 0)
    (source,) = report.sources
    wanted = {"badges": 248, "hr": 22, "active-directory": 21, "saas": 12, "users-roles": 9}
    assert source.after == wanted[Path(file).stem]


def test_the_proposal_for_hr_makes_identities(tmp_path: Path) -> None:
    report = checked(tmp_path, "own-data/hr.csv")
    assert {table.name: table.after for table in report.tables}["identities"] == 22


@pytest.mark.parametrize(("file", "rights"), [("active-directory", 10), ("finance-app/users-roles", 5)])
def test_the_proposal_finds_entitlements(tmp_path: Path, file: str, rights: int) -> None:
    report = checked(tmp_path, f"own-data/{file}.csv")
    assert {table.name: table.after for table in report.tables}["entitlements"] == rights
