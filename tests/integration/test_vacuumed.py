"""Old snapshots whose files, logs and indexes are removed: a run on one ends right, or says what is gone."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest
from deltalake import DeltaTable

from attempts import Bench
from factories import publish
from patience import until
from support import result_when_over, serving
from whohas.errors import NotFound
from whohas.execution.queue import Lane
from whohas.runs.models import Run, RunState
from whohas.search import index
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import Warehouse

GONE = r"The data of snapshot 1 is no longer kept: accounts/\S+ (is|and \d+ more are) not there"
WAITING = """
import sys, time
from pathlib import Path
from whohas.execution import child, forkserver
main = child.main
def waiting(connection):
    Path({here!r}).touch()
    while not Path({go!r}).exists():
        time.sleep(0.01)
    main(connection)
child.main = waiting
forkserver.main()
"""


@pytest.fixture
def bench(home: Path) -> Iterator[Bench]:
    made = Bench(home, "")
    yield made
    made.database.dispose()


def load(warehouse: Warehouse, number: int, rows: int = 1) -> None:
    """One load, each of whose accounts and identities has the load's number in its name."""
    accounts = [
        {"id": f"a{row}", "nativeIdentity": f"a{row}", "name": f"load{number}", "sourceId": "s", "correlated": False,
         "attributes": []}
        for row in range(rows)
    ]  # fmt: skip
    identities = [{"id": f"i{row}", "name": f"load{number}", "displayName": f"load{number}"} for row in range(rows)]
    publish(warehouse, [{"id": "s", "name": "S", "accountAttributes": []}], accounts, identities)


def vacuum(warehouse: Warehouse) -> None:
    for name in TABLES:
        if (warehouse.root / name / "_delta_log").is_dir():
            DeltaTable(warehouse.root / name).vacuum(0, dry_run=False, enforce_retention_duration=False)


def waiting_children(bench: Bench, folder: Path) -> tuple[Path, Path]:
    """Have each child touch the first file when it is there, and wait for the second before it begins."""
    here, go = folder / "here", folder / "go"
    bench.supervisor.children.close()
    script = WAITING.format(here=str(here), go=str(go))
    bench.supervisor.children.fork_server.command = (sys.executable, "-c", script)
    return here, go


def under_way(bench: Bench, here: Path) -> threading.Thread:
    """Begin what is queued in a thread, and return once its child is there."""
    (claimed,) = bench.supervisor.claim({Lane("all", 1): 1})
    thread = threading.Thread(target=bench.supervisor.execute, args=(claimed,))
    thread.start()
    until(here.exists)
    return thread


def search(bench: Bench, text: str) -> Run:
    return bench.runs.start("SEARCH_EXPORT", {"query": text, "indices": ["identities"]}, "tester")


def found(bench: Bench, run: Run) -> list[list[str]]:
    path = bench.runs.path(*bench.runs.get_artifact(run.id, "csv"))
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        return list(csv.reader(io.TextIOWrapper(file, "utf-8")))[1:]


def test_a_run_reads_its_snapshot_whatever_was_loaded_since(bench: Bench) -> None:
    load(bench.warehouse, 2, rows=3)
    run = bench.start()
    for number in range(3, 9):
        load(bench.warehouse, number, rows=number)
    done = bench.carry_out(run)
    assert (done.state, done.rows, done.snapshot) == (RunState.SUCCEEDED, 3, 2)
    assert bench.later.replay(done).is_same


def test_a_queued_run_whose_files_were_vacuumed_says_so(bench: Bench) -> None:
    run = bench.start(selectedFormats=["CSV", "PDF"])
    load(bench.warehouse, 2)
    vacuum(bench.warehouse)
    failed = bench.carry_out(run)
    assert failed.state is RunState.FAILED and failed.artefacts == ()
    with pytest.raises(NotFound, match=f"{GONE}.*vacuumed.*Start the report again"):
        bench.runs.get_artifact(run.id, "csv")
    assert not (bench.supervisor.artefacts.root / run.id).exists()
    again = bench.carry_out(bench.start())
    assert (again.state, again.snapshot) == (RunState.SUCCEEDED, 2)


def test_a_queued_run_does_not_need_the_log_of_tables(bench: Bench) -> None:
    run = bench.start()
    load(bench.warehouse, 2)
    for log in bench.warehouse.root.glob("*/_delta_log/*0000.json"):
        DeltaTable(log.parent.parent).create_checkpoint()
        log.unlink()
    assert bench.carry_out(run).state is RunState.SUCCEEDED


