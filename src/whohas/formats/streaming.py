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
    """Yield a path to write bytes to sequentially, while another thread calls `take` with a stream of these bytes.

    The context ends when `take` has returned.

    Raises:
        Exception: the error of `take`; it replaces the error that the writer got because of it.
    """
    # Anonymous rather than named: the reader gets the end of file when the writing end is closed, even if nobody
    # wrote, so neither side can wait for ever, and there is no file to remove.
    reading, writing = os.pipe()
    with suppress(OSError):  # a larger buffer means fewer switches between the threads
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, BLOCK)
    errors: list[Exception] = []

    def read() -> None:
        try:
            # Always read whole blocks: the compressed bytes depend on the size of the blocks. The reading end is always
            # closed, so that a writer without a reader gets an error instead of waiting
            with os.fdopen(reading, "rb", buffering=BLOCK) as stream:
                take(stream)
        except Exception as error:
            errors.append(error)

    reader = Thread(target=read, daemon=True)
    reader.start()
    try:
        yield Path(f"/dev/fd/{writing}")
    except Exception:
        _end(writing, reader)
        if errors:
            raise errors[0] from None
        raise
    _end(writing, reader)
    if errors:
        raise errors[0]


def _end(writing: int, reader: Thread) -> None:
    """Close the writing end, which ends the stream of the reader, and wait for the reader."""
    os.close(writing)
    reader.join()
