"""whohas as the benchmark sees it: a server, runs over its HTTP API, and a child that writes one file of an extract."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final

import duckdb
import httpx2
from bench.data import COLUMNS
from bench.peer_tables import TARGET

from whohas.engine.duckdb import create_statement
from whohas.engine.statement import ResultColumn
from whohas.execution.processes import ChildPool, ForkServer, WorkResult, watch_child
from whohas.execution.protocol import OutputFile, Work, WorkPart
from whohas.formats.base import ReportMetadata, RowsQuery, WriteOptions
from whohas.formats.parquet import copy_statement
from whohas.formats.registry import find_format as format_named
from whohas.reports.base import ReportRequest
from whohas.reports.registry import find_report
from whohas.runs.plans import resolve_at_snapshot
from whohas.settings import Settings
from whohas.warehouse.catalog import read_catalog
from whohas.warehouse.store import Warehouse

_LOOK_SECONDS: Final = 0.01
_LOOK_SHARE: Final = 0.05
"""Of the time that a run has taken so far, to the next look: looks must not take the processor from what they look at."""
_PEAK_SECONDS: Final = 0.05
_LEAVE: Final = ("SAIL_", "WHOHAS_")
_LOAD: Final = """
import sys, time
from pathlib import Path
from whohas.ingest import load
from whohas.warehouse.store import Warehouse
started = time.monotonic()
report = load(Warehouse(Path(sys.argv[1]) / "warehouse"), [Path(sys.argv[2])])
assert report.rejected == 0, report
print(time.monotonic() - started)
"""


@dataclass(frozen=True, slots=True)
class Finished:
    """A file that whohas made.

    Attributes:
        seconds: of the whole; over HTTP from the POST to the answer that says SUCCESS.
        own: of its worker alone, by the server's log: from taking the run to publishing the file.
        peak_mib: the most memory that its child process had.
    """

    seconds: float
    own: float
    rows: int
    peak_mib: float


@dataclass(frozen=True)
class Server:
    """A running `whohas serve`."""

    process: subprocess.Popen[bytes]
    client: httpx2.Client
    log: Path

    def run(self, report: str, arguments: Mapping[str, Any]) -> tuple[str, Finished]:
        """One run from POST to SUCCESS: its id, and what it took."""
        # not by the client of the rest, which takes three milliseconds of a processor for each look
        looks = HTTPConnection(self.client.base_url.host, self.client.base_url.port or 80, timeout=600)
        with closing(looks), peak_of_children(self.process.pid) as peak:
            started = time.monotonic()
            answer = self.client.post("/v2025/reports/run", json={"reportType": report, "arguments": dict(arguments)})
            answer.raise_for_status()
            run = answer.json()["id"]
            while (result := self._result(looks, run)).get("status") is None:
                time.sleep(max(_LOOK_SECONDS, _LOOK_SHARE * (time.monotonic() - started)))
            seconds = time.monotonic() - started
        if result["status"] != "SUCCESS":
            raise RuntimeError(f"{report} {arguments} ended as {result['status']}: {result}")
        return run, Finished(seconds, self._own_seconds(run), result["rows"], peak[0])

    def _result(self, looks: HTTPConnection, run: str) -> dict[str, Any]:
        headers = {"Authorization": self.client.headers["Authorization"]}
        looks.request("GET", f"/v2025/reports/{run}/result", headers=headers)
        answer = looks.getresponse()
        said = answer.read()
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"The result of run {run} was answered with {answer.status}: {said.decode()}")
        return json.loads(said)

    def take(self, run: str, format: str, path: Path) -> None:
        """Saves the file of a run. A CSV of millions of rows is streamed."""
        with self.client.stream("GET", f"/v2025/reports/{run}", params={"fileFormat": format}) as answer:
            answer.raise_for_status()
            with path.open("wb") as file:
                for block in answer.iter_bytes(1 << 20):
                    file.write(block)

    def _own_seconds(self, run: str) -> float:
        until = time.monotonic() + 5
        while time.monotonic() < until:  # the line comes after the result
            for line in reversed(self.log.read_text().splitlines()):
                if run in line and '"run succeeded"' in line:
                    return json.loads(line)["seconds"]
            time.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"The server's log does not tell how long run {run} took: {self.log}")


@contextmanager
def serving(python: Path, home: Path) -> Generator[Server]:
    """A server on a home, on a free loopback port, with a client that is logged in.

    Args:
        python: of the environment that whohas is installed in; one without the peers' packages, for Arrow imports
            pandas wherever it finds it.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEAVE)}
    log = home / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", "whohas", "serve", "--dev", "--port", "0"],
            env={**kept, "WHOHAS_HOME": str(home), "WHOHAS_RATE_LIMIT": "0"},
            stdout=subprocess.PIPE,
            stderr=output,
        )
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError(f"The server did not start: {log.read_text()[-2000:]}")
        lines = (home / "dev.env").read_text().splitlines()
        told = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        with httpx2.Client(base_url=told["SAIL_BASE_URL"].strip("'\""), timeout=600) as client:
            credentials = {
                "grant_type": "client_credentials",
                "client_id": told["SAIL_CLIENT_ID"].strip("'\""),
                "client_secret": told["SAIL_CLIENT_SECRET"].strip("'\""),
            }
            token = client.post("/oauth/token", data=credentials).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            yield Server(process, client, log)
    finally:
        process.terminate()
        process.wait()