def test_files_that_go_under_a_running_attempt_end_it(bench: Bench, tmp_path: Path) -> None:
    here, go = waiting_children(bench, tmp_path)
    run = bench.start(selectedFormats=["CSV", "PDF", "XLSX"])
    thread = under_way(bench, here)
    load(bench.warehouse, 2)
    vacuum(bench.warehouse)
    go.touch()
    thread.join()
    with pytest.raises(NotFound, match=GONE):
        bench.runs.get_artifact(run.id, "csv")
    assert bench.runs.get(run.id).state is RunState.FAILED
    assert not (bench.supervisor.artefacts.root / run.id).exists()


def test_a_vacuumed_run_is_not_replayed_and_makes_no_file(bench: Bench) -> None:
    done = bench.carry_out(bench.start(selectedFormats=["CSV"]))
    load(bench.warehouse, 2)
    vacuum(bench.warehouse)
    with pytest.raises(NotFound, match=f"This run cannot be replayed. {GONE}"):
        bench.later.replay(done)
    for format in ("pdf", "xlsx", "json", "parquet"):
        with pytest.raises(NotFound, match=f"made no {format.upper()} file; it made CSV, .*{GONE}"):
            bench.runs.get_artifact(done.id, format)
    assert len(list((bench.supervisor.artefacts.root / done.id).iterdir())) == 1
    assert bench.runs.get_artifact(done.id, "csv")


def test_the_newest_data_without_its_files_is_told_at_start(bench: Bench) -> None:
    load(bench.warehouse, 2)
    for path in (bench.warehouse.root / "sources").glob("*.parquet"):
        path.unlink()
    with pytest.raises(NotFound, match="data of snapshot 2 is no longer kept: sources/"):
        bench.start()


def test_the_newest_data_without_its_log_is_told_at_start(bench: Bench) -> None:
    load(bench.warehouse, 2)
    shutil.rmtree(bench.warehouse.root / "sources" / "_delta_log")
    with pytest.raises(NotFound, match=r"data of snapshot 2 is no longer kept: version \d+ of the table sources"):
        bench.start()


def test_a_queued_search_has_its_index_made_again(bench: Bench) -> None:
    load(bench.warehouse, 2)
    run = search(bench, "load2")
    for number in range(3, 8):
        load(bench.warehouse, number)
        index.build_index(bench.warehouse, bench.warehouse.snapshot())
    assert not index.is_built(bench.warehouse.snapshot(2))
    done = bench.carry_out(run)
    assert (done.state, done.rows, done.snapshot) == (RunState.SUCCEEDED, 1, 2)
    assert found(bench, done)[0][0] == "i0"


def test_a_queued_search_whose_snapshot_was_vacuumed_says_so(bench: Bench) -> None:
    load(bench.warehouse, 2)
    run = search(bench, "load2")
    for number in range(3, 8):
        load(bench.warehouse, number)
        index.build_index(bench.warehouse, bench.warehouse.snapshot())
    vacuum(bench.warehouse)
    assert bench.carry_out(run).state is RunState.FAILED
    with pytest.raises(NotFound, match="The data of snapshot 2 is no longer kept"):
        bench.runs.get_artifact(run.id, "csv")


def test_an_index_is_kept_while_a_run_reads_it(bench: Bench, tmp_path: Path) -> None:
    load(bench.warehouse, 2)
    here, go = waiting_children(bench, tmp_path)
    run = search(bench, "load2")
    thread = under_way(bench, here)
    for number in range(3, 8):
        load(bench.warehouse, number)
        index.build_index(bench.warehouse, bench.warehouse.snapshot())
    vacuum(bench.warehouse)
    assert index.is_built(bench.warehouse.snapshot(2))
    go.touch()
    thread.join()
    assert (bench.runs.get(run.id).state, bench.runs.get(run.id).attempt) == (RunState.SUCCEEDED, 1)
    load(bench.warehouse, 8)
    index.build_index(bench.warehouse, bench.warehouse.snapshot())
    assert not index.is_built(bench.warehouse.snapshot(2)), "nobody reads it any more"


