"""Records of loads: written and read, only the newest kept, damaged ones passed over, the command that repeats one."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from whohas.errors import NotFound
from whohas.warehouse import load_records
from whohas.warehouse.load_records import (
    LoadedFile,
    LoadedSource,
    LoadOutcome,
    LoadRecord,
    RejectedRecord,
    new_load_id,
    read_record,
    read_records,
    write_record,
)

RECORD = LoadRecord(
    id="0" * 32,
    ended=datetime(2026, 11, 29, 12, tzinfo=UTC),
    outcome=LoadOutcome.STOPPED,
    home="/srv/who has",
    paths=("/data/it's.csv",),
    options=("--strict",),
    losses=("a loss",),
    files=(LoadedFile("it's.csv", "accounts", 5, 1, 2),),
    sources=(LoadedSource("s", "HR", 3, 2, 1),),
    rejections=(RejectedRecord("it's.csv", 3, "", "no id"),),
)


def test_record_is_read_as_written(tmp_path: Path) -> None:
    write_record(tmp_path / "loads", RECORD)
    assert read_record(tmp_path / "loads", RECORD.id) == RECORD
    assert (tmp_path / "loads" / f"{RECORD.id}.json").stat().st_mode & 0o077 == 0


def test_only_newest_records_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_records, "KEPT", 3)
    for number in range(5):
        write_record(tmp_path, replace(RECORD, id=f"{number:032x}"))
    assert [int(record.id, 16) for record in read_records(tmp_path, 10)] == [4, 3, 2]
    assert [int(record.id, 16) for record in read_records(tmp_path, 1)] == [4]


def test_damaged_records_are_passed_over(tmp_path: Path) -> None:
    write_record(tmp_path, RECORD)
    for number, text in enumerate(("", "[]", "{}", '{"id": 1}'), start=1):
        (tmp_path / f"{number:032x}.json").write_text(text)
    (tmp_path / "notes.json").write_text("x")
    assert list(read_records(tmp_path, 10)) == [RECORD]


@pytest.mark.parametrize("id", ["", "x", "../audit", "1" * 32, "0" * 31])
def test_unknown_record_is_not_found(tmp_path: Path, id: str) -> None:
    write_record(tmp_path, RECORD)
    with pytest.raises(NotFound):
        read_record(tmp_path, id)


def test_command_can_be_pasted_into_a_shell() -> None:
    words = shlex.split(RECORD.command("--accept-loss"))
    assert words == ["WHOHAS_HOME=/srv/who has", "whohas", "load", "--strict", "--accept-loss", "/data/it's.csv"]
    assert new_load_id() > RECORD.id and len(new_load_id()) == 32
