"""The repository of runs: every statement on their table, by name and purpose."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from whohas import audit, locks
from whohas.artefacts import Artefact
from whohas.audit.events import SYSTEM
from whohas.database import Instant, upserting
from whohas.outbox import claimable
from whohas.runs import outbox, phases, trail
from whohas.runs.model import ACTIVE, Level, Message, Run, RunId, State
from whohas.runs.plans import Digest, Record, RunPlan
from whohas.runs.tables import HOLDS_KEY, QUEUED, hold, report_switch, run, run_launch, run_plan

CHANNEL = "whohas_run"
"""The channel on PostgreSQL on which a transaction that queues a run says so."""

_ACTIVE = tuple(s.value for s in ACTIVE)
ACTIVE_RUNS = run.c.state.in_(_ACTIVE)
_OVER = run.c.state.not_in(_ACTIVE)
_HELD = (State.RUNNING.value, State.CANCELLING.value)
_HOLDS_KEY = sa.and_(run.c.single_flight.is_(True), ACTIVE_RUNS)
_FREE = ~sa.exists().where(hold.c.run_id == run.c.id)

_BY_ID = sa.select(run).where(run.c.id == sa.bindparam("run_id"))
_BY_ID_WITH_SWITCH = _BY_ID.add_columns(
    sa.exists().where(report_switch.c.report_type == run.c.report_type).correlate(run).label("off")
)


def now() -> datetime:
    return datetime.now(UTC)


def insert(connection: sa.Connection, new: Run, single_flight: bool) -> bool:
    """Keeps a new run, unless an active one holds its key; whether it was kept."""
    values = {
        **{name: getattr(new, name) for name in _FIELDS},
        "single_flight": single_flight,
        "statement": "",
        "arguments": dict(new.arguments),
        "attributes": dict(new.attributes),
        "formats": list(new.formats),
        "messages": _messages(new.messages),
        "artefacts": [],
    }
    statement = upserting(connection, run).values(values)
    kept = statement.on_conflict_do_nothing(index_elements=[run.c.key], index_where=HOLDS_KEY)
    # not the count of rows: PostgreSQL's driver does not tell it of an insert
    if connection.execute(kept.returning(run.c.id)).first() is None:
        return False
    _notify(connection)
    return True


def keep_plan(connection: sa.Connection, run_id: str, plan: RunPlan) -> None:
    """Keep the plan of a run, unless it has one."""
    new = upserting(connection, run_plan).values(run=run_id, plan=plan.to_json())
    connection.execute(new.on_conflict_do_nothing(index_elements=[run_plan.c.run]))


def record(connection: sa.Connection, run_id: str) -> Record:
    """Return how a run finds its rows; an empty record where there is no such run."""
    query = (
        sa.select(run.c.statement, run_plan.c.plan, run_plan.c.digest)
        .select_from(run.outerjoin(run_plan, run_plan.c.run == run.c.id))
        .where(run.c.id == run_id)
    )
    row = connection.execute(query).first()
    if row is None:
        return Record()
    return Record(
        None if row.plan is None else RunPlan.from_json(row.plan),
        None if row.digest is None else Digest.from_json(row.digest),
        row.statement,
    )


def active(connection: sa.Connection, key: str) -> Run | None:
    """The run that holds a key."""
    return _one(connection.execute(sa.select(run).where(run.c.key == key, _HOLDS_KEY)))


def get(connection: sa.Connection, run_id: str, *seen: sa.ColumnElement[bool]) -> Run | None:
    """A run by its id, under further conditions."""
    return _one(connection.execute(_BY_ID.where(*seen) if seen else _BY_ID, {"run_id": run_id}))


def with_beginning(connection: sa.Connection, beginning: str, most: int) -> list[Run]:
    """The runs whose ids begin so, the newest first; some of them, where there are more."""
    query = sa.select(run).where(run.c.id.startswith(beginning, autoescape=True)).order_by(run.c.created.desc())
    return _several(connection.execute(query.limit(most)))


def get_with_switch(connection: sa.Connection, run_id: str, *seen: sa.ColumnElement[bool]) -> tuple[Run, bool] | None:
    """A run by its id, under further conditions, and whether its report is switched off."""
    query = _BY_ID_WITH_SWITCH.where(*seen) if seen else _BY_ID_WITH_SWITCH
    row = connection.execute(query, {"run_id": run_id}).mappings().first()
    return None if row is None else (_run(row), row["off"])


def goes_on(connection: sa.Connection, mine: Run) -> bool:
    """Whether a run is still running by this attempt; asked for ten times a second."""
    query = sa.select(run.c.id).where(*_attempt(mine), run.c.state == State.RUNNING.value)
    return connection.execute(query).first() is not None


def over_since(connection: sa.Connection, since: datetime) -> list[Run]:
    """The runs that were over after a time."""
    query = sa.select(run).where(run.c.completed > since).order_by(run.c.completed)
    return _several(connection.execute(query))


def newest_with_files(connection: sa.Connection, key: str, *seen: sa.ColumnElement[bool]) -> Run | None:
    """The newest run of a key that ended with files, under further conditions."""
    ended = (State.SUCCEEDED.value, State.WARNED.value)
    newest = run.c.snapshot.desc(), run.c.created.desc()  # snapshots are counted, whatever the clock says
    query = sa.select(run).where(run.c.key == key, run.c.state.in_(ended), *seen).order_by(*newest)
    return _one(connection.execute(query.limit(1)))


def listed(
    connection: sa.Connection,
    chosen: sa.ColumnElement[bool],
    order: Sequence[sa.ColumnElement[Any]] = (run.c.created,),
    limit: int | None = None,
    offset: int = 0,
) -> list[Run]:
    """The runs of a condition, in an order; of a page, where there is a limit."""
    query = sa.select(run).where(chosen).order_by(*order, run.c.id)
    if limit is not None:
        query = query.limit(limit).offset(offset)
    return _several(connection.execute(query))


def count(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> int:
    """How many runs a condition has."""
    return connection.execute(sa.select(sa.func.count()).select_from(run).where(chosen)).scalar_one()


def launches_of(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> dict[str, set[tuple[str, str | None]]]:
    """By its id, the launchers of each run of a condition, with the sources that the run is on."""
    query = sa.select(run_launch).join(run, run.c.id == run_launch.c.run).where(chosen)
    found: dict[str, set[tuple[str, str | None]]] = {}
    for row in connection.execute(query):
        found.setdefault(row.run, set()).add((row.launcher, row.source))
    return found


def count_by_state(connection: sa.Connection) -> list[tuple[State, str, int]]:
    """How many runs of each state and report type there are."""
    query = sa.select(run.c.state, run.c.report_type, sa.func.count()).group_by(run.c.state, run.c.report_type)
    return [(State(state), report_type, runs) for state, report_type, runs in connection.execute(query)]


def oldest_queued(connection: sa.Connection) -> datetime | None:
    """When the oldest run that waits for a worker was started."""
    oldest = sa.select(sa.func.min(run.c.created, type_=run.c.created.type))
    return connection.execute(oldest.where(run.c.state == State.QUEUED.value)).scalar_one()


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run keeps.

    Attributes:
        over: whether the run is over.
        free: whether nobody holds it.
    """

    id: str
    over: bool
    free: bool
    files: tuple[Artefact, ...]
    messages: tuple[Message, ...]


