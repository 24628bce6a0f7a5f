"""A file that is written by somebody else and changed on its way to the disk."""

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
    """A place to write bytes to, from the first to the last; `take` reads them in a thread of its own meanwhile.

    Raises:
        Exception: what `take` raised. It is told rather than what the writer made of it.
    """
    # A pipe rather than a named one: it has an end as soon as both sides are closed, even if nobody opened it,
    # so neither side can wait for ever, and nothing has to be removed.
    reading, writing = os.pipe()
    with suppress(OSError):  # fewer turns between the two sides, where the system grants so much
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, BLOCK)
    faults: list[Exception] = []

    def follow() -> None:
        try:
            # whole blocks, however slowly they come: what packs them makes other bytes of other blocks. Closed at the
            # end, whatever happens: a writer with nobody to read is refused instead of waiting
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
