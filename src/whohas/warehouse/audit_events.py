"""Audit events of loads: data loaded, loss accepted, load stopped.

A load is complete once its manifest exists. The manifest is a file, which a database transaction cannot include, so the
audit events are not written with it. Instead, the manifest records who loaded which files, and `tell_loads` derives the
events from it: at the end of the load or, if the process died or the database was unreachable then, when the next
server calls it. Each manifest gets its events exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa

from whohas.audit import Actor, Event, EventType
from whohas.audit.events import truncated
from whohas.audit.outbox import has_load_events, write_event, write_load_events
from whohas.warehouse.store import Warehouse

_FILES = 50
"""The largest number of file names (and of losses) in an event; `fileCount` (`lossCount`) has the full number."""


class StoppedLoad(Protocol):
    """The parts of a load's report (`ingest.LoadReport`) that are in the event of a load that stopped.

    It is a protocol because servers import this module, and should not import the code of loads.
    """

    @property
    def load_id(self) -> str: ...
    @property
    def files(self) -> Iterable[FileRows]: ...
    @property
    def rejected(self) -> int: ...
    @property
    def emptied(self) -> int: ...
    @property
    def losses(self) -> Iterable[object]: ...


class FileRows(Protocol):
    """The name of an input file, and the number of rows that were read from it."""

    @property
    def name(self) -> str: ...
    @property
    def read(self) -> int: ...


def tell_loads(warehouse: Warehouse, database: sa.Engine) -> int:
    """Write the audit events of each load that has none yet. Safe to call from several processes at once.

    Returns:
        The number of loads whose events were written.
    """
    newest = warehouse.snapshot()
    if newest.number == 0:
        return 0
    with database.connect() as connection:
        # Loads end one after the other, and missing events are written in one transaction. Therefore, if the newest
        # load has its events, all earlier loads have theirs too.
        if has_load_events(connection, newest.load_id):
            return 0
    with database.begin() as connection:
        return sum(
            write_load_events(connection, manifest["loadId"], _events(manifest)) for manifest in warehouse.manifests()
        )


def emit_stopped_load_event(database: sa.Engine, report: StoppedLoad, who: Actor) -> None:
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
        write_event(connection, Event(EventType.LOAD_STOPPED, f"load-{report.load_id}", who, "stopped", facts))


def _events(manifest: Mapping[str, Any]) -> list[Event]:
    """Return the events of a published load: data loaded and, if losses beyond the limits were accepted, these."""
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
    who = Actor("operator", str(by.get("user", "")), address=str(by.get("host", "")))
    time = datetime.fromisoformat(manifest["loaded"])
    subject = f"snapshot-{manifest['number']}"
    events = [Event(EventType.DATA_LOADED, subject, who, "published", facts, time=time)]
    if by.get("losses"):
        lost = {"snapshot": manifest["number"], "loadId": manifest["loadId"], **_losses(map(str, by["losses"]))}
        events.append(Event(EventType.LOSS_ACCEPTED, subject, who, "published", lost, time=time))
    return events


def _files(names: Iterable[str]) -> dict[str, Any]:
    """Return the fields of an event about its input files: the first names, and the full number."""
    files = [truncated(name) for name in names]
    return {"files": files[:_FILES] or None, "fileCount": len(files) or None}


def _losses(losses: Iterable[str]) -> dict[str, Any]:
    """Return the fields of an event about losses: the texts of the first ones, and the full number."""
    texts = [truncated(loss) for loss in losses]
    return {"losses": texts[:_FILES], "lossCount": len(texts)}
