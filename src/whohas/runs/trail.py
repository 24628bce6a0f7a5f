"""What the audit trail is told of runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from whohas.audit import Event, Type, Who
from whohas.audit.events import SYSTEM, canonical, shortened
from whohas.runs.model import Artefact, Run
from whohas.runs.work import EXTRACT

_LONGEST_ARGUMENTS = 4_000
"""Characters of arguments that an event repeats; of longer ones, such as a long query, it has the hash."""

_STRAYS = 50
"""Names of files that nobody owns that an event repeats."""


def started(run: Run, by: Who) -> Event:
    """A run was accepted."""
    return Event(Type.RUN_STARTED, run.id, by, "accepted", {**_facts(run), **_arguments(run), "snapshot": run.snapshot})


def joined(run: Run, by: Who) -> Event:
    """A start got a run that was under way."""
    return Event(Type.RUN_JOINED, run.id, by, "accepted", _facts(run))


def cancelled(run: Run, by: Who) -> Event:
    """Somebody had a run stopped."""
    return Event(Type.RUN_CANCELLED, run.id, by, "accepted", _facts(run))


def ended(run: Run) -> Event:
    """A run is over, with these files or without any."""
    files = [_file(one) for one in run.artefacts if one.format != EXTRACT]
    facts = {**_facts(run), "launcher": run.launcher, "rows": run.rows, "files": files or None}
    return Event(Type.RUN_ENDED, run.id, SYSTEM, run.state.value, facts)


def downloaded(run: Run, artefact: Artefact, by: Who, name: str, span: tuple[int, int] | None) -> Event:
    """A file is about to be handed out.

    Args:
        name: what it is called there.
        span: the bytes of it, the end exclusive; None for all.
    """
    facts = {**_facts(run), **_file(artefact), "fileName": shortened(name)}
    if span is not None:
        facts["range"] = f"{span[0]}-{span[1] - 1}"
    return Event(Type.REPORT_DOWNLOADED, run.id, by, "success", facts)


def switched(report_type: str, by: Who, *, off: bool) -> Event:
    """A report was switched off or on."""
    return Event(Type.REPORT_SWITCHED, report_type, by, "off" if off else "on", {"report": report_type})


def swept(run_id: str, what: str, files: Sequence[Artefact], why: str, by: Who) -> Event:
    """A sweep removes the files of a run, or the run with what files it still has."""
    told = [_file(one) for one in files if one.format != EXTRACT]
    facts = {"run": run_id, "bytes": sum(one.bytes for one in files), "files": told or None, "reason": why}
    return Event(Type.RETENTION_SWEPT, run_id, by, what, facts)


def swept_strays(names: Sequence[str], size: int, by: Who) -> Event:
    """A sweep removes files that nobody owns."""
    facts = {"files": [shortened(name) for name in names[:_STRAYS]], "fileCount": len(names), "bytes": size}
    return Event(Type.RETENTION_SWEPT, "strays", by, "stray", facts)


def _facts(run: Run) -> dict[str, Any]:
    return {"run": run.id, "report": run.report_type}


def _file(artefact: Artefact) -> dict[str, Any]:
    return {
        "format": artefact.format,
        "fileName": artefact.name,
        "bytes": artefact.bytes,
        "rows": artefact.rows,
        "sha256": artefact.sha256,
    }


def _arguments(run: Run) -> Mapping[str, Any]:
    text = canonical(run.arguments)
    if len(text) <= _LONGEST_ARGUMENTS:
        return {"arguments": dict(run.arguments)}
    return {"argumentsSha256": hashlib.sha256(text.encode()).hexdigest()}
