"""Writing the record of a load from its report."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from whohas.object_stores import StoreFailed
from whohas.warehouse.load_records import (
    LoadedFile,
    LoadedSource,
    LoadOutcome,
    LoadRecord,
    RejectedRecord,
    new_load_id,
    share_record,
    write_record,
)

if TYPE_CHECKING:
    from whohas.audit import Actor
    from whohas.ingest import LoadReport, Rejection
    from whohas.settings import Settings
    from whohas.warehouse.store import Warehouse


def write_load_record(
    settings: Settings,
    warehouse: Warehouse | None,
    who: Actor,
    paths: Sequence[Path],
    options: tuple[str, ...],
    report: LoadReport | None,
    error: str,
) -> None:
    """Write the record of a load, which the web console shows.

    Args:
        settings: the settings of the installation.
        warehouse: the warehouse; None if it could not be opened.
        who: who started the load.
        paths: the files and folders that it was given.
        options: its options, such as `--strict`.
        report: the report of the load; None if it failed.
        error: why it failed.
    """
    known = LoadRecord(
        id=report.load_id if report else new_load_id(),
        ended=datetime.now(UTC),
        outcome=LoadOutcome.FAILED,
        user=who.name,
        host=who.address,
        home=str(settings.home.absolute()),
        paths=tuple(str(path.absolute()) for path in paths),
        options=options,
        error=error,
    )
    if report is not None:
        known = replace(
            known,
            outcome=LoadOutcome.STOPPED if report.snapshot is None else LoadOutcome.PUBLISHED,
            snapshot=report.snapshot,
            seconds=report.seconds,
            rows=sum(file.read for file in report.files),
            rejected=report.rejected,
            emptied=report.emptied,
            losses=tuple(map(str, report.losses)),
            warnings=report.warnings,
            files=tuple(LoadedFile(f.name, f.holds, f.read, f.rejected, f.emptied) for f in report.files),
            sources=tuple(LoadedSource(s.id, s.name, s.before, s.after, s.correlated) for s in report.sources),
            rejections=_rejected(report.rejections),
            emptied_cells=_rejected(report.emptied_cells),
            rejects="" if report.rejects is None else str(report.rejects.absolute()),
        )
    try:
        write_record(settings.load_records_path, known)
        if warehouse is not None and warehouse.remote is not None:
            share_record(warehouse.remote, known)
    except (OSError, StoreFailed) as fault:  # the load itself is complete
        print(f"Note: the record of this load could not be written: {fault}.", file=sys.stderr)


def _rejected(found: Iterable[Rejection]) -> tuple[RejectedRecord, ...]:
    return tuple(RejectedRecord(one.file, one.line, one.column, one.reason) for one in found)
