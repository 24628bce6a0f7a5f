"""Audit events of loads: data loaded, loss accepted, load stopped.

A load is complete once its manifest exists, and no database transaction can include a file. Therefore the manifest
records who loaded which files, and the audit event is derived from it: at the end of the load, or, if the process died
or the database was not reachable then, by the next server that calls `tell_loads`. Each manifest gets its events
exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from whohas.audit import Event, Type, Who
from whohas.audit.events import shortened
from whohas.audit.outbox import knows_load, write, write_load
from whohas.warehouse.store import Warehouse

if TYPE_CHECKING:
    from whohas.ingest.report import LoadReport  # not at run time: a server does no loads

_FILES = 50
"""The largest number of file names (and of losses) in an event; `fileCount` (`lossCount`) has the full number."""


def tell_loads(warehouse: Warehouse, database: sa.Engine) -> int:
    """Write the audit events of each load that has none yet. Safe to call from several processes at once.

    Returns:
        The number of loads whose events were written.
    """
    newest = warehouse.snapshot()
    if newest.number == 0:
        return 0
    with database.connect() as connection:
        # Loads end one after the other and the missing events are written together, so if the newest load has its
        # event, all have.
        if knows_load(connection, newest.load_id):
            return 0
    with database.begin() as connection:
        return sum(write_load(connection, manifest["loadId"], _events(manifest)) for manifest in warehouse.manifests())


def record_stop(database: sa.Engine, report: LoadReport, who: Who) -> None:
    """Write the audit event of a load that stopped because it would have lost more data than its limits allow.

    Args:
        database: where the audit events are stored.
        report: the report of the load.
        who: who started the load.
    """
    facts = {
        "loadId": report.load_id,
        **_files(file.name for file in report.files),
        "rows": sum(file.read for file in report.files),
        "rejected": report.rejected,
        "emptied": report.emptied,
        **_losses(map(str, report.losses)),
    }
    with database.begin() as connection:
        write(connection, Event(Type.LOAD_STOPPED, f"load-{report.load_id}", who, "stopped", facts))


def _events(manifest: Mapping[str, Any]) -> list[Event]:
    by: Mapping[str, Any] = manifest.get("by") or {}
    facts = {
        "snapshot": manifest["number"],
        "loadId": manifest["loadId"],
        "sources": list(manifest["sources"]),
        **_files(map(str, by.get("files") or ())),
        "rows": by.get("rows"),
        "rejected": by.get("rejected"),
        "emptied": by.get("emptied"),
    }
    who = Who("operator", str(by.get("user", "")), address=str(by.get("host", "")))
    time = datetime.fromisoformat(manifest["loaded"])
    subject = f"snapshot-{manifest['number']}"
    events = [Event(Type.DATA_LOADED, subject, who, "published", facts, time=time)]
    if by.get("losses"):
        lost = {"snapshot": manifest["number"], "loadId": manifest["loadId"], **_losses(map(str, by["losses"]))}
        events.append(Event(Type.LOSS_ACCEPTED, subject, who, "published", lost, time=time))
    return events


def _files(names: Iterable[str]) -> dict[str, Any]:
    files = [shortened(name) for name in names]
    return {"files": files[:_FILES] or None, "fileCount": len(files) or None}


def _losses(losses: Iterable[str]) -> dict[str, Any]:
    texts = [shortened(loss) for loss in losses]
    return {"losses": texts[:_FILES], "lossCount": len(texts)}
