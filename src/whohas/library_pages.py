"""Release the memory of code that a process executed only while it started.

The kernel maps 64 kB of a file around each page that a process reads. So loading DuckDB, Arrow, delta-rs and Python's
own modules maps 70 MB of files, of which an idle server uses a tenth. Mapped pages count as memory of the process. Once
unmapped they are ordinary file cache, which the kernel drops first where memory is short.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MAPPING = re.compile(
    r"^(?P<start>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<permissions>\S+) \S+ \S+ (?P<inode>\d+).*\n"
    r"(?P<fields>(?:\w+:.*\n)+)",
    re.MULTILINE,
)
_UNCHANGED = re.compile(r"^Anonymous: +0 kB\n(?s:.*)^Swap: +0 kB\n", re.MULTILINE)
_DONT_NEED = 4
"""`MADV_DONTNEED` of Linux. Python offers `madvise` only for mappings that it made."""


def release_library_pages() -> None:
    """Unmap the pages of files that this process has mapped to read or execute, and has not changed.

    The next access to such a page maps it again from the file cache, in about a microsecond. Processes that are forked
    later start no slower, because a fork does not copy these mappings' pages. Without `/proc/self/smaps` nothing is
    done.
    """
    with suppress(OSError):
        mappings = list(unchanged_files(Path("/proc/self/smaps").read_text("utf-8", "replace")))
        madvise = ctypes.CDLL(None).madvise
        madvise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
        for start, end in mappings:
            madvise(start, end - start, _DONT_NEED)


def unchanged_files(smaps: str) -> Iterator[tuple[int, int]]:
    """Yield the first address, and the one after the last, of each read-only private mapping of a file without changes.

    A page that was changed, such as one in which the dynamic linker has filled in addresses, is not in the file: its
    content would be lost if it were unmapped. It counts as `Anonymous`, and as `Swap` once it was swapped out.

    Example: only the first of these mappings is yielded::

        7f4025ec7000-7f402799b000 r-xp 002c7000 08:01 4711    /…/libarrow.so       Anonymous: 0 kB, Swap: 0 kB
        7f4016c83000-7f4016f85000 r--p 06383000 08:01 4712    /…/_internal.so      Anonymous: 3040 kB
        7f402f244000-7f402f378000 rw-p 00500000 08:01 4713    /…/libpython3.so     Anonymous: 0 kB
        7f400cba0000-7f400d5a0000 r--p 00000000 00:00 0                            Anonymous: 0 kB

    Args:
        smaps: the content of `/proc/PID/smaps`.
    """
    for mapping in _MAPPING.finditer(smaps):
        is_file = mapping["inode"] != "0"
        if is_file and mapping["permissions"] in ("r-xp", "r--p") and _UNCHANGED.search(mapping["fields"]):
            yield int(mapping["start"], 16), int(mapping["end"], 16)
