"""Whether the kernel killed a process for want of memory, as the control group of this process tells.

Children are in the group of their worker, so its files speak of them too. Read are version 2 (`memory.events`,
`memory.max`, `memory.current`) and version 1 (`memory.oom_control`, `memory.limit_in_bytes`, `memory.usage_in_bytes`).
A machine without groups, or a process in the root group, counts what the kernel killed on the whole machine
(`/proc/vmstat`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from whohas import timeouts

_FULL = 0.97
"""The share of the limit from which on memory is used up: the kernel kills before the last page is taken."""
_NO_LIMIT = 1 << 62
"""Version 1 writes a number near 2**63 for no limit."""


@dataclass(frozen=True, slots=True)
class _Names:
    """How a version of control groups names its files; `cache` is the entry of `memory.stat` that can be given back."""

    kills: str
    limit: str
    usage: str
    cache: str


_V1 = _Names("memory.oom_control", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_V2 = _Names("memory.events", "memory.max", "memory.current", "inactive_file")


@dataclass(frozen=True, slots=True)
class GroupMemory:
    """The memory of the control group of this process. Made by `group_memory`.

    Attributes:
        groups: the folders of the group and of those around it, the innermost first; empty where there are none.
    """

    groups: tuple[Path, ...]
    names: _Names
    vmstat: Path

    def kills(self) -> int:
        """Return how many processes the kernel has killed so far for want of memory."""
        for folder in self.groups[:1]:
            if (count := _entry(folder / self.names.kills, "oom_kill")) is not None:
                return count
        return _entry(self.vmstat, "oom_kill") or 0

    def is_full(self) -> bool:
        """Return whether the group, or one around it, uses all the memory that it may have, caches of files aside."""
        for folder in self.groups:
            limit, usage = _number(folder / self.names.limit), _number(folder / self.names.usage)
            if limit is not None and usage is not None and 0 < limit < _NO_LIMIT:
                cache = _entry(folder / "memory.stat", self.names.cache) or 0
                if usage - cache >= limit * _FULL:
                    return True
        return False


class MemoryWatch:
    """Tells of a process that was killed whether memory was short then. `look` is to be called every now and then."""

    def __init__(self, memory: GroupMemory, clock: Callable[[], float] = time.monotonic) -> None:
        self._memory = memory
        self._clock = clock
        self._seen: deque[tuple[float, int, bool]] = deque()
        self.look()

    def look(self) -> None:
        """Note how things are now."""
        now = self._clock()
        self._seen.append((now, self._memory.kills(), self._memory.is_full()))
        # the end of a large process takes a while: what was counted before it is compared, and not only the last look
        while len(self._seen) > 1 and now - self._seen[0][0] > timeouts.CHILD_MEMORY_SECONDS:
            self._seen.popleft()

    def was_short(self) -> bool:
        """Return whether the kernel has killed for want of memory since shortly before, or memory was used up."""
        self.look()
        return self._memory.kills() > self._seen[0][1] or any(full for _, _, full in self._seen)


def group_memory(proc: Path = Path("/proc"), mount: Path = Path("/sys/fs/cgroup")) -> GroupMemory:
    """Find the control group of this process.

    Args:
        proc: where the kernel tells of processes.
        mount: where control groups are.
    """
    vmstat = proc / "vmstat"
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return GroupMemory((), _V2, vmstat)
    # number:controllers:path; version 2 has the number 0 and no controllers
    paths = {
        controllers: path for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1)
    }
    for controllers, path in paths.items():
        if "memory" in controllers.split(","):
            return GroupMemory(_around(mount / "memory", path, _V1.limit), _V1, vmstat)
    return GroupMemory(_around(mount, paths.get("", "/"), _V2.limit), _V2, vmstat)


def _around(root: Path, path: str, file: str) -> tuple[Path, ...]:
    """Return the folder of a group and those around it that have a file; in a container the group may be the root."""
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
    """Return the value of a name in a file of lines `name value`; None where it is not there."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return None
