"""An anonymous pipe that processes the output of a writer, such as DuckDB, on its way to the disk."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import BinaryIO

BLOCK = 1 << 20


@contextmanager
def pipe(take: Callable[[BinaryIO], None]) -> Generator[Path]:
    """Yield a path to write bytes to sequentially, while `take` reads them in another thread.

    Raises:
        Exception: the error of `take`; it replaces the error that the writer got because of it.
    """
    # Anonymous rather than named: the reader gets the end of file when the writing end is closed, even if nobody
    # wrote, so neither side can wait for ever, and there is no file to remove.
    reading, writing = os.pipe()
    with suppress(OSError):  # a larger buffer means fewer switches between the threads
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, BLOCK)
    faults: list[Exception] = []

    def follow() -> None:
        try:
            # Always read whole blocks: the compressed bytes depend on the size of the blocks. The reading end is always
            # closed, so that a writer without a reader gets an error instead of waiting
            with os.fdopen(reading, "rb", buffering=BLOCK) as stream:
                take(stream)
        except Exception as fault:
            faults.append(fault)

    taker = Thread(target=follow, daemon=True)
    taker.start()
    try:
        yield Path(f"/dev/fd/{writing}")
    except Exception:
        _end(writing, taker)
        if faults:
            raise faults[0] from None
        raise
    _end(writing, taker)
    if faults:
        raise faults[0]


def _end(writing: int, taker: Thread) -> None:
    os.close(writing)
    taker.join()
