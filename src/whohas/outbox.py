"""What the outboxes have in common: of audit events (`audit.outbox`) and of messages to webhooks (`runs.outbox`).

A row of an outbox is written in the transaction of what it tells of, so both are there or neither. It is passed on
later, at least once, and marked in a transaction of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from whohas.database import Instant


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of an outbox waits, and for how long the oldest of it has."""

    count: int
    oldest_seconds: float


def any_waits(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> bool:
    """Return whether there is a row under these conditions."""
    return connection.execute(sa.select(sa.literal(1)).where(*conditions).limit(1)).first() is not None


def read_waiting(
    connection: sa.Connection, since: sa.ColumnElement[datetime], *conditions: sa.ColumnElement[bool]
) -> Waiting:
    """Return how much waits.

    Args:
        since: the column of the time since which a row waits.
        conditions: of the rows that wait.
    """
    oldest = sa.func.min(since, type_=Instant())
    count, began = connection.execute(sa.select(sa.func.count(), oldest).where(*conditions)).one()
    age = (datetime.now(UTC) - began).total_seconds() if began else 0.0
    return Waiting(count, max(0.0, age))


def claimable(connection: sa.Connection, oldest: sa.Select[*tuple[Any, ...]]) -> sa.Select[*tuple[Any, ...]]:
    """Return a query for the same rows without those that another worker is taking, for an UPDATE that takes them.

    Args:
        oldest: selects the keys of the rows in their order, with a limit.
    """
    if connection.dialect.name == "sqlite":
        return oldest  # one transaction writes at a time
    # with its locks it must be a CTE, which is computed once: a subquery may be computed again for each row of the
    # update, and then more are taken than the limit says
    return sa.select(*oldest.with_for_update(skip_locked=True).cte("oldest").c)
