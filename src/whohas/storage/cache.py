"""A cache of files that never change, of limited size, in a folder on the local disk.

Many threads and processes may use the same folder. A file is written under another name and renamed when it is
complete. The files that were not used for the longest time are removed when the limit is exceeded.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from whohas import atomic, timeouts

Fetch = Callable[[atomic.Draft], None]
"""Writes the content of a file. If it raises, nothing is kept."""

_PINS = "in-use"
"""The folder of hard links to files that are in use, so that they stay when the cache removes them."""


class FileCache:
    """A cache of files in a folder.

    Args:
        folder: the folder, which is created when it is needed.
        max_bytes: the size of all files at which the oldest are removed. A single file may be larger.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._locks = defaultdict[str, threading.Lock](threading.Lock)

    def get(self, name: str, fetch: Fetch) -> Path:
        """Return the path of a file, after fetching it if it is not in the cache. It may be removed at any time.

        Args:
            name: the name of the file in the cache, which stands for its content.
            fetch: writes the content.

        Raises:
            OSError: the disk is full or fails.
        """
        path = self._folder / name
        with self._locks[name]:
            try:
                os.utime(path)
            except FileNotFoundError:
                self._folder.mkdir(parents=True, exist_ok=True)
                with atomic.Draft(path) as draft:
                    fetch(draft)
                    draft.publish(sync=False)
                self._make_room(name)
        return path

    @contextmanager
    def pinned(self, name: str, fetch: Fetch) -> Generator[Path]:
        """Yield the path of a file that stays until the context ends; arguments and errors of `get`."""
        pins = self._folder / _PINS
        pins.mkdir(parents=True, exist_ok=True)
        pin = pins / f"{name}-{secrets.token_hex(8)}"
        while True:
            path = self.get(name, fetch)
            try:
                os.link(path, pin)
            except FileNotFoundError:  # removed in between, because others need the room
                continue
            break
        try:
            yield pin
        finally:
            pin.unlink(missing_ok=True)

    def _make_room(self, newest: str) -> None:
        """Remove the files that were not used for the longest time until the rest fits, but not the newest one.

        What killed processes left is removed too.
        """
        atomic.remove_leftovers(self._folder, seconds=timeouts.CACHE_LEFTOVER_SECONDS)
        before = time.time() - timeouts.CACHE_LEFTOVER_SECONDS
        for pin in (self._folder / _PINS).glob("*"):
            with suppress(FileNotFoundError):
                if pin.stat().st_mtime < before:  # `get` sets the time of the file, which the link shares
                    pin.unlink()
        entries: list[tuple[float, int, str]] = []
        with os.scandir(self._folder) as found:
            for entry in found:
                with suppress(FileNotFoundError):
                    if entry.is_file():
                        status = entry.stat()
                        entries.append((status.st_mtime, status.st_size, entry.name))
        used = sum(size for _, size, _ in entries)
        for _, size, name in sorted(entries):
            if used <= self._max_bytes:
                return
            if name != newest:
                (self._folder / name).unlink(missing_ok=True)
                used -= size