def high_water(process: str) -> float:
    """The most memory that a process has had, in MiB; 0 if it has ended."""
    with suppress(OSError):
        lines = Path("/proc", process, "status").read_text().splitlines()
        return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), default=0.0)
    return 0.0


def descendants(process: str) -> Generator[str]:
    """The ids of the children of a process, and of their children."""
    # by the kernel's own lists: to look through all processes would take from what is measured
    for path in Path("/proc", process, "task").glob("*/children"):
        with suppress(OSError):
            for child in path.read_text().split():
                yield child
                yield from descendants(child)


@contextmanager
def peak_of_children(process: int) -> Generator[list[float]]:
    """Its one item is, when the block is over, the most memory that a child of a process had, or a child of its
    children, in MiB.

    The kernel keeps the high-water mark of each process; a child that ends takes it along, so it is read again and
    again until then.
    """
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        done = False
        while not done:
            done = over.wait(_PEAK_SECONDS)
            peak[0] = max([peak[0], *map(high_water, descendants(str(process)))])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def load(python: Path, home: Path, mapping: Path) -> float:
    """Loads a mapping's files into a home by whohas's own intake, and returns the seconds; makes no search index."""
    done = subprocess.run([python, "-c", _LOAD, home, mapping], check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"The load failed: {done.stderr[-2000:]}")
    return float(done.stdout)


def bare_copy(home: Path, source: str, path: Path) -> None:
    """The statement of the ACCOUNTS report of a source, with the tables that it reads, as
    `bench.peer_tables.duckdb_statement` wants it."""
    snapshot = Warehouse(home / "warehouse").snapshot()
    arguments = {"sourceName": source}
    plan = find_report("ACCOUNTS", arguments).make_plan(ReportRequest("ACCOUNTS", arguments), read_catalog(snapshot))
    (statement,), tables = resolve_at_snapshot(plan.statements, snapshot)
    rows, target = RowsQuery(statement.sql, statement.columns), Path(TARGET)
    about = _about(source)
    copies = {
        name: copy(rows, target, about, WriteOptions())
        for name in ("csv", "ndjson", "parquet")
        if (copy := format_named(name).copy) is not None
    }
    said = {
        "tables": [create_statement(table) for table in tables],
        "copies": copies,
        "parameters": statement.parameters,
    }
    path.write_text(json.dumps(said))


def _about(source: str) -> ReportMetadata:
    return ReportMetadata(
        run="0" * 32, report="ACCOUNTS", title="Accounts Report", description="Fourteen columns of ordinary text.",
        arguments={"sourceName": source}, launcher="bench", started=1.7e9, snapshot=1, loaded=1.7e9, org="acme",
    )  # fmt: skip


_TYPES: Final = {"enabled": "boolean", "locked": "boolean", "created": "time", "entitlementCount": "integer"}


def extract_of(source: Path, path: Path) -> None:
    """The rows of a Parquet file of `bench.data` as a run keeps them to make files of."""
    columns = tuple(ResultColumn(name, _TYPES.get(name, "text"), key=name == "accountName") for name in COLUMNS)
    about = _about("Directory")
    rows = RowsQuery(f"SELECT {', '.join(COLUMNS)} FROM read_parquet('{source}')", columns)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        connection.execute(copy_statement(rows, path, about, WriteOptions()))


def write(python: Path, extract: Path, rows: int, format: str, target: Path) -> Finished:
    """One file of an extract, made by the child that makes the files of runs: from its work to its last word."""
    limits = Settings()
    work = Work(
        parts=(WorkPart.of_extract(str(extract), rows),), tables=(), outputs=(OutputFile(format, str(target)),), about=None,
        options=WriteOptions(), memory=limits.run_memory, threads=limits.run_threads, spill=f"{target}-spill",
    )  # fmt: skip
    children = ChildPool(ForkServer((str(python), "-m", "whohas.execution.forkserver")))
    children.end(children.fork())  # as in a server that has carried out a run before, with its libraries loaded
    child = children.fork()
    with peak_of_children(os.getpid()) as peak:
        started = time.monotonic()
        done = [facts for facts in watch_child(child, work, _LOOK_SECONDS) if isinstance(facts, WorkResult)]
        seconds = time.monotonic() - started
    children.end(child)
    children.close()
    if not done:
        raise RuntimeError(f"The child that writes {format} ended without a word.")
    return Finished(seconds, seconds, done[0].files[0]["rows"], peak[0])
