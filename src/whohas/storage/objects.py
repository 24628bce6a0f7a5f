"""The files of runs in an object store.

::

    <prefix>/<run id>/1-accounts.csv       a finished file of attempt 1
    <prefix>/<run id>/1-extract-0.parquet  the rows from which the attempt made several files

An object appears under its key once all of it has arrived: small files by one request, larger ones by a multipart
upload that begins while the file is being written. The SHA-256 is computed from the same bytes. As the key has the
number of the attempt, no other attempt writes the same object; so an upload needs no condition, and may be repeated.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import structlog

from whohas import timeouts
from whohas.errors import Unavailable
from whohas.file_cache import FileCache, RemoteFile
from whohas.object_stores import PART_BYTES, ObjectStore, StoredObject, StoreFailed, store_errors
from whohas.storage.base import (
    ZIP_MEDIA_TYPE,
    Artifact,
    FileTarget,
    OpenFile,
    StoredFile,
    StoredRun,
    is_of_attempts,
    is_run_id,
)
from whohas.storage.uploads import IncompleteUpload, abort_upload, list_uploads

BLOCK_BYTES = 1 << 20
"""Bytes of an object that are read by one request. A download holds at most two such blocks."""
_UPLOADS_AT_ONCE = 4
"""The parts of a file that are uploaded at the same time: with `PART_BYTES` the memory that an upload takes."""
_VALID = timedelta(seconds=timeouts.SIGNED_ADDRESS_SECONDS)

log = structlog.get_logger("whohas.storage")


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that was uploaded.

    Attributes:
        bytes: its size.
        sha256: the SHA-256 of its content, 64 hex digits.
    """

    bytes: int
    sha256: str


class UploadAborted(Exception):
    """The writer of the file that is being uploaded failed, so the upload is aborted."""


def upload(
    store: ObjectStore,
    key: str,
    file: BinaryIO,
    headers: Mapping[str, str],
    is_aborted: Callable[[], bool] = lambda: False,
) -> UploadedFile:
    """Upload a file while it is read, and return its size and SHA-256.

    Args:
        file: it is read to its end, in blocks of `PART_BYTES`; a pipe is read as it is filled.
        headers: the headers with which the store serves the object: `Content-Type`, `Content-Disposition`.
        is_aborted: asked at the end of the file; if it returns true, the object is not created.

    Raises:
        UploadAborted: `is_aborted` returned true.
        StoreFailed: the store failed; no object was created.
        OSError: the file cannot be read.
    """
    import obstore

    digest, size = hashlib.sha256(), 0

    def read() -> bytes:
        nonlocal size
        block = file.read(PART_BYTES)
        digest.update(block)
        size += len(block)
        if len(block) < PART_BYTES and is_aborted():
            raise UploadAborted
        return block

    def blocks(block: bytes) -> Iterator[bytes]:
        while block:
            yield block
            block = read()

    first = read()
    content: bytes | Iterable[bytes] = first if len(first) < PART_BYTES else blocks(first)
    with store_errors(store.address, f"take {key}"):
        obstore.put(
            store.raw,
            key,
            content,  # pyright: ignore[reportArgumentType] - bytes are a Buffer
            attributes=dict(headers),  # pyright: ignore[reportArgumentType]
            chunk_size=PART_BYTES,
            max_concurrency=_UPLOADS_AT_ONCE,
        )
    return UploadedFile(size, digest.hexdigest())


