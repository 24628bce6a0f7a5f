"""The official Python SDK, unmodified from PyPI: it starts, polls, downloads and cancels against our server."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sdk import python_sdk

from support import ACME, Server, result_when_over, serving, whohas

SCRIPTS = Path(__file__).parent / "scripts"
SOURCE = "Active Directory"
VERSIONS = {"1.4.2": "sailpoint_1_4_2.py", "2.1.72": "sailpoint_2_1_72.py"}

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def accounts(server: Server) -> list[dict[str, str]]:
    """The rows of the report, fetched without any SDK."""
    with server.http() as http:
        body = {"reportType": "ACCOUNTS", "arguments": {"sourceName": SOURCE}}
        run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
        result_when_over(http, run_id)
        text = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).raise_for_status().text
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture(scope="module", params=list(VERSIONS))
def seen(
    request: pytest.FixtureRequest,
    server: Server,
    accounts: list[dict[str, str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Any]:
    """What the script of an SDK's version saw, and the folder that it ran in."""
    python = python_sdk("sailpoint", request.param)
    folder = tmp_path_factory.mktemp("cwd")
    done = subprocess.run(
        [python, SCRIPTS / VERSIONS[request.param], accounts[0]["sourceId"], SOURCE],
        env={"PATH": os.environ["PATH"], **server.sail},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return {**json.loads(done.stdout.splitlines()[-1]), "folder": folder}


def test_a_start_gives_the_task(seen: dict[str, Any]) -> None:
    start = seen["start"]
    assert len(start["id"]) == 32
    assert (start["type"], start["reportType"], start["launcher"]) == ("QUEUED_TASK", "ACCOUNTS", "dev")
    assert start["completionStatus"] is None


def test_polling_ends_with_the_result(seen: dict[str, Any], accounts: list[dict[str, str]]) -> None:
    result = seen["result"]
    assert (result["id"], result["status"]) == (seen["start"]["id"], "SUCCESS")
    assert (result["rows"], result["availableFormats"]) == (len(accounts), ["CSV", "PDF"])


def test_a_file_is_saved_in_the_working_folder(seen: dict[str, Any], accounts: list[dict[str, str]]) -> None:
    folder: Path = seen["folder"]
    assert Path(seen["file"]) == folder / "Directory accounts.csv"
    assert Path(seen["default file"]) == folder / "Accounts Report.csv"
    with (folder / "Directory accounts.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == accounts
    assert len(list(folder.iterdir())) == 4


def test_a_search_is_saved_as_a_zip(seen: dict[str, Any]) -> None:
    assert seen["search"]["attributes"]["queryParams"]["query"] == "name:a* AND @access(type:ROLE)"
    result = seen["search result"]
    assert (result["status"], result["availableFormats"]) == ("SUCCESS", ["CSV"])
    assert Path(seen["search file"]) == seen["folder"] / "Search Export.zip"
    with zipfile.ZipFile(seen["search file"]) as file:
        (name,) = file.namelist()
        rows = list(csv.DictReader(io.StringIO(file.read(name).decode())))
    assert name == "Identities.csv"
    assert len(rows) == result["rows"] > 50
    names = [row["name"] for row in rows]
    assert names == sorted(names, reverse=True)
    assert {row["access.type"] for row in rows} == {"ROLE", "ACCESS_PROFILE", "ENTITLEMENT"}


def test_a_run_is_cancelled(seen: dict[str, Any]) -> None:
    assert seen["cancel"] == 204
    assert seen["cancelled"] in ("TERMINATED", "SUCCESS"), "it may be over before the cancel arrives"


def test_arguments_that_from_json_loses_are_explained(seen: dict[str, Any]) -> None:
    refused = seen["from_json"]
    text = refused["body"]["messages"][0]["text"]
    assert refused["status"] == 400
    assert "query" in text
    assert "from_json" in text


def test_an_unknown_run_is_the_contracts_404(seen: dict[str, Any]) -> None:
    unknown = seen["unknown"]
    assert (unknown["status"], unknown["body"]["detailCode"]) == (404, "404 Not found")


def test_a_pdf_is_saved_without_the_path_in_its_name(seen: dict[str, Any]) -> None:
    file = Path(seen["pdf"]["file"])
    assert (file.parent, file.suffix, seen["pdf"]["type"]) == (seen["folder"], ".pdf", "application/pdf")
    assert file.read_bytes().startswith(b"%PDF-")


def test_ids_that_are_none_are_a_404(seen: dict[str, Any]) -> None:
    assert seen["odd ids"] == [404, 404, 404]


def test_a_wrong_secret_ends_in_an_error_of_the_sdk(seen: dict[str, Any]) -> None:
    assert seen["wrong secret"] in (401, "TypeError"), "it prints that it got no token and goes on with None"


def test_a_client_that_polls_too_often_waits_as_told(
    tmp_path: Path,
) -> None:
    python = python_sdk("sailpoint", "2.1.72")
    home = tmp_path / "home"
    assert whohas(home, "load", ACME).returncode == 0
    with serving(home, WHOHAS_RATE_LIMIT="5") as server:
        done = subprocess.run(
            [python, SCRIPTS / "sailpoint_many.py", "7"],
            env={"PATH": os.environ["PATH"], **server.sail, "SAIL_BASE_URL": f"{server.url}/"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr + done.stdout
    many = json.loads(done.stdout.splitlines()[-1])
    assert many["waited"] > 3, "it slept on Retry-After and got its answer"
    assert (many["refused"]["status"], set(many["refused"]["body"])) == (429, {"message"})
    assert 1 <= int(many["refused"]["retry"]) <= 10
