"""Printed reports with `detail=readable`: labels, what is left out, titles of side-by-side pages."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import rendering
from content_streams import checked
from printed import Printed, plain_text
from rendering import extract
from whohas.engine.statement import ResultColumn
from whohas.formats.base import WriteOptions
from whohas.formats.pdf.writer import write

READABLE = WriteOptions(detail="readable")
ID = ResultColumn("id", "text", label="Account id", section="Account", readable="never")
NAME = ResultColumn("displayName", "text", label="Account", section="Account", key=True)
MAIL = ResultColumn("mail", "text", label="Email", section="Attributes")


def made(folder: Path, columns: Sequence[ResultColumn], *rows: Sequence[Any], **fields: Any) -> Path:
    """A readable report."""
    path = folder / "report.pdf"
    some = dataclasses.replace(extract(folder, columns, *rows, group=fields.pop("group", "")), **fields)
    write(some, path, rendering.ABOUT, READABLE)
    return checked(path)


def headers(document: Printed, page: int) -> list[str]:
    return [text for role, text in document.marked(page) if role == "TH"]


def first_page(path: Path) -> list[str]:
    return [re.sub(" +", " ", line).strip() for line in plain_text(path, "-l", "1", "-layout").splitlines()]


# --- columns


def test_headers_are_labels_and_ids_are_left_out(tmp_path: Path) -> None:
    path = made(tmp_path, [ID, NAME, MAIL], ("1", "Ada", "a@acme.example"), ("2", "Bo", None))
    document = Printed(path)
    assert headers(document, 0) == ["Account", "Email"]
    assert list(document.cells([2])) == [["Ada", "a@acme.example"], ["Bo", ""]]
    assert "Ids left out Account id" in first_page(path)


def test_empty_columns_are_named_on_the_first_page(tmp_path: Path) -> None:
    path = made(tmp_path, [NAME, MAIL, ResultColumn("city", "text", label="City")], *[("Ada", "", None)] * 400)
    assert headers(Printed(path), 0) == ["Account"]
    assert "Empty, left out Email, City" in first_page(path)


def test_a_readable_report_without_rows_shows_its_columns(tmp_path: Path) -> None:
    path = made(tmp_path, [ID, NAME, MAIL])
    assert "No rows: nothing in this snapshot is what the report asks for." in first_page(path)
    assert "Ids left out Account id" in first_page(path)


def test_pages_side_by_side_have_titles(tmp_path: Path) -> None:
    others = [ResultColumn(f"c{n}", "text", label=f"Label {n}", section=f"Section {n // 50}") for n in range(200)]
    rows = [[f"account {r}", *(f"{r}/{n}" for n in range(200))] for r in range(60)]
    path = made(tmp_path, [NAME, *others], *rows)
    document = Printed(path)
    captions = [text for page in range(len(document.pages)) for role, text in document.marked(page) if role == "Caption"]
    assert len(captions) > 3
    found = [
        re.fullmatch(r"Part (\d+) of (\d+): columns (\d+) to (\d+) of 201 \((.*)\)", caption) for caption in captions
    ]
    assert [int(match[1]) for match in found if match] == list(range(1, len(captions) + 1))
    assert [int(match[3]) - 1 for match in found[1:] if match] == [int(match[4]) for match in found[:-1] if match]
    assert found[0] is not None
    assert found[0][5].startswith("Account, Section 0")
    assert f"{captions[1]}\n" in plain_text(path, "-raw", "-f", "2", "-l", "2")


def test_a_part_of_a_zip_says_its_name(tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    write(extract(tmp_path, [NAME], ("Ada",), name="Identities"), path, rendering.ABOUT, READABLE)
    assert "Accounts: Identities" in first_page(checked(path))


def test_few_columns_are_printed_larger(tmp_path: Path) -> None:
    few = made(tmp_path, [NAME, MAIL], ("Ada", "ada@acme.example"))
    assert b"BT/R 1 Tf 9 0 0 9 " in Printed(few).content(0)