_KEPT = sa.select(run.c.id, _OVER.label("over"), _FREE.label("free"), run.c.artefacts, run.c.messages)


def kept(connection: sa.Connection, run_id: str, *, lock: bool = False) -> Kept | None:
    """What a run keeps.

    Args:
        lock: whether nobody else may hold or sweep the run until the transaction is over.
    """
    row = connection.execute((_KEPT.with_for_update() if lock else _KEPT).where(run.c.id == run_id)).first()
    return None if row is None else _kept(row)


def kept_by_all(connection: sa.Connection, *, since: datetime | None = None) -> list[Kept]:
    """What the runs keep that are over, the oldest first; those alone that were over since a time or are held."""
    query = _KEPT.where(_OVER).order_by(run.c.completed)
    if since is not None:
        query = query.where(sa.or_(run.c.completed > since, ~_FREE))
    return [_kept(row) for row in connection.execute(query)]


def kept_before(connection: sa.Connection, before: datetime) -> list[Kept]:
    """What the runs keep that were over before a time and that nobody holds, the oldest first."""
    query = _KEPT.where(_OVER, run.c.completed < before, _FREE).order_by(run.c.completed)
    return [_kept(row) for row in connection.execute(query)]


def has_created(connection: sa.Connection, since: datetime | None, before: datetime) -> bool:
    """Whether a run was started before a time, and not before another one."""
    query = sa.select(run.c.id).where(run.c.created < before)
    if since is not None:
        query = query.where(run.c.created >= since)
    return connection.execute(query.limit(1)).first() is not None


