"""A zip of CSV files: its bytes are theirs, every reader opens it, and a failure half-way ends at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pytest

from patience import PATIENCE_SECONDS
from rendering import ABOUT
from whohas.engine.duckdb import DuckDBConnection, open_duckdb
from whohas.engine.statement import ResultColumn
from whohas.execution.processes import ChildPool
from whohas.execution.protocol import OutputFile, Work, WorkPart
from whohas.formats import zip
from whohas.formats.base import RowsQuery, WriteOptions
from whohas.formats.csv import copy_statement

NOISE = random.Random(1)
"""Bytes that do not pack, the same in each run."""
NOON = datetime(2026, 3, 29, 12, 30, 44, tzinfo=UTC)
COLUMNS = (ResultColumn("n", "integer"), ResultColumn("text", "text"))
MANY = "SELECT range, md5(range::VARCHAR) FROM range(300000)"
FAILS = "SELECT CASE range WHEN 2500000 THEN 'x' ELSE range::VARCHAR END::BIGINT, 'text' FROM range(3000000)"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[DuckDBConnection]:
    with open_duckdb([], 256 << 20, 2, tmp_path / "spill") as engine:
        yield engine


def fill(path: Path, entries: dict[str, bytes], time: datetime = NOON) -> None:
    with zip.open_zip(path, time) as archive:
        for name, content in entries.items():
            with archive.entry(name) as place:
                place.write_bytes(content)


def check(path: Path, *names: str) -> None:
    """Info-ZIP is another implementation than Python's: what both take is a zip."""
    if shutil.which("unzip") is None:
        pytest.skip("unzip is not there")
    done = subprocess.run(["unzip", "-tq", path, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_file_in_a_zip_equals_the_file_alone(engine: DuckDBConnection, tmp_path: Path) -> None:
    statements = {
        "identities.csv": MANY,
        "none.csv": "SELECT 1, 'x' WHERE false",
        "Zürich 北京.csv": "SELECT 1, 'a \"quoted\", text'",
    }
    path = tmp_path / "out.zip"
    with zip.open_zip(path, NOON) as archive:
        for name, sql in statements.items():
            with archive.entry(name) as place:
                engine.copy(copy_statement(RowsQuery(sql, COLUMNS), place), {})
    with zipfile.ZipFile(path) as file:
        assert file.testzip() is None
        assert file.namelist() == list(statements)
        for name, sql in statements.items():
            engine.copy(copy_statement(RowsQuery(sql, COLUMNS), alone := tmp_path / "alone.csv"), {})
            assert file.read(name) == alone.read_bytes()
        assert file.read("none.csv") == b"n,text\n"
    assert path.stat().st_size < 7_000_000
    check(path)


def test_many_files_and_an_empty_one(tmp_path: Path) -> None:
    entries = {f"{number}.csv": NOISE.randbytes(number % 7) * (number * 100) for number in range(300)}
    fill(path := tmp_path / "out.zip", entries)
    with zipfile.ZipFile(path) as file:
        assert {name: file.read(name) for name in file.namelist()} == entries
    check(path)


def test_equal_bytes_make_equal_zips_at_any_speed(tmp_path: Path) -> None:
    zips: set[bytes] = set()
    for cut in (0, 309, 386, 20_000):
        path = tmp_path / f"{cut}.zip"
        with zip.open_zip(path, NOON) as archive, archive.entry("a") as place, place.open("wb", buffering=0) as file:
            for size in (cut, 40_000 - cut):
                file.write(b"y" * size)
                time.sleep(0.05)  # the reader takes what is there
        zips.add(path.read_bytes())
    assert len(zips) == 1


def test_a_zip_without_files_is_one(tmp_path: Path) -> None:
    fill(path := tmp_path / "out.zip", {})
    assert zipfile.ZipFile(path).namelist() == []


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))])
def test_the_time_of_a_file_is_that_of_the_run(tmp_path: Path, zone: timezone) -> None:
    fill(path := tmp_path / "out.zip", {"a.csv": b"a\n"}, NOON.astimezone(zone))
    (entry,) = zipfile.ZipFile(path).infolist()
    assert entry.date_time == (2026, 3, 29, 12, 30, 44)
    check(path)
    subprocess.run(
        ["unzip", "-q", path, "-d", tmp_path], check=True, env={**os.environ, "TZ": "Asia/Tokyo"}, umask=0o022
    )
    assert (tmp_path / "a.csv").stat().st_mtime == NOON.timestamp()
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o644


def test_a_clock_at_1970_still_makes_a_zip(tmp_path: Path) -> None:
    fill(path := tmp_path / "out.zip", {"a.csv": b"a\n"}, datetime.fromtimestamp(0, UTC))
    assert zipfile.ZipFile(path).infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


@pytest.mark.parametrize("too_large", [1, 100, 1_500, 4_000, 0xFFFFFFFF])
def test_sizes_beyond_32_bits_are_in_zip64_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_large: int
) -> None:
    monkeypatch.setattr(zip, "_TOO_LARGE", too_large)
    entries = {"small.csv": b"a\n", "packs.csv": b"x" * 5_000, "random.csv": NOISE.randbytes(2_000), "last.csv": b"b\n"}
    fill(path := tmp_path / "out.zip", entries)
    assert (b"PK\6\6" in path.read_bytes()) == (too_large <= 2_000)
    with zipfile.ZipFile(path) as file:
        assert {name: file.read(name) for name in file.namelist()} == entries
    check(path)


def test_more_files_than_16_bits_can_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip, "_TOO_MANY", 3)
    fill(path := tmp_path / "out.zip", {f"{n}.csv": b"a\n" for n in range(3)})
    assert zipfile.ZipFile(path).namelist() == ["0.csv", "1.csv", "2.csv"]
    check(path)


@pytest.mark.long
def test_a_file_of_more_than_4_gib(tmp_path: Path) -> None:
    block, blocks = bytes(1 << 24), 257
    with zip.open_zip(path := tmp_path / "out.zip", NOON) as archive:
        with archive.entry("large.csv") as place, place.open("wb") as file:
            for _ in range(blocks):
                file.write(block)
        with archive.entry("small.csv") as place:
            place.write_bytes(b"a\n")
    with zipfile.ZipFile(path) as file:
        assert [entry.file_size for entry in file.infolist()] == [blocks << 24, 2]
        assert file.open("large.csv").read(3) == bytes(3)
        assert file.read("small.csv") == b"a\n"
    check(path, "small.csv")  # to inflate the large one takes it 15 seconds


@pytest.mark.parametrize("ordered", [True, False])
def test_a_statement_that_fails_midway_is_reported_and_nothing_waits(
    engine: DuckDBConnection, tmp_path: Path, ordered: bool
) -> None:
    before = threading.active_count(), descriptors()
    path = tmp_path / "out.zip"
    with (
        pytest.raises(duckdb.ConversionException, match="'x'"),
        zip.open_zip(path, NOON) as archive,
        archive.entry("a.csv") as place,
    ):
        engine.copy(copy_statement(RowsQuery(FAILS, COLUMNS), place), {}, ordered)
    assert path.stat().st_size > 0, "some of it was written"
    assert not zipfile.is_zipfile(path)
    assert (threading.active_count(), descriptors()) == before


def test_a_writer_that_never_opens_its_place_leaves_nobody_waiting(tmp_path: Path) -> None:
    with pytest.raises(KeyError), zip.open_zip(tmp_path / "out.zip", NOON) as archive, archive.entry("a.csv"):
        raise KeyError("nothing was written")


def test_a_full_disk_is_reported_instead_of_the_broken_pipe(engine: DuckDBConnection) -> None:
    with (
        pytest.raises(OSError, match="No space left"),
        zip.open_zip(Path("/dev/full"), NOON) as archive,
        archive.entry("a.csv") as place,
    ):
        engine.copy(copy_statement(RowsQuery(MANY, COLUMNS), place), {})


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def child(work: Work) -> list[dict[str, object]]:
    """What the child of a run says of its work."""
    children = ChildPool()
    process = children.fork()
    process.stdin.write(work.to_line().encode())
    process.stdin.flush()
    said = [json.loads(line) for line in process.stdout]
    assert process.wait_ended(PATIENCE_SECONDS) and process.exit_code == 0
    children.end(process)
    children.close()
    return said


def work(folder: Path, *statements: tuple[str, int]) -> Work:
    parts = tuple(
        WorkPart(f"part {n}", sql, {}, COLUMNS, True, expected) for n, (sql, expected) in enumerate(statements)
    )
    output = OutputFile("csv", str(folder / "out.zip"), zipped=True)
    return Work(parts, (), (output,), ABOUT, WriteOptions(), 256 << 20, 2, str(folder / "spill"))


def test_a_child_writes_the_parts_one_after_another(tmp_path: Path) -> None:
    slow = MANY.replace("300000", "2000000")
    said = child(work(tmp_path, (slow, 2_000_000), ("SELECT 1, 'x' WHERE false", 0), (MANY, 1_000_000)))
    (file,) = said[-1]["files"]  # type: ignore[misc]
    assert (file["format"], file["rows"], file["bytes"]) == ("csv", 2_300_000, (tmp_path / "out.zip").stat().st_size)
    percents = [facts["percent"] for facts in said[:-1]]
    assert percents == sorted(percents) and percents[-1] == 90  # type: ignore[type-var]
    assert zipfile.ZipFile(tmp_path / "out.zip").namelist() == ["part 0.csv", "part 1.csv", "part 2.csv"]


def test_a_child_ends_when_a_later_part_fails(tmp_path: Path) -> None:
    said = child(work(tmp_path, (MANY, 0), (FAILS, 0)))
    assert "Could not convert" in str(said[-1]["failed"])


def test_a_child_loads_what_compresses_only_for_a_zip() -> None:
    code = "import sys, whohas.execution.child; print('isal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
