"""Queries that the outboxes of audit events (`audit.outbox`) and webhooks (`runs.webhook_messages`) share.

A row is inserted in the same transaction as the change that it reports, so either both are committed or neither. A
background task delivers it later, at least once, and marks it in a separate transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from whohas.db.engine import UTCDateTime


@dataclass(frozen=True, slots=True)
class OutboxState:
    """The undelivered rows of an outbox.

    Attributes:
        count: the number of undelivered rows.
        oldest_seconds: the age of the oldest of them; 0 if the outbox is empty.
    """

    count: int
    oldest_seconds: float


def any_matches(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> bool:
    """Return whether a row matches all of these conditions."""
    return connection.execute(sa.select(sa.literal(1)).where(*conditions).limit(1)).first() is not None


def read_state(
    connection: sa.Connection, since: sa.ColumnElement[datetime], *conditions: sa.ColumnElement[bool]
) -> OutboxState:
    """Count the undelivered rows of an outbox, and measure the age of the oldest.

    Args:
        since: the column with the time from which a row waits for delivery.
        conditions: match the undelivered rows.
    """
    minimum = sa.func.min(since, type_=UTCDateTime())
    count, oldest = connection.execute(sa.select(sa.func.count(), minimum).where(*conditions)).one()
    age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
    return OutboxState(count, max(0.0, age))


def claimable_keys(dialect: str, oldest: sa.Select[*tuple[Any, ...]]) -> sa.Select[*tuple[Any, ...]]:
    """Return a query for the keys of rows to claim, to be used in the WHERE clause of an UPDATE that claims them.

    On PostgreSQL it locks the rows and skips those that another worker is claiming now (`FOR UPDATE SKIP LOCKED`).

    Args:
        dialect: the dialect of the database, `sqlite` or `postgresql`.
        oldest: selects the keys of the rows in their order, with a LIMIT.
    """
    if dialect == "sqlite":
        return oldest  # SQLite has one writer at a time, so no other worker can claim the same rows
    # A CTE is evaluated once. A plain subquery with FOR UPDATE may be evaluated again for each row of the UPDATE;
    # each time it skips the rows that are locked by now, so that more rows than the LIMIT would be claimed.
    return sa.select(*oldest.with_for_update(skip_locked=True).cte("oldest").c)
