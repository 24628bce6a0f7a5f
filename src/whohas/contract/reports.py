"""The bodies of the four operations: start a run, ask what became of it, take its file, cancel it.

A reader of these types may meet another server: what it leaves out or sends as null reads as None, what it
adds is dropped, and values outside an enumeration stay plain strings.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StrictInt


class ReportType(StrEnum):
    """The reports that the contract knows."""

    ACCOUNTS = "ACCOUNTS"
    IDENTITIES_DETAILS = "IDENTITIES_DETAILS"
    IDENTITIES = "IDENTITIES"
    IDENTITY_PROFILE_IDENTITY_ERROR = "IDENTITY_PROFILE_IDENTITY_ERROR"
    ORPHAN_IDENTITIES = "ORPHAN_IDENTITIES"
    SEARCH_EXPORT = "SEARCH_EXPORT"
    UNCORRELATED_ACCOUNTS = "UNCORRELATED_ACCOUNTS"


class FileFormat(StrEnum):
    """What `fileFormat` may ask for."""

    CSV = "csv"
    PDF = "pdf"


class TaskType(StrEnum):
    """The kind of machinery behind a run; here it is always a queue."""

    QUARTZ = "QUARTZ"
    QPOC = "QPOC"
    MENTOS = "MENTOS"
    QUEUED_TASK = "QUEUED_TASK"


class CompletionStatus(StrEnum):
    """How a run ended, in the words of the answer to a start; null until it is over."""

    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"
    TEMP_ERROR = "TEMP_ERROR"


class ResultStatus(StrEnum):
    """How a run ended, in the words of its result; null until it is over."""

    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    FAILURE = "FAILURE"
    TERMINATED = "TERMINATED"


def _milliseconds(value: datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


WireTime = Annotated[datetime, PlainSerializer(_milliseconds, return_type=str, when_used="json")]
"""A time as the wire has it: UTC, RFC 3339, milliseconds, `Z`; one without a zone counts as UTC."""


class WireModel(BaseModel):
    """What all bodies share: unknown keys are dropped, so that a newer server does not break a reader."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ReportDetails(WireModel):
    """The order for a run.

    Attributes:
        reportType: one of `ReportType`.
        arguments: what the report needs; which keys those are depends on its type.
    """

    reportType: str
    arguments: dict[str, Any] | None = None


class TaskMessage(WireModel):
    """Something that a reader of the run should know.

    Attributes:
        type: INFO, WARN or ERROR.
        key: a stable short name of its kind.
        localizedText: the sentence itself; a plain string, unlike in the task-status API.
    """

    type: str | None = None
    error: bool = False
    warning: bool = False
    key: str | None = None
    localizedText: str | None = None


class TaskReturn(WireModel):
    """A value that a run hands back under a name; reports hand back none."""

    displayLabel: str | None = None
    attributeName: str | None = None


class TaskResultDetails(WireModel):
    """The answer to a start: the run as it stands. `id` is what the three other operations take."""

    type: str | None = None
    id: str | None = None
    reportType: str | None = None
    description: str | None = None
    parentName: str | None = None
    launcher: str | None = None
    created: WireTime | None = None
    launched: WireTime | None = None
    completed: WireTime | None = None
    completionStatus: str | None = None
    messages: list[TaskMessage] = Field(default_factory=list[TaskMessage])
    returns: list[TaskReturn] = Field(default_factory=list[TaskReturn])
    attributes: dict[str, Any] = Field(default_factory=dict[str, Any])
    progress: str | None = None
    taskDefName: str | None = None


class ReportResults(WireModel):
    """What became of a run, or how far it is; every key may be absent, for a disabled report all are.

    Attributes:
        status: one of `ResultStatus`; null until the run is over.
        duration: milliseconds from launch to completion.
        rows: rows of data in its files.
        availableFormats: CSV and PDF, as far as there are such files.
        progress: not in the published contract: a sentence on how far the run is.
        percentComplete: not in the published contract: 0 to 100.
        messages: not in the published contract: why a run failed or what to know of it, the first 20.
        messageCount: not in the published contract: how many messages there are.
        snapshot: not in the published contract: the number of the load as of which it tells.
    """

    reportType: str | None = None
    taskDefName: str | None = None
    id: str | None = None
    created: WireTime | None = None
    status: str | None = None
    duration: StrictInt | None = None
    rows: StrictInt | None = None
    availableFormats: list[str] | None = None
    progress: str | None = None
    percentComplete: StrictInt | None = None
    messages: list[TaskMessage] = Field(default_factory=list[TaskMessage])
    messageCount: StrictInt | None = None
    snapshot: StrictInt | None = None
