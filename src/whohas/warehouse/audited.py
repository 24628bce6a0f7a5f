"""The events of loads.

A load is done once its manifest is there; no transaction of the database can hold a file. So the manifest itself says
who loaded what, and the event is made of it: at the end of the load, or, where that was stopped or the database did not
answer, by whichever server looks next. A manifest without its event gets one, once; what has no manifest gets none.
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
    from whohas.warehouse.intake.report import LoadReport  # a server loads nothing, and needs none of it

_FILES = 50
"""Names of files that an event repeats."""


def tell_loads(warehouse: Warehouse, database: sa.Engine) -> int:
    """Writes the event of each load that has none; how many. Safe from many processes at once."""
    newest = warehouse.snapshot()
    if newest.number == 0:
        return 0
    with database.connect() as connection:
        # loads end one after the other, and all that lack their event are told together
        if knows_load(connection, newest.load_id):
            return 0
    with database.begin() as connection:
        return sum(write_load(connection, manifest["loadId"], _events(manifest)) for manifest in warehouse.manifests())


def record_stop(database: sa.Engine, report: LoadReport, who: Who) -> None:
    """Write the event of a load that was stopped."""
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
    found = [shortened(loss) for loss in losses]
    return {"losses": found[:_FILES], "lossCount": len(found)}
