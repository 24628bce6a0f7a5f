"""A child that the kernel ends for want of memory in a control group: the run fails at once, and says memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from support import fork_servers, result_when_over, serving

MOUNT = Path("/sys/fs/cgroup")
LIMIT = 192 << 20
BALLAST = """
import sys, time
from pathlib import Path
Path("/proc/self/oom_score_adj").write_text("-1000")
held = bytearray(b"x") * int(sys.argv[1])
print("held", flush=True)
time.sleep(600)
"""
"""Takes nearly all that the group may have, and is not what the kernel ends."""


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
        folder.rmdir()


@contextmanager
def ballast(group: Group, size: int) -> Iterator[None]:
    script = f"echo $$ > {group.folder}/cgroup.procs && exec {sys.executable} -c '{BALLAST}' {size}"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            if process.stdout.readline() != "held\n":
                pytest.skip("no process can be kept from the kernel here")
            yield
        finally:
            process.kill()


@pytest.mark.long
def test_a_run_that_the_kernel_ends_for_memory_fails_at_once(own_home: Path, group: Group) -> None:
    with serving(own_home, WHOHAS_RUN_ATTEMPTS="3") as server, server.http() as http:
        body = {"reportType": "IDENTITIES", "arguments": {"selectedFormats": ["CSV", "PDF", "XLSX"]}}
        first = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
        assert result_when_over(http, first)["status"] == "SUCCESS"
        (fork_server,) = fork_servers(server.process.pid)
        for process in (server.process.pid, fork_server.pid):
            group.add(process)
        group.limit.write_text(f"{LIMIT}\n")
        with ballast(group, LIMIT - (12 << 20)):
            killed = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
            result = result_when_over(http, killed)
        assert result["status"] not in ("SUCCESS", "WARNING"), "the limit is too high for this test"
        assert group.kills > 0
        (message,) = result["messages"]  # type: ignore[misc]
        assert "the memory that whohas may use was used up" in message["text"], result
        log = server.log.read_text()
        assert "attempt lost" not in log, "it is not tried again"
        assert http.get(f"/v2025/reports/{killed}", params={"fileFormat": "csv"}).status_code == 404
        assert not (own_home / "artefacts" / killed).exists()
        assert server.process.poll() is None
        again = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
        assert result_when_over(http, again)["status"] == "SUCCESS"
