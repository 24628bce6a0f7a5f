"""`whohas load`, as it is typed."""

from __future__ import annotations

import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from whohas.cli.load import load
from whohas.errors import InvalidArguments

GOOD = "sourceName,nativeIdentity,shoe\nAD,1,42\nAD,2,43\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHOHAS_HOME", str(tmp_path / "home"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def run(*arguments: str | Path, code: int = 0) -> str:
    app = typer.Typer()
    app.command()(load)
    result = CliRunner().invoke(
        app, [str(argument) for argument in arguments], catch_exceptions=False, env={"COLUMNS": "200"}
    )
    assert result.exit_code == code, result.output
    return result.output


def events(home: Path) -> list[dict[str, Any]]:
    """The events of the audit log's outbox, in their order."""
    with sqlite3.connect(home / "whohas.db") as database:
        return [json.loads(row[0]) for row in database.execute("SELECT event FROM audit_event ORDER BY number")]


def test_it_says_what_was_loaded(folder: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD)
    output = run(folder)
    assert "AD" in output and "Published as snapshot 1" in output
    assert "columns that become attributes: shoe" in output


def test_it_says_what_was_rejected_and_where_that_is_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD + "AD,,44\n")
    output = run(folder, code=4)
    assert "1 row was rejected; the others are loaded" in output
    assert "accounts.csv, line 4, column nativeIdentity: no nativeIdentity" in output
    (kept,) = (tmp_path / "home" / "rejects").iterdir()
    assert kept.name in output


def test_a_check_writes_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD)
    assert "Nothing was written" in run(folder, "--check")
    assert not (tmp_path / "home").exists()


def test_emptied_cells_are_printed_with_their_values(folder: Path) -> None:
    (folder / "accounts.csv").write_text("sourceName,nativeIdentity,created\nAD,1,2024-01-01\nAD,2,soon\n")
    output = run(folder, code=4)
    assert "1 cell could not be read and is empty now; its row is loaded" in output
    assert "accounts.csv, line 3, column created: 'soon' is no time" in output


def test_allowed_rejects_exit_with_0(folder: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD + "AD,,44\n")
    assert "1 row was rejected" in run(folder, "--allow-rejects")


def test_quiet_prints_what_was_lost(folder: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD + "AD,,44\n")
    output = run(folder, "-q", code=4)
    assert output.startswith("1 row was rejected") and "Published" not in output


def test_a_load_that_would_empty_a_source_stops(folder: Path, tmp_path: Path) -> None:
    (folder / "accounts.csv").write_text("sourceName,nativeIdentity,created\n" + "AD,1,2015-03-01\n")
    run(folder)
    (folder / "accounts.csv").write_text("sourceName,nativeIdentity,created\n" + "AD,2,01.03.2015\n")
    assert "would be stopped to protect data" in run(folder, "--check", code=3)
    for quiet in ([], ["-q"]):
        output = run(folder, *quiet, code=3)
        assert "The load was stopped to protect data" in output and "load again with --accept-loss" in output
        assert (
            "1 of 1 filled cell cannot be read" in output
            and "1 of 1 row is in no file of this load and would be removed" in output
        )
    assert "now" in run(folder, "--accept-loss", code=4)
    types = [event["type"] for event in events(tmp_path / "home")]
    assert types == [
        "whohas.data.loaded",
        *["whohas.load.stopped"] * 2,
        "whohas.data.loaded",
        "whohas.load.loss_accepted",
    ]
    stopped, accepted = events(tmp_path / "home")[1], events(tmp_path / "home")[-1]
    assert stopped["data"]["outcome"] == "stopped" and stopped["data"]["actor"]["kind"] == "operator"
    assert len(stopped["data"]["losses"]) == len(accepted["data"]["losses"]) == 2


def test_the_limits_of_loads_are_settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"AD,{n},{'soon' if n < 10 else '2024-01-01'}\n" for n in range(100))
    (folder / "accounts.csv").write_text(f"sourceName,nativeIdentity,created\n{rows}")
    run(folder, "--check", code=3)
    monkeypatch.setenv("WHOHAS_LOAD_UNREADABLE_PERCENT", "10")
    run(folder, "--check", code=4)


def test_quiet_is_quiet(folder: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD)
    assert run(folder, "--quiet") == ""


def test_strict_ends_with_the_error(folder: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD + "AD,,44\n")
    with pytest.raises(InvalidArguments, match="line 4"):
        run(folder, "--strict")


def test_the_home_folder_is_its_owners_alone(folder: Path, tmp_path: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD)
    run(folder, "--check")
    assert not (tmp_path / "home").exists()
    run(folder)
    assert stat.S_IMODE((tmp_path / "home").stat().st_mode) == 0o700
