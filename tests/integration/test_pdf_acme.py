"""Reports on examples/acme as PDF, through the API."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import httpx2
import pytest

from printed import Printed, plain_text
from support import Server, result_when_over

TEXTS = ("name", "displayName", "sourceName", "email", "nativeIdentity", "id", "account.id", "account.source.name")
"""Columns whose cells are the same in both."""


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx2.Client]:
    with server.http() as client:
        yield client


@pytest.mark.parametrize(
    ("report", "arguments"),
    [
        ("ACCOUNTS", {"sourceName": "Active Directory"}),
        ("IDENTITIES", {}),
        ("IDENTITIES_DETAILS", {}),
        ("ORPHAN_IDENTITIES", {}),
        ("UNCORRELATED_ACCOUNTS", {}),
    ],
)
def test_a_pdf_has_the_rows_of_the_csv(
    report: str, arguments: dict[str, str], http: httpx2.Client, tmp_path: Path
) -> None:
    body = {
        "reportType": report,
        "arguments": {**arguments, "selectedFormats": ["CSV", "PDF"], "detail": "complete"},
    }
    run = http.post("/v2025/reports/run", json=body).raise_for_status().json()
    result = result_when_over(http, run["id"])
    assert result["status"] == "SUCCESS", result
    text = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"}).raise_for_status().text
    answer = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "pdf"}).raise_for_status()
    assert answer.headers["content-type"] == "application/pdf"
    path = tmp_path / "report.pdf"
    path.write_bytes(answer.content)
    document = Printed(path)

    names, *rows = csv.reader(io.StringIO(text, newline=""))
    assert f"Rows {len(rows):,}" in plain_text(path, "-raw", "-l", "1")
    headers = [[name for role, name in document.marked(page) if role == "TH"] for page in range(len(document.pages))]
    panels = [some for some in headers if some]
    assert set(chain.from_iterable(panels)) == set(names)
    printed: list[list[str]] = [[] for _ in names]
    for page in range(len(document.pages)):
        cells = [cell for role, cell in document.marked(page) if role == "TD"]
        columns = panels[page % len(panels)]
        for place, name in enumerate(columns):
            if names.index(name) not in seen_before(panels, page % len(panels), names):
                printed[names.index(name)] += cells[place :: len(columns)]
    for place, name in enumerate(names):
        if name in TEXTS:
            assert printed[place] == [row[place] for row in rows], name


def seen_before(panels: list[list[str]], panel: int, names: list[str]) -> set[int]:
    """The columns that an earlier panel has shown."""
    return {names.index(name) for some in panels[:panel] for name in some}
