"""A child that the kernel ends for want of memory in a control group: the run fails at once, and says memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from patience import until
from support import fork_servers, result_when_over, serving

MOUNT = Path("/sys/fs/cgroup")
LIMIT = 128 << 20
"""Enough for a server, and not for the files of a million rows. The kernel adds a share of it to what a child uses when it
chooses whom to end."""


class Group:
    """A control group with a limit of its own; either version."""

    def __init__(self, folder: Path, second: bool) -> None:
        self.folder = folder
        names = ("memory.max", "memory.events") if second else ("memory.limit_in_bytes", "memory.oom_control")
        self.limit, self.counts = (folder / name for name in names)

    def add(self, process: int) -> None:
        (self.folder / "cgroup.procs").write_text(f"{process}\n")

    @property
    def kills(self) -> int:
        lines = dict(line.split() for line in self.counts.read_text().splitlines())
        return int(lines["oom_kill"])


def removed(folder: Path) -> bool:
    with suppress(OSError):  # while a process of it is ending
        folder.rmdir()
    return not folder.exists()


@pytest.fixture
def group() -> Iterator[Group]:
    second = (MOUNT / "cgroup.controllers").is_file()
    root = MOUNT if second else MOUNT / "memory"
    folder = root / f"whohas-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error.strerror}")
    made = Group(folder, second)
    try:
        if not made.limit.is_file() or not made.counts.is_file():
            pytest.skip("control groups here do not limit memory")
        yield made
    finally:
        for process in (folder / "cgroup.procs").read_text().split():
            with suppress(OSError):
                (root / "cgroup.procs").write_text(f"{process}\n")
        until(lambda: removed(folder))


@pytest.mark.long
def test_a_run_that_the_kernel_kills_for_memory_fails_immediately(big_home: Path, group: Group) -> None:
    with serving(big_home, WHOHAS_RUN_ATTEMPTS="3") as server, server.http() as http:
        first = started(http, "CSV")
        assert result_when_over(http, first)["status"] in ("SUCCESS", "WARNING")
        (fork_server,) = fork_servers(server.process.pid)
        for process in (server.process.pid, fork_server.pid):
            group.add(process)
        group.limit.write_text(f"{LIMIT}\n")
        killed = started(http, "XLSX")
        result = result_when_over(http, killed)
        assert result["status"] not in ("SUCCESS", "WARNING"), "the limit is too high for this test"
        assert group.kills > 0
        (message,) = result["messages"]  # type: ignore[misc]
        assert "the memory that whohas may use was used up" in str(message), result
        log = server.log.read_text()
        assert "attempt lost" not in log, "it is not tried again"
        assert http.get(f"/v2025/reports/{killed}", params={"fileFormat": "xlsx"}).status_code == 404
        assert not (big_home / "artefacts" / killed).exists()
        assert server.process.poll() is None
        group.limit.write_text("-1\n" if group.limit.name == "memory.limit_in_bytes" else "max\n")
        again = started(http, "CSV")
        assert result_when_over(http, again)["status"] in ("SUCCESS", "WARNING")


def started(http: httpx2.Client, format: str) -> str:
    body = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": [format]}}
    return http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
