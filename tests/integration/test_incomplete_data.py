"""What loads left out is named by the runs on that data, and on the first page of their files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from support import whohas

HEADER = "sourceName,nativeIdentity,created\n"
ROWS = "".join(f"HR,{n},2024-01-01\n" for n in range(50))
TEXT = "Left out when the data was loaded: HR: 1 row rejected, 2 cells emptied."


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "accounts.csv").write_text(f"{HEADER}{ROWS}HR,,\nHR,a,soon\nHR,b,later\nAD,1,2024-01-01\n")
    return folder


def newest(home: Path) -> str:
    """The id of the newest run."""
    return json.loads(whohas(home, "runs", "--json", "--limit", "1").stdout)[0]["id"]


def test_runs_say_what_loads_left_out(home: Path, data: Path, tmp_path: Path) -> None:
    assert whohas(home, "load", data, "-q").returncode == 4
    assert whohas(home, "run", "UNCORRELATED_ACCOUNTS", "-q", "-o", tmp_path / "out.html").returncode == 0
    assert TEXT in (tmp_path / "out.html").read_text()
    run = newest(home)
    shown = whohas(home, "show", run).stdout
    assert f"INFO: {TEXT}" in shown and "State:     succeeded" in shown
    assert whohas(home, "download", run, "-o", tmp_path / "out.pdf").returncode == 0
    text = subprocess.run(["pdftotext", "-l", "1", tmp_path / "out.pdf", "-"], capture_output=True, text=True).stdout
    assert TEXT in " ".join(text.split())


def test_a_report_on_another_source_says_nothing(home: Path, data: Path, tmp_path: Path) -> None:
    whohas(home, "load", data, "-q")
    for source, left in (("AD", False), ("HR", True)):
        out = tmp_path / f"{source}.html"
        assert whohas(home, "run", "ACCOUNTS", "--arg", f"sourceName={source}", "-q", "-o", out).returncode == 0
        assert (TEXT in out.read_text()) == left


def test_a_whole_load_clears_what_was_left_out(home: Path, data: Path, tmp_path: Path) -> None:
    whohas(home, "load", data, "-q")
    (data / "accounts.csv").write_text("sourceName,nativeIdentity\nAD,1\n")
    assert whohas(home, "load", data, "-q").returncode == 0
    out = tmp_path / "out.html"
    whohas(home, "run", "UNCORRELATED_ACCOUNTS", "-q", "-o", out)
    assert TEXT in out.read_text()  # HR is as it was
    (data / "accounts.csv").write_text(HEADER + ROWS)
    assert whohas(home, "load", data, "-q").returncode == 0
    whohas(home, "run", "UNCORRELATED_ACCOUNTS", "-q", "-o", out)
    assert "Left out" not in out.read_text()


def test_accepted_losses_make_a_warning(home: Path, data: Path, tmp_path: Path) -> None:
    (data / "accounts.csv").write_text(f"{HEADER}HR,1,soon\nHR,2,later\nHR,3,never\n")
    assert whohas(home, "load", data, "-q").returncode == 3
    assert whohas(home, "load", data, "-q", "--accept-loss", "--allow-rejects").returncode == 0
    whohas(home, "run", "UNCORRELATED_ACCOUNTS", "-q", "-o", tmp_path / "out.csv")
    run = newest(home)
    shown = whohas(home, "show", run).stdout
    assert "WARN: Left out when the data was loaded: HR: 3 cells emptied." in shown and "State:     warned" in shown


def test_a_search_names_what_was_left_out(home: Path, data: Path, tmp_path: Path) -> None:
    whohas(home, "load", data, "-q")
    done = whohas(
        home, "run", "SEARCH_EXPORT", "--arg", "query=*", "--arg", "indices=identities", "-q", "-o", tmp_path / "o.zip"
    )
    assert done.returncode == 0
    run = newest(home)
    assert TEXT in whohas(home, "show", run).stdout
