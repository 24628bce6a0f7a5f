"""A finished file of a run: on the disk, and known by its bytes."""

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
"""So much at a time goes to the disk while a file is written, so that little is left to wait for at its end."""
_WAIT_SECONDS = 0.02
"""How long the next bytes of a file that is written are waited for. Nothing else depends on it, so it stands here."""


class Sealing:
    """One file that is being made, and its seal once it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = hashlib.sha256()
        self._file: tuple[int, int] = (0, 0)
        self._taken = 0

    @contextmanager
    def on_the_way(self) -> Generator[None]:
        """Hashes the file and brings it to the disk while somebody else writes it, who begins it anew and writes each
        byte once.

        The threads of an engine each write to a place of their own in a file, so that it has its length before it has
        all its bytes. But a byte that has not been written yet is read as zero: up to the first zero, all are there. A
        text has none; what follows a zero is hashed at the end.

        Raises:
            OSError: the file cannot be read, or does not come to the disk.
        """
        self._path.unlink(missing_ok=True)
        over = Event()
        faults: list[OSError] = []

        def follow() -> None:
            try:
                self._follow(over)
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

    def _follow(self, over: Event) -> None:
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
                there = os.preadv(file.fileno(), [block], self._taken)
                if not complete and (zero := block.find(0, 0, there)) >= 0:
                    there = zero
                self._digest.update(memoryview(block)[:there])
                self._taken += there
                if (size := os.fstat(file.fileno()).st_size) - synced >= _SYNC_BYTES:
                    os.fdatasync(file.fileno())
                    synced = size
                if not there:
                    if complete:
                        return
                    over.wait(_WAIT_SECONDS)

    def seal(self) -> dict[str, Any]:
        """The `bytes` and `sha256` of the file, which is complete and has come to the disk when this returns."""
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
            followed = self._file == _identity(file.fileno()) and self._taken == size
            digest = self._digest if followed else hashlib.file_digest(file, "sha256")
            return {"bytes": size, "sha256": digest.hexdigest()}


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino
