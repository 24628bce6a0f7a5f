"""The files of a run: several of the same rows, one that is made later, and what becomes of wishes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook

from factories import many_accounts
from rendering import unzstd
from support import Server, result_when_over, serving, whohas
from whohas.formats.html.writer import MAX_ROWS

SOURCE = {"sourceName": "Nimbus CRM"}


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx2.Client]:
    with server.http() as client:
        yield client


def run(http: httpx2.Client, report: str = "ACCOUNTS", **arguments: Any) -> dict[str, Any]:
    given = {**(SOURCE if report == "ACCOUNTS" else {}), **arguments}
    started = http.post("/v2025/reports/run", json={"reportType": report, "arguments": given})
    return result_when_over(http, started.raise_for_status().json()["id"])


def fetch(http: httpx2.Client, run_id: object, format: str) -> httpx2.Response:
    return http.get(f"/v2025/reports/{run_id}", params={"fileFormat": format})


def ids(format: str, data: bytes) -> list[str]:
    match format:
        case "csv":
            return [row["id"] for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
        case "csv.gz":
            return ids("csv", gzip.decompress(data))
        case "csv.zst":
            return ids("csv", unzstd(data))
        case "json":
            return [row["id"] for row in json.loads(data)]
        case "ndjson":
            return [json.loads(line)["id"] for line in data.splitlines()]
        case "parquet":
            return pq.read_table(io.BytesIO(data)).column("id").to_pylist()
        case _:
            raise ValueError(format)


MACHINE = ("csv", "csv.gz", "csv.zst", "json", "ndjson", "parquet")


def test_all_files_of_a_run_have_equal_rows(http: httpx2.Client) -> None:
    wanted = [name.upper() for name in (*MACHINE, "pdf", "xlsx")]
    result = run(http, selectedFormats=wanted)
    assert result["status"] == "SUCCESS"
    assert set(result["availableFormats"]) == set(wanted)
    first, *others = [ids(format, fetch(http, result["id"], format).content) for format in MACHINE]
    assert len(first) == result["rows"] == len(set(first))
    assert all(other == first for other in others)


def test_each_file_says_what_it_is(http: httpx2.Client) -> None:
    result = run(http, selectedFormats=["PDF", "XLSX", "JSON", "CSV.GZ", "CSV.ZST"])
    for format, media_type, begin in (
        ("pdf", "application/pdf", b"%PDF-1.7"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", b"PK"),
        ("json", "application/json", b"["),
        ("csv.gz", "application/gzip", b"\x1f\x8b"),
        ("csv.zst", "application/zstd", b"\x28\xb5\x2f\xfd"),
    ):
        answer = fetch(http, result["id"], format)
        assert answer.headers["Content-Type"] == media_type
        assert f'filename="Accounts Report.{format}"' in answer.headers["Content-Disposition"]
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        assert answer.content.startswith(begin)


def test_a_missing_format_is_made_once_from_the_kept_rows(http: httpx2.Client, server: Server) -> None:
    result = run(http, selectedFormats=["CSV", "PDF"], csvSeparator="|")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: fetch(http, result["id"], "ndjson"), range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.headers["ETag"] for answer in answers}) == 1
    made = list((server.home / "artefacts" / str(result["id"])).glob("*.ndjson"))
    assert len(made) == 1, "four requests, one file"
    kept = fetch(http, result["id"], "csv").text
    rows = list(csv.DictReader(io.StringIO(kept, newline=""), delimiter="|"))
    assert ids("ndjson", answers[0].content) == [row["id"] for row in rows]
    packed = fetch(http, result["id"], "csv.gz")
    assert gzip.decompress(packed.content).decode() == kept, "the wishes of the run hold for what is made later"


def test_a_csv_run_keeps_no_rows_and_renders_its_snapshot(http: httpx2.Client, server: Server) -> None:
    result = run(http, selectedFormats=["CSV"])
    answer = fetch(http, result["id"], "xlsx").raise_for_status()
    sheet = load_workbook(io.BytesIO(answer.content)).worksheets[1]
    found = [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert sorted(found) == sorted(ids("csv", fetch(http, result["id"], "csv").content))
    made = sorted(path.name.partition(".")[2] for path in (server.home / "artefacts" / str(result["id"])).iterdir())
    assert made == ["csv", "xlsx"], "nothing else is left behind"


def test_the_extracted_rows_are_no_requestable_format(http: httpx2.Client) -> None:
    result = run(http, selectedFormats=["CSV", "PDF"])
    assert fetch(http, result["id"], "extract").status_code == 400
    assert "EXTRACT" not in result["availableFormats"]


def test_a_search_export_is_a_zip_in_each_format(http: httpx2.Client) -> None:
    result = run(
        http, "SEARCH_EXPORT", query="*", indices=["identities", "roles"], columns="id,name",
        selectedFormats=["CSV", "PARQUET", "JSON", "PDF"],
    )  # fmt: skip
    assert result["status"] == "SUCCESS", result
    rows: dict[str, int] = {}
    for format in ("csv", "parquet", "json", "pdf"):
        answer = fetch(http, result["id"], format)
        assert answer.headers["Content-Type"] == "application/zip"
        assert 'filename="Search Export.zip"' in answer.headers["Content-Disposition"]
        with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
            assert file.namelist() == [f"Identities.{format}", f"Roles.{format}"]
            assert file.testzip() is None
            if format != "pdf":
                rows[format] = sum(len(ids(format, file.read(name))) for name in file.namelist())
    assert set(rows.values()) == {result["rows"]}
    later = fetch(http, result["id"], "ndjson")
    with zipfile.ZipFile(io.BytesIO(later.content)) as file:
        assert sum(len(ids("ndjson", file.read(name))) for name in file.namelist()) == result["rows"]


@pytest.mark.parametrize("report", ["ORPHAN_IDENTITIES", "UNCORRELATED_ACCOUNTS", "IDENTITIES"])
def test_csv_and_pdf_are_made_where_nothing_is_selected(http: httpx2.Client, report: str) -> None:
    assert run(http, report)["availableFormats"] == ["CSV", "PDF"]
    assert run(http, report, selectedFormats=["pdf"])["availableFormats"] == ["PDF"]


def test_how_a_csv_is_written_can_be_chosen(http: httpx2.Client) -> None:
    result = run(http, selectedFormats="csv", csvSeparator="tab", csvBom=True, csvDisarm="true")
    data = fetch(http, result["id"], "csv").content
    assert data.startswith("\ufeffid\tnativeIdentity\t".encode())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"selectedFormats": ["DOCX"]}, "There is no format 'DOCX'"),
        ({"selectedFormats": {"CSV": True}}, "must be a list of formats"),
        ({"selectedFormats": [1]}, "must be a list of formats"),
        ({"selectedFormats": ["extract"]}, "There is no format 'extract'"),
        ({"csvSeparator": ";;"}, "csvSeparator must be one character"),
        ({"csvSeparator": '"'}, "csvSeparator must be one character"),
        ({"csvSeparator": "\n"}, "csvSeparator must be one character"),
        ({"csvBom": "maybe"}, "csvBom must be true or false"),
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        ({"timeZone": "../../etc/passwd"}, "timeZone"),
        ({"timeZone": 1}, "timeZone must be a text"),
        ({"pageSize": "A0"}, "pageSize must be A4 or Letter"),
    ],
)
def test_a_wrong_output_option_is_a_400_with_the_reason(
    http: httpx2.Client, arguments: dict[str, Any], says: str
) -> None:
    answer = http.post("/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": {**SOURCE, **arguments}})
    assert answer.status_code == 400
    assert says in answer.json()["messages"][0]["text"]


def test_wishes_make_another_run_and_defaults_do_not(http: httpx2.Client) -> None:
    def key(**arguments: Any) -> str:
        body = {"reportType": "ACCOUNTS", "arguments": {**SOURCE, **arguments}}
        return http.post("/v2025/reports/run", json=body).json()["id"]

    first = run(http)["id"]
    said = run(http, selectedFormats=["PDF", "csv"], csvSeparator=",", pageSize="a4")["id"]
    body = {"completed": "true"}
    newest = http.get(f"/v2025/reports/{first}/result", params=body).json()
    assert newest["id"] == first
    other = key(pageSize="Letter")
    assert other not in (first, said)
    result_when_over(http, other)


def test_a_large_report_is_printed_only_on_request(own_home: Path, tmp_path: Path) -> None:
    with serving(own_home, WHOHAS_PRINT_ROWS="100", WHOHAS_KEEP_EXTRACTS="false") as server, server.http() as http:
        assert run(http)["availableFormats"] == ["CSV"]
        assert run(http, sourceName="Ledger Database")["rows"] > 0
        asked = run(http, selectedFormats=["CSV", "PDF"])
        assert asked["availableFormats"] == ["CSV", "PDF"]
        kept = sorted(path.suffix for path in (own_home / "artefacts" / str(asked["id"])).iterdir())
        assert kept == [".csv", ".pdf"], "extracts are not kept where the setting says so"
        assert fetch(http, asked["id"], "xlsx").status_code == 200
        kept = sorted(path.suffix for path in (own_home / "artefacts" / str(asked["id"])).iterdir())
        assert kept == [".csv", ".pdf", ".xlsx"]
        done = whohas(own_home, "run", "ACCOUNTS", "-a", "sourceName=Nimbus CRM", "-o", tmp_path / "a.xlsx")
        assert done.returncode == 0, done.stderr
        assert zipfile.is_zipfile(tmp_path / "a.xlsx"), "the format is as the name ends"


def test_a_page_made_later_says_that_it_has_some_rows(home: Path) -> None:
    many_accounts(home / "warehouse", MAX_ROWS + 1)
    with serving(home) as server, server.http() as http:
        result = run(http, sourceName=None, application="big", selectedFormats=["PARQUET", "CSV"])
        assert result["messages"] == []
        assert fetch(http, result["id"], "html").status_code == 200
        (message,) = http.get(f"/v2025/reports/{result['id']}/result").json()["messages"]
        assert "shows the first" in str(message)


@pytest.mark.long
def test_progress_rises_while_a_file_is_written(big_home: Path) -> None:
    body = {
        "reportType": "ACCOUNTS",
        "arguments": {"application": "big", "selectedFormats": ["CSV", "PDF", "XLSX", "NDJSON"]},
    }
    with serving(big_home) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
        seen: list[tuple[int, str]] = []
        while (result := http.get(f"/v2025/reports/{run_id}/result").json())["status"] is None:
            seen.append((result["percentComplete"], result["progress"]))
            time.sleep(0.02)  # the run's process is nicer than this one, and would wait for it
        assert result["status"] == "SUCCESS", result["messages"]
    percents = [percent for percent, _ in seen]
    assert percents == sorted(percents)
    phases = [text.split(",")[0] for _, text in seen]
    for phase in ("Extracting", "Writing the PDF", "Writing the XLSX"):
        moves = {percent for percent, text in seen if text.startswith(phase)}
        assert len(moves) > 1, f"{phase} stood still: {moves}"
        assert any("rows" in text for _, text in seen if text.startswith(phase))
    assert list(dict.fromkeys(phases)) == [phase for n, phase in enumerate(phases) if phase not in phases[:n]]
