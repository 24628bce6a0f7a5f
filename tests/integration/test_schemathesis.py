"""Schemathesis sends what our own description allows, and what it forbids: no answer is unforeseen or a fault."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from chance import seed
from patience import PATIENCE_SECONDS
from support import Server

EXAMPLES = 25
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)


@pytest.mark.property
@pytest.mark.parametrize(
    "paths",
    ["^/v2025/reports", *(pytest.param(path, marks=pytest.mark.long) for path in ("^/reports/v1", "^/oauth/token$"))],
)
def test_every_answer_is_as_described(server: Server, tmp_path: Path, paths: str) -> None:
    program = Path(sys.executable).parent / "schemathesis"
    done = subprocess.run(
        [
            program, "run", f"{server.url}/openapi.json",
            "--header", f"Authorization: Bearer {server.token()}",
            "--include-path-regex", paths,
            "--phases", "examples,coverage,fuzzing",
            "--checks", ",".join(CHECKS),
            "--max-examples", str(EXAMPLES),
            "--seed", str(seed(6)),
            "--workers", "1",
            "--no-color",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
    tested = re.search(r"([\d,]+) generated", done.stdout)
    assert tested is not None, done.stdout[-3_000:]
    assert int(tested[1].replace(",", "")) > EXAMPLES
