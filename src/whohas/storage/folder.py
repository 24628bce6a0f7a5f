"""The files of runs in a folder on the local disk.

::

    artefacts/
    └── <run id>/
        ├── 1-accounts.csv.part     being written by attempt 1; never served
        ├── 1-accounts.csv          finished: the same file after an atomic rename
        └── 1-extract-0.parquet     the rows from which the run made several files
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whohas import atomic
from whohas.storage.base import ZIP_MEDIA_TYPE, Artifact, FileTarget, StoredFile, StoredRun, is_of_attempts, is_run_id

CHUNK_BYTES = 256 * 1024
"""Bytes of a file that are read at a time."""


class FolderStore:
    """The files of runs on a local disk: one folder for each run under `root`; see `ArtifactStore`."""

    address = ""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        """Nothing to check: each run reports what is wrong with the disk."""

    def part_path(self, run_id: str, attempt: int, name: str) -> Path:
        """Create the folder of a run, and return the path at which an attempt writes a file until it is finished.

        Args:
            name: the file's name without the number of the attempt, such as `accounts.csv`.
        """
        folder = self.root / run_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder / f"{attempt}-{name}{atomic.PART_SUFFIX}"

    def target(self, run_id: str, attempt: int, name: str, scratch: Path) -> FileTarget:
        """Return the path of the unfinished file."""
        return FileTarget(str(self.part_path(run_id, attempt, name)))

    def publish(self, part: Path) -> str:
        """Rename a complete file that is synced to disk to its final name, atomically; return that name.

        Args:
            part: a path from `part_path`.

        Raises:
            OSError: the file cannot be renamed.
        """
        final = part.with_name(part.name.removesuffix(atomic.PART_SUFFIX))
        atomic.publish(part, final)
        return final.name

    def publish_reported(self, file: Mapping[str, Any], zipped: bool) -> Artifact:
        """Rename a file that a child process has finished, and return its description."""
        return Artifact(
            format=file["format"],
            name=self.publish(Path(file["path"])),
            media_type=ZIP_MEDIA_TYPE if zipped else "",
            bytes=file["bytes"],
            rows=file["rows"],
            sha256=file["sha256"],
        )

    def discard(self, target: FileTarget) -> None:
        """Remove an unfinished file."""
        Path(target.path).unlink(missing_ok=True)

    def path(self, run_id: str, artefact: Artifact) -> Path:
        """Return the path of a finished file."""
        return self.root / run_id / artefact.name

    def exists(self, run_id: str, artefact: Artifact) -> bool:
        """Return whether a finished file is there."""
        return self.path(run_id, artefact).is_file()

    def open(self, run_id: str, artefact: Artifact) -> LocalFile:
        """Open a finished file."""
        return LocalFile(self.path(run_id, artefact))

    def local_path(self, run_id: str, artefact: Artifact) -> Path:
        """Return the path of a finished file.

        Raises:
            FileNotFoundError: it was removed.
        """
        path = self.path(run_id, artefact)
        path.stat()
        return path

    @contextmanager
    def local_copy(self, run_id: str, artefact: Artifact) -> Generator[Path]:
        """Yield the path of a finished file."""
        yield self.local_path(run_id, artefact)

    def sign(self, run_id: str, artefact: Artifact) -> str:
        """Return an empty text: a folder has no addresses."""
        return ""

    def remove(self, run_id: str, file: StoredFile) -> None:
        """Remove a file, or a folder with all that is in it."""
        path = self.root / run_id / file.name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, onerror=_unless_gone)
        else:
            path.unlink(missing_ok=True)

    def remove_attempts(self, run_id: str, attempt: int) -> None:
        """Remove what was written by this attempt or earlier ones, and the folder of the run if it is empty then."""
        folder = self.root / run_id
        if folder.is_dir():
            for path in folder.iterdir():
                if is_of_attempts(path.name, attempt):
                    path.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()

    def remove_run(self, run_id: str) -> None:
        """Remove the folder of a run."""
        shutil.rmtree(self.root / run_id, onerror=_unless_gone)

    def list_runs(self) -> Iterator[StoredRun]:
        """Yield each folder that is named as a run with what is in it."""
        names = sorted(path.name for path in self.root.iterdir()) if self.root.is_dir() else []
        for folder in (self.root / name for name in names if is_run_id(name)):
            if not folder.is_dir():
                continue
            yield StoredRun(folder.name, tuple(map(_stored_file, sorted(folder.iterdir()))))

    def remove_empty_folder(self, run_id: str, unchanged_since: float) -> None:
        """Remove an empty folder that was last changed before a time."""
        folder = self.root / run_id
        if last_change(folder) < unchanged_since:
            with suppress(OSError):
                folder.rmdir()


class LocalFile:
    """An open file on the local disk; see `OpenFile`.

    It stays readable when it is removed, so that a download which has begun is never cut off by retention.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._status = os.fstat(self._file.fileno())
        self._start, self._end = 0, self._status.st_size

    @property
    def size(self) -> int:
        return self._status.st_size

    @property
    def modified(self) -> datetime:
        return datetime.fromtimestamp(int(self._status.st_mtime), UTC)

    def begin(self, start: int, end: int) -> None:
        self._start, self._end = start, end

    async def chunks(self) -> AsyncGenerator[bytes]:
        import anyio.to_thread

        offset = self._start
        while offset < self._end:
            length = min(CHUNK_BYTES, self._end - offset)
            chunk = await anyio.to_thread.run_sync(os.pread, self._file.fileno(), length, offset)
            if not chunk:
                raise OSError(f"The file ends at {offset:,} bytes; it had {self._status.st_size:,} when it was opened.")
            offset += len(chunk)
            yield chunk

    def close(self) -> None:
        self._file.close()


def last_change(path: Path) -> float:
    """Return the newest modification time of a path and everything in it, in seconds since 1970; the present time where
    it is being removed."""
    try:
        return max([path.lstat().st_mtime, *(inner.lstat().st_mtime for inner in path.rglob("*"))])
    except OSError:
        return time.time()


def size_of(path: Path) -> int:
    """Return the size of a file, or of all files in a folder, in bytes; 0 where it is being removed."""
    try:
        return sum(file.lstat().st_size for file in [path, *path.rglob("*")] if not file.is_dir())
    except OSError:
        return 0


def _stored_file(path: Path) -> StoredFile:
    return StoredFile(path.name, size_of(path), last_change(path))


def _unless_gone(
    _function: Callable[..., Any], _path: str, info: tuple[type[BaseException], BaseException, Any]
) -> None:
    """Raise an error of `shutil.rmtree`, unless another process removed the file first."""
    if not isinstance(info[1], FileNotFoundError):
        raise info[1]