class ObjectArtifacts:
    """The files of runs in an object store; see `ArtifactStore`.

    Args:
        store: the store.
        cache: the local copies.
        signs: whether downloads need signed addresses, so that `check` tries one.
    """

    def __init__(self, store: ObjectStore, cache: FileCache, *, signs: bool = False) -> None:
        self._store = store
        self._cache = cache
        self._signs = signs

    @property
    def address(self) -> str:
        return str(self._store.address)

    def check(self) -> None:
        """Write, read and remove an object, and sign an address where downloads need that."""
        key = "whohas-check/1"
        self._store.write(key, b"whohas checks that it can write here, and removes this at once")
        try:
            self._store.head(key)
            next(list_uploads(self._store, key), None)
            if self._signs:
                self._sign(key)
        finally:
            self._store.delete(key)

    def target(self, run_id: str, attempt: int, name: str, scratch: Path) -> FileTarget:
        """Return the key of the object, and a path in `scratch`."""
        scratch.mkdir(parents=True, exist_ok=True)
        return FileTarget(str(scratch / name), f"{run_id}/{attempt}-{name}")

    def publish_reported(self, file: Mapping[str, Any], zipped: bool) -> Artifact:
        """Return the description of a file: it is there under its final key already."""
        return Artifact(
            format=file["format"],
            name=PurePosixPath(file["key"]).name,
            media_type=ZIP_MEDIA_TYPE if zipped else "",
            bytes=file["bytes"],
            rows=file["rows"],
            sha256=file["sha256"],
        )

    def discard(self, target: FileTarget) -> None:
        """Remove an object and its incomplete uploads; a store that fails is logged, and the sweep removes them."""
        try:
            self._store.delete(target.key)
            for incomplete in list_uploads(self._store, target.key):
                abort_upload(self._store, incomplete.key, incomplete.id)
        except StoreFailed as error:
            log.warning("file left for the sweep", key=target.key, reason=error.message)

    def exists(self, run_id: str, artefact: Artifact) -> bool:
        try:
            self._store.head(f"{run_id}/{artefact.name}")
        except FileNotFoundError:
            return False
        return True

    def open(self, run_id: str, artefact: Artifact) -> OpenFile:
        """Open an object, after comparing its size with that of the file."""
        key = f"{run_id}/{artefact.name}"
        found = self._store.head(key)
        if found.bytes != artefact.bytes:
            raise Unavailable(
                f"The object {key} in {self._store.address} has {found.bytes:,} bytes, and the file of the run has "
                f"{artefact.bytes:,}: another program has changed it. Start the report again."
            )
        return StoredObjectFile(self._store, found)

    def local_path(self, run_id: str, artefact: Artifact) -> Path:
        file = _remote_file(run_id, artefact)
        self._cache.fetch([file])
        return self._cache.root / file.name

    @contextmanager
    def local_copy(self, run_id: str, artefact: Artifact) -> Generator[Path]:
        with self._cache.hold([_remote_file(run_id, artefact).name]):
            yield self.local_path(run_id, artefact)

    def sign(self, run_id: str, artefact: Artifact) -> str:
        return self._sign(f"{run_id}/{artefact.name}")

    def _sign(self, key: str) -> str:
        import obstore

        with store_errors(self._store.address, f"sign an address of {key}"):
            return obstore.sign(self._store.raw, "GET", key, _VALID)

    def remove(self, run_id: str, file: StoredFile) -> None:
        key = f"{run_id}/{file.name}"
        if file.upload:
            abort_upload(self._store, key, file.upload)
        else:
            self._store.delete(key)

    def remove_attempts(self, run_id: str, attempt: int) -> None:
        if attempt < 1:
            return
        try:
            for file in self._files_of(run_id):
                if is_of_attempts(file.name, attempt):
                    self.remove(run_id, file)
        except StoreFailed as error:
            log.warning("files left for the sweep", run_id=run_id, reason=error.message)

    def remove_run(self, run_id: str) -> None:
        for file in self._files_of(run_id):
            self.remove(run_id, file)

    def _files_of(self, run_id: str) -> list[StoredFile]:
        """Return what is in the folder of a run, incomplete uploads included."""
        files = [_stored_file(found) for found in self._store.list(run_id)]
        return files + [_stored_upload(found) for found in list_uploads(self._store, f"{run_id}/")]

    def list_runs(self) -> Iterator[StoredRun]:
        incomplete: dict[str, list[StoredFile]] = {}
        for upload in list_uploads(self._store):
            incomplete.setdefault(_run_of(upload.key), []).append(_stored_upload(upload))
        # in the order of the keys, so the objects of a run follow each other
        for run_id, objects in groupby(self._store.list(), lambda found: _run_of(found.key)):
            if is_run_id(run_id):
                yield StoredRun(run_id, (*map(_stored_file, objects), *incomplete.pop(run_id, ())))
        for run_id, uploads in sorted(incomplete.items()):
            if is_run_id(run_id):
                yield StoredRun(run_id, tuple(uploads))

    def remove_empty_folder(self, run_id: str, unchanged_since: float) -> None:
        """Nothing to remove: object stores have no folders."""


