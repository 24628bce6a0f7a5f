"""Run a load: discover and read the input files, reconcile the rows, check the loss limits, publish a snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from whohas.ingest.discover import discover
from whohas.ingest.gaps import gaps
from whohas.ingest.guard import Limits, LoadStopped, losses
from whohas.ingest.pipeline import Reading
from whohas.ingest.reconcile import settle
from whohas.ingest.rejects import Rejects
from whohas.ingest.report import LoadReport, Progress, SourceCount, TableCount
from whohas.ingest.staging import disk_space
from whohas.warehouse.schema import ACCOUNTS, TABLES
from whohas.warehouse.store import Change, Load, Snapshot, Warehouse

_MEMORY = 384_000_000
_THREADS = 2
_LIMITS = Limits()


def load(
    warehouse: Warehouse,
    paths: Sequence[Path],
    *,
    check: bool = False,
    strict: bool = False,
    accept_loss: bool = False,
    limits: Limits = _LIMITS,
    on_progress: Callable[[Progress], None] = lambda _: None,
    on_wait: Callable[[], None] = lambda: None,
    rejects: Path | None = None,
    by: Mapping[str, str] | None = None,
) -> LoadReport:
    """Load files into the warehouse and publish them as one snapshot.

    Args:
        warehouse: the warehouse to load into.
        paths: files and folders: data files named after their table, and TOML mappings with the files they name.
        check: dry run: report what the load would do, and publish nothing.
        strict: fail at the first bad row or cell instead of leaving it out.
        accept_loss: publish even if the losses exceed the limits.
        limits: how much data may be lost before the load stops.
        on_progress: called with the progress, while reading at most ten times a second.
        on_wait: called once if the load has to wait for another load to end.
        rejects: the folder for the file of rejected rows; default: the folder `rejects` next to the warehouse.
        by: the `user` and `host` that started the load, for the audit log.

    Returns:
        The report of the load. Its `rejections` and `emptied_cells` are the first bad rows and cells; the file of
        rejects has all of them. Of a check, `losses` are the reasons why the load would stop.

    Raises:
        LoadStopped: the losses exceed the limits, and `accept_loss` is not set. Nothing was published.
        InvalidArguments: a whole file cannot be loaded, sources contradict each other, or the load is strict and a
            row or cell is bad. Nothing was published.
        Unavailable: the disk is full. Nothing was published.
    """
    from whohas.engine.duckdb import connect

    started = time.monotonic()
    inputs = discover(paths)
    folder = warehouse.root.parent / "rejects" if rejects is None else rejects
    with ExitStack() as stack:
        stack.enter_context(_frugal_memory())
        with disk_space(warehouse.root):
            one = stack.enter_context(warehouse.rehearse() if check else warehouse.load(on_wait))
        connection: Any = stack.enter_context(connect(_MEMORY, _THREADS, one.scratch / "spill"))
        bad = Rejects(one.scratch / "rejects.ndjson", strict)
        reading = stack.enter_context(Reading(connection, one, inputs, bad, on_progress))
        reading.read()
        on_progress(Progress("settling", "", inputs.size, inputs.size, reading.rows))
        changes, accounts = settle(reading)
        lost = losses(reading, one, changes, limits)
        stopped = bool(lost) and not accept_loss
        path = None if check or not (bad.total or bad.emptied) else folder / f"{one.id}.ndjson"
        with disk_space(folder):
            rows, cells = bad.finish(path)
        snapshot: Snapshot | None = None
        if not check and not stopped:
            on_progress(Progress("publishing", "", inputs.size, inputs.size, reading.rows))
            with disk_space(warehouse.root):
                facts: dict[str, Any] = {
                    "files": [file.name for file in reading.counts()],
                    "rows": sum(file.read for file in reading.counts()),
                    "rejected": bad.total,
                    "emptied": bad.emptied.total(),
                    "losses": [str(loss) for loss in lost],
                }
                known = gaps(reading, accepted=bool(lost))
                snapshot = one.publish(changes, tuple(reading.brought), {**(by or {}), **facts}, known)
        report = LoadReport(
            load_id=one.id,
            snapshot=None if snapshot is None else snapshot.number,
            files=reading.counts(),
            tables=_tables(one, changes),
            sources=_sources(reading, one, accounts),
            rejected=bad.total,
            rejections=tuple(rows),
            emptied=bad.emptied.total(),
            emptied_cells=tuple(cells),
            losses=lost,
            rejects=path,
            warnings=tuple(reading.warnings),
            unknown=reading.unknown,
            seconds=time.monotonic() - started,
        )
        if stopped and not check:
            raise LoadStopped(report)
        return report


@contextmanager
def _frugal_memory() -> Generator[None]:
    """Use jemalloc as Arrow's allocator, if there is one, so that memory of one batch is reused for the next.

    Returning the memory to the system after each batch costs a fifth of a load's time.
    """
    import pyarrow as pa

    before = pa.default_memory_pool()
    with suppress(NotImplementedError):
        pa.set_memory_pool(pa.jemalloc_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def _tables(one: Load, changes: Iterable[Change]) -> tuple[TableCount, ...]:
    counts: list[TableCount] = []
    for change in changes:
        before = sum(file.rows for file in one.base.files(change.table))
        gone = sum(file.rows for file in one.base.files(change.table, change.replace))
        added = sum(file.rows for file in change.add)
        counts.append(TableCount(change.table.name, before, added, before - gone + added))
    return tuple(sorted(counts, key=lambda count: list(TABLES).index(count.name)))


def _sources(reading: Reading, one: Load, accounts: dict[str, tuple[int, int]]) -> tuple[SourceCount, ...]:
    before: dict[str, int] = {}
    for file in one.base.files(ACCOUNTS):
        before[file.partition or ""] = before.get(file.partition or "", 0) + file.rows
    counts = [
        SourceCount(
            id,
            reading.sources.name(id),
            bool(reading.sources.rows[id]["authoritative"]),
            before.get(id, 0),
            rows,
            held,
            reading.sources.rows[id]["correlation"] is not None,
        )
        for id, (rows, held) in accounts.items()
    ]
    return tuple(sorted(counts, key=lambda count: (not count.authoritative, count.name)))