def forget_files(connection: sa.Connection, whose: Kept, note: Message) -> None:
    """A run has no files any more, and says why. The caller has locked it."""
    values: dict[str, Any] = {"artefacts": [], "messages": _messages((*whose.messages, note))}
    connection.execute(sa.update(run).where(run.c.id == whose.id).values(values))


def remove(connection: sa.Connection, run_id: str) -> None:
    """Remove a run that the caller has locked, with all that is kept of it elsewhere."""
    outbox.forget_run(connection, run_id)
    connection.execute(sa.delete(run).where(run.c.id == run_id))


@dataclass(frozen=True, slots=True)
class Held:
    """A run that a worker has, or had when it died."""

    id: RunId
    executor: str | None
    attempt: int


def held(connection: sa.Connection) -> list[Held]:
    """Every run that some worker has."""
    query = sa.select(run.c.id, run.c.executor, run.c.attempt).where(run.c.state.in_(_HELD))
    return [Held(RunId(row.id), row.executor, row.attempt) for row in connection.execute(query)]


def count_queued(connection: sa.Connection) -> int:
    """How many runs wait for a worker."""
    return connection.execute(sa.select(sa.func.count()).where(run.c.state == State.QUEUED.value)).scalar_one()


def count_active(connection: sa.Connection, launcher: str) -> int:
    """How many runs of a launcher are not over; until the transaction ends, nobody else counts this launcher's."""
    locks.lock_transaction(connection, locks.of_launcher(launcher))
    query = sa.select(sa.func.count()).where(run.c.state.in_(_ACTIVE), run.c.launcher == launcher)
    return connection.execute(query).scalar_one()


def claim(
    connection: sa.Connection, executor: str, most: int, *, over: int = -1, up_to: int | None = None
) -> list[Run]:
    """A worker takes queued runs, the oldest first: one attempt more of each. No two workers take the same run.

    Args:
        most: how many it takes at most.
        over: the size that they exceed.
        up_to: their largest size; None for any.
    """
    oldest = sa.select(run.c.id).where(QUEUED, run.c.size > over).order_by(run.c.created, run.c.id).limit(most)
    if up_to is not None:
        oldest = oldest.where(run.c.size <= up_to)
    # where there is none, which is usual, the lock to write is not asked for
    if connection.dialect.name == "sqlite" and connection.execute(oldest.limit(1)).first() is None:
        return []
    statement = (
        sa.update(run)
        .where(run.c.id.in_(claimable(connection, oldest)))
        .values(
            state=State.RUNNING.value,
            executor=executor,
            attempt=run.c.attempt + 1,
            progress="Starting",
            percent=0,
            rows=None,
            launched=sa.func.coalesce(run.c.launched, sa.bindparam("at", now(), Instant)),
        )
        .returning(*run.columns)
    )
    return sorted(_several(connection.execute(statement)), key=lambda one: (one.created, one.id))


