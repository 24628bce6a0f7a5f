"""The transactional outbox of audit events, the table of the audit log, and all SQL on them.

`write_event` inserts an event in the transaction of the action that it records. The relay then gives it a place in the
chain, appends it to the audit log (`filed`), sends it to Kafka (`sent`), and deletes the row. The row of an event that
Kafka rejects stays, with the reason (`refused`).

With SQLite, the audit log is the file in the home folder. With PostgreSQL it is the table `audit_log`, of which each
home folder has a copy as a file: several hosts, each with its own home folder, write one log, and a host that is
lost takes none of it along.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from whohas.audit.chain import ChainHead, ChainLine, chain_event
from whohas.audit.events import Event
from whohas.db.engine import UTCDateTime, insert_for, metadata
from whohas.db.outbox import any_matches, read_state

event_table = sa.Table(
    "audit_event",
    metadata,
    sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
    sa.Column("created", UTCDateTime, nullable=False),
    sa.Column("event", sa.Text, nullable=False, comment="JSON; once it has its place in the chain, the whole line"),
    sa.Column("sequence", sa.BigInteger, unique=True, comment="its place in the chain; null until it has one"),
    sa.Column("hash", sa.String(64)),
    sa.Column("filed", sa.Boolean, nullable=False, comment="whether it is in the trail"),
    sa.Column("sent", sa.Boolean, nullable=False, comment="whether Kafka has it"),
    sa.Column("refused", sa.Text, comment="why Kafka does not take it"),
)

head_table = sa.Table(
    "audit_head",
    metadata,
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("fault", sa.Text, nullable=False, comment="why events do not get on; empty while they do"),
)
"""A single row: the head of the chain, and the last delivery error."""

load_table = sa.Table("audit_load", metadata, sa.Column("load_id", sa.String(32), primary_key=True))
"""The loads whose audit events were written."""

log_table = sa.Table(
    "audit_log",
    metadata,
    sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Text, nullable=False),
)
"""The lines of the audit log by their places in the chain; on PostgreSQL only."""

_E = event_table.c
_MORE = 1_000
"""Maximum number of rows that one statement lists by their keys."""


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """A chained event that is not yet delivered everywhere.

    Attributes:
        number: the key of its row in the outbox.
        sequence: its number in the chain.
        text: its line of the log file.
    """

    number: int
    sequence: int
    hash: str
    text: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """The state of the outbox.

    Attributes:
        head: the head of the chain.
        unfiled: the number of events that are not in the log file yet.
        waiting: the number of events that are not in the log file or not in Kafka yet, without those it rejected.
        oldest_seconds: the age of the oldest of these.
        refused: the number of events that Kafka rejected.
        fault: the last delivery error; empty if delivery works.
    """

    head: ChainHead
    unfiled: int
    waiting: int
    oldest_seconds: float
    refused: int
    fault: str


def write_event(connection: sa.Connection, event: Event) -> None:
    """Insert an event into the outbox, in the caller's transaction."""
    connection.execute(_WRITE, {"created": event.time, "event": event.to_json(), "filed": False, "sent": False})


_WRITE = event_table.insert().inline()


def write_load_events(connection: sa.Connection, load_id: str, events: Iterable[Event]) -> bool:
    """Write the events of a load, unless they were written before; return whether they were written now."""
    new = (
        insert_for(connection, load_table)
        .values(load_id=load_id)
        .on_conflict_do_nothing()
        .returning(load_table.c.load_id)
    )
    if connection.execute(new).first() is None:
        return False
    for event in events:
        write_event(connection, event)
    return True


def has_load_events(connection: sa.Connection, load_id: str) -> bool:
    """Return whether the events of a load were written."""
    return any_matches(connection, load_table.c.load_id == load_id)


def has_unchained(connection: sa.Connection) -> bool:
    """Return whether there are events without a place in the chain."""
    return any_matches(connection, _E.sequence.is_(None))


def chain_events(connection: sa.Connection, source: str, most: int) -> int:
    """Give up to `most` events their places in the chain, in the caller's transaction; return how many.

    Concurrent calls wait for each other on the row of the head. Committed events are chained in the order in which they
    were written. An event that another one caused is written after that one was committed, so it also follows it in the
    chain.

    Args:
        source: the CloudEvents `source` of the installation.
    """
    # an UPDATE that changes nothing locks the row of the head until the transaction ends
    connection.execute(head_table.update().values(sequence=head_table.c.sequence))
    rows = connection.execute(
        sa.select(_E.number, _E.event).where(_E.sequence.is_(None)).order_by(_E.number).limit(most)
    )
    head = read_head(connection)
    changes: list[dict[str, Any]] = []
    for row in rows:
        line: ChainLine = chain_event(head, row.event, source)
        head = ChainHead(line.sequence, line.hash)
        changes.append({"this": row.number, "sequence": line.sequence, "hash": line.hash, "event": line.text})
    if changes:
        connection.execute(_CHAIN, changes)
        connection.execute(head_table.update().values(sequence=head.sequence, hash=head.hash))
    return len(changes)


_CHAIN = (
    event_table.update()
    .where(_E.number == sa.bindparam("this"))
    .values(sequence=sa.bindparam("sequence"), hash=sa.bindparam("hash"), event=sa.bindparam("event"))
)


def read_head(connection: sa.Connection) -> ChainHead:
    """Return the head of the chain."""
    row = connection.execute(sa.select(head_table.c.sequence, head_table.c.hash)).one()
    return ChainHead(row.sequence, row.hash)


def head_before(event: PendingEvent) -> ChainHead:
    """Return the head of the chain as it was before an event."""
    return ChainHead(event.sequence - 1, str(json.loads(event.text)["previoushash"]))


