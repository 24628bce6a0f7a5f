"""The child of a run and its worker: it goes on as long as it is told that somebody is there, and no longer; and it
takes no more than it may have."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import openpyxl
import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet

from child_work import work
from patience import NEVER_SECONDS, PATIENCE_SECONDS, until
from rendering import ABOUT
from whohas import timeouts
from whohas.engine.statement import ResultColumn
from whohas.errors import WhohasError
from whohas.execution.child import do_work
from whohas.execution.memory import MemoryWatch, find_cgroup_memory
from whohas.execution.processes import Child, ChildPool, ForkServer, WorkResult, exit_reason, watch_child
from whohas.execution.protocol import EXIT_WORKER_GONE, OutputFile, Work, WorkPart
from whohas.formats.base import WriteOptions
from whohas.formats.pdf import writer as pdf
from whohas.formats.xlsx import writer as xlsx

GREEDY = "SELECT len(list(range || 'x')) AS n FROM range(30000000)"
SOON = "from whohas import timeouts; timeouts.CHILD_ORPHAN_SECONDS = 3.0; from whohas.execution import forkserver; forkserver.main()"
LATE = SOON.replace("3.0", str(NEVER_SECONDS))
LOADED = """
import sys
from whohas.execution import child, forkserver
do_work = child.do_work
def watched(work, say, connection):
    before = set(sys.modules)
    do_work(work, say, connection)
    say(new=sorted(name for name in set(sys.modules) - before if name.startswith(("whohas", "pyarrow", "numpy", "duckdb"))))
