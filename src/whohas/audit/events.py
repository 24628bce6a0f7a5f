"""What an event of the trail is: CloudEvents 1.0 in JSON, in one canonical form.

An event tells who did what, from where, to what, and with which outcome. Its facts are texts, whole numbers, booleans,
and lists and objects of these: a number has one way to be written, so the same event always has the same bytes.
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

LONGEST = 1_000
"""Characters of a text from outside that an event repeats; of a longer one it has the beginning."""
_SAFE = 1 << 53
"""Whole numbers from here on are written as texts: JSON's readers may round them (RFC 8785, 3.2.2.3)."""


class Type(StrEnum):
    """What was done."""

    RUN_STARTED = "whohas.run.started"
    """A run was accepted."""
    RUN_JOINED = "whohas.run.joined"
    """A start got the run that was already making the same."""
    RUN_CANCELLED = "whohas.run.cancelled"
    """Somebody had a run stopped; none for a run that was over."""
    RUN_ENDED = "whohas.run.ended"
    """A run is over; its outcome is its state."""
    REPORT_DOWNLOADED = "whohas.report.downloaded"
    """Somebody was given a file, or a range of it."""
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
    """A run is kept whatever the settings say."""
    RUN_RELEASED = "whohas.run.released"
    RETENTION_SWEPT = "whohas.retention.swept"
    """A sweep removed the files of a run, a run, or files that nobody owned; the outcome says which."""
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
class Who:
    """Who did it, and from where.

    Attributes:
        kind: `client` (a program), `user`, `operator` (the command line on the server's machine), `schedule`, `system`
            (whohas by itself) or `unknown` (a request that nobody's token came with).
        id: of the client or user; empty for others.
        client: the client that a user used; empty elsewhere.
        address: the peer's address, or the operator's host.
        tracking_id: of the request, as its answer and the log have it.
    """

    kind: str
    name: str = ""
    id: str = ""
    client: str = ""
    address: str = ""
    tracking_id: str = ""


SYSTEM = Who("system", "whohas")


def operator() -> Who:
    """Whoever runs a command on this machine."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user without a name
        name = ""
    return Who("operator", name, address=socket.gethostname())


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that was done.

    Attributes:
        subject: the id of what it was done to; events of the same subject stay in order.
        facts: what else is known; null ones are left out.
        id: the event's own; whoever gets it twice knows it by this.
    """

    type: Type
    subject: str
    who: Who
    outcome: str = "success"
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def text(self) -> str:
        """The event as JSON, without what `chained` adds."""
        who = self.who
        actor = {"kind": who.kind, "name": who.name, "id": who.id, "client": who.client}
        data = {
            "actor": {name: value for name, value in actor.items() if value},
            "from": who.address or None,
            "trackingId": who.tracking_id or None,
            "outcome": self.outcome,
            **self.facts,
        }
        attributes = {
            "specversion": "1.0",
            "id": self.id,
            "type": self.type.value,
            "subject": self.subject,
            "time": timestamp(self.time),
            "datacontenttype": "application/json",
            "data": {name: value for name, value in data.items() if value is not None},
        }
        return canonical(attributes)


def timestamp(time: datetime) -> str:
    """A time as RFC 3339 has it, in UTC with microseconds: texts sort as times do."""
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def source_of(org: str) -> str:
    """The attribute `source` of an installation's events."""
    return f"/whohas/{quote(org, safe='')}"


def canonical(value: Any) -> str:
    """JSON as RFC 8785 has it, for values without fractions. Its keys are ours and ASCII, so they sort alike by
    characters and by UTF-16."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def shortened(text: str) -> str:
    """A text from outside, as long as an event has room for."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(value: object) -> object:
    match value:
        case None | bool():
            return value
        case int():
            return value if -_SAFE < value < _SAFE else str(value)
        case str():
            return value.encode("utf-8", "replace").decode()  # half characters are none
        case Mapping():
            pairs = cast("Mapping[object, object]", value)
            return {str(_plain(str(name))): _plain(one) for name, one in pairs.items()}
        case list() | tuple():
            return [_plain(one) for one in cast("list[object]", value)]
        case _:
            return str(value)
