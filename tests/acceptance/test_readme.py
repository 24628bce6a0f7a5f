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
from support import ACME, ROOT, Server, environment, whohas

BIN = Path(sys.executable).parent


def blocks() -> list[str]:
    return re.findall(r"```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.long
def test_the_demo_runs_twice_ends_by_itself_and_leaves_no_process(tmp_path: Path) -> None:
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


def test_the_shell_lines_for_scripts_start_a_run(server: Server, tmp_path: Path) -> None:
    lines = next(block for block in blocks() if "oauth/token" in block)
    done = subprocess.run(
        ["bash", "-euc", lines], env=environment(server.home), capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert '"reportType":"ACCOUNTS"' in done.stdout


def test_a_report_runs_without_a_server(home: Path, tmp_path: Path) -> None:
    assert whohas(home, "load", ACME).returncode == 0
    line = next(block for block in blocks() if "-o accounts.csv" in block).replace(".venv/bin", str(BIN))
    done = subprocess.run(
        ["bash", "-euc", line],
        env=environment(home),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"accounts\.csv: \d+ rows in [\d.]+ s \(run [0-9a-f]{32}\)\n", done.stdout)
    assert (tmp_path / "accounts.csv").stat().st_size > 0


def test_every_command_of_the_readme_exists(home: Path) -> None:
    told = set(re.findall(r"`whohas ([a-z]+)", (ROOT / "README.md").read_text()))
    shown = whohas(home, "--help").stdout
    assert told and all(re.search(rf"(?m)^\W*{command} ", shown) for command in told)
