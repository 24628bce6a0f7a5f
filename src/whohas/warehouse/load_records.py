"""Records of loads: a JSON file for each load in the folder `loads` of the home folder, with its outcome and report.

Of a warehouse in an object store, a copy lies there, so that the web console of every machine shows all loads.

The manifest of a snapshot says what was published. A record also says what a load read, what it rejected with examples,
why it was stopped or failed, and with which arguments it can be repeated; loads that published nothing have one too.
Records are for people: nothing else depends on them, and only the newest `KEPT` are kept.
"""

from __future__ import annotations

import re
import shlex
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from whohas import atomic
from whohas.errors import NotFound

if TYPE_CHECKING:
    from whohas.warehouse.remote import RemoteWarehouse

KEPT = 500
"""The number of newest records that are kept."""
_SHARED = "loads"
_ID = re.compile(r"[0-9a-f]{32}")


class LoadOutcome(StrEnum):
    """How a load ended."""

    PUBLISHED = "published"
    """It published a snapshot."""
    STOPPED = "stopped"
    """It was stopped to protect data, and published nothing."""
    FAILED = "failed"
    """It ended with an error, and published nothing."""


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A row that was not loaded, or a cell that became empty.

    Attributes:
        file: the name of the file.
        line: its line, from 1.
        column: the column that is wrong; empty if the whole row is.
        reason: what is wrong.
    """

    file: str
    line: int
    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """The number of records of one file: read, rejected, and with cells that became empty."""

    name: str
    holds: str
    read: int
    rejected: int
    emptied: int


@dataclass(frozen=True, slots=True)
class LoadedSource:
    """The number of accounts of a source before and after a load, and how many of the latter have an identity."""

    id: str
    name: str
    before: int
    after: int
    correlated: int


@dataclass(frozen=True, slots=True)
class LoadRecord:
    """A load that has ended.

    Attributes:
        id: the id of the load, 32 hex digits that begin with its time.
        ended: when it ended.
        outcome: how it ended.
        user: the user of the operating system who loaded.
        host: the machine on which it ran.
        home: the home folder of the installation.
        paths: the files and folders that it was given, absolute.
        options: its options, such as `--strict`.
        snapshot: the number of the snapshot that it published; None if it published none.
        seconds: how long it took.
        error: why it failed; empty otherwise.
        rows: the rows that it read.
        rejected: the rows that were not loaded.
        emptied: the cells that became empty.
        losses: the losses beyond the limits: why it was stopped, or what `--accept-loss` accepted.
        warnings: notes that need attention.
        files, sources: the counts for each file and source.
        rejections, emptied_cells: the first of the rejected rows and emptied cells.
        rejects: the path of the file with all of them; empty if nothing was rejected.
    """

    id: str
    ended: datetime
    outcome: LoadOutcome
    user: str = ""
    host: str = ""
    home: str = ""
    paths: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    snapshot: int | None = None
    seconds: float = 0.0
    error: str = ""
    rows: int = 0
    rejected: int = 0
    emptied: int = 0
    losses: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[LoadedFile, ...] = ()
    sources: tuple[LoadedSource, ...] = ()
    rejections: tuple[RejectedRecord, ...] = field(default=(), repr=False)
    emptied_cells: tuple[RejectedRecord, ...] = field(default=(), repr=False)
    rejects: str = ""

    def command(self, *options: str) -> str:
        """Return the command that repeats the load, for a shell on the machine of the warehouse.

        Args:
            options: further options, such as `--accept-loss`.
        """
        words = ["whohas", "load", *dict.fromkeys((*self.options, *options)), *self.paths]
        home = f"WHOHAS_HOME={shlex.quote(self.home)} " if self.home else ""
        return home + shlex.join(words)


_RECORD = TypeAdapter(LoadRecord)


def new_load_id() -> str:
    """Return an id for a load that failed before it got one, in the form of the others."""
    return f"{time.time_ns() // 1000:016x}{uuid.uuid4().hex[:16]}"


def write_record(folder: Path, record: LoadRecord) -> None:
    """Write the record of a load, and remove the oldest ones beyond `KEPT`.

    Args:
        folder: the folder of records, which is created if it is missing.
        record: the record.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write(folder / f"{record.id}.json", _RECORD.dump_json(record, indent=1), mode=0o600)
    for path in _paths(folder)[KEPT:]:
        with suppress(OSError):
            path.unlink()


def read_records(folder: Path, count: int) -> Iterator[LoadRecord]:
    """Yield the newest records, the newest first; files that are no records are passed over.

    Args:
        folder: the folder of records; it may be missing.
        count: the most records to yield.
    """
    for path in _paths(folder)[:count]:
        with suppress(OSError, ValueError):
            yield _RECORD.validate_json(path.read_bytes())


def share_record(remote: RemoteWarehouse, record: LoadRecord) -> None:
    """Write the copy of a record for other machines, and remove the oldest ones beyond `KEPT`.

    Raises:
        StoreFailed: the object store failed.
    """
    remote.store.write(f"{_SHARED}/{record.id}.json", _RECORD.dump_json(record, indent=1))
    keys = sorted((found.key for found in remote.store.list(_SHARED)), reverse=True)
    remote.store.delete(*keys[KEPT:])


def read_shared_records(remote: RemoteWarehouse, count: int) -> list[LoadRecord]:
    """Return the newest records in the object store, the newest first; objects that are no records are passed over.

    Raises:
        StoreFailed: the object store failed.
    """
    found: list[LoadRecord] = []
    for document in remote.newest_documents(_SHARED, count):
        with suppress(ValueError):
            found.append(_RECORD.validate_python(document))
    return found


def read_record(folder: Path, id: str) -> LoadRecord:
    """Return the record of a load.

    Raises:
        NotFound: there is no record of that load, or it cannot be read.
    """
    if _ID.fullmatch(id):
        with suppress(OSError, ValueError):
            return _RECORD.validate_json((folder / f"{id}.json").read_bytes())
    raise NotFound(f"There is no record of a load {id[:40]!r}. The newest {KEPT} are kept.")


def record_of_manifest(manifest: Mapping[str, Any]) -> LoadRecord:
    """Return what the manifest of a snapshot says of its load, for one that has no record."""
    by: Mapping[str, Any] = manifest.get("by") or {}
    return LoadRecord(
        id=manifest["loadId"],
        ended=datetime.fromisoformat(manifest["loaded"]),
        outcome=LoadOutcome.PUBLISHED,
        user=str(by.get("user", "")),
        host=str(by.get("host", "")),
        snapshot=manifest["number"],
        rows=by.get("rows") or 0,
        rejected=by.get("rejected") or 0,
        emptied=by.get("emptied") or 0,
        losses=tuple(map(str, by.get("losses") or ())),
        files=tuple(LoadedFile(str(name), "", 0, 0, 0) for name in by.get("files") or ()),
    )


def _paths(folder: Path) -> list[Path]:
    """Return the files of records, the newest first: their names begin with the time."""
    return sorted((path for path in folder.glob("*.json") if _ID.fullmatch(path.stem)), reverse=True)
