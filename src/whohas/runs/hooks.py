"""Hooks: an address that is told when a run ends. Messages and signatures follow Standard Webhooks 1.0.

A message is kept with the run's end (`outbox`) and sent by the worker until the address takes it: at least once, with
the same `webhook-id` each time, further and further apart, and no more after `hook_attempts`. No run waits for it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from whohas import addresses, audit, timeouts
from whohas.audit.events import SYSTEM
from whohas.errors import InvalidArguments, NotFound
from whohas.hints import did_you_mean
from whohas.runs import outbox, repository
from whohas.runs.model import Run
from whohas.runs.outbox import hook
from whohas.runs.post import Answer, Letter, check, post_all
from whohas.settings import Settings

_AT_ONCE = 20
_LEASE_SECONDS = timeouts.HOOK_LEASE_SECONDS
_LONGEST_WAIT = 12 * 3600
_GROWTH = 4
_GONE = 410

log = structlog.get_logger("whohas.hooks")


@dataclass(frozen=True, slots=True)
class Hook:
    """An address that is told of the end of runs.

    Attributes:
        report_type: it is told of this report alone; None for all.
        disabled: why it is told nothing more; empty while it is.
    """

    id: str
    url: str
    report_type: str | None
    created: datetime
    disabled: str


@dataclass(frozen=True, slots=True)
class Sent:
    """How the messages of a hook stand; `answer` is what came of its last attempt that failed."""

    waiting: int = 0
    delivered: int = 0
    dead: int = 0
    answer: str = ""


@dataclass(frozen=True)
class Hooks:
    """The hooks of an installation.

    Attributes:
        key: from which each hook's secret is derived, so that the database holds none.
    """

    settings: Settings
    database: sa.Engine
    key: bytes = field(repr=False)

    def add(self, url: str, report_type: str | None = None, by: audit.Who = SYSTEM) -> tuple[Hook, str]:
        """Makes a hook; it and its secret, which is shown this once.

        Raises:
            InvalidArguments: an address that is none or that no message would be sent to, or a report that is none.
        """
        from whohas import reports

        if report_type is not None and report_type not in reports.reports():
            hint = did_you_mean(report_type, reports.reports())
            text = f"There is no report {report_type[:60]!r}.{hint} The reports are: {reports.names()}."
            raise InvalidArguments(text)
        address = check(url, private=self.settings.hook_private_targets)
        new = Hook(secrets.token_hex(16), address.text, report_type, repository.now(), "")
        values = {column.name: getattr(new, column.name) for column in hook.columns}
        with self.database.begin() as connection:
            connection.execute(sa.insert(hook).values(values))
            audit.write(connection, _event(audit.Type.HOOK_CREATED, new, by))
        return new, self.secret(new.id)

    def secret(self, hook_id: str) -> str:
        """A hook's secret, in the form that Standard Webhooks gives it."""
        derived = hmac.digest(self.key, f"webhook:{hook_id}".encode(), hashlib.sha256)
        return f"whsec_{base64.b64encode(derived).decode()}"

    def list(self) -> list[tuple[Hook, Sent]]:
        """All hooks, the oldest first, each with how its messages stand."""
        with self.database.connect() as connection:
            hooks = [Hook(**row) for row in connection.execute(sa.select(hook).order_by(hook.c.created)).mappings()]
            counted: dict[str, dict[str, int]] = {}
            for id, state, count in outbox.states(connection):
                counted.setdefault(id, {})[state] = count
            return [
                (one, Sent(**counted.get(one.id, {}), answer=outbox.last_failure(connection, one.id))) for one in hooks
            ]

    def remove(self, hook_id: str, by: audit.Who = SYSTEM) -> None:
        """Removes a hook and what it was still to be told.

        Raises:
            NotFound: there is none with that id.
        """
        with self.database.begin() as connection:
            outbox.forget_hook(connection, hook_id)
            row = connection.execute(sa.select(hook).where(hook.c.id == hook_id)).mappings().first()
            if row is None or connection.execute(sa.delete(hook).where(hook.c.id == hook_id)).rowcount == 0:
                raise NotFound(f"There is no hook {hook_id[:64]!r}.")
            audit.write(connection, _event(audit.Type.HOOK_REMOVED, Hook(**row), by))

    def any_due(self) -> bool:
        """Return whether a message is due."""
        with self.database.connect() as connection:
            return outbox.any_due(connection, repository.now())

    def deliver(self) -> int:
        """Sends what is due; how many messages were sent. Safe from many processes at once."""
        taken = self._take()
        if not taken:
            return 0
        letters = [self._letter(one, run) for one, run, _ in taken]
        answers = post_all(letters, private=self.settings.hook_private_targets)
        with self.database.begin() as connection:
            for (_, _, message), answer in zip(taken, answers, strict=True):
                self._note(connection, message, answer)
        return len(taken)

    def _take(self) -> list[tuple[Hook, Run, outbox.Claimed]]:
        """Take due messages, which no other worker takes now, each with its webhook and its run."""
        at = repository.now()
        with self.database.begin() as connection:
            if not outbox.any_due(connection, at):
                return []
            claimed = outbox.claim(connection, at, at + timedelta(seconds=_LEASE_SECONDS), _AT_ONCE)
            found = [(message, repository.get(connection, message.run_id)) for message in claimed]
            outbox.forget(connection, [message for message, run in found if run is None])
            mine = sa.select(hook).where(hook.c.id.in_({message.hook_id for message in claimed}))
            hooks = {row["id"]: Hook(**row) for row in connection.execute(mine).mappings()}
        return [(hooks[message.hook_id], run, message) for message, run in found if run is not None]

    def _letter(self, one: Hook, run: Run) -> Letter:
        body = json.dumps(payload(run), ensure_ascii=False, separators=(",", ":")).encode()
        return Letter(one.url, body, signed(self.secret(one.id), f"msg_{run.id}_{one.id}", repository.now(), body))

    def _note(self, connection: sa.Connection, message: outbox.Claimed, answer: Answer) -> None:
        values: dict[str, Any] = {"answer": answer.text}
        if answer.taken:
            values |= {"state": "delivered", "delivered": repository.now()}
        elif answer.status == _GONE or message.attempt >= self.settings.hook_attempts:
            values |= {"state": "dead"}
            log.warning(
                "hook gave up",
                hook=message.hook_id,
                run_id=message.run_id,
                attempts=message.attempt,
                reason=answer.text,
            )
        else:
            values |= {"due": repository.now() + timedelta(seconds=self._wait(message.attempt, answer))}
        outbox.note(connection, message, values)
        if answer.status == _GONE:
            off = sa.update(hook).where(hook.c.id == message.hook_id)
            connection.execute(off.values(disabled="The address answered 410: it wants no more."))

    def _wait(self, attempt: int, answer: Answer) -> float:
        wait = self.settings.hook_retry_seconds * _GROWTH ** (attempt - 1)
        # spread out, so that an address that comes back is not met by all at once
        spread = wait * (1 + secrets.randbelow(1000) / 5000)
        return min(max(spread, answer.retry_after), _LONGEST_WAIT)


def _event(type: audit.Type, one: Hook, by: audit.Who) -> audit.Event:
    address = addresses.parsed(one.url, services=True)  # what follows the host may hold a secret of the receiver's
    return audit.Event(type, one.id, by, facts={"host": address and address.host, "report": one.report_type})


def payload(run: Run) -> Mapping[str, Any]:
    """What a hook is told of a run: what became of it, and never whom it is about."""
    from whohas.runs.listing import COMPLETION

    ended = next(name for name, state in COMPLETION.items() if state is run.state)
    return {
        "type": "run.ended",
        "timestamp": _time(run.completed or run.created),
        "data": {
            "id": run.id,
            "reportType": run.report_type,
            "completionStatus": ended,
            "launcher": run.launcher,
            "schedule": run.attributes.get("schedule"),
            "created": _time(run.created),
            "completed": _time(run.completed or run.created),
            "duration": run.duration,
            "rows": run.rows,
            "snapshot": run.snapshot,
            "availableFormats": [format.upper() for format in run.formats] if run.artefacts else [],
        },
    }


def signed(secret: str, message_id: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """The headers of a message by Standard Webhooks: HMAC-SHA-256 over `id.timestamp.body`, in base64."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    timestamp = str(int(at.timestamp()))
    signature = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
