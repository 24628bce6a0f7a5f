"""What the README says, done as it says it."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from patience import PATIENCE_SECONDS
from support import ROOT, Server, environment, whohas

BIN = Path(sys.executable).parent


def blocks() -> list[str]:
    # without those of a language, which other tests run
    found = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return [block for language, block in found if not language]


@pytest.mark.long
def test_the_demo_runs_twice_and_leaves_no_process(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for _ in range(2):
        demo = subprocess.run(
            [sys.executable, tmp_path / "examples" / "demo.py"],
            env=environment(tmp_path / "unused"), capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip
        assert demo.returncode == 0, demo.stderr
        assert "reports/Active Directory accounts.csv" in demo.stdout
        with (tmp_path / "reports" / "Active Directory accounts.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert f"{len(rows)} rows" in demo.stdout
        assert {row["sourceName"] for row in rows} == {"Active Directory"}
    assert not [
        process for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get("WHOHAS_HOME", "").startswith(str(tmp_path))
    ]  # fmt: skip


def run_block(part: str, home: Path, folder: Path) -> str:
    """Run the block that contains a text, with `whohas` of this environment on the path."""
    lines = next(block for block in blocks() if part in block)
    variables = environment(home)
    variables["PATH"] = f"{BIN}:{variables['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", lines], env=variables, capture_output=True, text=True, cwd=folder, timeout=PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_lines_of_curl_start_poll_and_download(server: Server, tmp_path: Path) -> None:
    run_block("oauth/token", server.home, tmp_path)
    with (tmp_path / "accounts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows and {row["sourceName"] for row in rows} == {"Active Directory"}


def test_a_report_runs_without_a_server(acme_home: Path, tmp_path: Path) -> None:
    output = run_block("-o accounts.csv\nwhohas search", acme_home, tmp_path)
    assert re.match(r"accounts\.csv: \d+ rows in [\d.]+ s \(run [0-9a-f]{32}\)\n", output)
    assert (tmp_path / "accounts.csv").stat().st_size > 0
    assert re.search(r"^\d+ found$", output, re.MULTILINE)


def test_every_command_of_the_readme_exists(home: Path) -> None:
    told = set(re.findall(r"(?m)(?:^|`)whohas ([a-z]+)", (ROOT / "README.md").read_text()))
    shown = whohas(home, "--help").stdout
    assert told and all(re.search(rf"(?m)^\W*{command} ", shown) for command in told)
