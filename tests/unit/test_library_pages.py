"""Pages of files that a process does not use any more are unmapped, and pages that it has changed never."""

from __future__ import annotations

import mmap
import re
from pathlib import Path

import pytest

from whohas.library_pages import release_library_pages, unchanged_files

CODE = """\
7f4025ec7000-7f402799b000 {permissions} 002c7000 08:01 {inode} {path}
Size:              27472 kB
Rss:                8220 kB
Anonymous:      {anonymous:>8} kB
AnonHugePages:         0 kB
Swap:           {swap:>8} kB
VmFlags: rd ex mr mw me sd
"""


def block(
    permissions: str = "r-xp", inode: int = 4711, path: str = "/lib/a.so", anonymous: int = 0, swap: int = 0
) -> str:
    return CODE.format(permissions=permissions, inode=inode, path=path, anonymous=anonymous, swap=swap)


@pytest.mark.parametrize("permissions", ["r--p", "r-xp"])
def test_unchanged_code_and_constants_may_be_unmapped(permissions: str) -> None:
    assert list(unchanged_files(block(permissions))) == [(0x7F4025EC7000, 0x7F402799B000)]


@pytest.mark.parametrize(
    "kept",
    [
        block("rw-p"),
        block("rwxp"),
        block("---p"),
        block("r--s"),
        block("r--p", inode=0, path="[vvar]"),
        block("r--p", anonymous=4),
        block("r--p", swap=4),
        block().replace("Swap:", "Other:"),
        "",
    ],
)
def test_changed_and_other_mappings_stay(kept: str) -> None:
    assert list(unchanged_files(kept)) == []
    assert len(list(unchanged_files(kept + block() + kept))) == 1, "each mapping is judged by its own lines"


def test_released_pages_read_the_same_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "library"
    content = bytes(range(256)) * 16_384
    path.write_bytes(content)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
        assert mapped[:] == content
        before = resident(path)
        release_library_pages()
        assert (before, resident(path)) == (len(content) // 1024, 0)
        assert mapped[:] == content


def resident(path: Path) -> int:
    """Return how many kB of a file this process has mapped."""
    smaps = Path("/proc/self/smaps").read_text("utf-8")
    return sum(int(kilobytes) for kilobytes in re.findall(rf"{re.escape(str(path))}\n(?:\w+:.*\n)*?Rss: +(\d+)", smaps))