def test_removing_an_index_during_a_run_costs_one_attempt(bench: Bench, tmp_path: Path) -> None:
    load(bench.warehouse, 2)
    here, go = waiting_children(bench, tmp_path)
    run = search(bench, "load2")
    thread = under_way(bench, here)
    shutil.rmtree(bench.warehouse.root / "search")
    go.touch()
    thread.join()
    lost = bench.runs.get(run.id)
    assert (lost.state, lost.lost) == (RunState.QUEUED, 1)
    done = bench.carry_out(lost)
    assert (done.state, done.rows, done.attempt) == (RunState.SUCCEEDED, 1, 2)


def test_an_index_that_another_version_replaces_costs_one_attempt(bench: Bench, tmp_path: Path) -> None:
    load(bench.warehouse, 2)
    here, go = waiting_children(bench, tmp_path)
    run = search(bench, "load2")
    thread = under_way(bench, here)
    path = bench.warehouse.root / "search" / "000000002" / "index.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "madeWith": {**facts["madeWith"], "whohas": "99"}}))
    go.touch()
    thread.join()
    assert (bench.runs.get(run.id).state, bench.runs.get(run.id).lost) == (RunState.QUEUED, 1)
    assert bench.carry_out(run).state is RunState.SUCCEEDED


def test_two_builders_and_a_reader_leave_each_other_their_indexes(bench: Bench) -> None:
    load(bench.warehouse, 2)
    old = bench.warehouse.snapshot()
    for number in range(3, 8):
        load(bench.warehouse, number)

    def read() -> int:
        with index.locked_index(bench.warehouse, old):
            return sum(
                file.stat().st_size
                for file in index.open_index(old).element(index.INDICES["identities"]).files.values()
            )

    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(read) for _ in range(10)]
        for number in range(2, 9):
            pool.submit(index.build_index, bench.warehouse, bench.warehouse.snapshot(number - 1)).result()
        assert len({one.result() for one in reads}) == 1


@pytest.mark.long
def test_runs_end_right_while_data_is_loaded_and_vacuumed(home: Path) -> None:
    warehouse = Warehouse(home / "warehouse")
    load(warehouse, 1, rows=201)
    stop = threading.Event()

    def churn() -> int:
        number = 1
        while not stop.is_set():
            number += 1
            load(warehouse, number, rows=200 + number)
            index.build_index(warehouse, warehouse.snapshot())
            if number % 3 == 0:
                vacuum(warehouse)
        return number

    settings = {
        "WHOHAS_SWEEP_SECONDS": "1",
        "WHOHAS_KEEP_FILES_DAYS": "0.0002",
        "WHOHAS_CONCURRENT_REPORTS": "ACCOUNTS,SEARCH_EXPORT",
    }
    ended: list[bool] = []
    with serving(home, **settings) as server, server.http() as http, ThreadPoolExecutor(1) as pool:
        churning = pool.submit(churn)
        try:
            for turn in range(40):
                ended += [_ended_right(http, *one) for one in [_started(http, turn) for _ in range(3)]]
        finally:
            stop.set()
        assert churning.result() > 3
    assert any(ended)


def _started(http: httpx2.Client, turn: int) -> tuple[str, bool]:
    if turn % 2:
        body: dict[str, Any] = {
            "reportType": "SEARCH_EXPORT",
            "arguments": {"query": "*", "indices": ["identities"], "columns": "displayName"},
        }
    else:
        body = {"reportType": "ACCOUNTS", "arguments": {"application": "s", "selectedFormats": ["CSV"]}}
    answer = http.post("/v2025/reports/run", json=body)
    if answer.status_code == 404:
        assert "no longer kept" in answer.text or "search again" in answer.text, answer.text
        return "", False
    return answer.raise_for_status().json()["id"], bool(turn % 2)


def _ended_right(http: httpx2.Client, run_id: str, zipped: bool) -> bool:
    """Whether a run gave its file, with rows of its own snapshot alone; else it says what is gone."""
    if not run_id:
        return False
    result = result_when_over(http, run_id)
    answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"})
    if result["status"] not in ("SUCCESS", "WARNING"):
        assert "no longer kept" in str(result["messages"]), result
        assert answer.status_code == 404
        return False
    if answer.status_code == 404:
        assert "were removed" in answer.text
        return False
    if zipped:
        with zipfile.ZipFile(io.BytesIO(answer.raise_for_status().content)) as archive:
            text = archive.read(archive.namelist()[0]).decode()
    else:
        text = answer.raise_for_status().text
    rows = list(csv.reader(io.StringIO(text)))[1:]
    (snapshot,) = {cell for row in rows for cell in row if cell.startswith("load")}
    assert len(rows) == 200 + int(snapshot.removeprefix("load"))
    return True
