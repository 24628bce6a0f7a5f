"""Copies of files of an object store on the local disk, shared by all processes of a machine.

::

    cache/<id of the warehouse>/                the files of a warehouse (`WHOHAS_CACHE_BYTES`)
    ├── accounts/<load id>-<n>.parquet          a complete copy; its time of modification is the time of its last use
    ├── accounts/.<load id>-<n>.<random>.part   being downloaded
    └── in-use/
        ├── lock                                held while names are added, or while files are removed
        ├── download-<n>.lock                   held while one of the files whose names have the hash n is downloaded
        └── <random>.names                      the names of files in use; locked by the process that uses them
    cache/files/                                the files of runs (`WHOHAS_FILES_CACHE_BYTES`)
    ├── <SHA-256>.csv
    └── in-use/                                 as above

The files never change: a name has one content. A copy is published by a rename once its size, and its SHA-256 where
that is known, are those of the object. Where the copies take more than the limit, those that were not used for the
longest time are removed, but none that is held, none that was just downloaded, and none that was used within
`idle_seconds`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import time
import zlib
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from whohas import timeouts
from whohas.atomic import PART_SUFFIX, publish, sync_file
from whohas.db.locks import file_lock, shared_file_lock, try_file_lock
from whohas.errors import Unavailable
from whohas.object_stores import PART_BYTES, ObjectStore, StoreFailed

_CONNECTIONS: Final = 8
"""Requests at a time while files are downloaded."""
_LOCKS: Final = 64
_REMEDY: Final = "Restore it from a backup of the store, or make it again: load its source, or start its report."


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """An object that is copied to a cache.

    Attributes:
        name: the name of the copy, a path in the folder of the cache.
        bytes: the size of the object.
        key: its key in the store; empty where it is the name of the copy.
        sha256: the SHA-256 of its content, 64 hex digits; empty where it is not known.
    """

    name: str
    bytes: int
    key: str = ""
    sha256: str = ""


class FileCache:
    """The copies of an object store's files in a folder.

    Args:
        root: the folder; it is created.
        store: the object store.
        limit: the bytes that all copies together may take; None for any number. A single file may be larger.
        copies: the pattern of the paths of copies in the folder.
        idle_seconds: how long a copy is kept in any case after its last use.
    """

    def __init__(
        self,
        root: Path,
        store: ObjectStore,
        limit: int | None,
        *,
        copies: str = "*/*.parquet",
        idle_seconds: float = timeouts.CACHE_IDLE_SECONDS,
    ) -> None:
        self.root = root
        self._store = store
        self._limit = limit
        self._patterns = (copies, str(Path(copies).with_name(f".*{PART_SUFFIX}")))
        self._idle_seconds = idle_seconds
        self._uses = root / "in-use"

    @contextmanager
    def hold(self, names: Iterable[str]) -> Generator[None]:
        """Keep copies from being removed until the context ends. They need not exist yet.

        Args:
            names: names of copies.
        """
        path = self._uses / f"{secrets.token_hex(8)}.names"
        with ExitStack() as stack:
            with shared_file_lock(self._lock_path()):
                stack.enter_context(file_lock(path))
                stack.callback(path.unlink, missing_ok=True)
                path.write_text("\n".join(names))
            yield

    def fetch(self, files: Collection[RemoteFile], check: Callable[[], None] = lambda: None) -> None:
        """Download the files that have no complete copy, and note that all of them are used now.

        Args:
            files: the files.
            check: called about every `ATTEMPT_CANCEL_POLL_SECONDS` while downloading; what it raises ends the download.

        Raises:
            FileNotFoundError: the store has no such object.
            StoreFailed: the store failed, or an object has another size or SHA-256.
            Unavailable: the disk is full.
        """
        missing = [file for file in files if not self._use(file)]
        if not missing:
            return
        self._lock_path()
        with ExitStack() as stack:
            # in ascending order, so that two processes never wait for each other
            for number in sorted({zlib.crc32(file.name.encode()) % _LOCKS for file in missing}):
                stack.enter_context(file_lock(self._uses / f"download-{number}.lock"))
            self._download([file for file in missing if not self._use(file)], check)
        self._evict({file.name for file in files})

    def adopt(self, path: Path, name: str) -> None:
        """Move a complete file, which was uploaded under this name, to the place of its copy."""
        final = self.root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)

    def _lock_path(self) -> Path:
        """Return the path of the lock of the folder, after creating both."""
        self._uses.mkdir(parents=True, exist_ok=True)
        path = self._uses / "lock"
        path.touch()
        return path

    def _use(self, file: RemoteFile) -> bool:
        """Return whether there is a complete copy, after noting that it is used now."""
        path = self.root / file.name
        try:
            if path.stat().st_size != file.bytes:
                return False  # truncated by a fault of the disk, say: the download replaces it
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _download(self, files: Collection[RemoteFile], check: Callable[[], None]) -> None:
        paths = [self.root / file.name for file in files]
        parts = [path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART_SUFFIX}") for path in paths]
        try:
            wanted = {part: (file.key or file.name, file.bytes) for file, part in zip(files, parts, strict=True)}
            download_files(self._store, wanted, check)
            for file, part, path in zip(files, parts, paths, strict=True):
                self._verify(file, part)
                publish(part, path, sync=False)
        finally:
            for part in parts:
                part.unlink(missing_ok=True)

    def _verify(self, file: RemoteFile, part: Path) -> None:
        if not file.sha256:
            return
        with part.open("rb") as content:
            if hashlib.file_digest(content, "sha256").hexdigest() == file.sha256:
                return
        raise StoreFailed(
            f"The object {file.key or file.name} in {self._store.address} is damaged: its SHA-256 is not that of the "
            f"file that was written. {_REMEDY}"
        )

    def _evict(self, new: Collection[str]) -> None:
        """Remove the copies that were not used for the longest time, until the rest fits into the limit.

        Args:
            new: the names of copies that stay.
        """
        if self._limit is None:
            return
        with try_file_lock(self._lock_path()) as free:
            if not free:
                return  # another process removes files, or begins to use some; the next download tries again
            found = sorted(self._copies())
            used = sum(size for _, size, _ in found)
            kept = {*new, *self._held()}
            for last_used, size, path in found:
                if used <= self._limit:
                    return
                # what is being downloaded has an old time only if its process was killed
                idle = timeouts.CACHE_IDLE_SECONDS if path.suffix == PART_SUFFIX else self._idle_seconds
                if time.time() - last_used >= idle and str(path.relative_to(self.root)) not in kept:
                    path.unlink(missing_ok=True)
                    used -= size

    def _copies(self) -> Generator[tuple[float, int, Path]]:
        """Yield the time of last use, the size and the path of each copy, and of what killed downloads left."""
        for path in {path for pattern in self._patterns for path in self.root.glob(pattern)}:
            with suppress(FileNotFoundError):
                if path.is_file():
                    facts = path.stat()
                    yield facts.st_mtime, facts.st_size, path

    def _held(self) -> set[str]:
        """Return the names of the files in use; forget those of processes that have ended."""
        names: set[str] = set()
        for path in self._uses.glob("*.names"):
            with suppress(FileNotFoundError), try_file_lock(path) as free:
                if free:
                    path.unlink(missing_ok=True)
                else:
                    names.update(path.read_text().splitlines())
        return names


def download_files(
    store: ObjectStore, files: Mapping[Path, tuple[str, int]], check: Callable[[], None] = lambda: None
) -> None:
    """Download objects to new files, several at a time and in parts, and sync them to disk.

    Args:
        store: the object store.
        files: for each path the key and the size in bytes.
        check: called about every `ATTEMPT_CANCEL_POLL_SECONDS`; what it raises ends the download.

    Raises:
        FileNotFoundError: there is no such object.
        StoreFailed: the store failed, or an object is shorter.
        Unavailable: the disk is full.
    """
    pool = ThreadPoolExecutor(_CONNECTIONS, "download")
    try:
        pending: set[Future[None]] = set()
        for path, (key, size) in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
            for start in range(0, size, PART_BYTES):
                pending.add(pool.submit(_download_part, store, key, start, min(PART_BYTES, size - start), path))
        while pending:
            done, pending = wait(pending, timeouts.ATTEMPT_CANCEL_POLL_SECONDS, FIRST_EXCEPTION)
            for future in done:
                future.result()
            check()
        for path in files:
            sync_file(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            folder = next(iter(files)).parent
            raise Unavailable(
                f"The disk of {folder} is full: files of the object store cannot be copied there. Free space, or set "
                "WHOHAS_CACHE_BYTES and WHOHAS_FILES_CACHE_BYTES to less."
            ) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _download_part(store: ObjectStore, key: str, start: int, length: int, path: Path) -> None:
    content = store.read_range(key, start, length)
    if len(content) != length:
        raise StoreFailed(
            f"The object {key} in {store.address} is damaged: it is shorter than it was when it was written. {_REMEDY}"
        )
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, content, start)
    finally:
        os.close(descriptor)