def hand_back(connection: sa.Connection, mine: Run) -> bool:
    """A worker that shuts down gives its run back; whether it had it. Nothing is counted as lost."""
    statement = _of_attempt(mine).values(state=State.QUEUED.value, executor=None, progress="Queued", percent=0)
    if connection.execute(statement).rowcount != 1:
        return False
    _notify(connection)
    return True


def release(connection: sa.Connection, lost: Held) -> State | None:
    """Takes a run from a worker that died: back to the queue, or over where it was being cancelled; None where the
    worker did not have it any more."""
    attempt = (run.c.id == lost.id, run.c.executor.is_not_distinct_from(lost.executor), run.c.attempt == lost.attempt)
    running = sa.update(run).where(*attempt, run.c.state == State.RUNNING.value)
    again = running.values(
        state=State.QUEUED.value, executor=None, lost=run.c.lost + 1, progress="Queued", percent=0, rows=None
    )
    if connection.execute(again).rowcount:
        _notify(connection)
        return State.QUEUED
    cancelling = sa.update(run).where(*attempt, run.c.state == State.CANCELLING.value)
    return State.CANCELLED if _cancel(connection, cancelling) else None


def note_progress(connection: sa.Connection, mine: Run, progress: str, percent: int, rows: int | None) -> None:
    connection.execute(_of_attempt(mine).values(progress=progress, percent=percent, rows=rows))


def finish(
    connection: sa.Connection,
    mine: Run,
    state: State,
    progress: str,
    rows: int | None,
    messages: Iterable[Message],
    artefacts: Iterable[Artefact] = (),
    phase_facts: Sequence[Mapping[str, Any]] = (),
    digest: Digest | None = None,
) -> bool:
    """Ends a run that is still running by this attempt, keeps what hooks are to be told and the digest of its rows, and
    counts its phases (see `phases.add`); whether it is ended so, by now or by a call before whose answer was lost."""
    done = connection.execute(
        _of_attempt(mine).values(
            state=state.value,
            progress=progress,
            percent=100 if state in (State.SUCCEEDED, State.WARNED) else run.c.percent,
            rows=rows,
            launched=mine.launched,
            completed=max(now(), mine.launched or mine.created),  # the clock may have been set back
            messages=_messages(messages),
            artefacts=[asdict(a) for a in artefacts],
        )
    )
    if done.rowcount == 1:
        if digest is not None:
            mine_too = run_plan.c.run == mine.id
            connection.execute(sa.update(run_plan).where(mine_too).values(digest=digest.to_json()))
        _tell_end(connection, mine.id)
        phases.add(connection, mine.report_type, phase_facts)
        return True
    return has_ended(connection, mine, state)


def has_ended(connection: sa.Connection, mine: Run, *states: State) -> bool:
    """Whether a run is over in one of these states, and by this attempt."""
    wanted = [state.value for state in states]
    query = sa.select(run.c.id).where(*_attempt(mine), run.c.state.in_(wanted))
    return connection.execute(query).first() is not None


def add_artefact(connection: sa.Connection, run_id: str, new: Artefact, messages: Iterable[Message]) -> Artefact:
    """Keeps a file that was made after its run was over, and what is to be said of it; the one that is there already in
    its format, if there is."""
    query = sa.select(run.c.artefacts, run.c.messages).where(run.c.id == run_id).with_for_update()
    there: list[dict[str, Any]]
    said: list[dict[str, Any]]
    there, said = connection.execute(query).one()
    for one in there:
        if one["format"] == new.format:
            return Artefact(**one)
    values = {"artefacts": [*there, asdict(new)], "messages": [*said, *_messages(messages)]}
    connection.execute(sa.update(run).where(run.c.id == run_id).values(values))
    return new


