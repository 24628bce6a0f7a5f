"""The outbox of webhooks: the tables `hook` and `hook_message`, and all SQL statements on messages.

A message is inserted by the transaction that ends a run (`run_ended`), claimed by a worker for a limited time
(`claim`), and then marked as delivered, due again later, or dead (`note`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from whohas import timeouts
from whohas.db.engine import Instant, metadata
from whohas.db.outbox import Waiting, any_waits, claimable, read_waiting

hook = sa.Table(
    "hook",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("report_type", sa.Text),
    sa.Column("created", Instant, nullable=False),
    sa.Column("disabled", sa.Text, nullable=False),
)
"""One row for each webhook. `disabled` says why it gets no messages any more; it is empty while it is enabled."""

hook_message = sa.Table(
    "hook_message",
    metadata,
    sa.Column("hook_id", sa.String(32), sa.ForeignKey(hook.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("due", Instant, nullable=False),
    sa.Column("delivered", Instant),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Index("hook_message_due", "state", "due"),
)
"""One row for each run and webhook. `state` is waiting, delivered or dead; `due` is the time of the next attempt;
`answer` is the result of the last attempt, for people."""


def run_ended(connection: sa.Connection, run: sa.Table, run_id: str) -> None:
    """Insert a message to each enabled webhook that is notified of this run's report. Call it in the transaction that
    ends the run.

    Args:
        run: the table of runs.
    """
    wanted = sa.select(
        hook.c.id,
        run.c.id,
        sa.literal("waiting"),
        sa.literal(0),
        run.c.completed,
        sa.literal(""),
    ).where(
        run.c.id == run_id,
        hook.c.disabled == "",
        sa.or_(hook.c.report_type.is_(None), hook.c.report_type == run.c.report_type),
    )
    columns = ["hook_id", "run_id", "state", "attempts", "due", "answer"]
    connection.execute(sa.insert(hook_message).from_select(columns, wanted))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message that a worker has claimed, with the number of this attempt, counted from 1."""

    hook_id: str
    run_id: str
    attempt: int


_M = hook_message.c
_KEY = sa.tuple_(_M.hook_id, _M.run_id)


def any_due(connection: sa.Connection, at: datetime) -> bool:
    """Return whether a message is due at a time."""
    return any_waits(connection, *_due(at))


def claim(connection: sa.Connection, at: datetime, until: datetime, most: int) -> list[Claimed]:
    """Claim due messages, the longest due first, and count the attempt. No two workers claim the same message.

    Args:
        at: the present time.
        until: when the messages are due again if this worker records no result, because it has died.
        most: the largest number of messages.
    """
    oldest = sa.select(_M.hook_id, _M.run_id).where(*_due(at)).order_by(_M.due).limit(most)
    claimed = (
        sa.update(hook_message)
        .where(_KEY.in_(claimable(connection, oldest)))
        .values(due=until, attempts=_M.attempts + 1)
        .returning(_M.hook_id, _M.run_id, _M.attempts)
    )
    return [Claimed(*row) for row in connection.execute(claimed)]


def note(connection: sa.Connection, message: Claimed, values: Mapping[str, Any]) -> None:
    """Update the columns of a message with the result of an attempt."""
    connection.execute(sa.update(hook_message).where(*_is(message)).values(values))


def forget(connection: sa.Connection, messages: Sequence[Claimed]) -> None:
    """Remove messages whose runs have been removed."""
    for message in messages:
        connection.execute(sa.delete(hook_message).where(*_is(message)))


def forget_run(connection: sa.Connection, run_id: str) -> None:
    """Remove the messages about a run."""
    connection.execute(sa.delete(hook_message).where(_M.run_id == run_id))


def forget_hook(connection: sa.Connection, hook_id: str) -> None:
    """Remove the messages to a webhook."""
    connection.execute(sa.delete(hook_message).where(_M.hook_id == hook_id))


def forget_done(connection: sa.Connection, before: datetime) -> None:
    """Remove messages that are delivered or dead and whose last due time is before a time."""
    connection.execute(sa.delete(hook_message).where(_M.state != "waiting", _M.due < before))


def states(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """Return the number of messages for each webhook and state, as (webhook id, state, count)."""
    query = sa.select(_M.hook_id, _M.state, sa.func.count()).group_by(_M.hook_id, _M.state)
    return [(hook_id, state, count) for hook_id, state, count in connection.execute(query)]


def overdue(connection: sa.Connection, at: datetime) -> Waiting:
    """Return the number of messages that are due, and for how many seconds the oldest has been due."""
    return read_waiting(connection, _M.due, *_due(at))


def last_failure(connection: sa.Connection, hook_id: str) -> str:
    """Return the result of the last failed attempt to notify a webhook; empty where none failed."""
    failed = (_M.hook_id == hook_id, _M.state != "delivered", _M.answer != "")
    query = sa.select(_M.answer).where(*failed).order_by(_M.due.desc()).limit(1)
    return connection.execute(query).scalar() or ""


def _due(at: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    # a message that is due further ahead than any wait was scheduled before the clock was set back: it is due now
    return _M.state == "waiting", sa.or_(_M.due <= at, _M.due > at + timedelta(seconds=timeouts.CLOCK_AHEAD_SECONDS))


def _is(message: Claimed) -> tuple[sa.ColumnElement[bool], ...]:
    return _M.hook_id == message.hook_id, _M.run_id == message.run_id