child.do_work = watched
forkserver.main()
"""
WALLED = "from whohas.execution import child, forkserver; child._BEYOND_ENGINE = -15 << 28; forkserver.main()"


def test_progress_moves_in_each_phase_and_never_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for write in (pdf, xlsx):
        monkeypatch.setattr(write, "_CELLS", 1_000)
    rows = 5_000
    columns = (ResultColumn("name", "text"), ResultColumn("n", "integer"))
    sql = f"SELECT 'name ' || range, range FROM range({rows})"
    part = WorkPart("", sql, {}, columns, True, rows, extract=str(tmp_path / "rows.extract"))
    outputs = tuple(OutputFile(format, str(tmp_path / f"out.{format}")) for format in ("csv", "pdf", "xlsx"))
    said: list[dict[str, Any]] = []
    made = Work((part,), (), outputs, ABOUT, WriteOptions(), 1 << 28, 2, str(tmp_path / "spill"))
    do_work(made, lambda **facts: said.append(facts))
    told = [facts for facts in said if "percent" in facts]
    percents, phases = [facts["percent"] for facts in told], [facts["progress"].split(",")[0] for facts in told]
    assert percents == sorted(percents)
    order = [
        "Extracting",
        "Summarizing",
        *(f"{doing} the {name}" for name in ("CSV", "PDF", "XLSX") for doing in ("Writing", "Checking")),
    ]
    assert list(dict.fromkeys(phases)) == order
    assert phases == sorted(phases, key=order.index)
    for phase in ("Writing the PDF", "Writing the XLSX"):
        moves = [(facts["percent"], facts["rows"]) for facts, its in zip(told, phases, strict=True) if its == phase]
        assert len(set(moves)) > 2 and all(0 <= count <= rows for _, count in moves), moves


@pytest.mark.parametrize("formats", [("json", "xlsx"), ("json", "xlsx", "parquet")])
def test_every_format_has_the_one_text_of_a_cell(tmp_path: Path, formats: tuple[str, ...]) -> None:
    columns = (ResultColumn("one", "texts", single=True), ResultColumn("many", "texts"))
    sql = "SELECT * FROM (VALUES ('a; b', ['c', 'd']), (NULL, NULL), ('', []))"
    extract = tmp_path / "rows.extract"
    part = WorkPart("", sql, {}, columns, True, 3, extract=str(extract))
    outputs = tuple(OutputFile(format, str(tmp_path / f"out.{format}")) for format in formats)
    made = Work((part,), (), outputs, ABOUT, WriteOptions(), 1 << 28, 2, str(tmp_path / "spill"))
    do_work(made, lambda **facts: None)
    # an extract that is not a Parquet file of the run keeps texts as they come, which is half the work
    kept = parquet.read_table(extract).column("one").type
    assert pa.types.is_list(kept) if "parquet" in formats else pa.types.is_string(kept)
    rows = [{"one": ["a; b"], "many": ["c", "d"]}, {"one": None, "many": None}, {"one": [""], "many": []}]
    document = json.loads((tmp_path / "out.json").read_text())
    assert [{name: row.get(name) for name in ("one", "many")} for row in document] == rows
    sheet = openpyxl.load_workbook(tmp_path / "out.xlsx").worksheets[0]
    assert next(sheet.iter_rows(2, values_only=True)) == ("a; b", "c; d")
    if "parquet" in formats:
        assert parquet.read_table(tmp_path / "out.parquet").to_pylist() == rows


@contextmanager
def forked(code: str = SOON) -> Generator[Child]:
    children = ChildPool(ForkServer((sys.executable, "-c", code)))
    child = children.fork()
    try:
        yield child
    finally:
        children.end(child)
        children.close()


def descriptors(process: int | str = "self") -> dict[str, str]:
    found: dict[str, str] = {}
    for path in Path("/proc", str(process), "fd").iterdir():
        with suppress(FileNotFoundError):  # the folder's own
            found[path.name] = str(path.readlink())
    return found


def test_a_child_whose_worker_hangs_ends_by_itself(tmp_path: Path) -> None:
    with forked() as child:
        child.stdin.write(work(tmp_path).to_line().encode())
        child.stdin.flush()
        assert child.wait_ended(PATIENCE_SECONDS)
        assert child.exit_code == EXIT_WORKER_GONE


def test_a_child_whose_worker_is_gone_ends_at_once(tmp_path: Path) -> None:
    with forked(LATE) as child:
        child.stdin.write(work(tmp_path).to_line().encode())
        child.stdin.close()
        assert child.wait_ended(PATIENCE_SECONDS)
        assert child.exit_code == EXIT_WORKER_GONE


def test_a_child_that_is_followed_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with forked() as child:
        monkeypatch.setattr(timeouts, "CHILD_KEEPALIVE_SECONDS", 0.1)  # so that it misses many before it ends
        until_alone = time.monotonic() + 4
        for _ in watch_child(child, work(tmp_path), 0.1):
            if time.monotonic() > until_alone:
                break
        assert not child.wait_ended()


def test_a_child_has_lower_priority_and_ignores_the_terminals_signals() -> None:
    with forked() as child:
        # in another session its priority would be weighed within that session alone
        assert os.getsid(child.pid) == os.getsid(0)
        assert os.getpriority(os.PRIO_PROCESS, child.pid) > os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpgid(child.pid) != os.getpgid(0)


def test_the_work_finds_everything_loaded(tmp_path: Path) -> None:
    with forked(LOADED) as child:
        child.stdin.write(work(tmp_path, "SELECT 1 AS n").to_line().encode())
        child.stdin.flush()
        *_, last = child.stdout.read().splitlines()
    assert json.loads(last) == {"new": []}


def test_a_child_that_dies_between_two_words_can_be_ended(tmp_path: Path) -> None:
    with forked() as child:
        telling = watch_child(child, work(tmp_path), 0.1)
        next(telling)
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait_ended(PATIENCE_SECONDS)
        assert "killed (SIGKILL)" in exit_reason(child, MemoryWatch(find_cgroup_memory())).message
        time.sleep(1.5)
        assert not any(isinstance(facts, WorkResult) for facts in telling)


def test_children_share_only_what_their_single_threaded_parent_loaded() -> None:
    before = descriptors()
    children = ChildPool()
    one, other = children.fork(), children.fork()
    (server,) = {psutil.Process(child.pid).ppid() for child in (one, other)}
    assert len(list(Path("/proc", str(server), "task").iterdir())) == 1
    # three streams each; a stream of the one that the other held open would never end
    until(lambda: {len(descriptors(child.pid)) for child in (one, other)} == {3})
    assert not {link for link in descriptors(one.pid).values() if "pipe" in link} & set(descriptors(other.pid).values())
    children.end(one)
    assert (one.exit_code, other.wait_ended()) == (-signal.SIGTERM, False)
    children.end(other)
    children.close()
    assert not psutil.pid_exists(server)
    assert descriptors() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_lost_fork_server_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Patient(ForkServer):
        def _started(self, instead_of: socket.socket | None = None) -> socket.socket:
            if instead_of is not None:  # the new one has everything to load first
                monkeypatch.setattr(timeouts, "CHILD_FORK_SECONDS", PATIENCE_SECONDS)
            return super()._started(instead_of)

    children = ChildPool(Patient())
    orphan = children.fork()
    os.kill(psutil.Process(orphan.pid).ppid(), number)
    monkeypatch.setattr(timeouts, "CHILD_FORK_SECONDS", 0.5)
    next_one = children.fork()
    assert [facts.files[0]["rows"] for facts in watch_child(next_one, work(tmp_path, "SELECT 1 AS n"), 0.1)
            if isinstance(facts, WorkResult)] == [1]  # fmt: skip
    assert not orphan.wait_ended()
    children.end(orphan)
    assert "nobody saw why" in exit_reason(orphan, MemoryWatch(find_cgroup_memory())).message
    children.end(next_one)
    children.close()


def test_a_failed_fork_is_an_error_with_the_reason() -> None:
    refused = "import os; from whohas.execution import forkserver\ndef fork(): raise OSError(11, '')\nos.fork = fork; forkserver.main()"
    children = ChildPool(ForkServer((sys.executable, "-c", refused)))
    before = descriptors()
    with pytest.raises(BlockingIOError, match="Resource temporarily unavailable"):
        children.fork()
    children.close()
    broken = ChildPool(ForkServer((sys.executable, "-c", "")))
    with pytest.raises(ConnectionError):
        broken.fork()
    broken.close()
    assert descriptors() == before


def test_the_fork_server_ends_silently_with_its_worker() -> None:
    code = "from whohas.execution.processes import ChildPool; ChildPool().fork(); import os; os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stdout, done.stderr) == (-9, b"", b"")


@pytest.mark.parametrize(
    ("code", "memory"),
    [(SOON, 1 << 26), (WALLED, 1 << 32)],
    ids=["the engine's own limit", "the system's"],
)
def test_a_run_out_of_memory_fails_with_the_reason(tmp_path: Path, code: str, memory: int) -> None:
    with forked(code) as child, pytest.raises(WhohasError, match="more memory than a run may have"):
        list(watch_child(child, work(tmp_path, GREEDY, memory), 0.1))
