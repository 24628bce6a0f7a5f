"""Request and response bodies of the published API that client and server share, as Pydantic models.

Field names are the contract's, in camelCase. A client parses the responses of other servers with these types too, so
they are lenient: a key that is absent or null becomes None, a key that is not declared is ignored, and fields whose
values the contract enumerates are plain strings, which accept any value.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, StrictInt


def _milliseconds(value: datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


WireTime = Annotated[datetime, PlainSerializer(_milliseconds, return_type=str, when_used="json")]
"""A time that is written to JSON as RFC 3339 in UTC with milliseconds, such as `2026-03-01T06:00:00.000Z`. A time
without a time zone is taken as UTC."""


class WireModel(BaseModel):
    """The base class of all bodies: immutable, and without an error for unknown keys, which newer servers may send."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ReportDetails(WireModel):
    """The request to start a run.

    Attributes:
        reportType: one of `ReportType`.
        arguments: the arguments of the report; the allowed keys depend on its type.
    """

    reportType: str
    arguments: dict[str, Any] | None = None


class TaskMessage(WireModel):
    """A note, a warning or an error of a run.

    Attributes:
        type: INFO, WARN or ERROR.
        error: whether `type` is ERROR.
        warning: whether `type` is WARN.
        key: a stable name of the kind of message, for programs.
        localizedText: the message in whole sentences; a plain string, unlike in the task-status API.
    """

    type: str | None = None
    error: bool = False
    warning: bool = False
    key: str | None = None
    localizedText: str | None = None


class TaskReturn(WireModel):
    """A named value that a task returns; reports return no values."""

    displayLabel: str | None = None
    attributeName: str | None = None


class TaskResultDetails(WireModel):
    """The response to a start: the current state of the run. The three other operations take its `id`.

    Attributes:
        type: one of `TaskType`.
        id: the id of the run, 32 lower-case hex digits.
        description: what the report lists, in a sentence.
        launcher: the name of the user or client that started the run.
        created: when the run was started.
        launched: when a worker began to execute it; null until then.
        completed: when it ended; null until then.
        completionStatus: one of `CompletionStatus`; null until the run is over.
        progress: how far the run is, in a sentence.
        taskDefName: the name of the report.
    """

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
    """The outcome of a run, or its progress. Every key may be absent; if the report is disabled, all of them are.

    Attributes:
        taskDefName: the name of the report.
        id: the id of the run, 32 lower-case hex digits.
        created: when the run was started.
        status: one of `ResultStatus`; null until the run is over.
        duration: milliseconds from launch to completion, 0 for a run that was never launched; null until it is over.
        rows: the number of data rows in the files; null until the run is over.
        availableFormats: the formats of the finished files in upper case, such as CSV; null until the run is over.
        progress: not in the published contract: how far the run is, in a sentence.
        percentComplete: not in the published contract: 0 to 100.
        messages: not in the published contract: the first 20 errors, warnings and notes of the run.
        messageCount: not in the published contract: the number of all messages of the run.
        snapshot: not in the published contract: the number of the snapshot that the run reads.
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


class TokenResponse(WireModel):
    """An access token with its lifetime, its scopes and its holder.

    All clients read `access_token`, `token_type` and `expires_in`; some also read the other keys, which are those of
    the published service.

    Attributes:
        access_token: the token itself, a JSON Web Token.
        token_type: always `bearer`.
        expires_in: the lifetime of the token in seconds.
        scope: the scopes of the token, separated by spaces.
        tenant_id: the name of the organization (WHOHAS_ORG), as `org` is.
        user_id: the id of the user or application that the token acts for, as `identity_id` is.
        jti: the id of the token.
    """

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind of token, no secret
    expires_in: StrictInt
    scope: str = ""
    accessType: str = "OFFLINE"
    tenant_id: str = ""
    internal: bool = False
    pod: str = ""
    strong_auth_supported: bool = False
    org: str = ""
    user_id: str = ""
    identity_id: str = ""
    user_name: str = ""
    strong_auth: bool = False
    enabled: bool = True
    jti: str = ""
