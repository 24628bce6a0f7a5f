"""Warehouses made to measure, for tests that do not go through the intake."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ready import ready
from whohas import reports
from whohas.db.engine import create_engine
from whohas.engine.duckdb import open_duckdb
from whohas.engine.statement import Statement
from whohas.engine.summary import RowsSummary
from whohas.formats.base import ReportMetadata
from whohas.formats.base import RowsQuery as FileRows
from whohas.formats.csv import copy_statement, header_rows
from whohas.formats.parquet import extract_statement
from whohas.runs.models import Run, RunId, RunState
from whohas.runs.plans import resolve_at_snapshot
from whohas.runs.tables import run as run_table
from whohas.settings import Settings
from whohas.warehouse.catalog import read_catalog
from whohas.warehouse.schema import (
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ENTITLEMENTS,
    IDENTITIES,
    IDENTITY_PROFILES,
    SOURCES,
    Table,
)
from whohas.warehouse.store import DataFile, Load, Snapshot, TableChange, Warehouse

MILLION = 1_000_000

Rows = Sequence[dict[str, Any]]


def stage(load: Load, table: Table, rows: list[dict[str, Any]], partition: str | None = None) -> DataFile:
    """A complete file of a load under way."""
    path = load.new_file_path(table)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    return DataFile(path, len(rows), partition)


def publish(
    warehouse: Warehouse,
    sources: Rows,
    accounts: Rows = (),
    identities: Rows = (),
    profiles: Rows = (),
    entitlements: Rows = (),
    granted: Rows = (),
) -> Snapshot:
    """One load of whole tables; what is partitioned is split by its `sourceId`."""
    brought = {
        SOURCES: sources, IDENTITY_PROFILES: profiles, ACCOUNTS: accounts, IDENTITIES: identities,
        ENTITLEMENTS: entitlements, ACCOUNT_ENTITLEMENTS: granted,
    }  # fmt: skip
    with warehouse.load() as load:
        changes: list[TableChange] = []
        for table, rows in brought.items():
            split: dict[str | None, list[dict[str, Any]]] = {}
            for row in rows:
                split.setdefault((row.get("sourceId") or "") if table.partition else None, []).append(row)
            files = tuple(stage(load, table, part, partition) for partition, part in split.items())
            changes.append(TableChange(table, files, None))
        return load.publish(changes, tuple(source["id"] for source in sources))


def report_plan(
    snapshot: Snapshot, report_type: str, arguments: Mapping[str, Any], now: datetime | None = None
) -> reports.Plan:
    """What a start of a report on a snapshot comes to."""
    report = reports.find_report(report_type, arguments)
    request = reports.ReportRequest(report_type, arguments, now or datetime.now(UTC))
    return reports.plan_report(report, request, read_catalog(snapshot))


def report_summary(
    snapshot: Snapshot, folder: Path, report_type: str, arguments: Mapping[str, Any], now: datetime | None = None
) -> RowsSummary:
    """The summary of a report's rows, computed as the child of a run computes it."""
    (statement,) = report_plan(snapshot, report_type, arguments, now).statements
    summary = statement.summary
    (statement,), tables = resolve_at_snapshot([statement], snapshot)
    about = ReportMetadata("0" * 32, report_type, "", "", {}, "", 0.0, snapshot.number, 0.0, "")
    path = folder / "extract.parquet"
    with open_duckdb(tables, 256 << 20, 2, folder / "spill") as engine:
        rows = FileRows(statement.sql, statement.columns, group=statement.group)
        engine.copy(extract_statement(rows, path, about), statement.parameters)
        return engine.summarize(f"SELECT * FROM read_parquet('{path}')", summary)


def report_rows(
    snapshot: Snapshot, folder: Path, report_type: str, arguments: Mapping[str, Any]
) -> list[dict[str, str]]:
    """The rows of a report's CSV file, made as the child of a run makes it."""
    statement = report_plan(snapshot, report_type, arguments).statement
    assert statement is not None
    with write_csv(snapshot, statement, folder).open(newline="") as file:
        return list(csv.DictReader(file))


def write_csv(snapshot: Snapshot, statement: Statement, folder: Path) -> Path:
    """The CSV file of a statement, made as the child of a run makes it."""
    path = folder / "rows.csv"
    (statement,), tables = resolve_at_snapshot([statement], snapshot)
    with open_duckdb(tables, 256 << 20, 2, folder / "spill") as engine:
        copy = copy_statement(FileRows(statement.sql, statement.columns), path)
        engine.copy(copy, statement.parameters, statement.ordered or header_rows(statement.columns) > 0)
    return path


