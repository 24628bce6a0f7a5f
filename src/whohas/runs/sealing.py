"""A finished file of a run: on the disk, and known by its bytes."""

from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

from whohas.render.pipe import BLOCK, pipe

_SYNC_BYTES = 1 << 26
"""So much at a time goes to the disk while a file is written, so that little is left to wait for at its end."""


class Sealing:
    """One file that is being made, and its seal once it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sha256 = ""

    def on_the_way(self) -> AbstractContextManager[Path]:
        """A place to write the file to, from its first byte to its last; it is hashed and synced meanwhile.

        The file itself cannot be read along with its writing: the engine's threads each write to a place of their own
        in it, so that it has its length before it has all its bytes.

        Raises:
            OSError: the file cannot be written.
        """
        return pipe(self._take)

    def _take(self, stream: BinaryIO) -> None:
        digest = hashlib.sha256()
        unsynced = 0
        with self._path.open("wb") as file:
            while block := stream.read(BLOCK):
                file.write(block)
                digest.update(block)
                unsynced += len(block)
                if unsynced >= _SYNC_BYTES:
                    file.flush()
                    os.fdatasync(file.fileno())
                    unsynced = 0
        self._sha256 = digest.hexdigest()

    def seal(self) -> dict[str, Any]:
        """The `bytes` and `sha256` of the file, which is complete and has come to the disk when this returns."""
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
            sha256 = self._sha256 or hashlib.file_digest(file, "sha256").hexdigest()
            return {"bytes": os.fstat(file.fileno()).st_size, "sha256": sha256}
