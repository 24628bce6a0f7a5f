"""The cache of files that never change: fetched once, limited in size, and kept while in use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from whohas import atomic, timeouts
from whohas.storage.cache import FileCache


def content(text: bytes, fetched: list[bytes] | None = None) -> Callable[[atomic.Draft], None]:
    def fetch(draft: atomic.Draft) -> None:
        if fetched is not None:
            fetched.append(text)
        draft.write(text)

    return fetch


def test_a_file_is_fetched_once(tmp_path: Path) -> None:
    cache, fetched = FileCache(tmp_path / "cache", 100), list[bytes]()
    for _ in range(2):
        assert cache.get("a", content(b"rows", fetched)).read_bytes() == b"rows"
    assert fetched == [b"rows"]


def test_the_least_recently_used_files_are_removed(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 100)
    for number, name in enumerate("abc"):
        os.utime(cache.get(name, content(b"x" * 40)), (number, number))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["b", "c"]
    cache.get("b", content(b""))
    cache.get("d", content(b"x" * 40))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["b", "d"]


def test_a_file_larger_than_the_cache_is_kept_alone(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 100)
    cache.get("a", content(b"x"))
    assert cache.get("b", content(b"x" * 101)).is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_failed_fetch_leaves_nothing(tmp_path: Path) -> None:
    def fail(draft: atomic.Draft) -> None:
        draft.write(b"half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        FileCache(tmp_path, 100).get("a", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_pinned_file_outlives_its_removal(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 10)
    with cache.pinned("a", content(b"rows")) as path:
        cache.get("b", content(b"x" * 10))
        assert not (tmp_path / "a").exists()
        assert path.read_bytes() == b"rows"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["b"]


def test_leftovers_of_killed_processes_are_removed(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 100)
    with cache.pinned("a", content(b"rows")) as pin:
        left = pin.with_name("left")
        left.write_bytes(b"pinned by a process that was killed")
        (tmp_path / ".b.1234.part").write_bytes(b"half")
        age = left.stat().st_mtime - timeouts.CACHE_LEFTOVER_SECONDS - 1
        for path in (left, tmp_path / ".b.1234.part"):
            os.utime(path, (age, age))
        cache.get("c", content(b"more"))
        assert pin.exists()
        assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"a", pin.name, "c"}
