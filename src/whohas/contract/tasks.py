"""The bodies of the task-status API: a run is a task there, under the same id.

Here sixteen keys must be present, and some must not be null; the text of a message is an object, and one completion
status is spelt TEMPERROR.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field, StrictInt

from whohas.contract.reports import WireModel, WireTime


class TaskCompletion(StrEnum):
    """How a task ended; null until then."""

    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    ERROR = "ERROR"
    TERMINATED = "TERMINATED"
    TEMPERROR = "TEMPERROR"


class LocalizedText(WireModel):
    """A text in one language; `locale` is a BCP 47 tag."""

    locale: str
    message: str


class TaskStatusMessage(WireModel):
    """Something that a reader of the task should know; `type` is INFO, WARN or ERROR."""

    type: str
    localizedText: LocalizedText | None
    key: str
    parameters: list[Any] | None


class TaskReturnDetails(WireModel):
    """A value that a task hands back; reports hand back none."""

    name: str
    attributeName: str


class Target(WireModel):
    """What a task is about: `type` is APPLICATION for a source, or IDENTITY."""

    id: str
    type: str | None
    name: str


class TaskDefinitionSummary(WireModel):
    """The report that a task runs; `arguments` are its formal ones, each with its meaning."""

    id: str
    uniqueName: str
    description: str | None
    parentName: str
    executor: str | None
    arguments: dict[str, Any]


class TaskStatus(WireModel):
    """A task as it stands.

    Attributes:
        type: one of the contract's kinds of machinery: QUARTZ, QPOC or QUEUED_TASK.
        completionStatus: one of `TaskCompletion`; null until the task is over.
        percentComplete: 0 to 100.
    """

    id: str
    type: str
    uniqueName: str
    description: str
    parentName: str | None
    launcher: str
    target: Target | None = None
    created: WireTime
    modified: WireTime | None
    launched: WireTime | None
    completed: WireTime | None
    completionStatus: str | None
    messages: list[TaskStatusMessage] = Field(default_factory=list[TaskStatusMessage])
    returns: list[TaskReturnDetails] = Field(default_factory=list[TaskReturnDetails])
    attributes: dict[str, Any] = Field(default_factory=dict[str, Any])
    progress: str | None
    percentComplete: StrictInt
    taskDefinitionSummary: TaskDefinitionSummary | None = None
