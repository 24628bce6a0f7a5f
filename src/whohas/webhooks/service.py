"""Webhooks: addresses that get a message when a run ends. Messages and signatures follow Standard Webhooks 1.0.

A message is written to the outbox (`runs.webhook_messages`) by the transaction that ends the run. The worker's periodic
task calls `Webhooks.deliver`, which sends due messages. A message is delivered at least once, with the same
`webhook-id` in each attempt; attempts are made at growing intervals, at most `hook_attempts` of them. Runs never wait
for a delivery.
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
from whohas.runs import repository, webhook_messages
from whohas.runs.models import Run
from whohas.runs.webhook_messages import webhook_table
from whohas.settings import Settings
from whohas.webhooks.sender import Delivery, DeliveryResult, check_target, send_all

_BATCH = 20
"""Messages that are claimed and sent at the same time."""
_LEASE_SECONDS = timeouts.HOOK_LEASE_SECONDS
_LONGEST_WAIT = 12 * 3600
"""The longest time between two attempts, in seconds."""
_GROWTH = 4
"""The factor by which the time between attempts grows with each attempt."""
_GONE = 410
"""The HTTP status by which a receiver unsubscribes."""

log = structlog.get_logger("whohas.hooks")


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook: an address that gets a message when a run ends.

    Attributes:
        id: 32 lower-case hex digits.
        url: the address that messages are posted to.
        report_type: the report whose runs it is notified of; None for all reports.
        disabled: why it gets no messages any more; empty while it is enabled.
    """

    id: str
    url: str
    report_type: str | None
    created: datetime
    disabled: str


@dataclass(frozen=True, slots=True)
class DeliveryStats:
    """The delivery statistics of a webhook.

    Attributes:
        waiting: messages that are yet to be delivered.
        delivered: messages that the address accepted.
        dead: messages that were given up.
        answer: the result of the last failed attempt, for people; empty where none failed.
    """

    waiting: int = 0
    delivered: int = 0
    dead: int = 0
    answer: str = ""


