"""How cost grows with size: `make bench-scale` (ARGS="--accounts 20000 200000 --giant 20000" for less).

For each size, a fresh home gets two files: people of HR, a quarter as many as accounts, and the accounts of a directory.
`whohas load` loads them and makes the search index; then a server runs ACCOUNTS to CSV and to Parquet and a search export
of everybody. Wall time and processor time of all its processes are measured, and the most memory that one of them had.
The cost per million rows has to stay flat.

Then, on PostgreSQL, the same large reports are executed by 1, 2 and 4 workers, and many clients poll while large reports
run. Writes `bench/results-scale.md`. Needs PostgreSQL's programs (Debian: postgresql), and about 900 bytes of disk an
account.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bench import load, ours
from bench.machine import machine
from bench.rounds import number

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from cluster import Cluster, running_cluster
from factories import many_accounts
from postgres import postgres_server

FLAT: Final = 1.3
"""How much a million rows may cost at one size, as a multiple of what they cost at the cheapest size."""
MEMORY_MIB: Final = 2048
JUDGED: Final = 1_000_000
"""Accounts from which on costs are compared: below, the fixed cost of a run is most of its time."""
_ACCOUNTS_A_PERSON: Final = 4
_LOOK_SECONDS: Final = 0.05
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = Path(__file__).with_name("results-scale.md")
DIRECTORY: Final = load.MAPPING + '\n[correlation]\naccount = "employeeNumber"\nidentity = "employeeNumber"\n'
HR: Final = """
[source]
name = "HR"
authoritative = true
[accounts]
file = "{file}"
attributes = ["employeeNumber", "city", "department"]
[accounts.columns]
nativeIdentity = "employeeNumber"
name = "name"
[identities.columns]
employeeNumber = "employeeNumber"
displayName = "name"
"""
_STEPS: Final = ("load and index", "ACCOUNTS to CSV", "ACCOUNTS to Parquet", "search export")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step took.

    Attributes:
        rows: the rows of the step: those loaded, or those of the file.
        seconds: wall time.
        processor: seconds of processor time of all processes.
        peak_mib: the most memory that one process had.
        file_bytes: the size of what was made.
        load: the load average of the machine when the step began.
    """

    rows: int
    seconds: float
    processor: float
    peak_mib: float
    file_bytes: int
    load: float

    def per_million(self, value: float) -> float:
        return value / self.rows * 1_000_000


class Usage:
    """Processor time and memory of a process and all its descendants, looked at every 50 ms.

    What a process uses between the last look and its end is not seen.
    """

    def __init__(self, process: int) -> None:
        self._process = str(process)
        self._last: dict[tuple[str, str], float] = {}
        self.peak_mib = 0.0
        self._look()
        self._first = dict(self._last)

    @property
    def processor(self) -> float:
        """Seconds of processor time since this was created."""
        return sum(last - self._first.get(key, 0.0) for key, last in self._last.items())

    def _look(self) -> None:
        for process in [self._process, *ours.descendants(self._process)]:
            with suppress(OSError):
                # after the name, which may contain spaces: the state is field 3, utime 14, stime 15, the start 22
                fields = Path("/proc", process, "stat").read_text().rpartition(") ")[2].split()
                self._last[process, fields[19]] = (int(fields[11]) + int(fields[12])) / _TICKS
                self.peak_mib = max(self.peak_mib, ours.high_water(process))

    @contextmanager
    def watching(self) -> Generator[Usage]:
        over = threading.Event()

        def watch() -> None:
            done = False
            while not done:
                done = over.wait(_LOOK_SECONDS)
                self._look()

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield self
        finally:
            over.set()
            watcher.join()


@dataclass
class Size:
    """The costs of all steps at one size."""

    accounts: int
    costs: dict[str, Cost] = field(default_factory=dict[str, Cost])


def write_people(path: Path, count: int) -> None:
    """A CSV file of people as an HR system exports them; account number n of the directory is that of person n."""
    with path.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(("employeeNumber", "name", "city", "department"))
        rows.writerows((f"E{i:07}", f"user{i}", f"City {i % 60}", f"Department {i % 40}") for i in range(count))


