"""PostgreSQL is found whatever its version and wherever the distribution puts it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.postgresql import programs


def install(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in ("initdb", "postgres"):
        (folder / name).touch(mode=0o755)
    return folder


@pytest.fixture(autouse=True)
def nothing_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_the_newest_version_is_found(tmp_path: Path) -> None:
    for version in ("9.6", "15", "18"):
        install(tmp_path / "usr/lib/postgresql" / version / "bin")
    assert programs(tmp_path) == tmp_path / "usr/lib/postgresql/18/bin"


def test_a_folder_of_red_hat_is_found(tmp_path: Path) -> None:
    folder = install(tmp_path / "usr/pgsql-17/bin")
    assert programs(tmp_path) == folder


def test_the_path_comes_first(tmp_path: Path) -> None:
    install(tmp_path / "usr/lib/postgresql/18/bin")
    folder = install(tmp_path / "bin")
    assert programs(tmp_path) == folder


def test_a_client_alone_is_no_server(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/postgresql/18/bin").mkdir(parents=True)
    (tmp_path / "usr/lib/postgresql/18/bin/psql").touch()
    assert programs(tmp_path) is None
