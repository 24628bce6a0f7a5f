"""Copies of files of an object store on the local disk, shared by all processes of a machine.

::

    cache/<id of the warehouse>/
    ├── accounts/<load id>-<n>.parquet      a complete copy; its time of modification is the time of its last use
    ├── accounts/.<load id>-<n>.<random>.part   being downloaded
    └── in-use/
        ├── lock                            held while names are added, or while files are removed
        ├── download-<n>.lock               held while one of the files whose names have the hash n is downloaded
        └── <random>.names                  the names of files in use; locked by the process that uses them

The files never change: a name has one content. A copy is published by a rename once its size is that of the object.
Where the copies take more than the limit, those that were not used for the longest time are removed, but none that a
run or load uses, and none that was used within `CACHE_IDLE_SECONDS`.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
import zlib
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
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


class FileCache:
    """The copies of an object store's files in a folder.

    Args:
        root: the folder; it is created.
        store: the object store; the name of a copy below `root` is the object's key.
        limit: the bytes that all copies together may take; 0 for any number.
    """

    def __init__(self, root: Path, store: ObjectStore, limit: int) -> None:
        self.root = root
        self._store = store
        self._limit = limit
        self._uses = root / "in-use"
        self._uses.mkdir(parents=True, exist_ok=True)
        (self._uses / "lock").touch()

    @contextmanager
    def hold(self, names: Iterable[str]) -> Generator[None]:
        """Keep copies from being removed until the context ends. They need not exist yet.

        Args:
            names: names of files, relative to `root`.
        """
        path = self._uses / f"{secrets.token_hex(8)}.names"
        with ExitStack() as stack:
            with shared_file_lock(self._uses / "lock"):
                stack.enter_context(file_lock(path))
                stack.callback(path.unlink, missing_ok=True)
                path.write_text("\n".join(names))
            yield

    def fetch(self, files: Mapping[str, int], check: Callable[[], None] = lambda: None) -> None:
        """Download the files that have no complete copy, and note that all of them are used now.

        Args:
            files: names with sizes in bytes.
            check: called about every `ATTEMPT_CANCEL_POLL_SECONDS` while downloading; what it raises ends the download.

        Raises:
            FileNotFoundError: the store has no such object.
            StoreFailed: the store failed, or an object has another size.
            Unavailable: the disk is full.
        """
        missing = {name: size for name, size in files.items() if not self._use(name, size)}
        if not missing:
            return
        with ExitStack() as stack:
            # in ascending order, so that two processes never wait for each other
            for number in sorted({zlib.crc32(name.encode()) % _LOCKS for name in missing}):
                stack.enter_context(file_lock(self._uses / f"download-{number}.lock"))
            self._download({name: size for name, size in missing.items() if not self._use(name, size)}, check)
        self._evict()

    def adopt(self, path: Path, name: str) -> None:
        """Move a complete file, which was uploaded under this name, to the place of its copy."""
        final = self.root / name
        final.parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)

    def _use(self, name: str, size: int) -> bool:
        """Return whether there is a complete copy, after noting that it is used now."""
        path = self.root / name
        try:
            if path.stat().st_size != size:
                return False  # truncated by a fault of the disk, say: the download replaces it
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _download(self, files: Mapping[str, int], check: Callable[[], None]) -> None:
        parts = {
            name: (self.root / name).with_name(f".{Path(name).name}.{secrets.token_hex(4)}{PART_SUFFIX}")
            for name in files
        }
        try:
            download_files(self._store, {name: (parts[name], size) for name, size in files.items()}, check)
            for name, part in parts.items():
                publish(part, self.root / name, sync=False)
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)

    def _evict(self) -> None:
        """Remove the copies that were not used for the longest time, until the rest fits into the limit."""
        if not self._limit:
            return
        with try_file_lock(self._uses / "lock") as free:
            if not free:
                return  # another process removes files, or begins to use some; the next download tries again
            found = sorted(self._copies())
            used = sum(size for _, size, _ in found)
            held = self._held()
            before = time.time() - timeouts.CACHE_IDLE_SECONDS
            for last_used, size, path in found:
                if used <= self._limit or last_used > before:
                    return
                if str(path.relative_to(self.root)) not in held:
                    path.unlink(missing_ok=True)
                    used -= size

    def _copies(self) -> Generator[tuple[float, int, Path]]:
        """Yield the time of last use, the size and the path of each copy, and of what killed downloads left."""
        for path in self.root.glob("*/*"):
            if path.suffix in (".parquet", PART_SUFFIX) and path.is_file():
                with suppress(FileNotFoundError):
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
    store: ObjectStore, files: Mapping[str, tuple[Path, int]], check: Callable[[], None] = lambda: None
) -> None:
    """Download objects to new files, several at a time and in parts, and sync them to disk.

    Args:
        store: the object store.
        files: for each key the path and the size in bytes.
        check: called about every `ATTEMPT_CANCEL_POLL_SECONDS`; what it raises ends the download.

    Raises:
        FileNotFoundError: there is no such object.
        StoreFailed: the store failed, or an object is shorter.
        Unavailable: the disk is full.
    """
    pool = ThreadPoolExecutor(_CONNECTIONS, "download")
    try:
        pending: set[Future[None]] = set()
        for key, (path, size) in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
            for start in range(0, size, PART_BYTES):
                pending.add(pool.submit(_download_part, store, key, start, min(PART_BYTES, size - start), path))
        while pending:
            done, pending = wait(pending, timeouts.ATTEMPT_CANCEL_POLL_SECONDS, FIRST_EXCEPTION)
            for future in done:
                future.result()
            check()
        for path, _ in files.values():
            sync_file(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            folder = next(iter(files.values()))[0].parent
            raise Unavailable(
                f"The disk of {folder} is full: files of the object store cannot be copied there. Free space, or set "
                "WHOHAS_CACHE_BYTES to less."
            ) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _download_part(store: ObjectStore, key: str, start: int, length: int, path: Path) -> None:
    content = store.read_range(key, start, length)
    if len(content) != length:
        raise StoreFailed(
            f"The object {key} in {store.address} is shorter than it was when it was written: it was replaced or "
            "damaged. Restore it from a backup of the store, or load its source again."
        )
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, content, start)
    finally:
        os.close(descriptor)
