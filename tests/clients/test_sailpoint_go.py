"""The official Go SDK, unmodified: the examples of its page on reports, with ids put in."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import subprocess
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sdk import go_program

from support import ACME, Server

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("go")]


class Go:
    """The examples of one version of the SDK, each run as a program of its own."""

    def __init__(self, program: Path, server: Server, folder: Path) -> None:
        self.program, self.server, self.folder = program, server, folder

    def __call__(self, *arguments: str, **environment: str) -> dict[str, Any]:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.server.sail, **environment}
        command = [self.program, *arguments]
        done = subprocess.run(command, env=env, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout.splitlines()[-1])

    def until_over(self, run_id: str) -> dict[str, Any]:
        while (result := self("result", run_id)["seen"]).get("status") is None:
            time.sleep(0.1)
        return result


@pytest.fixture(scope="module", params=["v2", "v3"])
def go(request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Go:
    return Go(go_program(request.param), server, tmp_path_factory.mktemp("cwd"))


@pytest.fixture(scope="module")
def source() -> str:
    sources = [json.loads(line) for line in (ACME / "sources.ndjson").read_text().splitlines()]
    return next(one["id"] for one in sources if one["name"] == "Active Directory")


@pytest.fixture(scope="module")
def run(go: Go, source: str) -> dict[str, Any]:
    started = go("start", source, "Active Directory")
    assert (started["status"], started["seen"]["reportType"]) == (200, "ACCOUNTS")
    return started["seen"]


def test_a_start_returns_all_that_the_sdk_decodes(run: dict[str, Any]) -> None:
    assert len(run["id"]) == 32
    assert (run["type"], run["launcher"], run["completionStatus"]) == ("QUEUED_TASK", "dev", None)
    assert run["created"].startswith("20"), "a time that it cannot read would be year 1"


def test_polling_ends_with_the_result(go: Go, run: dict[str, Any]) -> None:
    result = go.until_over(run["id"])
    assert (result["id"], result["status"]) == (run["id"], "SUCCESS")
    assert result["rows"] > 10
    assert "CSV" in result["availableFormats"]
    assert go("completed result", run["id"])["seen"]["id"] == run["id"]


@pytest.mark.parametrize(
    ("example", "name"), [("file", "Accounts Report"), ("named file", "Identities Details Report")]
)
def test_the_file_is_the_same_as_without_the_sdk(
    go: Go, run: dict[str, Any], server: Server, example: str, name: str
) -> None:
    result = go.until_over(run["id"])
    got = go(example, run["id"])
    content = base64.b64decode(got["seen"])
    with server.http() as http:
        assert content == http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"}).content
    assert len(list(csv.reader(io.StringIO(content.decode(), newline="")))) == result["rows"] + 1
    assert f'filename="{name}.csv"' in got["disposition"]


def test_a_search_keeps_its_arguments_and_gives_a_zip(go: Go) -> None:
    started = go("search", "-")["seen"]
    assert started["attributes"]["queryParams"]["query"] == "name:a* AND @access(type:ROLE)"
    assert go.until_over(started["id"])["status"] == "SUCCESS"
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(go("file", started["id"])["seen"]))) as file:
        assert file.namelist() == ["Identities.csv"]


def test_a_cancel_is_a_204_even_after_the_end(go: Go, run: dict[str, Any]) -> None:
    go.until_over(run["id"])
    cancelled = go("cancel", run["id"])
    assert (cancelled["status"], cancelled.get("error")) == (204, None)


def test_an_unknown_run_is_an_error_with_the_contracts_body(go: Go) -> None:
    unknown = go("result", "0" * 32)
    assert unknown["status"] == 404
    assert json.loads(unknown["body"])["detailCode"] == "404 Not found"


def test_a_wrong_secret_is_a_401_and_not_retried(go: Go) -> None:
    refused = go("result", "0" * 32, SAIL_CLIENT_SECRET="wrong")
    assert refused["status"] == 401


def test_a_base_url_with_a_slash_at_its_end_works(go: Go, run: dict[str, Any], server: Server) -> None:
    assert go("result", run["id"], SAIL_BASE_URL=f"{server.url}/")["status"] == 200
