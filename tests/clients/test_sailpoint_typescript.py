"""The official TypeScript SDK, unmodified from npm: it starts, polls, downloads and cancels against our server."""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sdk import typescript_sdk

from support import ACME, Server

NEWEST = "1.4.15"
SCRIPT = Path(__file__).parent / "scripts" / "typescript.js"

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def all_seen(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the script saw, by API version."""
    modules = typescript_sdk("sailpoint-api-client", NEWEST) / "node_modules"
    node = shutil.which("node")
    assert node is not None
    sources = [json.loads(line) for line in (ACME / "sources.ndjson").read_text().splitlines()]
    source = next(one for one in sources if one["name"] == "Active Directory")
    folder = tmp_path_factory.mktemp("cwd")
    done = subprocess.run(
        [node, SCRIPT, source["id"], source["name"]],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "NODE_PATH": str(modules), **server.sail},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(params=["v3", "v2024"])
def seen(request: pytest.FixtureRequest, all_seen: dict[str, Any]) -> dict[str, Any]:
    return all_seen[request.param]


def test_a_start_gives_the_task_and_polling_ends(seen: dict[str, Any]) -> None:
    assert (seen["start"]["reportType"], seen["start"]["launcher"]) == ("ACCOUNTS", "dev")
    assert (seen["result"]["id"], seen["result"]["status"]) == (seen["start"]["id"], "SUCCESS")


def test_a_csv_is_a_text_and_a_pdf_is_bytes(seen: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(seen["file"], newline="")))
    assert len(rows) == seen["result"]["rows"] > 10
    assert seen["pdf"] == "%PDF-"


def test_a_name_with_a_path_in_it_becomes_a_name(seen: dict[str, Any]) -> None:
    quoted = seen["disposition"].split('filename="')[1].split('"')[0]
    assert "/" not in quoted
    assert ".." not in quoted
    assert quoted.isascii()
    assert quoted.endswith(".csv")


def test_a_search_is_a_zip(seen: dict[str, Any]) -> None:
    assert seen["search"]["attributes"]["queryParams"]["query"] == "name:a*"
    assert seen["zipType"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(seen["zip"]))) as file:
        text = file.read("Identities.csv").decode()
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == seen["searchResult"]["rows"] + 1


def test_a_cancel_is_a_204_or_a_404(seen: dict[str, Any]) -> None:
    assert seen["cancel"] == 204
    assert (seen["unknown"]["status"], seen["unknown"]["body"]["detailCode"]) == (404, "404 Not found")
