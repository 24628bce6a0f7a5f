"""Detects that the kernel's OOM killer killed a child process, from the counters of the worker's control group
(cgroup).

Child processes are in the cgroup of their worker, so its counters include them. cgroup version 2 (`memory.events`,
`memory.max`, `memory.current`) and version 1 (`memory.oom_control`, `memory.limit_in_bytes`, `memory.usage_in_bytes`)
are read. On a machine without cgroups, and for a process in the root cgroup, the OOM kills of the whole machine are
counted (`oom_kill` in `/proc/vmstat`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from whohas import timeouts

_FULL = 0.97
"""Memory counts as used up from this share of the limit on: the kernel kills before the last page is allocated."""
_NO_LIMIT = 1 << 62
"""cgroup version 1 writes a number near 2**63 where there is no limit; anything from here on is read as no limit."""


@dataclass(frozen=True, slots=True)
class _CounterNames:
    """The names of the files of one cgroup version.

    Attributes:
        kills: the file with the counter `oom_kill`.
        limit: the file with the limit in bytes.
        usage: the file with the bytes in use, page cache included.
        cache: the entry of `memory.stat` with the bytes of page cache that the kernel can reclaim.
    """

    kills: str
    limit: str
    usage: str
    cache: str


_V1 = _CounterNames("memory.oom_control", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _CounterNames("memory.events", "memory.max", "memory.current", "inactive_file")


@dataclass(frozen=True, slots=True)
class CgroupMemory:
    """The memory counters of the cgroup of this process. Created by `find_cgroup_memory`.

    Attributes:
        folders: the folders of the cgroup and its parents, the innermost first; empty on a machine without cgroups.
        names: the names of the files in these folders.
        vmstat: the file with the counters of the whole machine.
    """

    folders: tuple[Path, ...]
    names: _CounterNames
    vmstat: Path

    def count_oom_kills(self) -> int:
        """Return how many processes the OOM killer has killed so far."""
        for folder in self.folders[:1]:
            if (count := _entry(folder / self.names.kills, "oom_kill")) is not None:
                return count
        return _entry(self.vmstat, "oom_kill") or 0

    def is_full(self) -> bool:
        """Return whether the cgroup or a parent uses 97 % of its memory limit or more, reclaimable page cache
        excluded."""
        for folder in self.folders:
            limit, usage = _number(folder / self.names.limit), _number(folder / self.names.usage)
            if limit is not None and usage is not None and 0 < limit < _NO_LIMIT:
                cache = _entry(folder / "memory.stat", self.names.cache) or 0
                if usage - cache >= limit * _FULL:
                    return True
        return False


class MemoryWatch:
    """Says whether memory was short around the time at which a process was killed.

    Call `sample` several times a second while the process runs, and `was_short` after it was killed.
    """

    def __init__(self, memory: CgroupMemory, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = memory
        self._clock = clock
        self._seen: deque[tuple[float, int, bool]] = deque()
        self.sample()

    def sample(self) -> None:
        """Record the present number of OOM kills, and whether memory is used up."""
        now = self._clock()
        self._seen.append((now, self._memory.count_oom_kills(), self._memory.is_full()))
        # A large process takes a while to end, and the kill is counted at its beginning. So the count is compared with
        # one from `CHILD_MEMORY_SECONDS` ago, and not with the last one, which may include the kill already.
        while len(self._seen) > 1 and now - self._seen[0][0] > timeouts.CHILD_MEMORY_SECONDS:
            self._seen.popleft()

    def was_short(self) -> bool:
        """Return whether, within the last `timeouts.CHILD_MEMORY_SECONDS`, there was an OOM kill or memory was used
        up."""
        self.sample()
        return self._memory.count_oom_kills() > self._seen[0][1] or any(full for _, _, full in self._seen)


def find_cgroup_memory(proc: Path = Path("/proc"), mount: Path = Path("/sys/fs/cgroup")) -> CgroupMemory:
    """Return the memory counters of the cgroup of this process.

    Args:
        proc: the mount point of procfs.
        mount: the mount point of the cgroup file system.
    """
    vmstat = proc / "vmstat"
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return CgroupMemory((), _V2, vmstat)
    # a line is number:controllers:path, such as `4:memory:/system.slice` (version 1) or `0::/system.slice` (version 2)
    paths = {
        controllers: path for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1)
    }
    for controllers, path in paths.items():
        if "memory" in controllers.split(","):
            return CgroupMemory(_around(mount / "memory", path, _V1.limit), _V1, vmstat)
    return CgroupMemory(_around(mount, paths.get("", "/"), _V2.limit), _V2, vmstat)


def _around(root: Path, path: str, file: str) -> tuple[Path, ...]:
    """Return the folder of a cgroup and of its parents, the innermost first, as far as they have a file of that name.

    In a container `/proc/self/cgroup` may name a path of the host; the root of the mount is the container's cgroup
    then.
    """
    inner = root / path.lstrip("/")
    inner = inner if inner.is_dir() and ".." not in inner.parts else root
    folders = [inner, *(folder for folder in inner.parents if folder == root or root in folder.parents)]
    return tuple(folder for folder in folders if (folder / file).is_file())


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):  # "max" is no limit
        return None


def _entry(path: Path, name: str) -> int | None:
    """Return the number after a name in a file of lines `name number`.

    None if the file or the name is missing, or what follows is no number.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return None
