"""Run a load: discover and read the input files, reconcile the rows, check the loss limits, publish a snapshot."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from whohas.ingest.discover import LoadInputs, discover_inputs
from whohas.ingest.guard import GuardLimits, LoadStopped, losses_beyond_limits
from whohas.ingest.notes import snapshot_gaps
from whohas.ingest.pipeline import ReadPipeline
from whohas.ingest.reconcile import reconcile
from whohas.ingest.rejects import Rejects
from whohas.ingest.report import LoadProgress, LoadReport, SourceCount, TableCount
from whohas.ingest.staging import disk_full_as_unavailable
from whohas.warehouse.errors import Superseded
from whohas.warehouse.schema import ACCOUNTS, TABLES
from whohas.warehouse.store import Load, Snapshot, TableChange, Warehouse

_MEMORY = 384_000_000
_THREADS = 2
_LIMITS = GuardLimits()
_ATTEMPTS = 20
"""The most attempts at a load while loads of other machines publish before it."""


def load(
    warehouse: Warehouse,
    paths: Sequence[Path],
    *,
    check: bool = False,
    strict: bool = False,
    accept_loss: bool = False,
    limits: GuardLimits = _LIMITS,
    on_progress: Callable[[LoadProgress], None] = lambda _: None,
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
        Unavailable: the disk is full, or the object store failed. Nothing was published.
        Superseded: loads of other machines published before this one each time. Nothing was published.
    """
    started = time.monotonic()
    inputs = discover_inputs(paths)
    folder = warehouse.root.parent / "rejects" if rejects is None else rejects
    for attempt in count(1):
        try:
            return _attempt(
                warehouse, inputs, folder, started, check, strict, accept_loss, limits, on_progress, on_wait, by
            )
        except Superseded:
            # What this load derived, such as who holds an entitlement, may differ on the newer data: read it all again.
            if attempt == _ATTEMPTS:
                raise
            on_wait()
    raise AssertionError("unreachable")


def _attempt(
    warehouse: Warehouse,
    inputs: LoadInputs,
    folder: Path,
    started: float,
    check: bool,
    strict: bool,
    accept_loss: bool,
    limits: GuardLimits,
    on_progress: Callable[[LoadProgress], None],
    on_wait: Callable[[], None],
    by: Mapping[str, str] | None,
) -> LoadReport:
    """Load the files once; see `load`. Where another load publishes first, nothing of this attempt stays."""
    from whohas.engine.duckdb import connect_duckdb

    with ExitStack() as stack:
        stack.enter_context(_frugal_memory())
        with disk_full_as_unavailable(warehouse.root):
            one = stack.enter_context(warehouse.dry_run() if check else warehouse.load(on_wait))
        connection: Any = stack.enter_context(connect_duckdb(_MEMORY, _THREADS, one.scratch / "spill"))
        bad = Rejects(one.scratch / "rejects.ndjson", strict)
        reading = stack.enter_context(ReadPipeline(connection, one, inputs, bad, on_progress))
        reading.read()
        on_progress(LoadProgress("settling", "", inputs.total_bytes, inputs.total_bytes, reading.rows))
        changes, accounts = reconcile(reading)
        lost = losses_beyond_limits(reading, one, changes, limits)
        stopped = bool(lost) and not accept_loss
        path = None if check or not (bad.total or bad.emptied) else folder / f"{one.id}.ndjson"
        with disk_full_as_unavailable(folder):
            rows, cells = bad.write(path)
        snapshot: Snapshot | None = None
        if not check and not stopped:
            on_progress(LoadProgress("publishing", "", inputs.total_bytes, inputs.total_bytes, reading.rows))
            with disk_full_as_unavailable(warehouse.root), _removed_if_superseded(path):
                facts: dict[str, Any] = {
                    "files": [file.name for file in reading.counts()],
                    "rows": sum(file.read for file in reading.counts()),
                    "rejected": bad.total,
                    "emptied": bad.emptied.total(),
                    "losses": [str(loss) for loss in lost],
                }
                known = snapshot_gaps(reading, accepted=bool(lost))
                snapshot = one.publish(changes, tuple(reading.replaced_sources), {**(by or {}), **facts}, known)
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
def _removed_if_superseded(path: Path | None) -> Generator[None]:
    """Remove the file of rejected rows if another load publishes first: the next attempt writes its own."""
    try:
        yield
    except Superseded:
        if path is not None:
            path.unlink(missing_ok=True)
        raise


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


def _tables(one: Load, changes: Iterable[TableChange]) -> tuple[TableCount, ...]:
    counts: list[TableCount] = []
    for change in changes:
        before = sum(file.rows for file in one.base.files(change.table))
        gone = sum(file.rows for file in one.base.files(change.table, change.replaced_partitions))
        added = sum(file.rows for file in change.added_files)
        counts.append(TableCount(change.table.name, before, added, before - gone + added))
    return tuple(sorted(counts, key=lambda count: list(TABLES).index(count.name)))


def _sources(reading: ReadPipeline, one: Load, accounts: dict[str, tuple[int, int]]) -> tuple[SourceCount, ...]:
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
