"""The files of runs (artifacts), and the interface of the stores that keep them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

EXTRACT = "extract"
"""The format of an extract among the files of a run; no request can name it."""
ZIP_MEDIA_TYPE = "application/zip"
"""The media type of a zip, whatever the format of the files in it."""

_RUN_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A finished file of a run.

    Attributes:
        format: the format's name in lower case, such as `csv`.
        name: the file's name among the files of the run.
        media_type: `ZIP_MEDIA_TYPE` for a zip, such as a search export; empty for the usual media type of the format.
        bytes: its size.
        rows: the number of data rows in it.
        sha256: the SHA-256 of its content, 64 hex digits.
    """

    format: str
    name: str
    media_type: str
    bytes: int
    rows: int
    sha256: str

    @property
    def zipped(self) -> bool:
        """Whether it is a zip whose members have the format."""
        return self.media_type == ZIP_MEDIA_TYPE


@dataclass(frozen=True, slots=True)
class FileTarget:
    """Where a child process writes one file of a run.

    Attributes:
        path: a path on the local disk: that of the unfinished file in the folder of its run; with an object store, that
            of a temporary file for formats that cannot be uploaded while they are written.
        key: the key of the object that the file becomes; empty where the file stays at `path`.
    """

    path: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that a store has in the folder of a run, whether a run owns it or not.

    Attributes:
        name: its name in the folder.
        bytes: its size; 0 for an incomplete upload, whose size is unknown.
        modified: when it last changed, in seconds since 1970.
        upload: the store's id of an upload that was never completed; empty for a file.
    """

    name: str
    bytes: int
    modified: float
    upload: str = ""


class OpenFile(Protocol):
    """A finished file that is open for reading, until `close`."""

    @property
    def size(self) -> int:
        """Its size in bytes."""
        ...

    @property
    def modified(self) -> datetime:
        """When it was last changed."""
        ...

    def begin(self, start: int, end: int) -> None:
        """Choose the bytes that `chunks` yields, and read the first of them, so that a store that fails does so now.

        Args:
            start: the first byte.
            end: the byte after the last one.

        Raises:
            StoreFailed: the store failed.
        """
        ...

    def chunks(self) -> AsyncGenerator[bytes]:
        """Yield the chosen bytes in parts. The memory that this takes does not depend on their number.

        Raises:
            OSError: the disk failed.
            StoreFailed: the store failed.
        """
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class ArtifactStore(Protocol):
    """The store of the files of runs: a folder on the local disk, or a prefix in an object store.

    ::

        <run id>/1-accounts.csv          a finished file of attempt 1
        <run id>/1-extract-0.parquet     the rows from which the attempt made several files

    Each name begins with the number of the attempt. An attempt that was taken for lost and continues cannot overwrite
    the files of a later attempt. A file is published by the row of its run: nobody is given a file that no row has.
    """

    @property
    def address(self) -> str:
        """The address of an object store, for the processes that write to it; empty for a local folder."""
        ...

    def check(self) -> None:
        """Check that files can be written and removed, and that addresses can be signed where downloads need that.

        Raises:
            Unavailable: they cannot; the message says why and what to do.
        """
        ...

    def target(self, run_id: str, attempt: int, name: str, scratch: Path) -> FileTarget:
        """Return where a child process writes a file of a run; create the folder that it needs.

        Args:
            name: the file's name without the number of the attempt, such as `accounts.csv`.
            scratch: a local folder for temporary files, which the caller removes.
        """
        ...

    def publish_reported(self, file: Mapping[str, Any], zipped: bool) -> Artifact:
        """Give a file that a child process has finished its final name, and return its description.

        Args:
            file: as the child process reported it: `format`, `path`, `key`, `bytes`, `rows`, `sha256`.
            zipped: whether it is a zip.
        """
        ...

    def discard(self, target: FileTarget) -> None:
        """Remove what was written to a target that is not published; no effect if nothing was."""
        ...

    def exists(self, run_id: str, artefact: Artifact) -> bool:
        """Return whether a finished file is there.

        Raises:
            StoreFailed: the store failed.
        """
        ...

    def open(self, run_id: str, artefact: Artifact) -> OpenFile:
        """Open a finished file for a download.

        Raises:
            FileNotFoundError: it was removed.
            Unavailable: the store failed, or has another file under this name.
        """
        ...

    def local_path(self, run_id: str, artefact: Artifact) -> Path:
        """Return a path on the local disk at which the content of a finished file can be read for a while.

        From an object store it is copied to a cache of limited size first, unless it is there; it may be removed from
        the cache at any time. `local_copy` keeps it.

        Raises:
            FileNotFoundError: the file was removed.
            Unavailable: the store failed, or the copy is damaged.
            OSError: the disk of the cache is full or fails.
        """
        ...

    def local_copy(self, run_id: str, artefact: Artifact) -> AbstractContextManager[Path]:
        """Yield such a path, which stays until the context ends; the same errors."""
        ...

    def sign(self, run_id: str, artefact: Artifact) -> str:
        """Return an address at which anybody can download a file for `timeouts.SIGNED_ADDRESS_SECONDS`; empty where the
        store is a local folder.

        Raises:
            StoreFailed: the credentials cannot sign addresses.
        """
        ...

    def remove(self, run_id: str, file: StoredFile) -> None:
        """Remove a file of a run, or an incomplete upload; no effect if it is gone.

        Raises:
            OSError: the disk failed.
            StoreFailed: the store failed.
        """
        ...

    def remove_attempts(self, run_id: str, attempt: int) -> None:
        """Remove what was written by this attempt at a run or earlier ones, incomplete uploads included.

        An object store that fails is logged, not raised: the sweep removes later what stays.
        """
        ...

    def remove_run(self, run_id: str) -> None:
        """Remove all files of a run; no effect if it has none. If it raises, some of the files may be left.

        Raises:
            OSError: the disk failed.
            StoreFailed: the store failed.
        """
        ...

    def list_runs(self) -> Iterator[StoredRun]:
        """Yield each folder that is named as a run with what is in it.

        Raises:
            OSError: the disk failed.
            StoreFailed: the store failed.
        """
        ...

    def remove_empty_folder(self, run_id: str, unchanged_since: float) -> None:
        """Remove the folder of a run if it is empty and was last changed before a time, in seconds since 1970."""
        ...


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The folder of a run in a store.

    Attributes:
        id: its name, which is the id of the run.
        files: what is in it.
    """

    id: str
    files: tuple[StoredFile, ...] = field(default=())


def is_run_id(name: str) -> bool:
    """Return whether the name of a folder is the id of a run. Others are left alone: they may belong to others."""
    return _RUN_ID.fullmatch(name) is not None


def is_of_attempts(name: str, attempt: int) -> bool:
    """Return whether a file was written by this attempt or an earlier one: true for `1-accounts.csv` and 2."""
    number, separator, _ = name.partition("-")
    return bool(separator) and number.isdecimal() and int(number) <= attempt
