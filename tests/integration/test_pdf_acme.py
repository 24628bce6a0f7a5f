"""Reports on examples/acme as PDF, through the API."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import httpx2
import pytest

from content_streams import checked
from printed import Printed, plain_text
from support import Server, result_when_over
from verapdf_jars import judged

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


REPORTS = (
    ("ACCOUNTS", {"sourceName": "Active Directory"}),
    ("IDENTITIES", {}),
    ("IDENTITIES_DETAILS", {}),
    ("IDENTITY_PROFILE_IDENTITY_ERROR", {"authoritativeSource": "f5b3ed1f1c701670e79ca8d8b9427d4f"}),
    ("ORPHAN_IDENTITIES", {}),
    ("SEARCH_EXPORT", {"query": "*"}),
    ("UNCORRELATED_ACCOUNTS", {}),
)


def made_pdfs(http: httpx2.Client, folder: Path, report: str, arguments: Mapping[str, object]) -> list[Path]:
    """The readable PDFs of a run; those of all parts of a zip."""
    body = {"reportType": report, "arguments": {**arguments, "selectedFormats": ["PDF"]}}
    run = http.post("/v2025/reports/run", json=body).raise_for_status().json()
    result = result_when_over(http, run["id"])
    assert result["status"] == "SUCCESS", result
    content = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "pdf"}).raise_for_status().content
    if not content.startswith(b"PK"):
        (folder / f"{report}.pdf").write_bytes(content)
        return [folder / f"{report}.pdf"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder / report)
    return sorted((folder / report).glob("*.pdf"))


@pytest.mark.parametrize(("report", "arguments"), REPORTS)
def test_a_readable_pdf_begins_with_its_summary(
    report: str, arguments: dict[str, str], http: httpx2.Client, tmp_path: Path
) -> None:
    paths = made_pdfs(http, tmp_path, report, arguments)
    assert len(paths) == (6 if report == "SEARCH_EXPORT" else 1)
    for path in paths:
        document = Printed(checked(path))
        roles = [role for role, _ in document.marked(0)]
        assert "Figure" in roles
        assert all(element["/Alt"].startswith("u:") for element in document.elements("Figure"))
        headers = [text for page in range(len(document.pages)) for role, text in document.marked(page) if role == "TH"]
        assert not {"id", "sourceId", "identityId"}.intersection(headers)
        assert "Rows rejected at load" in plain_text(path, "-raw", "-l", "1")


def test_details_are_a_list_of_persons_with_their_accounts(http: httpx2.Client, tmp_path: Path) -> None:
    body = {"reportType": "IDENTITIES_DETAILS", "arguments": {"selectedFormats": ["CSV", "PDF"]}}
    run = http.post("/v2025/reports/run", json=body).raise_for_status().json()
    assert result_when_over(http, run["id"])["status"] == "SUCCESS"
    text = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"}).raise_for_status().text
    path = tmp_path / "details.pdf"
    path.write_bytes(http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "pdf"}).raise_for_status().content)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    document = Printed(checked(path))
    persons = list(dict.fromkeys((row["displayName"], row["id"]) for row in rows))
    assert [one["title"] for one in document.outlines] == [name for name, _ in persons]
    columns = [text for role, text in document.marked(0) if role == "TH"].index(persons[0][0])
    accounts = [cells[0] for cells in document.cells([columns])]
    assert accounts == [row["account.name"] for row in rows]


@pytest.mark.engine
def test_verapdf_finds_nothing_in_any_report(http: httpx2.Client, tmp_path: Path) -> None:
    paths = [path for report, arguments in REPORTS for path in made_pdfs(http, tmp_path, report, arguments)]
    documents = [(standard, path) for path in paths for standard in ("2a", "ua1")]
    assert judged(*documents) == [f"{standard} PASS" for standard, _ in documents]


def seen_before(panels: list[list[str]], panel: int, names: list[str]) -> set[int]:
    """The columns that an earlier panel has shown."""
    return {names.index(name) for some in panels[:panel] for name in some}
