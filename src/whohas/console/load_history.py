"""The loads of an installation for the pages that show them, and what to do about those that went wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from whohas.errors import NotFound
from whohas.services import Services
from whohas.warehouse.load_records import (
    LoadOutcome,
    LoadRecord,
    RejectedRecord,
    read_record,
    read_records,
    read_shared_records,
    record_of_manifest,
)

_MOST = 100
_REJECTS = 200
_LONGEST_LINE = 1_000_000


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do about a load.

    Attributes:
        text: when and why to do it, a sentence.
        command: the command that does it; empty if a person has to act.
    """

    text: str
    command: str = ""


def recent_loads(services: Services) -> list[LoadRecord]:
    """Return the newest loads, at most 100, the newest first; published ones without a record from their manifests."""
    records = _records(services, _MOST)
    known = {record.id for record in records}
    with suppress(OSError, ValueError, KeyError):
        manifests = islice(services.warehouse.manifests(newest_first=True), _MOST)
        records += (record_of_manifest(manifest) for manifest in manifests if manifest["loadId"] not in known)
    return sorted(records, key=lambda record: record.id, reverse=True)[:_MOST]


def _records(services: Services, count: int) -> list[LoadRecord]:
    """Return the newest records, the newest first: of this machine, and of others that share the object store."""
    folder, remote = services.settings.load_records_path, services.warehouse.remote
    found = {record.id: record for record in read_records(folder, count)}
    if remote is not None:
        found |= {record.id: record for record in read_shared_records(remote, count)}
    return sorted(found.values(), key=lambda record: record.id, reverse=True)[:count]


def find_load(services: Services, id: str) -> LoadRecord:
    """Return a load by its id.

    Raises:
        NotFound: no load that is kept has this id.
    """
    with suppress(NotFound):
        return read_record(services.settings.load_records_path, id)
    found = next((record for record in recent_loads(services) if record.id == id), None)
    if found is None:
        raise NotFound(f"There is no load {id[:40]!r} among those that are kept.")
    return found


def unresolved_loads(services: Services, count: int) -> list[LoadRecord]:
    """Return the newest loads that published nothing, the newest first, as long as no later load was published."""
    found: list[LoadRecord] = []
    for record in _records(services, count):
        if record.outcome is LoadOutcome.PUBLISHED:
            break
        found.append(record)
    return found


def summarize(record: LoadRecord) -> str:
    """Return why a load needs attention, in a sentence; empty if it does not."""
    if record.outcome is LoadOutcome.FAILED:
        return record.error.splitlines()[0] if record.error else "It failed."
    if record.outcome is LoadOutcome.STOPPED:
        return f"Stopped to protect data: {'; '.join(record.losses)}."
    parts = [
        f"{count:,} {noun if count == 1 else f'{noun}s'} {verb}"
        for count, noun, verb in ((record.rejected, "row", "rejected"), (record.emptied, "cell", "emptied"))
        if count
    ]
    if record.losses:
        parts.append("more was lost than the limits allow, and --accept-loss accepted it")
    return f"{', '.join(parts)}.".capitalize() if parts else ""


def remedies(record: LoadRecord) -> Sequence[Remedy]:
    """Return what to do about a load, the best first; nothing if nothing is wrong."""
    if not record.paths:  # the arguments of the load are not known
        command, accepting = "", ""
    else:
        command, accepting = record.command(), record.command("--accept-loss")
    match record.outcome:
        case LoadOutcome.FAILED:
            return (Remedy("Repair what the message names, and load again:", command),)
        case LoadOutcome.STOPPED:
            return (
                Remedy("If the files are incomplete or wrong, export them again, and load again:", command),
                Remedy("If the files are right and the loss is intended, accept it; it is recorded:", accepting),
            )
        case LoadOutcome.PUBLISHED if record.rejected or record.emptied:
            return (
                Remedy("Correct the rows below in their files or at their source, and load again:", command),
                Remedy(
                    "The warnings on this data end with a later load of the source without faults. Until then each run "
                    "on it says what is missing."
                ),
            )
        case _:
            return ()


def rejected_rows(record: LoadRecord) -> list[RejectedRecord]:
    """Return the rejected rows and emptied cells of a load, at most 200: from its file, or else the first ones."""
    rows = list(islice(_rejects(Path(record.rejects)), _REJECTS)) if record.rejects else []
    return rows or [*record.rejections, *record.emptied_cells][:_REJECTS]


def _rejects(path: Path) -> Iterator[RejectedRecord]:
    with suppress(OSError, ValueError, KeyError, TypeError), path.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(_LONGEST_LINE):
            entry = json.loads(line)
            yield RejectedRecord(
                str(entry["file"]), int(entry["line"]), str(entry.get("column", "")), str(entry["reason"])
            )