def link_copy(warehouse: Path, home: Path) -> None:
    """A warehouse for a home folder of its own, without copying what it holds."""
    shutil.copytree(warehouse, home / "warehouse", copy_function=os.link)


def many_accounts(root: Path, count: int, source: str = "big") -> Snapshot:
    """A warehouse of one source with many accounts of six attributes each, made in chunks."""
    names = ["department", "description", "employeeID", "mail", "memberOf", "title"]
    with Warehouse(root).load() as load:
        path, written = load.new_file_path(ACCOUNTS), 0
        with pq.ParquetWriter(path, ACCOUNTS.schema) as writer:
            while written < count:
                size = min(100_000, count - written)
                writer.write_table(_accounts(written, size, source, names))
                written += size
        sources = stage(load, SOURCES, [{"id": source, "name": "Big Directory", "accountAttributes": names}])
        changes = [
            TableChange(SOURCES, (sources,), None),
            TableChange(ACCOUNTS, (DataFile(path, count, source),), None),
        ]
        return load.publish(changes, (source,))


def _accounts(first: int, size: int, source: str, names: list[str]) -> pa.Table:
    columns: dict[str, pa.Array] = {column.name: pa.nulls(size, column.type) for column in ACCOUNTS.columns}
    numbers = pa.array(np.char.zfill(np.arange(first, first + size).astype("U9"), 9))
    keys = pa.array(names * size)
    one_value = pa.array(np.arange(size * len(names) + 1, dtype=np.int32))
    texts = pc.binary_join_element_wise(keys, pc.take(numbers, np.repeat(np.arange(size), len(names))), " of account ")
    offsets = pa.array(np.arange(0, (size + 1) * len(names), len(names), dtype=np.int32))
    columns |= {
        "id": numbers,
        "nativeIdentity": pc.binary_join_element_wise("CN=Account ", numbers, ",OU=People,DC=acme,DC=example", ""),
        "name": pc.binary_join_element_wise("account", numbers, ""),
        "sourceId": pa.array([source] * size),
        "correlated": pa.array([False] * size),
        "attributes": pa.MapArray.from_arrays(offsets, keys, pa.ListArray.from_arrays(one_value, texts)),
    }
    return pa.table(columns, schema=ACCOUNTS.schema)


def queued_run(number: int, size: int = 0) -> Run:
    """A run that waits for a worker, queued later and with a greater id than those of smaller numbers."""
    return Run(
        id=RunId(f"{number:032}"), report_type="ACCOUNTS", report_name="Accounts Report", description="", arguments={},
        key=f"k{number}", attributes={}, state=RunState.QUEUED, snapshot=1, launcher="tester",
        created=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number), launched=None, completed=None, rows=None,
        progress="Queued", percent=0, attempt=0, formats=("csv",), messages=(), artefacts=(), size=size,
    )  # fmt: skip


def add_ended_runs(home: Path, count: int) -> None:
    """Add runs of the past to the database of a home folder, as many minutes old as their number.

    Of four runs, one failed, one was cancelled, one had warnings and one succeeded; the latter two have one row more than
    their number.
    """
    states = (RunState.FAILED, RunState.CANCELLED, RunState.WARNED, RunState.SUCCEEDED)
    fault = [{"level": "ERROR", "key": "reports.failed", "text": "The file system is full."}]
    now = datetime.now(UTC)

    def row(number: int) -> dict[str, Any]:
        state = states[number % len(states)]
        created = now - timedelta(minutes=number)
        return {
            "id": f"{number:032x}", "report_type": "ACCOUNTS", "report_name": "Accounts Report", "description": "",
            "arguments": {"application": "a", "sourceName": f"Source number {number}"}, "key": f"{number:064x}",
            "single_flight": True, "attributes": {}, "state": state.value, "snapshot": 1, "launcher": f"user {number % 7}",
            "created": created, "launched": created, "completed": created + timedelta(seconds=number % 90),
            "rows": number + 1 if state.has_rows else None, "progress": "Completed", "percent": 100, "attempt": 1,
            "formats": ["csv"], "messages": fault if state is RunState.FAILED else [], "artefacts": [], "statement": "",
        }  # fmt: skip

    settings = Settings(home=ready(home))
    database = create_engine(settings.sqlalchemy_url)
    with database.begin() as connection:
        for first in range(0, count, 10_000):
            connection.execute(run_table.insert(), [row(n) for n in range(first, min(first + 10_000, count))])
    database.dispose()