@dataclass(frozen=True)
class Webhooks:
    """The webhooks of an installation: administration and delivery.

    Attributes:
        key: the key from which each webhook's secret is derived, so that no secret is stored in the database.
    """

    settings: Settings
    database: sa.Engine
    key: bytes = field(repr=False)

    def add(self, url: str, report_type: str | None = None, by: audit.Actor = SYSTEM) -> tuple[Webhook, str]:
        """Create a webhook, and return it with its secret. The secret is not shown again anywhere.

        Args:
            url: the address that messages are posted to.
            report_type: the report whose runs it is notified of; None for all reports.
            by: the actor for the audit log.

        Raises:
            InvalidArguments: the address is malformed or not allowed (see `sender.check_target`), or the report is
                unknown.
        """
        from whohas import reports

        if report_type is not None and report_type not in reports.all_reports():
            hint = did_you_mean(report_type, reports.all_reports())
            text = f"There is no report {report_type[:60]!r}.{hint} The reports are: {reports.report_type_names()}."
            raise InvalidArguments(text)
        address = check_target(url, private=self.settings.hook_private_targets)
        new = Webhook(secrets.token_hex(16), address.text, report_type, repository.now(), "")
        values = {column.name: getattr(new, column.name) for column in webhook_table.columns}
        with self.database.begin() as connection:
            connection.execute(sa.insert(webhook_table).values(values))
            audit.write_event(connection, _event(audit.EventType.HOOK_CREATED, new, by))
        return new, self.secret(new.id)

    def secret(self, hook_id: str) -> str:
        """Return the secret of a webhook in the form of Standard Webhooks: `whsec_` and 32 bytes in base64."""
        derived = hmac.digest(self.key, f"webhook:{hook_id}".encode(), hashlib.sha256)
        return f"whsec_{base64.b64encode(derived).decode()}"

    def list(self) -> list[tuple[Webhook, DeliveryStats]]:
        """Return all webhooks, the oldest first, each with its delivery statistics."""
        with self.database.connect() as connection:
            hooks = [
                Webhook(**row)
                for row in connection.execute(sa.select(webhook_table).order_by(webhook_table.c.created)).mappings()
            ]
            counts: dict[str, dict[str, int]] = {}
            for id, state, count in webhook_messages.count_by_state(connection):
                counts.setdefault(id, {})[state] = count
            return [
                (
                    webhook,
                    DeliveryStats(
                        **counts.get(webhook.id, {}), answer=webhook_messages.last_failure(connection, webhook.id)
                    ),
                )
                for webhook in hooks
            ]

    def remove(self, hook_id: str, by: audit.Actor = SYSTEM) -> None:
        """Remove a webhook and its undelivered messages.

        Args:
            by: the actor for the audit log.

        Raises:
            NotFound: there is no webhook with that id.
        """
        with self.database.begin() as connection:
            webhook_messages.delete_messages_of_webhook(connection, hook_id)
            row = connection.execute(sa.select(webhook_table).where(webhook_table.c.id == hook_id)).mappings().first()
            if (
                row is None
                or connection.execute(sa.delete(webhook_table).where(webhook_table.c.id == hook_id)).rowcount == 0
            ):
                raise NotFound(f"There is no hook {hook_id[:64]!r}. `whohas hook list` shows them.")
            audit.write_event(connection, _event(audit.EventType.HOOK_REMOVED, Webhook(**row), by))

    def send_test(self, hook_id: str) -> DeliveryResult:
        """Send a signed message of the type `webhook.test` to a webhook once, and return the result.

        Nothing is stored. The message is sent even if the webhook is disabled.

        Raises:
            NotFound: there is no webhook with that id.
        """
        with self.database.connect() as connection:
            row = connection.execute(sa.select(webhook_table).where(webhook_table.c.id == hook_id)).mappings().first()
        if row is None:
            raise NotFound(f"There is no hook {hook_id[:64]!r}.")
        at = repository.now()
        body = json.dumps({"type": "webhook.test", "timestamp": _time(at), "data": {}}, separators=(",", ":")).encode()
        headers = signature_headers(self.secret(hook_id), f"msg_test_{secrets.token_hex(16)}", at, body)
        letter = Delivery(str(row["url"]), body, headers)
        return send_all([letter], private=self.settings.hook_private_targets)[0]

    def any_due(self) -> bool:
        """Return whether a message to any webhook is due."""
        with self.database.connect() as connection:
            return webhook_messages.any_due(connection, repository.now())

    def deliver(self) -> int:
        """Send due messages, at most 20, record the result of each, and return how many were attempted.

        It may be called by many processes at once: each message is claimed by one of them.
        """
        claimed = self._claim_due()
        if not claimed:
            return 0
        letters = [self._letter(webhook, run) for webhook, run, _ in claimed]
        answers = send_all(letters, private=self.settings.hook_private_targets)
        with self.database.begin() as connection:
            for (_, _, message), answer in zip(claimed, answers, strict=True):
                self._record_result(connection, message, answer)
        return len(claimed)

    def _claim_due(self) -> list[tuple[Webhook, Run, webhook_messages.ClaimedMessage]]:
        """Claim due messages, which no other worker gets until the claim expires, each with its webhook and its run.

        Messages whose run has been removed are deleted.
        """
        at = repository.now()
        with self.database.begin() as connection:
            if not webhook_messages.any_due(connection, at):
                return []
            claimed = webhook_messages.claim(connection, at, at + timedelta(seconds=_LEASE_SECONDS), _BATCH)
            messages = [(message, repository.get(connection, message.run_id)) for message in claimed]
            webhook_messages.delete_messages(connection, [message for message, run in messages if run is None])
            wanted = sa.select(webhook_table).where(webhook_table.c.id.in_({message.hook_id for message in claimed}))
            hooks = {row["id"]: Webhook(**row) for row in connection.execute(wanted).mappings()}
        return [(hooks[message.hook_id], run, message) for message, run in messages if run is not None]

    def _letter(self, webhook: Webhook, run: Run) -> Delivery:
        body = json.dumps(message_payload(run), ensure_ascii=False, separators=(",", ":")).encode()
        message_id = f"msg_{run.id}_{webhook.id}"
        return Delivery(
            webhook.url, body, signature_headers(self.secret(webhook.id), message_id, repository.now(), body)
        )

    def _record_result(
        self, connection: sa.Connection, message: webhook_messages.ClaimedMessage, answer: DeliveryResult
    ) -> None:
        """Write the result of an attempt: delivered, dead after the last attempt or a status 410, or due again later.

        A status 410 disables the webhook too.
        """
        values: dict[str, Any] = {"answer": answer.detail}
        if answer.accepted:
            values |= {"state": "delivered", "delivered": repository.now()}
        elif answer.status == _GONE or message.attempt >= self.settings.hook_attempts:
            values |= {"state": "dead"}
            log.warning(
                "hook gave up",
                hook=message.hook_id,
                run_id=message.run_id,
                attempts=message.attempt,
                reason=answer.detail,
            )
        else:
            values |= {"due": repository.now() + timedelta(seconds=self._wait(message.attempt, answer))}
        webhook_messages.record_result(connection, message, values)
        if answer.status == _GONE:
            off = sa.update(webhook_table).where(webhook_table.c.id == message.hook_id)
            why = "The address answered 410 (Gone): it wants no messages. Remove the webhook, or add it again."
            connection.execute(off.values(disabled=why))

    def _wait(self, attempt: int, answer: DeliveryResult) -> float:
        """Return the seconds until the next attempt, with up to 20 % of jitter, so that messages to an address that was
        down are not all sent at the same moment. With `hook_retry_seconds` 10, the third attempt fails: 160 to 192."""
        wait = self.settings.hook_retry_seconds * _GROWTH ** (attempt - 1)
        with_jitter = wait * (1 + secrets.randbelow(1000) / 5000)
        return min(max(with_jitter, answer.retry_after), _LONGEST_WAIT)


def _event(type: audit.EventType, webhook: Webhook, by: audit.Actor) -> audit.Event:
    # the host alone: path and query may hold a secret of the receiver
    address = addresses.try_parse(webhook.url, services=True)
    return audit.Event(type, webhook.id, by, details={"host": address and address.host, "report": webhook.report_type})


def message_payload(run: Run) -> Mapping[str, Any]:
    """Return the JSON body of the message on a run that is over: its outcome, and no arguments, which may name
    people."""
    from whohas.runs.listing import COMPLETION_STATUSES

    ended = next(name for name, state in COMPLETION_STATUSES.items() if state is run.state)
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


def signature_headers(secret: str, message_id: str, at: datetime, body: bytes) -> Mapping[str, str]:
    """Return the headers of a message by Standard Webhooks: id, timestamp and signature.

    The signature is HMAC-SHA-256 over `id.timestamp.body`, in base64 after `v1,`.

    Args:
        secret: the webhook's secret, `whsec_` and the key in base64.
        at: the time of this attempt.
    """
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
