"""Whether memory was short when a process was killed, read from the files of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from whohas import timeouts
from whohas.execution.memory import MemoryWatch, find_cgroup_memory

MiB = 1 << 20


class Machine:
    """The files that a kernel shows."""

    def __init__(self, folder: Path, cgroup: str) -> None:
        self.proc, self.mount = folder / "proc", folder / "cgroup"
        (self.proc / "self").mkdir(parents=True)
        self.mount.mkdir()
        (self.proc / "self" / "cgroup").write_text(cgroup)
        (self.proc / "vmstat").write_text("nr_free_pages 1\noom_kill 7\n")

    def v2(self, path: str, limit: str, usage: int, cache: int = 0, kills: int = 0) -> None:
        folder = self.mount / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{usage}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n")
        (folder / "memory.events").write_text(f"low 0\nhigh 0\nmax 99\noom 3\noom_kill {kills}\noom_group_kill 0\n")

    def v1(self, path: str, limit: int, usage: int, cache: int = 0, kills: int = 0) -> None:
        folder = self.mount / "memory" / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
        (folder / "memory.usage_in_bytes").write_text(f"{usage}\n")
        (folder / "memory.stat").write_text(f"cache 1\ntotal_inactive_file {cache}\n")
        (folder / "memory.oom_control").write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n")

    def memory(self) -> tuple[int, bool]:
        memory = find_cgroup_memory(self.proc, self.mount)
        return memory.count_oom_kills(), memory.is_full()

    def watch(self, clock: list[float]) -> MemoryWatch:
        return MemoryWatch(find_cgroup_memory(self.proc, self.mount), lambda: clock[0])


def test_version_2_counts_kills_of_its_own_group(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/system.slice/whohas.service\n")
    machine.v2("system.slice/whohas.service", "max", 5 * MiB, kills=2)
    machine.v2("system.slice", "max", 5 * MiB, kills=9)
    assert machine.memory() == (2, False)


@pytest.mark.parametrize(
    ("limit", "usage", "cache", "full"),
    [
        ("104857600", 104857600, 0, True),
        ("104857600", 103000000, 0, True),
        ("104857600", 104857600, 50 * MiB, False),  # the cache of files is given back
        ("104857600", 50 * MiB, 0, False),
        ("max", 1 << 40, 0, False),
        ("0", 0, 0, False),
    ],
)
def test_memory_is_full_at_the_limit_of_version_2(
    tmp_path: Path, limit: str, usage: int, cache: int, full: bool
) -> None:
    machine = Machine(tmp_path, "0::/\n")
    machine.v2("", limit, usage, cache)
    assert machine.memory() == (0, full)


def test_the_limit_of_a_group_around_it_counts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/pod/container\n")
    machine.v2("pod/container", "max", 50 * MiB)
    machine.v2("pod", str(100 * MiB), 100 * MiB)
    assert machine.memory() == (0, True)


def test_version_1_is_read(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "8:pids:/\n4:memory:/docker/abc\n0::/\n")
    machine.v1("docker/abc", 100 * MiB, 99 * MiB, cache=10 * MiB, kills=4)
    assert machine.memory() == (4, False)
    machine.v1("docker/abc", 100 * MiB, 99 * MiB, kills=5)
    assert machine.memory() == (5, True)
    machine.v1("docker/abc", (1 << 63) - 4096, 1 << 40)
    assert machine.memory() == (0, False)


def test_version_1_with_several_controllers_in_a_container_is_read(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "4:cpu,memory:/docker/not-visible-here\n")
    machine.v1("", 100 * MiB, 100 * MiB, kills=1)
    assert machine.memory() == (1, True)


def test_without_a_group_the_whole_machine_is_counted(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/\n")
    assert machine.memory() == (7, False)
    (machine.proc / "self" / "cgroup").unlink()
    assert machine.memory() == (7, False)
    (machine.proc / "vmstat").unlink()
    assert machine.memory() == (0, False)


@pytest.mark.parametrize("content", ["", "\n", "nonsense", "0::/../../etc\n", "0::", "x:memory:/a\n"])
def test_odd_files_are_no_fault(tmp_path: Path, content: str) -> None:
    machine = Machine(tmp_path, content)
    assert machine.memory() == (7, False)


def test_memory_was_short_where_the_count_rose(tmp_path: Path) -> None:
    machine, clock = Machine(tmp_path, "0::/\n"), [0.0]
    machine.v2("", "max", 1, kills=3)
    watch = machine.watch(clock)
    assert not watch.was_short()
    machine.v2("", "max", 1, kills=4)
    clock[0] = 0.1
    watch.sample()  # the kill was counted before the process was gone
    assert watch.was_short()


def test_a_kill_of_long_before_is_no_reason(tmp_path: Path) -> None:
    machine, clock = Machine(tmp_path, "0::/\n"), [0.0]
    machine.v2("", "max", 1, kills=3)
    watch = machine.watch(clock)
    machine.v2("", "max", 1, kills=4)
    for clock[0] in (0.1, 1.0, 5.0, timeouts.CHILD_MEMORY_SECONDS + 1, timeouts.CHILD_MEMORY_SECONDS + 6):
        watch.sample()
    assert not watch.was_short()


def test_memory_was_short_where_it_was_full_shortly_before(tmp_path: Path) -> None:
    machine, clock = Machine(tmp_path, "0::/\n"), [0.0]
    machine.v2("", str(100 * MiB), 100 * MiB)
    watch = machine.watch(clock)
    machine.v2("", str(100 * MiB), 5 * MiB)  # the process is gone, and its memory with it
    clock[0] = 0.2
    assert watch.was_short()
