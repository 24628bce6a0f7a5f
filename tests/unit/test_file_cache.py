"""The cache of files that never change: downloaded once, checked, limited in size, and kept while in use."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from whohas import timeouts
from whohas.file_cache import FileCache, RemoteFile
from whohas.object_stores import ObjectStore, StoreAddress, StoreFailed


@pytest.fixture
def store() -> ObjectStore:
    return ObjectStore(StoreAddress("s3", "bucket", ""), MemoryStore())


def cached(store: ObjectStore, folder: Path, limit: int | None = 100, idle_seconds: float = 0) -> FileCache:
    return FileCache(folder, store, limit, copies="*", idle_seconds=idle_seconds)


def put(store: ObjectStore, name: str, content: bytes) -> RemoteFile:
    store.write(f"objects/{name}", content)
    return RemoteFile(name, len(content), f"objects/{name}", hashlib.sha256(content).hexdigest())


def copies(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def used_long_ago(folder: Path, names: Iterable[str]) -> None:
    for number, name in enumerate(names):
        os.utime(folder / name, (number, number))


def test_a_file_is_downloaded_once(store: ObjectStore, tmp_path: Path) -> None:
    cache, file = cached(store, tmp_path / "cache"), put(store, "a", b"rows")
    cache.fetch([file])
    store.delete("objects/a")
    cache.fetch([file])
    assert (cache.root / "a").read_bytes() == b"rows"


def test_a_copy_of_another_size_is_replaced(store: ObjectStore, tmp_path: Path) -> None:
    cache, file = cached(store, tmp_path), put(store, "a", b"rows")
    (tmp_path / "a").write_bytes(b"row")
    cache.fetch([file])
    assert (tmp_path / "a").read_bytes() == b"rows"


def test_the_least_recently_used_files_are_removed(store: ObjectStore, tmp_path: Path) -> None:
    cache = cached(store, tmp_path)
    files = [put(store, name, name.encode() * 40) for name in "abcd"]
    cache.fetch(files[:2])
    used_long_ago(tmp_path, "ab")
    cache.fetch(files[2:3])
    assert copies(tmp_path) == ["b", "c"]
    used_long_ago(tmp_path, "bc")
    cache.fetch(files[1:2])
    cache.fetch(files[3:4])
    assert copies(tmp_path) == ["b", "d"]


def test_recently_used_files_are_kept(store: ObjectStore, tmp_path: Path) -> None:
    cache = cached(store, tmp_path, 1, idle_seconds=60)
    for name in "abc":
        cache.fetch([put(store, name, b"rows")])
    assert copies(tmp_path) == ["a", "b", "c"]


def test_without_a_limit_nothing_is_removed(store: ObjectStore, tmp_path: Path) -> None:
    cache = cached(store, tmp_path, None)
    for name in "abc":
        cache.fetch([put(store, name, b"x" * 100)])
    assert copies(tmp_path) == ["a", "b", "c"]


@pytest.mark.parametrize("limit", [0, 100])
def test_a_file_larger_than_the_cache_is_kept_alone(store: ObjectStore, tmp_path: Path, limit: int) -> None:
    cache = cached(store, tmp_path, limit)
    cache.fetch([put(store, "a", b"x")])
    used_long_ago(tmp_path, "a")
    cache.fetch([put(store, "b", b"x" * 101)])
    assert copies(tmp_path) == ["b"]


@pytest.mark.parametrize("damaged", [b"row", b"sows"])
def test_a_damaged_object_leaves_no_copy(store: ObjectStore, tmp_path: Path, damaged: bytes) -> None:
    file = put(store, "a", b"rows")
    store.write("objects/a", damaged)
    with pytest.raises(StoreFailed, match="objects/a in s3://bucket is damaged"):
        cached(store, tmp_path).fetch([file])
    assert copies(tmp_path) == []


def test_a_missing_object_leaves_no_copy(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cached(store, tmp_path).fetch([put(store, "a", b"rows"), RemoteFile("b", 4)])
    assert copies(tmp_path) == []


def test_a_held_file_is_not_removed(store: ObjectStore, tmp_path: Path) -> None:
    cache = cached(store, tmp_path, 10)
    with cache.hold(["a"]):
        cache.fetch([put(store, "a", b"rows")])
        used_long_ago(tmp_path, "a")
        cache.fetch([put(store, "b", b"x" * 10)])
        assert copies(tmp_path) == ["a", "b"]
    used_long_ago(tmp_path, "ab")
    cache.fetch([put(store, "c", b"x" * 10)])
    assert copies(tmp_path) == ["c"]


def test_what_killed_downloads_left_is_removed(store: ObjectStore, tmp_path: Path) -> None:
    cache = cached(store, tmp_path, 0)
    old = time.time() - timeouts.CACHE_IDLE_SECONDS - 1
    for name, modified in ((".a.1234.part", old), (".b.1234.part", None)):
        (tmp_path / name).write_bytes(b"half")
        if modified:
            os.utime(tmp_path / name, (modified, modified))
    cache.fetch([put(store, "c", b"rows")])
    assert copies(tmp_path) == [".b.1234.part", "c"]
