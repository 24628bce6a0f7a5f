"""The data model of a run: its fields, its states and the transitions between them. No I/O, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from whohas.reports.base import Message, MessageLevel
from whohas.storage import Artifact

RunId = NewType("RunId", str)
"""The id of a run, 32 lower-case hex digits; in the API it is both `id` and `taskResultId`."""


__all__ = [
    "ACTIVE_STATES",
    "TRANSITIONS",
    "Artifact",
    "Message",
    "MessageLevel",
    "Run",
    "RunId",
    "RunState",
    "Transition",
    "log_context",
]


class RunState(StrEnum):
    """The state of a run; `TRANSITIONS` lists the changes from one to another."""

    QUEUED = "queued"
    """Stored in the database; no worker has claimed it yet."""
    RUNNING = "running"
    """Claimed by a worker, which carries it out in a child process."""
    CANCELLING = "cancelling"
    """Cancelling was requested; its child process has not ended yet."""
    SUCCEEDED = "succeeded"
    """Over, with files."""
    WARNED = "warned"
    """Over, with files and with messages that warn their readers."""
    FAILED = "failed"
    """Over, without files; its messages say why."""
    CANCELLED = "cancelled"
    """Over, without files, because somebody cancelled it."""

    @property
    def is_over(self) -> bool:
        """Whether a run in this state has ended; this state never changes again."""
        return self not in ACTIVE_STATES


def log_context(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields that log lines on a run carry beyond its id: `tracking_id` and `schedule`, where the run's
    attributes have them."""
    names = {"trackingId": "tracking_id", "schedule": "schedule"}
    return {names[name]: value for name, value in attributes.items() if name in names}


ACTIVE_STATES = (RunState.QUEUED, RunState.RUNNING, RunState.CANCELLING)
"""The states in which a run is not over. While it is in one, an identical request gets this run instead of a new one
(single flight), unless its report is concurrent."""


@dataclass(frozen=True, slots=True)
class Transition:
    """An allowed change of a run's state.

    Attributes:
        before: the state before; None for a new run.
        after: the state after.
        statement: the name of the function of `repository` that makes the change.
        when: the event that causes it, in a few words for the documentation.
    """

    before: RunState | None
    after: RunState
    statement: str
    when: str


TRANSITIONS = (
    Transition(None, RunState.QUEUED, "insert", "a start that is not identical to an active run"),
    Transition(RunState.QUEUED, RunState.RUNNING, "claim", "a worker claims it"),
    Transition(RunState.QUEUED, RunState.CANCELLED, "request_cancel", "cancelled before a worker claimed it"),
    Transition(RunState.RUNNING, RunState.SUCCEEDED, "finish", "its files are complete"),
    Transition(RunState.RUNNING, RunState.WARNED, "finish", "its files are complete, with a warning for their readers"),
    Transition(RunState.RUNNING, RunState.FAILED, "finish", "it cannot be completed; its messages say why"),
    Transition(RunState.RUNNING, RunState.CANCELLING, "request_cancel", "cancelled while its child process works"),
    Transition(RunState.RUNNING, RunState.QUEUED, "hand_back", "its worker shuts down"),
    Transition(
        RunState.RUNNING,
        RunState.QUEUED,
        "release",
        "its worker died, or its child process was killed; the attempt counts as lost",
    ),
    Transition(RunState.CANCELLING, RunState.CANCELLED, "confirm_cancelled", "its child process has ended"),
    Transition(RunState.CANCELLING, RunState.CANCELLED, "release", "its worker died, and its child process with it"),
)
"""All allowed changes of a run's state. `repository` has the statements; a test checks them against this list."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a report, as the database has it.

    Attributes:
        report_type: the report's name in the published API, such as ACCOUNTS.
        report_name: the report's title, such as "Accounts Report" (`taskDefName` in the API).
        description: one sentence on what the report shows.
        arguments: the normalised arguments: those of the report and on files that differ from their defaults.
        key: SHA-256 of report type and arguments, in hex; unique among active runs unless the report is concurrent.
        attributes: further facts that the API returns with the run, such as `org` and `schedule`.
        snapshot: the number of the warehouse snapshot that it reads, fixed when it was started.
        launcher: the name of the client or user who started it.
        created: when it was requested.
        launched: when a worker first claimed it.
        completed: when it ended.
        rows: the number of rows of its report; while it runs, those so far.
        progress: a sentence, such as "Extracting, 1,200,000 rows".
        percent: the progress, 0 to 100.
        attempt: how many times a worker has claimed it. Statements of an attempt are conditional on this number, so
            that an attempt that lost the run cannot change it any more.
        formats: the output formats that were requested, in lower case.
        messages: notes, warnings and errors for readers of the run.
        artefacts: its finished files, extracts included.
        executor: the id of the worker that has it, or had it last; None before the first.
        lost: how many attempts were lost because their worker died or their child process was killed.
        size: the estimated effort: rows times the cost of its formats, in units of a row of CSV.
    """

    id: RunId
    report_type: str
    report_name: str
    description: str
    arguments: Mapping[str, Any]
    key: str
    attributes: Mapping[str, Any]
    state: RunState
    snapshot: int
    launcher: str
    created: datetime
    launched: datetime | None
    completed: datetime | None
    rows: int | None
    progress: str
    percent: int
    attempt: int
    formats: tuple[str, ...]
    messages: tuple[Message, ...]
    artefacts: tuple[Artifact, ...]
    executor: str | None = None
    lost: int = 0
    size: int = 0

    @property
    def duration(self) -> int | None:
        """Milliseconds from `launched` to `completed`; 0 where it ended without having been launched, None until it is
        over."""
        if self.launched is None or self.completed is None:
            return 0 if self.completed is not None else None
        return max(0, round((self.completed - self.launched).total_seconds() * 1000))
