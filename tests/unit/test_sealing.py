"""The seal of a file: what it says is true of the file as it lies on the disk."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from whohas.runs.sealing import Seal

DATA = os.urandom(5 << 20)


def sealed(data: bytes) -> dict[str, object]:
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("data", [b"", b"x", DATA])
def test_a_complete_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert Seal(path).finish() == sealed(data)


def test_a_file_that_grows_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seal = Seal(path)
    with seal.following(), path.open("wb", buffering=0) as file:
        for begin in range(0, len(DATA), 300_000):
            file.write(DATA[begin : begin + 300_000])
    assert seal.finish() == sealed(DATA)


def test_a_file_that_another_has_taken_the_place_of_is_not_sealed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    seal = Seal(path)
    seal._on(1)  # pyright: ignore[reportPrivateUsage]
    (tmp_path / "other").write_bytes(DATA)
    (tmp_path / "other").rename(path)
    with pytest.raises(AssertionError, match="stays the same"):
        seal.finish()


def test_a_fault_on_the_way_is_told_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fdatasync", full)
    path = tmp_path / "file"
    seal = Seal(path)
    with seal.following():
        path.write_bytes(b"x" * (70 << 20))
        while seal._fault is None:  # pyright: ignore[reportPrivateUsage]
            pass
    with pytest.raises(OSError, match="No space left"):
        seal.finish()