def ask_to_cancel(connection: sa.Connection, run_id: str, by: audit.Who = SYSTEM) -> None:
    """Cancels a queued run at once, asks a running one to stop."""
    queued = sa.update(run).where(run.c.id == run_id, run.c.state == State.QUEUED.value)
    _cancel(connection, queued, by)
    running = sa.update(run).where(run.c.id == run_id, run.c.state == State.RUNNING.value)
    if connection.execute(running.values(state=State.CANCELLING.value, progress="Cancelling")).rowcount:
        audit.write(connection, trail.cancelled(_there(connection, run_id), by))


def confirm_cancelled(connection: sa.Connection, mine: Run) -> None:
    """The child of this attempt is gone: a run that was being cancelled is over."""
    _cancel(connection, sa.update(run).where(*_attempt(mine), run.c.state == State.CANCELLING.value))


def disabled(connection: sa.Connection, report_type: str) -> bool:
    """Whether a report is switched off."""
    query = sa.select(report_switch.c.report_type).where(report_switch.c.report_type == report_type)
    return connection.execute(query).first() is not None


def switch(connection: sa.Connection, report_type: str, off: bool) -> None:
    """Switches a report off or on; no effect where it is so already."""
    connection.execute(sa.delete(report_switch).where(report_switch.c.report_type == report_type))
    if off:
        connection.execute(sa.insert(report_switch).values(report_type=report_type))


def _notify(connection: sa.Connection) -> None:
    """Tells workers, once this transaction is committed, that it has queued a run. Only a hint: see `queue`."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")


def _tell_end(connection: sa.Connection, run_id: str) -> None:
    """Keeps what hooks and the audit trail are to be told of a run that is over."""
    outbox.run_ended(connection, run, run_id)
    audit.write(connection, trail.ended(_there(connection, run_id)))


def _there(connection: sa.Connection, run_id: str) -> Run:
    found = get(connection, run_id)
    assert found is not None, "its row was changed just now"
    return found


def _attempt(mine: Run) -> tuple[sa.ColumnElement[bool], ...]:
    return run.c.id == mine.id, run.c.attempt == mine.attempt, run.c.executor == mine.executor


def _of_attempt(mine: Run) -> sa.Update:
    return sa.update(run).where(*_attempt(mine), run.c.state == State.RUNNING.value)


def _cancel(connection: sa.Connection, wanted: sa.Update, by: audit.Who | None = None) -> bool:
    """Ends the runs of an update as cancelled, at once by somebody or after they had asked; whether there was one."""
    ended = wanted.values(
        state=State.CANCELLED.value, completed=now(), progress="Cancelled", rows=None, artefacts=[]
    ).returning(run.c.id)
    ids = connection.execute(ended).scalars().all()
    for run_id in ids:
        if by is not None:
            audit.write(connection, trail.cancelled(_there(connection, run_id), by))
        _tell_end(connection, run_id)
    return bool(ids)


def _messages(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"level": message.level.value, "key": message.key, "text": message.text} for message in messages]


def _read_messages(kept: Iterable[Mapping[str, str]]) -> tuple[Message, ...]:
    return tuple(Message(Level(one["level"]), one["key"], one["text"]) for one in kept)


_FIELDS = tuple(column.name for column in run.columns if column.name not in ("single_flight", "statement"))


def _kept(row: Any) -> Kept:
    files = tuple(Artefact(**artefact) for artefact in row.artefacts)
    return Kept(row.id, bool(row.over), bool(row.free), files, _read_messages(row.messages))


def _several(result: sa.CursorResult[Any]) -> list[Run]:
    return [_run(row) for row in result.mappings()]


def _one(result: sa.CursorResult[Any]) -> Run | None:
    row = result.mappings().first()
    return None if row is None else _run(row)


def _run(row: sa.RowMapping) -> Run:
    fields: dict[str, Any] = {name: row[name] for name in _FIELDS}
    fields["state"] = State(fields["state"])
    fields["formats"] = tuple(fields["formats"])
    fields["messages"] = _read_messages(fields["messages"])
    fields["artefacts"] = tuple(Artefact(**artefact) for artefact in fields["artefacts"])
    return Run(**fields)


def canonical(value: Any) -> str:
    """JSON that is the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
