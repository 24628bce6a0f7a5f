"""A load, from first to last."""

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
    """Loads files into the warehouse as one snapshot.

    Args:
        paths: files and folders: data named after what it holds, and TOML mappings.
        check: find out what would happen, and write nothing.
        strict: end at the first bad row or cell instead of leaving it out.
        accept_loss: publish even if more is lost than the limits allow.
        limits: how much may be lost before the load stops.
        on_progress: told a few times a second how far it is.
        on_wait: called once if another load has to end first.
        rejects: the folder for the file of rejected rows; default: `rejects` beside the warehouse's folder.
        by: the `user` who loads and their `host`, for the audit trail.

    Returns:
        What was done; bad rows and cells are in it and in the file of rejects. A check says in `losses` why the load
        would stop.

    Raises:
        LoadStopped: more would be lost than the limits allow, and that is not accepted. Nothing was published.
        InvalidArguments: a file as a whole cannot be loaded, sources contradict each other, or a row is bad and the
            load is strict. Nothing was loaded.
        Unavailable: the disk is full. Nothing was loaded.
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
    """Lets Arrow keep the memory of one batch for the next: giving it back each time costs a fifth of a load."""
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
