"""`whohas load`, as it is typed."""

from __future__ import annotations

import stat
from pathlib import Path

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


def run(*arguments: str | Path) -> str:
    app = typer.Typer()
    app.command()(load)
    result = CliRunner().invoke(
        app, [str(argument) for argument in arguments], catch_exceptions=False, env={"COLUMNS": "200"}
    )
    assert result.exit_code == 0, result.output
    return result.output


def test_it_says_what_was_loaded(folder: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD)
    output = run(folder)
    assert "AD" in output and "Published as snapshot 1" in output
    assert "columns that become attributes: shoe" in output


def test_it_says_what_was_rejected_and_where_that_is_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD + "AD,,44\n")
    output = run(folder)
    assert "1 rows were rejected; the others are loaded" in output
    assert "accounts.csv, line 4, column nativeIdentity: no nativeIdentity" in output
    (kept,) = (tmp_path / "home" / "rejects").iterdir()
    assert kept.name in output


def test_a_check_writes_nothing(folder: Path, tmp_path: Path) -> None:
    (folder / "accounts.csv").write_text(GOOD)
    assert "Nothing was written" in run(folder, "--check")
    assert not (tmp_path / "home").exists()


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
