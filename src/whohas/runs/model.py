"""What a run is: its states, its fields, its files. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from whohas.artefacts import Artefact
from whohas.reports.definition import Level, Message

RunId = NewType("RunId", str)
"""32 lower-case hex digits; on the wire it is both `id` and `taskResultId`."""


__all__ = ["ACTIVE", "TRANSITIONS", "Artefact", "Level", "Message", "Run", "RunId", "State", "Transition", "origin"]


class State(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    """Accepted and kept; no worker has it yet."""
    RUNNING = "running"
    """A worker has it, and a child process works on it."""
    CANCELLING = "cancelling"
    """Cancel was asked for; its child has not yet ended."""
    SUCCEEDED = "succeeded"
    """Over, with its files."""
    WARNED = "warned"
    """Over, with its files and messages that a reader should know."""
    FAILED = "failed"
    """Over, without files; its messages say why."""
    CANCELLED = "cancelled"
    """Over, without files, because somebody wanted so."""

    @property
    def over(self) -> bool:
        return self not in ACTIVE


def origin(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run's attributes say of where it came from, as its log lines name it."""
    names = {"trackingId": "tracking_id", "schedule": "schedule"}
    return {names[name]: value for name, value in attributes.items() if name in names}


ACTIVE = (State.QUEUED, State.RUNNING, State.CANCELLING)
"""The states in which a run holds its key, so that an identical start gets this run."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A way from one state to another.

    Attributes:
        before: None for the start.
        by: the statement of `table` that takes it.
        when: what happened, in a few words.
    """

    before: State | None
    after: State
    by: str
    when: str


TRANSITIONS = (
    Transition(None, State.QUEUED, "insert", "started, and nobody held its key"),
    Transition(State.QUEUED, State.RUNNING, "claim", "a worker takes it"),
    Transition(State.QUEUED, State.CANCELLED, "ask_to_cancel", "cancelled before its turn"),
    Transition(State.RUNNING, State.SUCCEEDED, "finish", "its files are made"),
    Transition(State.RUNNING, State.WARNED, "finish", "its files are made, with something to know"),
    Transition(State.RUNNING, State.FAILED, "finish", "it cannot be made; its messages say why"),
    Transition(State.RUNNING, State.CANCELLING, "ask_to_cancel", "cancelled while its child works"),
    Transition(State.RUNNING, State.QUEUED, "hand_back", "its worker shuts down"),
    Transition(State.RUNNING, State.QUEUED, "release", "its worker died, or its child was killed; counted as lost"),
    Transition(State.CANCELLING, State.CANCELLED, "confirm_cancelled", "its child is gone"),
    Transition(State.CANCELLING, State.CANCELLED, "release", "its worker died, and its child with it"),
)
"""Every way that a run can go; there is no other. `table` has the statements, a test holds them to this."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a report, as the database has it.

    Attributes:
        report_type: the contract's name, such as ACCOUNTS.
        report_name: the report's title, such as "Accounts Report" (`taskDefName` on the wire).
        description: what the report shows, one sentence.
        arguments: normalised: what makes the run what it is, nothing else.
        key: report type and arguments; unique among active runs unless the report is concurrent.
        attributes: free facts for the wire, such as `org`.
        snapshot: the number of the warehouse's snapshot that it reads, pinned when it was started.
        launcher: the name of the client or person who started it.
        launched: when a worker first took it.
        completed: when it was over.
        rows: rows of its report, or so far.
        progress: a sentence, such as "Extracting, 1,200,000 rows".
        percent: 0 to 100.
        attempt: how often a worker has taken it; each attempt has a number of its own, so that one that lost the run
            changes nothing any more.
        executor: the worker that has it, or had it last; null before the first.
        lost: how many attempts ended because their worker did.
        size: its estimated rows times the cost of its formats, in units of a row of CSV.
        formats: the formats that it makes, lower case.
    """

    id: RunId
    report_type: str
    report_name: str
    description: str
    arguments: Mapping[str, Any]
    key: str
    attributes: Mapping[str, Any]
    state: State
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
    artefacts: tuple[Artefact, ...]
    executor: str | None = None
    lost: int = 0
    size: int = 0

    @property
    def duration(self) -> int | None:
        """Milliseconds from launch to completion; null until it is over or where it was never launched."""
        if self.launched is None or self.completed is None:
            return 0 if self.completed is not None else None
        return max(0, round((self.completed - self.launched).total_seconds() * 1000))
