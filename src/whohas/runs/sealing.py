"""What is told of a finished file, and made sure of: that it is on the disk, its length, and its SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

_LOOK_SECONDS = 0.02
_BLOCK = 1 << 20
_SYNC_BYTES = 64 << 20
"""So many bytes are given to the disk at a time while the rest is being written."""


class Seal:
    """The seal of one file, which may begin while the file is being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._digest = hashlib.sha256()
        self._read = self._synced = 0
        self._fault: OSError | None = None

    @contextmanager
    def following(self) -> Generator[None]:
        """Reads the file while somebody else writes it, from its first byte to its last and nowhere twice."""
        done = Event()

        def follow() -> None:
            try:
                while not done.wait(_LOOK_SECONDS):
                    if self._path.exists():
                        self._on(_BLOCK, sync=True)
            except OSError as fault:
                self._fault = fault  # the system tells a failed sync only once

        follower = Thread(target=follow, daemon=True)
        follower.start()
        try:
            yield
        finally:
            done.set()
            follower.join()

    def finish(self) -> dict[str, Any]:
        """Syncs the complete file to the disk, and returns its `bytes` and `sha256`.

        Raises:
            OSError: it could not be read or synced.
        """
        if self._fault is not None:
            raise self._fault
        self._on(1)
        assert self._file is not None
        os.fsync(self._file)
        size = os.fstat(self._file).st_size
        assert self._read == size, "a file that is followed only grows"
        assert os.path.samestat(self._path.stat(), os.fstat(self._file)), "a file that is followed stays the same"
        os.close(self._file)
        return {"bytes": size, "sha256": self._digest.hexdigest()}

    def _on(self, least: int, sync: bool = False) -> None:
        """Reads on in blocks of at least so many bytes."""
        if self._file is None:
            self._file = os.open(self._path, os.O_RDONLY)
        while os.fstat(self._file).st_size - self._read >= least and (block := os.read(self._file, _BLOCK)):
            self._digest.update(block)
            self._read += len(block)
            if sync and self._read - self._synced >= _SYNC_BYTES:
                os.fdatasync(self._file)
                self._synced = self._read
