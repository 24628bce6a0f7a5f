"""Bodies of the task-status API, in which a run is a task of the same id.

They differ from the bodies of the report operations (`reports`): sixteen keys of a task must be present and some of
them must not be null, the text of a message is an object, and TEMP_ERROR is spelt TEMPERROR.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field, StrictInt

from whohas_client.contract import WireModel, WireTime


class TaskCompletion(StrEnum):
    """The outcome of a task as `TaskStatus.completionStatus`, which is null until the task is over."""

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
    """A note, a warning or an error of a task.

    Attributes:
        type: INFO, WARN or ERROR.
        key: a stable name of the kind of message, for programs.
        parameters: values to insert into the text; this server sends whole texts and no parameters.
    """

    type: str
    localizedText: LocalizedText | None
    key: str
    parameters: list[Any] | None


class TaskReturnDetails(WireModel):
    """A named value that a task returns; reports return no values."""

    name: str
    attributeName: str


class Target(WireModel):
    """The object that a task is about.

    Attributes:
        id: the id of the object.
        type: APPLICATION for a source, or IDENTITY.
        name: the name of the object.
    """

    id: str
    type: str | None
    name: str


class TaskDefinitionSummary(WireModel):
    """The report that a task runs.

    Attributes:
        id: the type of the report, such as ACCOUNTS.
        uniqueName: the name of the report.
        arguments: what each argument of the report means, by the argument's name.
    """

    id: str
    uniqueName: str
    description: str | None
    parentName: str
    executor: str | None
    arguments: dict[str, Any]


class TaskStatus(WireModel):
    """The current state of a task.

    Attributes:
        id: the id of the run, 32 lower-case hex digits.
        type: QUARTZ, QPOC or QUEUED_TASK; this server always sends QUEUED_TASK.
        uniqueName: the name of the report.
        launcher: the name of the user or client that started the run.
        created: when the run was started.
        modified: the newest of `created`, `launched` and `completed`.
        launched: when a worker began to execute it; null until then.
        completed: when it ended; null until then.
        completionStatus: one of `TaskCompletion`; null until the task is over.
        progress: how far the task is, in a sentence.
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
