"""The size and SHA-256 of a file of a run, synced to disk. The file is hashed while it is written where possible."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

_BLOCK = 1 << 20
_SYNC_BYTES = 1 << 26
"""The file is synced to disk each time that it has grown by this many bytes, so that the last sync is short."""
_WAIT_SECONDS = 0.02
"""The pause between two attempts to read more bytes of a growing file. It is no setting: nothing else depends on it."""


class FileDigest:
    """Computes the digest of one file and makes it durable.

    Call `finalize` once the file is complete. Wrapping the writing in `while_writing` makes `finalize` quick.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._file: tuple[int, int] = (0, 0)
        self._hashed = 0

    @contextmanager
    def while_writing(self) -> Generator[None]:
        """Hash and sync the file in a thread while the body of the context writes it.

        The writer must create the file (an existing one is removed first) and write each byte exactly once, in any
        order.

        DuckDB's threads write to different offsets of a file at the same time, so the file has its full length before
        it has all its bytes. A byte that has not been written yet reads as zero, so all bytes before the first zero
        have been written: only these are hashed. Text files contain no zero byte. In a binary file, hashing stops at
        its first zero byte until the writer has finished; the rest is hashed when the context ends.

        Example: `b"id,na\\0\\0\\0smith\\n"` is read while a thread has yet to write bytes 5 to 7. The first five bytes
        are hashed; the next read starts at offset 5.

        Raises:
            OSError: the file cannot be read or synced.
        """
        self._path.unlink(missing_ok=True)
        over = Event()
        faults: list[OSError] = []

        def follow() -> None:
            try:
                self._hash_until(over)
            except OSError as fault:
                faults.append(fault)

        follower = Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            over.set()
            follower.join()
        if faults:
            raise faults[0]

    def _hash_until(self, over: Event) -> None:
        """Hash the file as it grows, until the event is set and all its bytes are hashed."""
        complete = over.is_set()
        while not self._path.exists():
            if complete:
                return
            complete = over.wait(_WAIT_SECONDS)
        block = bytearray(_BLOCK)
        synced = 0
        with self._path.open("rb", buffering=0) as file:
            self._file = _identity(file.fileno())
            while True:
                complete = over.is_set()
                length = os.preadv(file.fileno(), [block], self._hashed)
                if not complete and (zero := block.find(0, 0, length)) >= 0:
                    length = zero
                self._digest.update(memoryview(block)[:length])
                self._hashed += length
                if (size := os.fstat(file.fileno()).st_size) - synced >= _SYNC_BYTES:
                    os.fdatasync(file.fileno())
                    synced = size
                if not length:
                    if complete:
                        return
                    over.wait(_WAIT_SECONDS)

    def finalize(self) -> dict[str, Any]:
        """Sync the complete file to disk, and return its `bytes` and `sha256` (lower-case hex digits).

        The digest of `while_writing` is used where it covers the same file to its end; else the file is read again.
        """
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
            hashed = self._file == _identity(file.fileno()) and self._hashed == size
            digest = self._digest if hashed else hashlib.file_digest(file, "sha256")
            return {"bytes": size, "sha256": digest.hexdigest()}


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
