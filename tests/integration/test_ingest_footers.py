"""Footers that have as many cells as a row: `Total,2,,`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from intake import Rig
from whohas.ingest.proposals import propose
from whohas.ingest.readers.footers import is_footer

MAPPING = '[source]\nname = "S"\n[accounts]\nfile = "users.{}"\n[accounts.columns]\nnativeIdentity = "user"\n'
ROWS = [["user", "name", "mail", "site"], ["u1", "Ann", "a@x", "Rome"], ["u2", "Bob", "b@x", "Oslo"]]
FOOTERS = [
    ["Total,2,,"],
    ["Total: 2,,,"],
    ["Total,2,,", "Exported 2026-01-31 08:15,,,"],
    [",,,", "Summe;2;;".replace(";", ",")],
    ["Number of rows,,,".replace("Number of rows", "Rows: 2"), "end"],
    ["*** end of the report ***,,,"],
]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def write(rig: Rig, form: str, footer: list[str], more: str = "") -> None:
    rows = [*ROWS, *(line.split(",") for line in footer)]
    if form == "csv":
        rig.write(**{"users.csv": "".join(",".join(row) + "\n" for row in rows)})
    else:
        book: Any = openpyxl.Workbook()
        for row in rows:
            book.active.append([None if cell == "" else int(cell) if cell.isdigit() else cell for cell in row])
        book.save(rig.data / "users.xlsx")
    rig.write(**{"users.toml": MAPPING.format(form) + more})


def natives(rig: Rig) -> list[str]:
    return [row["nativeIdentity"] for row in rig.rows("accounts")]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("footer", FOOTERS)
def test_a_footer_of_full_width_is_rejected_and_named(rig: Rig, form: str, footer: list[str]) -> None:
    if form == "xlsx":
        footer = [line for line in footer if line != "end"]
    write(rig, form, footer)
    rig.load(".")
    assert natives(rig) == ["u1", "u2"]
    rows = sum(1 for line in footer if line.strip(","))
    assert rig.report.rejected == rows
    assert "looks like a footer" in rig.report.rejections[0].reason
    (note,) = rig.report.warnings
    assert f"Set [{form}] footer = {rows} in a mapping" in note
    write(rig, form, footer, f"[{form}]\nfooter = {rows}\n")
    rig.load(".")
    assert (natives(rig), rig.report.rejected, rig.report.warnings) == (["u1", "u2"], 0, ())


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_footer_zero_loads_such_a_row(rig: Rig, form: str) -> None:
    write(rig, form, ["Total,2,,"], f"[{form}]\nfooter = 0\n")
    rig.load(".")
    assert (natives(rig), rig.report.rejected) == (["u1", "u2", "Total"], 0)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("footer", FOOTERS)
def test_a_proposal_finds_the_same_footers(rig: Rig, form: str, footer: list[str]) -> None:
    if form == "xlsx":
        footer = [line for line in footer if line != "end"]
    write(rig, form, footer)
    found = tomllib.loads(propose([rig.data / f"users.{form}"]).text)
    assert found[form]["footer"] == sum(1 for line in footer if line.strip(","))


@pytest.mark.parametrize(
    "cells",
    [
        ["Page", "Ann", "p@x", ""], ["Count Dracula", "", "", ""], ["u3", "", "", ""], ["Total", "", "", ""],
        ["Totalis", "7", "", ""], ["report2", "", "", ""], ["Total", "2", "a", "b"], ["", "", "", ""],
    ],
)  # fmt: skip
def test_people_and_accounts_are_no_footers(cells: list[str]) -> None:
    assert not is_footer(cells, 4)


def test_a_footer_in_a_file_of_many_batches_is_found(rig: Rig) -> None:
    lines = "".join(f"u{n},Name {n} {'x' * 200},u{n}@x,Rome\n" for n in range(90_000))
    rig.write(**{"users.csv": f"user,name,mail,site\n{lines}Total,90000,,\n", "users.toml": MAPPING.format("csv")})
    report = rig.load(".")
    assert (len(rig.rows("accounts")), report.rejected, report.rejections[0].line) == (90_000, 1, 90_002)
