"""The seal of a file: its length and its SHA-256 are those of the bytes that lie on the disk."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from whohas.engine.duckdb import open_duckdb
from whohas.engine.sql import literal
from whohas.runs import sealing
from whohas.runs.sealing import Sealing

LONG = b"who has what?\n" * 300_000


def true_seal(path: Path) -> dict[str, object]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize("content", [b"", b"a", LONG], ids=["nothing", "a byte", "several blocks"])
@pytest.mark.parametrize("there", [None, b"of an earlier attempt" * 1000])
def test_what_goes_through_is_the_file_and_its_seal(tmp_path: Path, content: bytes, there: bytes | None) -> None:
    path = tmp_path / "file"
    if there is not None:
        path.write_bytes(there)
    one = Sealing(path)
    with one.on_the_way() as place:
        place.write_bytes(content)
    assert path.read_bytes() == content
    assert one.seal() == true_seal(path)


def test_a_file_that_lies_there_is_sealed_by_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LONG)
    assert Sealing(path).seal() == true_seal(path)


def test_several_threads_of_the_engine_come_to_one_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_SYNC_BYTES", 1 << 20)
    path = tmp_path / "rows.csv"
    one = Sealing(path)
    with open_duckdb((), 1 << 29, 4, tmp_path / "spill") as engine, one.on_the_way() as place:
        rows = "SELECT range AS n, repeat('x', range::INTEGER % 97) AS text FROM range(1_500_000)"
        assert engine.copy(f"COPY ({rows}) TO {literal(str(place))} (FORMAT csv)", {}, ordered=False) == 1_500_000
    assert one.seal() == true_seal(path)
    with path.open() as lines:
        next(lines)
        numbers = sorted(int(line.partition(",")[0]) for line in lines)
    assert numbers == list(range(1_500_000))


def test_what_the_disk_does_not_take_is_told_rather_than_what_the_writer_makes_of_it() -> None:
    with pytest.raises(OSError, match="No space left"), Sealing(Path("/dev/full")).on_the_way() as place:
        place.write_bytes(LONG)


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file"
    with pytest.raises(FileNotFoundError), Sealing(path).on_the_way() as place:
        place.write_bytes(LONG)
    assert not path.exists()


def test_a_writer_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), Sealing(tmp_path / "file").on_the_way() as place:
        place.write_bytes(b"half")
        raise ZeroDivisionError