def measure_size(accounts: int, folder: Path) -> Size:
    """Load so many accounts, and run the reports on them."""
    size = Size(accounts)
    data, home = folder / "data", folder / "home"
    data.mkdir()
    load.write_accounts(data / "directory.csv", accounts)
    write_people(data / "hr.csv", max(1, accounts // _ACCOUNTS_A_PERSON))
    (data / "directory.toml").write_text(DIRECTORY.format(file="directory.csv"))
    (data / "hr.toml").write_text(HR.format(file="hr.csv"))
    size.costs["load and index"] = _load(data, home, accounts + max(1, accounts // _ACCOUNTS_A_PERSON))
    _say(size, "load and index")
    shutil.rmtree(data)
    with ours.serving(Path(sys.executable), home) as server:
        server.run("ACCOUNTS", {"sourceName": "HR", "selectedFormats": ["PARQUET"]})  # the first run loads libraries
        directory = {"sourceName": "Active Directory"}
        everybody = {
            "query": "*",
            "indices": ["identities"],
            "columns": "id,name,displayName,email,attributes.city,created",
        }
        for step, report, arguments in (
            ("ACCOUNTS to CSV", "ACCOUNTS", directory | {"selectedFormats": ["CSV"]}),
            ("ACCOUNTS to Parquet", "ACCOUNTS", directory | {"selectedFormats": ["PARQUET"]}),
            ("search export", "SEARCH_EXPORT", everybody),
        ):
            average = os.getloadavg()[0]
            with Usage(server.process.pid).watching() as usage:
                run, finished = server.run(report, arguments)
            files = home / "artefacts" / run
            made = sum(path.stat().st_size for path in files.rglob("*") if path.is_file())
            size.costs[step] = Cost(
                finished.rows, finished.seconds, usage.processor, max(usage.peak_mib, finished.peak_mib), made, average
            )
            _say(size, step)
            shutil.rmtree(files)
    return size


def _load(data: Path, home: Path, rows: int) -> Cost:
    average, started = os.getloadavg()[0], time.monotonic()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WHOHAS_")}
    log = home.with_suffix(".log")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "whohas", "load", "--quiet", str(data)],
            env=environment | {"WHOHAS_HOME": str(home)}, stdout=out, stderr=out,
        )  # fmt: skip
        with Usage(process.pid).watching() as usage:
            code = process.wait()
    if code:
        raise RuntimeError(f"The load ended with exit code {code}: {log.read_text()[-2000:]}")
    seconds = time.monotonic() - started
    made = sum(path.stat().st_size for path in (home / "warehouse").rglob("*") if path.is_file())
    return Cost(rows, seconds, usage.processor, usage.peak_mib, made, average)


def _say(size: Size, step: str) -> None:
    cost = size.costs[step]
    print(
        f"{size.accounts:>11,} accounts  {step:20} {cost.rows:>11,} rows {cost.seconds:9.2f} s {cost.processor:9.2f} s of "
        f"processor {cost.peak_mib:7,.0f} MiB",
        flush=True,
    )


@dataclass(frozen=True, slots=True)
class Team:
    """How long some workers took for the same large reports."""

    workers: int
    runs: int
    rows: int
    seconds: float


def measure_workers(home: Path, database_url: str, workers: int, runs: int) -> Team:
    """Start the same number of large reports on each source at once, and wait for all of them."""
    settings = {"WHOHAS_RUNS_AT_ONCE": "1", "WHOHAS_CONCURRENT_REPORTS": "ACCOUNTS", "WHOHAS_RUNS_PER_LAUNCHER": "1000"}
    with running_cluster(home, database_url, servers=1, workers=workers, **settings) as cluster:
        _finish(cluster, _start(cluster, 1))  # the first run of a worker loads libraries
        started = time.monotonic()
        results = _finish(cluster, _start(cluster, runs))
        seconds = time.monotonic() - started
    team = Team(workers, runs, sum(result["rows"] for result in results), seconds)
    print(f"{workers} workers: {runs} reports of {team.rows // runs:,} rows in {seconds:.1f} s", flush=True)
    return team


def _start(cluster: Cluster, runs: int) -> list[str]:
    body = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}
    with cluster.http(cluster.servers[0]) as client:
        answers = [client.post("/v2025/reports/run", json=body) for _ in range(runs)]
        return [answer.raise_for_status().json()["id"] for answer in answers]


def _finish(cluster: Cluster, runs: Sequence[str]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    with cluster.http(cluster.servers[0]) as client:
        for run in runs:
            while (result := client.get(f"/v2025/reports/{run}/result").raise_for_status().json())["status"] is None:
                time.sleep(_LOOK_SECONDS)
            if result["status"] != "SUCCESS":
                raise RuntimeError(f"Run {run} ended as {result['status']}: {result}")
            results.append(result)
    return results


@dataclass(frozen=True, slots=True)
class Polls:
    """The polls of many clients while large reports ran; times in milliseconds."""

    clients: int
    runs: int
    rows: int
    seconds: float
    times: Sequence[float]
    failed: int

    def quantile(self, share: float) -> float:
        return sorted(self.times)[min(len(self.times) - 1, int(share * len(self.times)))] if self.times else 0.0


def measure_polls(home: Path, database_url: str, clients: int, runs: int) -> Polls:
    """Poll each second with each client while large reports run on two workers."""
    settings = {"WHOHAS_CONCURRENT_REPORTS": "ACCOUNTS", "WHOHAS_RUNS_PER_LAUNCHER": "1000"}
    with running_cluster(home, database_url, servers=1, workers=2, **settings) as cluster:
        server = cluster.servers[0]
        _finish(cluster, _start(cluster, 1))
        giants = _start(cluster, runs)
        command = [
            sys.executable,
            "-m",
            "bench.scale",
            "--poll",
            server.url,
            cluster.token(server),
            str(clients),
            *giants,
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows = sum(result["rows"] for result in _finish(cluster, giants))
        found = Polls(clients, runs, rows, **json.loads(done.stdout))
    print(
        f"{clients} clients, {found.seconds:.0f} s: {len(found.times):,} polls, {found.failed} failed, median {found.quantile(0.5):.1f} ms, "
        f"99 of 100 within {found.quantile(0.99):.1f} ms",
        flush=True,
    )
    return found


def poll(url: str, token: str, clients: int, runs: Sequence[str]) -> None:
    """Poll until all runs have ended, once a second from each client, and print the times as JSON."""
    times: list[float] = []
    failed: list[str] = []

    def one(index: int) -> None:
        address, run = urlsplit(url), runs[index % len(runs)]
        time.sleep(index / clients)  # clients do not start in step
        with closing(HTTPConnection(address.hostname or "", address.port, timeout=60)) as connection:
            over = False
            while not over:
                begin = time.monotonic()
                connection.request("GET", f"/v2025/reports/{run}/result", headers={"Authorization": f"Bearer {token}"})
                answer = connection.getresponse()
                body = json.loads(answer.read())
                times.append((time.monotonic() - begin) * 1000)
                if answer.status != 200:
                    failed.append(str(body))
                over = answer.status == 200 and body["status"] is not None
                time.sleep(0 if over else max(0.0, 1 - (time.monotonic() - begin)))

    threads = [threading.Thread(target=one, args=(index,)) for index in range(clients)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"seconds": time.monotonic() - started, "times": times, "failed": len(failed)}))


def page(sizes: Sequence[Size], teams: Sequence[Team], polls: Polls | None, seconds: float) -> str:
    """All of `bench/results-scale.md`."""
    parts = [_INTRODUCTION.format(today=f"{datetime.now(UTC):%Y-%m-%d}")]
    if promises := [*_flat(sizes), *_memory(sizes), *_polled(polls)]:
        lines = ["| promised | seen | |", "| --- | ---: | --- |"]
        lines += [
            f"| {text} | {seen} | {'holds' if holds else '**does not hold**'} |" for text, seen, holds in promises
        ]
        parts.append("\n".join(lines))
    parts += [_table(step, sizes) for step in _STEPS if sizes]
    if teams:
        lines = ["## Workers", "", "| workers | reports | rows | seconds | rows a second | times one worker |"]
        lines.append("| ---: | ---: | ---: | ---: | ---: | ---: |")
        lines += [
            f"| {team.workers} | {team.runs} | {team.rows:,} | {team.seconds:.1f} | {team.rows / team.seconds:,.0f} "
            f"| {teams[0].seconds / team.seconds:.2f} |"
            for team in teams
        ]
        parts.append("\n".join(lines))
    if polls:
        parts.append(
            f"## Polls\n\n{polls.clients} clients polled the results of {polls.runs} reports of {polls.rows // polls.runs:,} rows once "
            f"a second while two workers executed them, for {polls.seconds:.0f} s: {len(polls.times):,} polls, "
            f"{polls.failed} failed. Half of them took at most {polls.quantile(0.5):.1f} ms, 99 of 100 at most "
            f"{polls.quantile(0.99):.1f} ms, the longest {max(polls.times, default=0.0):,.0f} ms."
        )
    loads = [cost.load for size in sizes for cost in size.costs.values()]
    average = f" Load average when steps began: {min(loads):.1f} to {max(loads):.1f}." if loads else ""
    parts.append(f"{machine(('duckdb', 'pyarrow', 'deltalake'))}. The whole took {seconds / 60:.0f} minutes.{average}")
    return "\n\n".join(parts) + "\n"


_INTRODUCTION: Final = """# Scale

`make bench-scale` on {today}. People of HR, and four times as many accounts of a directory with 14 attributes, one of them a
list; a fresh home and server for each size. Rows of a load are people and accounts; its seconds contain the start of the
program and the search index. Seconds of a report are those from the POST to the answer that says SUCCESS. **Processor** is
the time of all processes of whohas, and **peak** the most memory that one of them had."""


def _table(step: str, sizes: Sequence[Size]) -> str:
    lines = [
        f"## {step[0].upper()}{step[1:]}",
        "",
        "| accounts | rows | seconds | seconds per million | processor per million | peak | made |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for size in sizes:
        cost = size.costs[step]
        lines.append(
            f"| {size.accounts:,} | {cost.rows:,} | {number(cost.seconds)} | {number(cost.per_million(cost.seconds))} "
            f"| {number(cost.per_million(cost.processor))} | {cost.peak_mib:,.0f} MiB | {cost.file_bytes / 1e6:,.1f} MB |"
        )
    return "\n".join(lines)


def _flat(sizes: Sequence[Size]) -> Generator[tuple[str, str, bool]]:
    judged = [size for size in sizes if size.accounts >= JUDGED]
    if len(judged) < 2:
        return
    for step in _STEPS:
        for name in ("processor", "seconds"):
            costs = [cost.per_million(getattr(cost, name)) for cost in (size.costs[step] for size in judged)]
            ratio = max(costs) / min(costs)
            words = "processor time" if name == "processor" else "wall time"
            promise = f"{step[0].upper()}{step[1:]}: {words} of a million rows within {FLAT} times"
            yield (
                f"{promise}, {judged[0].accounts:,} to {judged[-1].accounts:,} accounts",
                f"{ratio:.2f}",
                ratio <= FLAT,
            )


def _memory(sizes: Sequence[Size]) -> Generator[tuple[str, str, bool]]:
    peaks = [cost.peak_mib for size in sizes for cost in size.costs.values()]
    if peaks:
        yield "No process above 2 GiB", f"{max(peaks):,.0f} MiB", max(peaks) < MEMORY_MIB


def _polled(polls: Polls | None) -> Generator[tuple[str, str, bool]]:
    if polls:
        yield f"No poll of {polls.clients} clients fails", f"{polls.failed} of {len(polls.times):,}", not polls.failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, nargs="*", default=[1_000_000, 5_000_000, 20_000_000])
    parser.add_argument("--giant", type=int, default=5_000_000, help="rows of the large reports; 0 leaves them out")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--runs", type=int, default=8, help="large reports for each number of workers")
    parser.add_argument("--giants", type=int, default=10, help="large reports while clients poll")
    parser.add_argument("--clients", type=int, default=200, help="clients that poll")
    parser.add_argument("--folder", type=Path, help="where to work")
    parser.add_argument("--page", type=Path, default=_PAGE, help="the page to write")
    parser.add_argument("--poll", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.poll:
        url, token, clients, *runs = options.poll
        poll(url, token, int(clients), runs)
        return
    started = time.monotonic()
    sizes: list[Size] = []
    for accounts in options.accounts:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="whohas-bench-") as name:
            sizes.append(measure_size(accounts, Path(name)))
    teams: list[Team] = []
    polls: Polls | None = None
    if options.giant:
        with (
            tempfile.TemporaryDirectory(dir=options.folder, prefix="whohas-bench-") as name,
            postgres_server() as postgres,
        ):
            home = Path(name) / "home"
            many_accounts(home / "warehouse", options.giant)
            teams = [
                measure_workers(home, postgres.ready_database(), workers, options.runs) for workers in options.workers
            ]
            polls = measure_polls(home, postgres.ready_database(), options.clients, options.giants)
    text = page(sizes, teams, polls, time.monotonic() - started)
    options.page.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