class StoredObjectFile:
    """An object that is read by requests for blocks of it; see `OpenFile`.

    A single request for all of it would hold a connection to the store for as long as a slow client takes, and could
    not be repeated when the connection breaks.
    """

    def __init__(self, store: ObjectStore, found: StoredObject) -> None:
        self._store = store
        self._found = found
        self._start, self._end = 0, found.bytes
        self._first = b""

    @property
    def size(self) -> int:
        return self._found.bytes

    @property
    def modified(self) -> datetime:
        return self._found.modified.astimezone(UTC).replace(microsecond=0)

    def begin(self, start: int, end: int) -> None:
        self._start, self._end = start, end
        self._first = b""
        if start < end:
            self._first = _read(self._store, self._found.key, start, min(end, start + BLOCK_BYTES))

    async def chunks(self) -> AsyncGenerator[bytes]:
        block, offset = self._first, self._start + len(self._first)
        self._first = b""
        next_block: asyncio.Task[bytes] | None = None
        try:
            while block:
                # the next block is on its way while this one is sent
                next_block = asyncio.create_task(self._read(offset)) if offset < self._end else None
                yield block
                block = await next_block if next_block is not None else b""
                offset += len(block)
        finally:
            if next_block is not None:
                next_block.cancel()
                with suppress(asyncio.CancelledError, StoreFailed):
                    await next_block

    async def _read(self, offset: int) -> bytes:
        import obstore

        key = self._found.key
        end = min(self._end, offset + BLOCK_BYTES)
        with _block_errors(self._store, key):
            block = bytes(await obstore.get_range_async(self._store.raw, key, start=offset, end=end))
        return _whole(self._store, key, block, end - offset)

    def close(self) -> None:
        """Nothing to release."""


def _read(store: ObjectStore, key: str, start: int, end: int) -> bytes:
    import obstore

    with _block_errors(store, key):
        block = bytes(obstore.get_range(store.raw, key, start=start, end=end))
    return _whole(store, key, block, end - start)


@contextmanager
def _block_errors(store: ObjectStore, key: str) -> Generator[None]:
    """Turn the errors of a request for a block into `StoreFailed`, also where the object was removed in between."""
    try:
        with store_errors(store.address, f"give {key}"):
            yield
    except FileNotFoundError as error:
        raise StoreFailed(f"The object {key} in {store.address} was removed while it was read.") from error


def _whole(store: ObjectStore, key: str, block: bytes, length: int) -> bytes:
    if len(block) != length:
        raise StoreFailed(f"The store {store.address} gave {len(block):,} bytes of {key} instead of {length:,}.")
    return block


def _remote_file(run_id: str, artefact: Artifact) -> RemoteFile:
    name = f"{artefact.sha256}.{artefact.format}"
    return RemoteFile(name, artefact.bytes, f"{run_id}/{artefact.name}", artefact.sha256)


def _run_of(key: str) -> str:
    return key.partition("/")[0]


def _stored_file(found: StoredObject) -> StoredFile:
    return StoredFile(found.key.partition("/")[2], found.bytes, found.modified.timestamp())


def _stored_upload(found: IncompleteUpload) -> StoredFile:
    return StoredFile(found.key.partition("/")[2], 0, found.begun.timestamp(), found.id)
