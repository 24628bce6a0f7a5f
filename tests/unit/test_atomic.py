"""Files are published whole or not at all; see also the integration tests of processes that are killed."""

from __future__ import annotations

import errno
import os
import resource
import signal
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from whohas import atomic
from whohas.atomic import Draft


@contextmanager
def umask(mask: int) -> Generator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """As on a disk that is full then: the system refuses each byte beyond."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content in ("one", "zwölf", ""):
        atomic.write(path, content)
        assert path.read_text(encoding="utf-8") == content
    atomic.write(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_that_may_not_be_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic.write(path, "one", replace=False)
    with pytest.raises(FileExistsError, match=r"a\.txt'$"):
        atomic.write(path, "two", replace=False)
    assert path.read_text() == "one"
    assert path.stat().st_nlink == 1
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("mode", "mask", "expected"), [(0o600, 0, 0o600), (0o666, 0o027, 0o640), (0o666, 0o077, 0o600)]
)
def test_a_file_has_its_mode_from_the_first_moment(tmp_path: Path, mode: int, mask: int, expected: int) -> None:
    path = tmp_path / "a.txt"
    path.touch(0o777)
    with umask(mask):
        draft = Draft(path, mode=mode)
    (part,) = set(tmp_path.iterdir()) - {path}
    assert part.stat().st_mode & 0o777 == expected
    draft.publish()
    assert path.stat().st_mode & 0o777 == expected


def test_nothing_is_seen_before_it_is_published(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with Draft(path) as draft:
        draft.write(b"one")
        draft.write(b"two")
        assert not path.exists()
        (part,) = tmp_path.iterdir()
        assert part.name.startswith(".a.txt.") and part.name.endswith(atomic.PART_SUFFIX)
        draft.publish(sync=False)
        assert path.read_bytes() == b"onetwo"
    assert names(tmp_path) == ["a.txt"]


def test_a_draft_that_is_not_published_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Draft(tmp_path / "a.txt") as draft:
        draft.write(b"one")
        raise KeyError
    assert names(tmp_path) == []


@pytest.mark.parametrize("replace", [True, False])
def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, replace: bool) -> None:
    path = tmp_path / "a.txt"
    if replace:
        path.write_text("before")
    with files_of_at_most(4096), pytest.raises(OSError, match=r"a\.txt'$") as refused:
        atomic.write(path, "x" * 5000, replace=replace)
    assert refused.value.errno == errno.EFBIG
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "before")] * replace


def test_a_folder_that_takes_no_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, number in (
        (tmp_path / "missing" / "a.txt", errno.ENOENT),
        (tmp_path / "file" / "a.txt", errno.ENOTDIR),
        (Path("/proc/self/a.txt"), errno.ENOENT),
    ):
        with pytest.raises(OSError, match=f"{path}'$") as refused:
            atomic.write(path, "one")
        assert refused.value.errno == number


def test_a_folder_without_write_permission_is_a_clear_error() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with somebody(), pytest.raises(PermissionError, match=r"a\.txt'$"):
            atomic.write(Path(folder, "a.txt"), "one")


@contextmanager
def somebody() -> Generator[None]:
    """A user who may not write everywhere, if root runs the tests."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_in_the_place_of_the_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    (path / "b").mkdir(parents=True)
    for replace in (True, False):
        with pytest.raises(OSError, match=r"a\.txt'$"):
            atomic.write(path, "one", replace=replace)
    assert [file.name for file in tmp_path.rglob("*")] == ["a.txt", "b"]


def test_a_disk_that_rejects_the_name_leaves_no_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a disk that fails at this moment cannot be had, so it is played
    def fail(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(atomic, "sync_file", fail)
    with pytest.raises(OSError, match=r"a\.txt'$"):
        atomic.write(tmp_path / "a.txt", "one", replace=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a" * 255, "ä" * 127, "報" * 85])
def test_the_longest_names_are_written(tmp_path: Path, name: str) -> None:
    atomic.write(tmp_path / name, "one")
    assert names(tmp_path) == [name]


def test_a_finished_file_gets_its_name(tmp_path: Path) -> None:
    part, path = tmp_path / "a.part", tmp_path / "a"
    part.write_text("one")
    atomic.publish(part, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "one")]
    with pytest.raises(FileNotFoundError, match=f"{path}'$"):
        atomic.publish(part, path)
    part.write_text("two")
    with pytest.raises(FileExistsError):
        atomic.publish(part, path, replace=False)
    assert (part.read_text(), path.read_text()) == ("two", "one"), "the part is the caller's"


def test_leftovers_are_removed_once_they_are_old_enough(tmp_path: Path) -> None:
    for name in (".a.txt.0123abcd.part", ".b.txt.0123abcd.part", "c.part", ".d.txt"):
        (tmp_path / name).touch()
    os.utime(tmp_path / ".a.txt.0123abcd.part", (0, 0))
    atomic.remove_leftovers(tmp_path, seconds=60)
    assert names(tmp_path) == [".b.txt.0123abcd.part", ".d.txt", "c.part"]
    atomic.remove_leftovers(tmp_path)
    assert names(tmp_path) == [".d.txt", "c.part"]
    atomic.remove_leftovers(tmp_path / "missing")
