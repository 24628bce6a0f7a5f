"""The files that a child process writes: to the local disk, or to an object store while they are written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from whohas.execution.digest import FileDigest
from whohas.execution.protocol import OutputFile, Work, WorkPart
from whohas.formats.base import Format
from whohas.formats.streaming import pipe
from whohas.object_stores import ObjectStore, open_store, parse_address

if TYPE_CHECKING:
    from whohas.storage.objects import UploadedFile


class UnfinishedFile(Protocol):
    """A file that is being written."""

    def writing(self, format: Format | None) -> AbstractContextManager[Path]:
        """Yield the path to write the file to.

        Args:
            format: the format that writes it; None for a zip.
        """
        ...

    def finalize(self) -> dict[str, Any]:
        """Make the complete file durable, and return its `path`, `key`, `bytes` and `sha256`.

        Raises:
            OSError: the file cannot be read or synced.
            StoreFailed: the object store failed.
        """
        ...


class OutputFiles:
    """The files of one work.

    Args:
        work: the work.
    """

    def __init__(self, work: Work) -> None:
        self._address = work.store
        self._opened: ObjectStore | None = None

    def output(self, output: OutputFile) -> UnfinishedFile:
        """Return an output to write."""
        if output.key:
            return _UploadedFile(self._store, output.path, output.key, output.headers, keep=False)
        return _LocalFile(output.path)

    def extract(self, part: WorkPart) -> UnfinishedFile:
        """Return the extract of a part, which stays on the local disk as long as outputs are made from it."""
        if part.extract_key:
            return _UploadedFile(self._store, part.extract, part.extract_key, {}, keep=True)
        return _LocalFile(part.extract)

    @property
    def _store(self) -> ObjectStore:
        # opened in the child: the threads of a store do not survive a fork
        if self._opened is None:
            self._opened = open_store(parse_address(self._address))
        return self._opened


class _LocalFile:
    """A file on the local disk; see `UnfinishedFile`. DuckDB's are hashed while they are written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._digest = FileDigest(Path(path))

    @contextmanager
    def writing(self, format: Format | None) -> Generator[Path]:
        with self._digest.while_writing() if format is not None and format.copy is not None else nullcontext():
            yield Path(self._path)

    def finalize(self) -> dict[str, Any]:
        return {"path": self._path, "key": "", **self._digest.finalize()}


class _UploadedFile:
    """A file that is uploaded to an object store; see `UnfinishedFile`.

    A format that writes from the first byte to the last writes to a pipe, from which the file is uploaded.
    Any other writes to a temporary file, which is uploaded by `finalize`. With `keep`, the temporary file stays.
    """

    def __init__(self, store: ObjectStore, path: str, key: str, headers: Mapping[str, str], *, keep: bool) -> None:
        self._store = store
        self._path = Path(path)
        self._key = key
        self._headers = headers
        self._keep = keep
        self._uploaded: UploadedFile | None = None

    @contextmanager
    def writing(self, format: Format | None) -> Generator[Path]:
        if format is None or not format.streams:
            yield self._path
            return
        failed = False

        from whohas.storage.objects import UploadAborted

        def take(stream: BinaryIO) -> None:
            # at the end of the pipe, `failed` tells a complete file from one whose writer failed
            with suppress(UploadAborted):
                self._uploaded = self._upload(stream, lambda: failed)

        with pipe(take) as path:
            try:
                yield path
            except BaseException:
                failed = True
                raise

    def finalize(self) -> dict[str, Any]:
        if self._uploaded is None:
            with self._path.open("rb") as file:
                self._uploaded = self._upload(file)
            if not self._keep:
                self._path.unlink()
        facts = {"bytes": self._uploaded.bytes, "sha256": self._uploaded.sha256}
        return {"path": str(self._path), "key": self._key, **facts}

    def _upload(self, file: BinaryIO, has_failed: Callable[[], bool] = lambda: False) -> UploadedFile:
        from whohas.storage.objects import upload  # not loaded by children that keep their files on the local disk

        return upload(self._store, self._key, file, self._headers, has_failed)
