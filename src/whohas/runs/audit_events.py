"""Audit events on runs, downloads, report switches and sweeps: one function for each type of event.

They return an `Event`; the caller writes it in the transaction that makes the change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from whohas import timeouts
from whohas.audit import Actor, Event, EventType
from whohas.audit.events import SYSTEM, canonical_json, truncated
from whohas.runs.models import Artifact, Run
from whohas.storage import EXTRACT

_LONGEST_ARGUMENTS = 4_000
"""An event contains the arguments of a run up to this many characters of JSON; of longer ones, their SHA-256."""

_STRAYS = 50
"""The largest number of names of orphaned files in an event."""


def run_started(run: Run, by: Actor) -> Event:
    """Return the event that a new run was accepted."""
    return Event(
        EventType.RUN_STARTED, run.id, by, "accepted", {**_facts(run), **_arguments(run), "snapshot": run.snapshot}
    )


def run_joined(run: Run, by: Actor) -> Event:
    """Return the event that a request to start a report was answered with a run that was active already."""
    return Event(EventType.RUN_JOINED, run.id, by, "accepted", _facts(run))


def run_cancelled(run: Run, by: Actor) -> Event:
    """Return the event that somebody asked to cancel a run. It may still be running; `run_ended` records its end."""
    return Event(EventType.RUN_CANCELLED, run.id, by, "accepted", _facts(run))


def run_ended(run: Run, engine: str) -> Event:
    """Return the event that a run has ended, with its state and its files, extracts excluded.

    Args:
        engine: the engine that executed it, with its version; empty for a run without rows.
    """
    files = [_file(artefact) for artefact in run.artefacts if artefact.format != EXTRACT]
    ran = {"launcher": run.launcher, "rows": run.rows, "engine": engine or None, "files": files or None}
    return Event(EventType.RUN_ENDED, run.id, SYSTEM, run.state.value, {**_facts(run), **ran})


def report_downloaded(run: Run, artefact: Artifact, by: Actor, name: str, span: tuple[int, int] | None) -> Event:
    """Return the event that a file is downloaded.

    Args:
        name: the file name that the client is given.
        span: the range of bytes, the end exclusive; None for the whole file. The event has it as HTTP does, the end
            inclusive: (0, 100) becomes "0-99".
    """
    facts = {**_facts(run), **_file(artefact), "fileName": truncated(name)}
    if span is not None:
        facts["range"] = f"{span[0]}-{span[1] - 1}"
    return Event(EventType.REPORT_DOWNLOADED, run.id, by, "success", facts)


def address_handed_out(run: Run, artefact: Artifact, by: Actor, name: str) -> Event:
    """Return the event that somebody got a signed address of a file. The log of the object store says whether they
    downloaded it.

    Args:
        name: the file name that the client is given.
    """
    facts = {**_facts(run), **_file(artefact), "fileName": truncated(name), "seconds": timeouts.SIGNED_ADDRESS_SECONDS}
    return Event(EventType.ADDRESS_HANDED_OUT, run.id, by, "success", facts)


def report_viewed(run: Run, by: Actor) -> Event:
    """Return the event that somebody looks at the rows of a run."""
    return Event(EventType.REPORT_VIEWED, run.id, by, "success", {**_facts(run), "rows": run.rows})


def report_switched(report_type: str, by: Actor, *, off: bool) -> Event:
    """Return the event that a report was switched off or on."""
    return Event(EventType.REPORT_SWITCHED, report_type, by, "off" if off else "on", {"report": report_type})


def retention_swept(run_id: str, what: str, files: Sequence[Artifact], why: str, by: Actor) -> Event:
    """Return the event that a sweep removes the files of a run, or the run with the files that it still has.

    Args:
        what: `files` or `run`.
        why: the rule by which they are removed, a sentence.
    """
    listed = [_file(artefact) for artefact in files if artefact.format != EXTRACT]
    size = sum(artefact.bytes for artefact in files)
    facts = {"run": run_id, "bytes": size, "files": listed or None, "reason": why}
    return Event(EventType.RETENTION_SWEPT, run_id, by, what, facts)


def orphaned_files_swept(names: Sequence[str], size: int, by: Actor) -> Event:
    """Return the event that a sweep removes orphaned files; `size` is their size in bytes, all together."""
    facts = {"files": [truncated(name) for name in names[:_STRAYS]], "fileCount": len(names), "bytes": size}
    return Event(EventType.RETENTION_SWEPT, "strays", by, "stray", facts)


def _facts(run: Run) -> dict[str, Any]:
    return {"run": run.id, "report": run.report_type}


def _file(artefact: Artifact) -> dict[str, Any]:
    return {
        "format": artefact.format,
        "fileName": artefact.name,
        "bytes": artefact.bytes,
        "rows": artefact.rows,
        "sha256": artefact.sha256,
    }


def _arguments(run: Run) -> Mapping[str, Any]:
    text = canonical_json(run.arguments)
    if len(text) <= _LONGEST_ARGUMENTS:
        return {"arguments": dict(run.arguments)}
    return {"argumentsSha256": hashlib.sha256(text.encode()).hexdigest()}
