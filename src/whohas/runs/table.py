"""The table of runs, and every statement on it, by name and purpose."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from whohas.artefacts import Artefact
from whohas.database import Instant, metadata
from whohas.runs import outbox
from whohas.runs.model import ACTIVE, Level, Message, Run, RunId, State

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("report_type", sa.Text, nullable=False),
    sa.Column("report_name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("arguments", sa.JSON, nullable=False),
    sa.Column("key", sa.String(64), nullable=False, index=True),
    sa.Column("single_flight", sa.Boolean, nullable=False),
    sa.Column("attributes", sa.JSON, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("snapshot", sa.Integer, nullable=False),
    sa.Column("launcher", sa.Text, nullable=False),
    sa.Column("created", Instant, nullable=False, index=True),
    sa.Column("launched", Instant),
    sa.Column("completed", Instant, index=True),
    sa.Column("rows", sa.BigInteger),
    sa.Column("progress", sa.Text, nullable=False),
    sa.Column("percent", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("formats", sa.JSON, nullable=False),
    sa.Column("messages", sa.JSON, nullable=False),
    sa.Column("artefacts", sa.JSON, nullable=False),
    sa.Column("statement", sa.Text, nullable=False),
)
"""One row a run. `formats` to `artefacts` are JSON: they are read and written whole."""

_ACTIVE = tuple(s.value for s in ACTIVE)
_HOLDS_KEY = sa.and_(run.c.single_flight.is_(True), run.c.state.in_(_ACTIVE))
# literal values, for an index takes no parameters
_HOLDS_KEY_TEXT = sa.text(f"single_flight AND state IN ({', '.join(repr(state) for state in _ACTIVE)})")

sa.Index(
    "run_single_flight",
    run.c.key,
    unique=True,
    sqlite_where=_HOLDS_KEY_TEXT,
    postgresql_where=_HOLDS_KEY_TEXT,
)

report_switch = sa.Table("report_switch", metadata, sa.Column("report_type", sa.Text, primary_key=True))
"""The report types that are switched off."""


def now() -> datetime:
    return datetime.now(UTC)


def insert(connection: sa.Connection, new: Run, single_flight: bool) -> bool:
    """Keeps a new run, unless an active one holds its key; whether it was kept."""
    values = {
        **{column.name: getattr(new, column.name) for column in run.columns if column.name != "single_flight"},
        "single_flight": single_flight,
        "arguments": dict(new.arguments),
        "attributes": dict(new.attributes),
        "formats": list(new.formats),
        "messages": _messages(new.messages),
        "artefacts": [],
    }
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(run).values(values)
    kept = statement.on_conflict_do_nothing(index_elements=[run.c.key], index_where=_HOLDS_KEY_TEXT)
    # not the count of rows: PostgreSQL's driver does not tell it of an insert
    return connection.execute(kept.returning(run.c.id)).first() is not None


def active(connection: sa.Connection, key: str) -> Run | None:
    """The run that holds a key."""
    return _one(connection.execute(sa.select(run).where(run.c.key == key, _HOLDS_KEY)))


def get(connection: sa.Connection, run_id: str) -> Run | None:
    return _one(connection.execute(sa.select(run).where(run.c.id == run_id)))


def goes_on(connection: sa.Connection, run_id: str, attempt: int) -> bool:
    """Whether a run is still running by this attempt; asked for ten times a second."""
    query = sa.select(run.c.id).where(run.c.id == run_id, run.c.state == State.RUNNING.value, run.c.attempt == attempt)
    return connection.execute(query).first() is not None


def newest_with_files(connection: sa.Connection, key: str) -> Run | None:
    """The newest run of a key that ended with files."""
    ended = (State.SUCCEEDED.value, State.WARNED.value)
    query = sa.select(run).where(run.c.key == key, run.c.state.in_(ended)).order_by(run.c.created.desc())
    return _one(connection.execute(query.limit(1)))


def several(result: sa.CursorResult[Any]) -> list[Run]:
    """The runs of a statement that selects whole rows."""
    return [_run(row) for row in result.mappings()]


def unfinished(connection: sa.Connection) -> list[RunId]:
    """Every run that is not over, oldest first."""
    query = sa.select(run.c.id).where(run.c.state.in_(_ACTIVE)).order_by(run.c.created)
    return [RunId(row) for row in connection.execute(query).scalars()]


def claim(connection: sa.Connection, run_id: str) -> Run | None:
    """A worker takes a run: one attempt more. None where it is being cancelled, or over."""
    statement = (
        sa.update(run)
        .where(run.c.id == run_id, run.c.state.in_((State.QUEUED.value, State.RUNNING.value)))
        .values(
            state=State.RUNNING.value,
            attempt=run.c.attempt + 1,
            progress="Starting",
            percent=0,
            rows=None,
            launched=sa.func.coalesce(run.c.launched, sa.bindparam("at", now(), Instant)),
        )
    )
    return get(connection, run_id) if connection.execute(statement).rowcount else None


def hand_back(connection: sa.Connection, run_id: str, attempt: int) -> None:
    """A worker that shuts down gives its run back; the attempt does not count."""
    connection.execute(
        _of_attempt(run_id, attempt).values(state=State.QUEUED.value, attempt=attempt - 1, progress="Queued")
    )


def note_progress(
    connection: sa.Connection, run_id: str, attempt: int, progress: str, percent: int, rows: int | None
) -> None:
    connection.execute(_of_attempt(run_id, attempt).values(progress=progress, percent=percent, rows=rows))


def finish(
    connection: sa.Connection,
    run_id: str,
    attempt: int,
    state: State,
    progress: str,
    rows: int | None,
    messages: Iterable[Message],
    artefacts: Iterable[Artefact] = (),
) -> bool:
    """Ends a run that is still running by this attempt; whether it was."""
    done = connection.execute(
        _of_attempt(run_id, attempt).values(
            state=state.value,
            progress=progress,
            percent=100 if state in (State.SUCCEEDED, State.WARNED) else run.c.percent,
            rows=rows,
            completed=now(),
            messages=_messages(messages),
            artefacts=[asdict(a) for a in artefacts],
        )
    )
    if done.rowcount == 1:
        outbox.run_ended(connection, run, run_id)
    return done.rowcount == 1


def add_artefact(connection: sa.Connection, run_id: str, new: Artefact) -> Artefact:
    """Keeps a file that was made after its run was over; the one that is there already in its format, if there is."""
    query = sa.select(run.c.artefacts).where(run.c.id == run_id).with_for_update()
    there: list[dict[str, Any]] = connection.execute(query).scalar_one()
    for one in there:
        if one["format"] == new.format:
            return Artefact(**one)
    connection.execute(sa.update(run).where(run.c.id == run_id).values(artefacts=[*there, asdict(new)]))
    return new


def ask_to_cancel(connection: sa.Connection, run_id: str) -> None:
    """Cancels a queued run at once, asks a running one to stop."""
    queued = sa.update(run).where(run.c.id == run_id, run.c.state == State.QUEUED.value)
    if connection.execute(queued.values(state=State.CANCELLED.value, completed=now(), progress="Cancelled")).rowcount:
        outbox.run_ended(connection, run, run_id)
    running = sa.update(run).where(run.c.id == run_id, run.c.state == State.RUNNING.value)
    connection.execute(running.values(state=State.CANCELLING.value, progress="Cancelling"))


def confirm_cancelled(connection: sa.Connection, run_id: str) -> None:
    """The child is gone: a run that was being cancelled is over."""
    asked = sa.update(run).where(run.c.id == run_id, run.c.state == State.CANCELLING.value)
    ended = asked.values(state=State.CANCELLED.value, completed=now(), progress="Cancelled", rows=None, artefacts=[])
    if connection.execute(ended).rowcount:
        outbox.run_ended(connection, run, run_id)


def disabled(connection: sa.Connection, report_type: str) -> bool:
    """Whether a report is switched off."""
    query = sa.select(report_switch.c.report_type).where(report_switch.c.report_type == report_type)
    return connection.execute(query).first() is not None


def switch(connection: sa.Connection, report_type: str, off: bool) -> None:
    """Switches a report off or on; no effect where it is so already."""
    connection.execute(sa.delete(report_switch).where(report_switch.c.report_type == report_type))
    if off:
        connection.execute(sa.insert(report_switch).values(report_type=report_type))


def _of_attempt(run_id: str, attempt: int) -> sa.Update:
    return sa.update(run).where(run.c.id == run_id, run.c.state == State.RUNNING.value, run.c.attempt == attempt)


def _messages(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"level": message.level.value, "key": message.key, "text": message.text} for message in messages]


def _one(result: sa.CursorResult[Any]) -> Run | None:
    row = result.mappings().first()
    return None if row is None else _run(row)


def _run(row: sa.RowMapping) -> Run:
    fields: dict[str, Any] = {name: value for name, value in row.items() if name != "single_flight"}
    fields["state"] = State(fields["state"])
    fields["formats"] = tuple(fields["formats"])
    fields["messages"] = tuple(Message(Level(m["level"]), m["key"], m["text"]) for m in fields["messages"])
    fields["artefacts"] = tuple(Artefact(**artefact) for artefact in fields["artefacts"])
    return Run(**fields)


def canonical(value: Any) -> str:
    """JSON that is the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
