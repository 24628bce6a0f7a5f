"""Audit events: CloudEvents 1.0 in canonical JSON.

An event records an actor, the address, the action, its subject and its outcome. Details are strings, integers,
booleans, lists and objects only. Without fractions each value has exactly one spelling, so the same event always
serializes to the same bytes, as its hash requires.
"""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast
from urllib.parse import quote

MAX_TEXT_LENGTH = 1_000
"""Maximum length of a text from outside in an event, in characters; longer ones are cut off."""
_SAFE = 1 << 53
"""Integers from here on are written as strings, because JSON parsers may round them (RFC 8785, 3.2.2.3)."""


class EventType(StrEnum):
    """The types of audit events."""

    RUN_STARTED = "whohas.run.started"
    """A run was accepted."""
    RUN_JOINED = "whohas.run.joined"
    """A start request was given an identical run that was already active (single flight)."""
    RUN_CANCELLED = "whohas.run.cancelled"
    """Somebody cancelled an active run."""
    RUN_ENDED = "whohas.run.ended"
    """A run ended; the outcome of the event is the state of the run."""
    REPORT_DOWNLOADED = "whohas.report.downloaded"
    """A file of a run, or a range of it, was downloaded."""
    ADDRESS_HANDED_OUT = "whohas.report.address_handed_out"
    """Somebody got a signed address of a file of a run, with which it can be downloaded from the object store."""
    REPORT_VIEWED = "whohas.report.viewed"
    """Somebody looked at the rows of a run in the web console."""
    DATA_SEARCHED = "whohas.data.searched"
    """Somebody searched the data in the web console, and saw the first hits."""
    IDENTITY_VIEWED = "whohas.identity.viewed"
    """Somebody looked at the page of an identity in the web console."""
    SESSION_STARTED = "whohas.session.started"
    """A user signed in to the web console."""
    SESSION_ENDED = "whohas.session.ended"
    """A user signed out of the web console, in one browser or everywhere."""
    REQUEST_DENIED = "whohas.request.denied"
    """A request was answered with 401 or 403."""
    CLIENT_CREATED = "whohas.client.created"
    CLIENT_ROTATED = "whohas.client.rotated"
    CLIENT_REVOKED = "whohas.client.revoked"
    USER_CREATED = "whohas.user.created"
    USER_CHANGED = "whohas.user.changed"
    REPORT_SWITCHED = "whohas.report.switched"
    """A report was switched off or on."""
    RUN_HELD = "whohas.run.held"
    """A run was put under legal hold: retention does not delete it."""
    RUN_RELEASED = "whohas.run.released"
    RETENTION_SWEPT = "whohas.retention.swept"
    """A sweep removed the files of a run, a run, or orphaned files; the outcome says which."""
    SCHEDULE_CREATED = "whohas.schedule.created"
    SCHEDULE_CHANGED = "whohas.schedule.changed"
    SCHEDULE_REMOVED = "whohas.schedule.removed"
    HOOK_CREATED = "whohas.hook.created"
    HOOK_REMOVED = "whohas.hook.removed"
    DATA_LOADED = "whohas.data.loaded"
    """A load published a snapshot."""
    LOAD_STOPPED = "whohas.load.stopped"
    """A load was stopped to protect data, and published nothing."""
    LOSS_ACCEPTED = "whohas.load.loss_accepted"
    """A load that would have been stopped was published with `--accept-loss`."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor of an event and the address that the request came from.

    Attributes:
        kind: `client` (a program), `user`, `operator` (the command line on the server's machine), `schedule`,
            `system` (whohas itself) or `unknown` (a request without a valid token).
        name: of the client, user, operator or schedule.
        id: of the client or user; empty for others.
        client: the id of the client that a user used; otherwise empty.
        address: the IP address of the peer, or the operator's host name.
        tracking_id: of the request, as in its response and in the log.
    """

    kind: str
    name: str = ""
    id: str = ""
    client: str = ""
    address: str = ""
    tracking_id: str = ""


SYSTEM = Actor("system", "whohas")


def operator_actor() -> Actor:
    """Return the actor for commands on this machine: the operating system's user and host name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        name = ""
    return Actor("operator", name, address=socket.gethostname())


@dataclass(frozen=True, slots=True)
class Event:
    """An audit event, before it has a place in the chain.

    Attributes:
        subject: the id of the object of the action, such as a run; events of one subject stay in order.
        actor: the actor.
        outcome: `success`, `denied`, or a state, depending on the type.
        details: further details; None values are left out.
        id: unique; consumers use it to recognise an event that is delivered twice.
        time: when the action took place.
    """

    type: EventType
    subject: str
    actor: Actor
    outcome: str = "success"
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_json(self) -> str:
        """Return the event as canonical JSON, without the attributes that `chain_event` adds."""
        who = self.actor
        actor = {"kind": who.kind, "name": who.name, "id": who.id, "client": who.client}
        data = {
            "actor": {name: value for name, value in actor.items() if value},
            "from": who.address or None,
            "trackingId": who.tracking_id or None,
            "outcome": self.outcome,
            **self.details,
        }
        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type.value,
            "subject": self.subject,
            "time": format_timestamp(self.time),
            "datacontenttype": "application/json",
            "data": {name: value for name, value in data.items() if value is not None},
        }
        return canonical_json(attributes)


def format_timestamp(time: datetime) -> str:
    """Format a time as RFC 3339 in UTC with microseconds, so that the texts sort as the times do."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def event_source(org: str) -> str:
    """Return the CloudEvents attribute `source` of an organization's events: `/whohas/acme`."""
    return f"/whohas/{quote(org, safe='')}"


def canonical_json(value: Any) -> str:
    """Return a value as canonical JSON (RFC 8785).

    Fractions, integers beyond ±2^53 and values of other types are written as texts, because readers of JSON do not
    agree on their form; a lone surrogate becomes `?`. RFC 8785 sorts keys by UTF-16 code units, Python by characters;
    the keys of events are ASCII, where both agree.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def truncated(text: str) -> str:
    """Return a text from outside, cut off to `MAX_TEXT_LENGTH` characters; an ellipsis marks the cut."""
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[: MAX_TEXT_LENGTH - 1]}…"


def _plain(value: object) -> object:
    match value:
        case None | bool():
            return value
        case int():
            return value if -_SAFE < value < _SAFE else str(value)
        case str():
            return value.encode("utf-8", "replace").decode()  # lone surrogates cannot be encoded: they become `?`
        case Mapping():
            pairs = cast("Mapping[object, object]", value)
            return {str(_plain(str(name))): _plain(item) for name, item in pairs.items()}
        case list() | tuple():
            return [_plain(item) for item in cast("list[object]", value)]
        case _:
            return str(value)