def read_unfiled(connection: sa.Connection, after: int, most: int) -> list[PendingEvent]:
    """Return up to `most` events that are not in the log file and follow the sequence number `after`, in order."""
    return _pending(connection, sa.and_(_E.filed.is_(False), _E.sequence > after), most)


def read_unsent(connection: sa.Connection, most: int) -> list[PendingEvent]:
    """Return up to `most` events that Kafka neither has nor has rejected, in the order of the chain."""
    return _pending(connection, sa.and_(_E.sent.is_(False), _E.refused.is_(None)), most)


def read_rejected(connection: sa.Connection) -> list[tuple[PendingEvent, str]]:
    """Return the events that Kafka rejected, each with the reason, in the order of the chain."""
    rows = connection.execute(sa.select(event_table).where(_E.refused.is_not(None)).order_by(_E.sequence))
    return [(PendingEvent(row.number, row.sequence, row.hash, row.event), row.refused) for row in rows]


def append_to_table(connection: sa.Connection, events: Sequence[PendingEvent]) -> None:
    """Append events to the table of the audit log, in the caller's transaction."""
    if events:
        rows = [{"sequence": event.sequence, "line": event.text} for event in events]
        connection.execute(insert_for(connection, log_table).on_conflict_do_nothing(), rows)


def read_log(connection: sa.Connection, after: int, most: int) -> list[tuple[int, str]]:
    """Return up to `most` lines of the table of the audit log, with their places, that follow a place in the chain."""
    rows = connection.execute(
        sa.select(log_table).where(log_table.c.sequence > after).order_by(log_table.c.sequence).limit(most)
    )
    return [(row.sequence, row.line) for row in rows]


def read_log_end(connection: sa.Connection, most: int | None = None) -> ChainHead | None:
    """Return the place and hash of the last line of the table of the audit log; None if there is no line.

    Args:
        most: the greatest place that counts; None for any.
    """
    query = sa.select(log_table).order_by(log_table.c.sequence.desc()).limit(1)
    row = connection.execute(query if most is None else query.where(log_table.c.sequence <= most)).first()
    return ChainHead(row.sequence, str(json.loads(row.line)["hash"])) if row else None


def mark_filed(connection: sa.Connection, events: Sequence[PendingEvent], *, kafka: bool) -> None:
    """Mark events as written to the log file; delete those that are delivered everywhere.

    Args:
        kafka: whether events go to Kafka too; if not, all of them are deleted.
    """
    _done(connection, events, {"filed": True}, _E.sent.is_(True) if kafka else sa.true())


def mark_sent(connection: sa.Connection, events: Sequence[PendingEvent]) -> None:
    """Mark events as acknowledged by Kafka; delete those that are in the log file too."""
    _done(connection, events, {"sent": True}, _E.filed.is_(True))


def delete_unsent(connection: sa.Connection) -> None:
    """Delete the events that only wait for Kafka, after Kafka was removed from the settings."""
    connection.execute(event_table.delete().where(_E.filed.is_(True), _E.refused.is_(None)))


def mark_rejected(connection: sa.Connection, event: PendingEvent, why: str) -> None:
    """Mark an event as rejected by Kafka, with the reason; it is not sent again until `retry_rejected`."""
    connection.execute(event_table.update().where(_E.number == event.number).values(refused=why))


def retry_rejected(connection: sa.Connection) -> int:
    """Queue the events that Kafka rejected to be sent again; return how many."""
    return connection.execute(event_table.update().where(_E.refused.is_not(None)).values(refused=None)).rowcount


def read_fault(connection: sa.Connection) -> str:
    """Return the last delivery error; empty if delivery works."""
    return connection.execute(sa.select(head_table.c.fault)).scalar_one()


def store_fault(connection: sa.Connection, fault: str) -> None:
    """Store the last delivery error; empty means that delivery works."""
    connection.execute(head_table.update().where(head_table.c.fault != fault).values(fault=fault))


def read_backlog(connection: sa.Connection) -> Backlog:
    """Return the state of the outbox."""
    waits = sa.and_(_E.refused.is_(None), sa.or_(_E.filed.is_(False), _E.sent.is_(False)))
    waiting = read_state(connection, _E.created, waits)
    counts = sa.select(sa.func.count(sa.case((_E.filed.is_(False), 1))), sa.func.count(_E.refused))
    unfiled, refused = connection.execute(counts).one()
    head, fault = read_head(connection), read_fault(connection)
    return Backlog(head, unfiled, waiting.count, waiting.oldest_seconds, refused, fault)


def _pending(connection: sa.Connection, condition: sa.ColumnElement[bool], most: int) -> list[PendingEvent]:
    query = sa.select(_E.number, _E.sequence, _E.hash, _E.event).where(_E.sequence.is_not(None), condition)
    rows = connection.execute(query.order_by(_E.sequence).limit(most))
    return [PendingEvent(row.number, row.sequence, row.hash, row.event) for row in rows]


def _done(
    connection: sa.Connection,
    events: Sequence[PendingEvent],
    change: dict[str, bool],
    elsewhere: sa.ColumnElement[bool],
) -> None:
    """Mark events as delivered to one target (log file or Kafka); delete those that the other target has too.

    Args:
        change: the column of the target, to be set.
        elsewhere: matches the rows that need nothing from the other target.
    """
    for start in range(0, len(events), _MORE):
        these = _E.number.in_([event.number for event in events[start : start + _MORE]])
        connection.execute(event_table.delete().where(these, elsewhere, _E.refused.is_(None)))
        connection.execute(event_table.update().where(these).values(change))
