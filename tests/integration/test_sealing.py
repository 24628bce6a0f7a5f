"""The seal of a file: its length and its SHA-256 are those of the bytes that lie on the disk."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from pathlib import Path

import pytest

from whohas.engine.duckdb import open_duckdb
from whohas.engine.sql import string_literal
from whohas.execution import digest
from whohas.execution.digest import FileDigest

LONG = b"who has what?\n" * 300_000


def true_seal(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def never_read_again(*_: object) -> None:
    raise AssertionError("the file is read a second time")


@pytest.mark.parametrize(
    "content",
    [b"", b"a", LONG, b"\0", LONG + b"\0" + LONG, b"\0" * (3 << 20)],
    ids=["nothing", "a byte", "several blocks", "a zero", "a zero amid", "nothing but zeros"],
)
@pytest.mark.parametrize("there", [None, b"of an earlier attempt" * 1000])
def test_what_is_written_is_sealed_without_reading_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, there: bytes | None
) -> None:
    path = tmp_path / "file"
    if there is not None:
        path.write_bytes(there)
    one = FileDigest(path)
    with one.while_writing():
        path.write_bytes(content)
    sealed = true_seal(path)
    monkeypatch.setattr(hashlib, "file_digest", never_read_again)
    assert path.read_bytes() == content
    assert one.finalize() == sealed


def test_a_preallocated_file_is_hashed_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    half = len(LONG) // 2
    one = FileDigest(path)
    with one.while_writing(), path.open("wb") as file:
        for begin, end in ((half, len(LONG)), (100, half), (0, 100)):
            os.pwrite(file.fileno(), LONG[begin:end], begin)
            time.sleep(0.1)
    assert path.read_bytes() == LONG
    monkeypatch.setattr(hashlib, "file_digest", never_read_again)
    assert one.finalize() == {"bytes": len(LONG), "sha256": hashlib.sha256(LONG).hexdigest()}


def test_a_file_that_replaces_another_is_hashed_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    one = FileDigest(path)
    with one.while_writing():
        path.write_bytes(b"half a file")
        time.sleep(0.1)
        (tmp_path / "other").write_bytes(LONG)
        (tmp_path / "other").replace(path)
    assert one.finalize() == true_seal(path)


def test_a_file_that_lies_there_is_sealed_by_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LONG)
    assert FileDigest(path).finalize() == true_seal(path)


def test_several_threads_of_the_engine_come_to_one_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_SYNC_BYTES", 1 << 20)
    path = tmp_path / "rows.csv"
    one = FileDigest(path)
    with open_duckdb((), 1 << 29, 4, tmp_path / "spill") as engine, one.while_writing():
        rows = "SELECT range AS n, repeat('x', range::INTEGER % 97) AS text FROM range(1_500_000)"
        assert engine.copy(f"COPY ({rows}) TO {string_literal(str(path))} (FORMAT csv)", {}, ordered=False) == 1_500_000
    assert one.finalize() == true_seal(path)
    with path.open() as lines:
        next(lines)
        numbers = sorted(int(line.partition(",")[0]) for line in lines)
    assert numbers == list(range(1_500_000))


def test_what_does_not_come_to_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(digest, "_SYNC_BYTES", 1 << 20)
    monkeypatch.setattr(os, "fdatasync", refuse)
    path = tmp_path / "file"
    with pytest.raises(OSError, match="Input/output error"), FileDigest(path).while_writing():
        path.write_bytes(LONG)


def test_a_writer_that_fails_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(ZeroDivisionError), FileDigest(path).while_writing():
        path.write_bytes(b"half")
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), FileDigest(tmp_path / "missing" / "file").while_writing():
        (tmp_path / "missing" / "file").write_bytes(LONG)
