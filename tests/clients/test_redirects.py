"""The official SDKs where a server redirects downloads to an object store: they follow, and send it no token."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sdk import go_program, python_sdk

from factories import link_copy
from gates import Gate, gated
from support import ACME, Server, result_when_over, serving

SCRIPTS = Path(__file__).parent / "scripts"
SOURCE = "Active Directory"
TWO_WAYS = (
    "400 Bad Request",
    b"<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism.</Message></Error>",
)

pytestmark = pytest.mark.client


@pytest.fixture(scope="module")
def server(acme_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that redirects to a store with another host name, which refuses a token beside a signature as S3 does."""
    home = tmp_path_factory.mktemp("redirecting") / "home"
    link_copy(acme_home / "warehouse", home)

    def with_token(environ: dict[str, Any]) -> bool:
        return environ.get("HTTP_AUTHORIZATION", "").startswith("Bearer")

    with ExitStack() as stack:
        store = stack.enter_context(gated(Gate(answers=lambda environ: TWO_WAYS if with_token(environ) else None)))
        address = store.endpoint.replace("127.0.0.1", "localhost")
        settings = {**store.files_in(store.new_bucket()), "AWS_ENDPOINT_URL": address}
        yield stack.enter_context(serving(home, **settings, WHOHAS_DOWNLOADS="redirect"))


@pytest.fixture(scope="module")
def source() -> str:
    sources = [json.loads(line) for line in (ACME / "sources.ndjson").read_text().splitlines()]
    return next(one["id"] for one in sources if one["name"] == SOURCE)


@pytest.fixture(scope="module")
def run(server: Server, source: str) -> dict[str, Any]:
    """A run, and the content of its file without an SDK."""
    with server.http() as http:
        body = {"reportType": "ACCOUNTS", "arguments": {"application": source, "sourceName": SOURCE}}
        run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
        assert result_when_over(http, run_id)["status"] == "SUCCESS"
        assert http.get(f"/v2025/reports/{run_id}?fileFormat=csv", follow_redirects=False).status_code == 307
        content = http.get(f"/v2025/reports/{run_id}?fileFormat=csv", follow_redirects=True).raise_for_status().text
    return {"id": run_id, "content": content}


@pytest.mark.parametrize("version", ["1.4.2", "2.1.72"])
def test_the_python_sdk_saves_the_file_of_the_store(
    server: Server, source: str, run: dict[str, Any], version: str, tmp_path: Path
) -> None:
    script = SCRIPTS / f"sailpoint_{version.replace('.', '_')}.py"
    done = subprocess.run(
        [python_sdk("sailpoint", version), script, source, SOURCE],
        env={"PATH": os.environ["PATH"], **server.sail},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (tmp_path / seen["default file"]).name == "Accounts Report.csv"
    assert (tmp_path / seen["default file"]).read_text() == run["content"]
    assert (tmp_path / seen["search file"]).read_bytes().startswith(b"PK")
    assert "307" not in done.stderr


@pytest.mark.xdist_group("go")
@pytest.mark.parametrize("version", ["v2", "v3"])
def test_the_go_sdk_reads_the_file_of_the_store(
    server: Server, run: dict[str, Any], version: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [go_program(version), "file", run["id"]],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **server.sail},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["status"] == 200
    assert base64.b64decode(seen["seen"]).decode() == run["content"]
