"""The events of loads.

A load is done once its manifest is there; no transaction of the database can hold a file. So the manifest itself says
who loaded what, and the event is made of it: at the end of the load, or, where that was stopped or the database did not
answer, by whichever server looks next. A manifest without its event gets one, once; what has no manifest gets none.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from whohas.audit import Event, Type, Who
from whohas.audit.events import shortened
from whohas.audit.outbox import knows_load, write_load
from whohas.warehouse.store import Warehouse

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
        return sum(write_load(connection, manifest["loadId"], _event(manifest)) for manifest in warehouse.manifests())


def _event(manifest: Mapping[str, Any]) -> Event:
    by: Mapping[str, Any] = manifest.get("by") or {}
    files: list[str] = [shortened(str(name)) for name in by.get("files") or ()]
    facts = {
        "snapshot": manifest["number"],
        "loadId": manifest["loadId"],
        "sources": list(manifest["sources"]),
        "files": files[:_FILES] or None,
        "fileCount": len(files) or None,
        "rows": by.get("rows"),
        "rejected": by.get("rejected"),
    }
    who = Who("operator", str(by.get("user", "")), address=str(by.get("host", "")))
    time = datetime.fromisoformat(manifest["loaded"])
    return Event(Type.DATA_LOADED, f"snapshot-{manifest['number']}", who, "published", facts, time=time)
