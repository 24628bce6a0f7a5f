"""Response bodies of the runs of whohas, which have more than the tasks of the published API."""

from __future__ import annotations

from typing import Any

from pydantic import StrictInt

from whohas.contract.tasks import TaskStatus
from whohas_client.contract import WireModel


class RunFile(WireModel):
    """A finished file of a run.

    Attributes:
        name: the name of the file.
        format: its format in lower case, such as csv; in a zip, the format of its parts.
        bytes: its size.
        sha256: its SHA-256, 64 hex digits.
    """

    name: str
    format: str
    bytes: StrictInt
    sha256: str


class RunDetails(TaskStatus):
    """A run: its task, and what the published task has no field for.

    Attributes:
        reportType: the type of the report, such as ACCOUNTS.
        state: queued, running, cancelling, succeeded, warned, failed or cancelled.
        arguments: the arguments, normalised; those with their default value are left out.
        rows: the number of rows of the report; null until the run is over.
        duration: milliseconds from launch to completion; null until the run is over.
        snapshot: the number of the snapshot that the run reads.
        files: its finished files.
    """

    reportType: str
    state: str
    arguments: dict[str, Any]
    rows: StrictInt | None
    duration: StrictInt | None
    snapshot: StrictInt
    files: list[RunFile]
