"""The outbox of webhooks: the tables `webhook_table` and `webhook_message_table`, and all SQL statements on messages.

A message is inserted by the transaction that ends a run (`insert_messages`), claimed by a worker for a limited time
(`claim`), and then marked as delivered, due again later, or dead (`record_result`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy as sa

from whohas import timeouts
from whohas.db.engine import UTCDateTime, metadata
from whohas.db.outbox import OutboxState, any_matches, claimable_keys, read_state

webhook_table = sa.Table(
    "hook",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("report_type", sa.Text),
    sa.Column("created", UTCDateTime, nullable=False),
    sa.Column("disabled", sa.Text, nullable=False),
)
"""One row for each webhook. `disabled` says why it gets no messages any more; it is empty while it is enabled."""

webhook_message_table = sa.Table(
    "hook_message",
    metadata,
    sa.Column("hook_id", sa.String(32), sa.ForeignKey(webhook_table.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", UTCDateTime, nullable=False),
    sa.Column("delivered", UTCDateTime),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Index("hook_message_due", "state", "due"),
)
"""One row for each run and webhook. `state` is waiting, delivered or dead; `due` is the time of the next attempt;
`answer` is the result of the last attempt, for people."""


def insert_messages(connection: sa.Connection, run: sa.Table, run_id: str) -> None:
    """Insert a message to each enabled webhook that is notified of this run's report. Call it in the transaction that
    ends the run.

    Args:
        run: the table of runs.
    """
    connection.execute(_insert_messages(run), {"its_run": run_id})


@cache
def _insert_messages(run: sa.Table) -> sa.Insert:
    wanted = sa.select(
        webhook_table.c.id,
        run.c.id,
        sa.literal("waiting"),
        sa.literal(0),
        run.c.completed,
        sa.literal(""),
    ).where(
        run.c.id == sa.bindparam("its_run"),
        webhook_table.c.disabled == "",
        sa.or_(webhook_table.c.report_type.is_(None), webhook_table.c.report_type == run.c.report_type),
    )
    columns = ["hook_id", "run_id", "state", "attempts", "due", "answer"]
    return sa.insert(webhook_message_table).from_select(columns, wanted)


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message that a worker has claimed, with the number of this attempt, counted from 1."""

    hook_id: str
    run_id: str
    attempt: int


_M = webhook_message_table.c
_KEY = sa.tuple_(_M.hook_id, _M.run_id)


def any_due(connection: sa.Connection, at: datetime) -> bool:
    """Return whether a message is due at a time."""
    return any_matches(connection, *_due(at))


def claim(connection: sa.Connection, at: datetime, until: datetime, most: int) -> list[ClaimedMessage]:
    """Claim due messages, the longest due first, and count the attempt. No two workers claim the same message.

    Args:
        at: the present time.
        until: when the messages are due again if this worker records no result, because it has died.
        most: the largest number of messages.
    """
    oldest = sa.select(_M.hook_id, _M.run_id).where(*_due(at)).order_by(_M.due).limit(most)
    claimed = (
        sa.update(webhook_message_table)
        .where(_KEY.in_(claimable_keys(connection.dialect.name, oldest)))
        .values(due=until, attempts=_M.attempts + 1)
        .returning(_M.hook_id, _M.run_id, _M.attempts)
    )
    return [ClaimedMessage(*row) for row in connection.execute(claimed)]


def record_result(connection: sa.Connection, message: ClaimedMessage, values: Mapping[str, Any]) -> None:
    """Update the columns of a message with the result of an attempt."""
    connection.execute(sa.update(webhook_message_table).where(*_is(message)).values(values))


def delete_messages(connection: sa.Connection, messages: Sequence[ClaimedMessage]) -> None:
    """Remove messages whose runs have been removed."""
    for message in messages:
        connection.execute(sa.delete(webhook_message_table).where(*_is(message)))


def delete_messages_of_run(connection: sa.Connection, run_id: str) -> None:
    """Remove the messages about a run."""
    connection.execute(sa.delete(webhook_message_table).where(_M.run_id == run_id))


def delete_messages_of_webhook(connection: sa.Connection, hook_id: str) -> None:
    """Remove the messages to a webhook."""
    connection.execute(sa.delete(webhook_message_table).where(_M.hook_id == hook_id))


def delete_finished_before(connection: sa.Connection, before: datetime) -> None:
    """Remove messages that are delivered or dead and whose last due time is before a time."""
    connection.execute(sa.delete(webhook_message_table).where(_M.state != "waiting", _M.due < before))


def count_by_state(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """Return the number of messages for each webhook and state, as (webhook id, state, count)."""
    query = sa.select(_M.hook_id, _M.state, sa.func.count()).group_by(_M.hook_id, _M.state)
    return [(hook_id, state, count) for hook_id, state, count in connection.execute(query)]


def read_overdue(connection: sa.Connection, at: datetime) -> OutboxState:
    """Return the number of messages that are due, and for how many seconds the oldest has been due."""
    return read_state(connection, _M.due, *_due(at))


def last_failure(connection: sa.Connection, hook_id: str) -> str:
    """Return the result of the last failed attempt to notify a webhook; empty where none failed."""
    failed = (_M.hook_id == hook_id, _M.state != "delivered", _M.answer != "")
    query = sa.select(_M.answer).where(*failed).order_by(_M.due.desc()).limit(1)
    return connection.execute(query).scalar() or ""


def _due(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    # a message that is due further ahead than any wait was scheduled before the clock was set back: it is due now
    return _M.state == "waiting", sa.or_(_M.due <= at, _M.due > at + timedelta(seconds=timeouts.CLOCK_AHEAD_SECONDS))


def _is(message: ClaimedMessage) -> tuple[sa.ColumnElement[bool], ...]:
    return _M.hook_id == message.hook_id, _M.run_id == message.run_id
