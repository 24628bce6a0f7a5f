"""The repository of runs: all SQL statements on the tables `run` and `run_plan`, one function for each purpose.

Every function takes the caller's connection and runs in its transaction. `seen` are further conditions on the table
`run`, by which callers restrict results to the runs that a user may see (see `visibility.visible_to`). Functions that
take `claimed`, a run as a worker claimed it, change its row only while it is on that attempt of that worker.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from whohas import audit
from whohas.audit.events import SYSTEM
from whohas.db import locks
from whohas.db.engine import UTCDateTime, insert_in_dialect
from whohas.db.outbox import claimable_keys
from whohas.engine.summary import RowsSummary
from whohas.runs import audit_events, phase_totals, webhook_messages
from whohas.runs.models import ACTIVE_STATES, Message, MessageLevel, Run, RunId, RunState
from whohas.runs.plans import RowsDigest, RowsRecord, RunPlan
from whohas.runs.tables import BLOCKS_KEY, IS_QUEUED, hold, report_switch, run, run_launch, run_plan
from whohas.storage import Artifact

NOTIFY_CHANNEL = "whohas_run"
"""The PostgreSQL notification channel to which a transaction that queues a run sends a `NOTIFY`."""

_ACTIVE = tuple(s.value for s in ACTIVE_STATES)
ACTIVE_RUNS = run.c.state.in_(_ACTIVE)
_OVER = run.c.state.not_in(_ACTIVE)
_HELD = (RunState.RUNNING.value, RunState.CANCELLING.value)
_HOLDS_KEY = sa.and_(run.c.single_flight.is_(True), ACTIVE_RUNS)
_FREE = ~sa.exists().where(hold.c.run_id == run.c.id)

# statements that each run executes are built once, because building one takes longer than executing it on SQLite
_ON_ATTEMPT = (
    run.c.id == sa.bindparam("its_id"),
    run.c.attempt == sa.bindparam("its_attempt"),
    run.c.executor == sa.bindparam("its_executor"),
    run.c.state == RunState.RUNNING.value,
)
_RUNNING = sa.update(run).where(*_ON_ATTEMPT)
_IS_RUNNING = sa.select(run.c.id).where(*_ON_ATTEMPT)
_ACTIVE_BY_KEY = sa.select(run).where(run.c.key == sa.bindparam("wanted"), _HOLDS_KEY)
_ACTIVE_AND_QUEUED = sa.select(
    sa.select(sa.func.count()).where(ACTIVE_RUNS, run.c.launcher == sa.bindparam("started_by")).scalar_subquery(),
    sa.select(sa.func.count()).where(run.c.state == RunState.QUEUED.value).scalar_subquery(),
)
_RECORD = (
    sa.select(run.c.statement, run_plan.c.plan, run_plan.c.digest, run_plan.c.summary, run_plan.c.engine)
    .select_from(run.outerjoin(run_plan, run_plan.c.run == run.c.id))
    .where(run.c.id == sa.bindparam("run_id"))
)
_PLAN_OF_RUN = sa.update(run_plan).where(run_plan.c.run == sa.bindparam("its_run"))
_SWITCH = sa.select(report_switch.c.report_type).where(report_switch.c.report_type == sa.bindparam("wanted"))
_BY_ID = sa.select(run).where(run.c.id == sa.bindparam("run_id"))
_BY_ID_WITH_SWITCH = _BY_ID.add_columns(
    sa.exists().where(report_switch.c.report_type == run.c.report_type).correlate(run).label("off")
)


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


def insert(connection: sa.Connection, new: Run, single_flight: bool) -> bool:
    """Insert a new run, and notify workers. Return False, and insert nothing, where another run blocks its key.

    Args:
        single_flight: whether at most one run with this key may be active. A run that was itself inserted with
            `single_flight` blocks its key while it is active.
    """
    values: dict[str, Any] = {
        **{name: getattr(new, name) for name in _FIELDS},
        "single_flight": single_flight,
        "statement": "",
        "arguments": dict(new.arguments),
        "attributes": dict(new.attributes),
        "formats": list(new.formats),
        "messages": _messages(new.messages),
        "artefacts": [],
    }
    if connection.execute(_insert_run(connection.dialect.name), values).first() is None:
        return False
    _notify(connection)
    return True


@cache
def _insert_run(dialect: str) -> sa.Executable:
    insert = insert_in_dialect(dialect, run)
    # RETURNING, because PostgreSQL's driver gives no count of rows for an insert
    return insert.on_conflict_do_nothing(index_elements=[run.c.key], index_where=BLOCKS_KEY).returning(run.c.id)


def insert_plan(connection: sa.Connection, run_id: str, plan: RunPlan) -> None:
    """Store the plan of a run, unless it has one."""
    connection.execute(_insert_plan(connection.dialect.name), {"run": run_id, "plan": plan.to_json()})


@cache
def _insert_plan(dialect: str) -> sa.Insert:
    return insert_in_dialect(dialect, run_plan).on_conflict_do_nothing(index_elements=[run_plan.c.run]).inline()


def get_record(connection: sa.Connection, run_id: str) -> RowsRecord:
    """Return the stored plan, digest, SQL, summary and engine of a run; an empty record where there is no such run."""
    row = connection.execute(_RECORD, {"run_id": run_id}).first()
    if row is None:
        return RowsRecord()
    return RowsRecord(
        None if row.plan is None else RunPlan.from_json(row.plan),
        None if row.digest is None else RowsDigest.from_json(row.digest),
        row.statement,
        None if row.summary is None else tuple(map(RowsSummary.from_json, row.summary)),
        row.engine or "",
    )


def set_summary(connection: sa.Connection, run_id: str, summary: Sequence[RowsSummary]) -> None:
    """Store the summary of each part of a run; without effect on a run that was stored without a plan."""
    connection.execute(_PLAN_OF_RUN, {"its_run": run_id, "summary": [part.to_json() for part in summary]})


def get_active(connection: sa.Connection, key: str) -> Run | None:
    """Return the active run with a key that blocks others with the same key, or None."""
    return _first_run(connection.execute(_ACTIVE_BY_KEY, {"wanted": key}))


def get(connection: sa.Connection, run_id: str, *seen: sa.ColumnElement[bool]) -> Run | None:
    """Return a run by its id, or None where no run has this id and meets the conditions."""
    return _first_run(connection.execute(_BY_ID.where(*seen) if seen else _BY_ID, {"run_id": run_id}))


def find_by_id_prefix(connection: sa.Connection, beginning: str, most: int) -> list[Run]:
    """Return runs whose ids start with a text, the newest first, at most `most`."""
    query = sa.select(run).where(run.c.id.startswith(beginning, autoescape=True)).order_by(run.c.created.desc())
    return _all_runs(connection.execute(query.limit(most)))


def get_with_switch(connection: sa.Connection, run_id: str, *seen: sa.ColumnElement[bool]) -> tuple[Run, bool] | None:
    """Return a run by its id and whether its report is switched off, in one query; None as `get` does."""
    query = _BY_ID_WITH_SWITCH.where(*seen) if seen else _BY_ID_WITH_SWITCH
    row = connection.execute(query, {"run_id": run_id}).mappings().first()
    return None if row is None else (_run(row), row["off"])


def is_running(connection: sa.Connection, claimed: Run) -> bool:
    """Return whether a run is still running on this attempt. Supervisors call this ten times a second for each run."""
    return connection.execute(_IS_RUNNING, _attempt_values(claimed)).first() is not None


def ended_since(connection: sa.Connection, since: datetime) -> list[Run]:
    """Return the runs that ended after a time, in the order of their ends."""
    query = sa.select(run).where(run.c.completed > since).order_by(run.c.completed)
    return _all_runs(connection.execute(query))


def newest_with_files(connection: sa.Connection, key: str, *seen: sa.ColumnElement[bool]) -> Run | None:
    """Return the run with a key that ended with files and reads the newest snapshot, or None."""
    ended = (RunState.SUCCEEDED.value, RunState.WARNED.value)
    # first by snapshot, whose numbers increase even where the clock was set back
    newest = run.c.snapshot.desc(), run.c.created.desc()
    query = sa.select(run).where(run.c.key == key, run.c.state.in_(ended), *seen).order_by(*newest)
    return _first_run(connection.execute(query.limit(1)))


def list_runs(
    connection: sa.Connection,
    chosen: sa.ColumnElement[bool],
    order: Sequence[sa.ColumnElement[Any]] = (run.c.created,),
    limit: int | None = None,
    offset: int = 0,
) -> list[Run]:
    """Return the runs that meet a condition, in an order, runs that sort equal by id.

    Args:
        limit: the largest number of runs; None for all.
        offset: the number of runs to skip, where there is a limit.
    """
    query = sa.select(run).order_by(*order, run.c.id)
    if limit is None:
        return _all_runs(connection.execute(query.where(chosen)))
    # sorted by id alone at first: a database would otherwise sort whole rows, of several kilobytes each
    page = sa.select(run.c.id).where(chosen).order_by(*order, run.c.id).limit(limit).offset(offset)
    return _all_runs(connection.execute(query.where(run.c.id.in_(page))))


def count(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> int:
    """Return the number of runs that meet a condition."""
    return connection.execute(sa.select(sa.func.count()).select_from(run).where(chosen)).scalar_one()


def launches_of(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> dict[str, set[tuple[str, str | None]]]:
    """Return the launches of the runs that meet a condition: run id to pairs of a launcher and the run's source."""
    query = sa.select(run_launch).join(run, run.c.id == run_launch.c.run).where(chosen)
    launches: dict[str, set[tuple[str, str | None]]] = {}
    for row in connection.execute(query):
        launches.setdefault(row.run, set()).add((row.launcher, row.source))
    return launches


def count_by_state(connection: sa.Connection) -> list[tuple[RunState, str, int]]:
    """Return the number of runs for each state and report type, as (state, report type, count)."""
    query = sa.select(run.c.state, run.c.report_type, sa.func.count()).group_by(run.c.state, run.c.report_type)
    return [(RunState(state), report_type, runs) for state, report_type, runs in connection.execute(query)]


def oldest_queued(connection: sa.Connection) -> datetime | None:
    """Return when the oldest queued run was requested; None if no run is queued."""
    oldest = sa.select(sa.func.min(run.c.created, type_=run.c.created.type))
    return connection.execute(oldest.where(run.c.state == RunState.QUEUED.value)).scalar_one()


@dataclass(frozen=True, slots=True)
class RetentionFacts:
    """The columns of a run that decide what retention may remove.

    Attributes:
        id: the run's id.
        is_over: whether the run is over.
        is_unheld: whether it is under no legal hold.
        files: its artifacts.
        messages: its messages.
    """

    id: str
    is_over: bool
    is_unheld: bool
    files: tuple[Artifact, ...]
    messages: tuple[Message, ...]


_KEPT = sa.select(run.c.id, _OVER.label("over"), _FREE.label("free"), run.c.artefacts, run.c.messages)


def get_retention_facts(connection: sa.Connection, run_id: str, *, lock: bool = False) -> RetentionFacts | None:
    """Return the retention facts of a run; None if there is no such run.

    Args:
        lock: whether to lock the row until the transaction ends, so that nobody else can hold or sweep the run.
    """
    row = connection.execute((_KEPT.with_for_update() if lock else _KEPT).where(run.c.id == run_id)).first()
    return None if row is None else _kept(row)


def list_retention_facts(connection: sa.Connection, *, since: datetime | None = None) -> list[RetentionFacts]:
    """Return the retention facts of the runs that are over, the oldest first.

    Args:
        since: restrict the result to runs that ended after this time or are under a legal hold.
    """
    query = _KEPT.where(_OVER).order_by(run.c.completed)
    if since is not None:
        query = query.where(sa.or_(run.c.completed > since, ~_FREE))
    return [_kept(row) for row in connection.execute(query)]


def list_expired(connection: sa.Connection, before: datetime) -> list[RetentionFacts]:
    """Return the retention facts of the runs that ended before a time and are under no legal hold, the oldest first."""
    query = _KEPT.where(_OVER, run.c.completed < before, _FREE).order_by(run.c.completed)
    return [_kept(row) for row in connection.execute(query)]


def has_created(connection: sa.Connection, since: datetime | None, before: datetime) -> bool:
    """Return whether any run was requested before a time and at or after `since` (None: at any time before)."""
    query = sa.select(run.c.id).where(run.c.created < before)
    if since is not None:
        query = query.where(run.c.created >= since)
    return connection.execute(query.limit(1)).first() is not None


def clear_artifacts(connection: sa.Connection, run_id: str, messages: tuple[Message, ...]) -> None:
    """Remove the artifacts from a run's row, and replace its messages. The caller must have locked the row."""
    values: dict[str, Any] = {"artefacts": [], "messages": _messages(messages)}
    connection.execute(sa.update(run).where(run.c.id == run_id).values(values))


def set_messages(connection: sa.Connection, run_id: str, messages: tuple[Message, ...]) -> None:
    """Replace the messages of a run. The caller must have locked the row."""
    connection.execute(sa.update(run).where(run.c.id == run_id).values(messages=_messages(messages)))


def remove(connection: sa.Connection, run_id: str) -> None:
    """Delete a run with its plan, launches and webhook messages. The caller must have locked the row."""
    webhook_messages.delete_messages_of_run(connection, run_id)
    connection.execute(sa.delete(run).where(run.c.id == run_id))


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run in the hands of a worker: running or being cancelled.

    Attributes:
        executor: the worker's id.
        attempt: the number of the attempt.
    """

    id: RunId
    executor: str | None
    attempt: int


def list_in_progress(connection: sa.Connection) -> list[HeldRun]:
    """Return all runs that are running or being cancelled."""
    query = sa.select(run.c.id, run.c.executor, run.c.attempt).where(run.c.state.in_(_HELD))
    return [HeldRun(RunId(row.id), row.executor, row.attempt) for row in connection.execute(query)]


def count_active_and_queued(connection: sa.Connection, launcher: str) -> tuple[int, int]:
    """Return the number of active runs of a launcher, given by name, and the number of queued runs of all.

    Takes a lock on this launcher until the transaction ends, so that concurrent requests cannot exceed a limit
    together.
    """
    locks.lock_transaction(connection, locks.launcher_lock(launcher))
    row = connection.execute(_ACTIVE_AND_QUEUED, {"started_by": launcher}).one()
    return row[0], row[1]


def claim(
    connection: sa.Connection, executor: str, most: int, *, over: int = -1, up_to: int | None = None
) -> list[Run]:
    """Claim queued runs for a worker, the oldest first, and return them as running. No two workers claim the same run.

    Claiming increments the attempt number of a run.

    Args:
        executor: the worker's id.
        most: the largest number of runs.
        over: only runs larger than this are claimed; see `Run.size`.
        up_to: the largest size of a run; None for no limit.
    """
    oldest, claim_oldest = _claim_statements(connection.dialect.name, up_to is not None)
    values = {"most": most, "over": over, "up_to": up_to}
    # usually nothing is queued: then SQLite's write lock, which there is one of, is not requested
    if connection.dialect.name == "sqlite" and connection.execute(oldest, values | {"most": 1}).first() is None:
        return []
    claimed = connection.execute(claim_oldest, values | {"worker": executor, "at": now()})
    return sorted(_all_runs(claimed), key=lambda claimed: (claimed.created, claimed.id))


@cache
def _claim_statements(dialect: str, limited: bool) -> tuple[sa.Select[tuple[str]], sa.UpdateBase]:
    """Return a query for the oldest queued runs, and the UPDATE that claims them; `limited`: up to a size."""
    in_lane = run.c.size > sa.bindparam("over"), *((run.c.size <= sa.bindparam("up_to"),) if limited else ())
    queue = sa.select(run.c.id).where(IS_QUEUED, *in_lane).order_by(run.c.created, run.c.id)
    oldest = queue.limit(sa.bindparam("most"))
    claim_oldest = (
        sa.update(run)
        .where(run.c.id.in_(claimable_keys(dialect, oldest)))
        .values(
            state=RunState.RUNNING.value,
            executor=sa.bindparam("worker"),
            attempt=run.c.attempt + 1,
            progress="Starting",
            percent=0,
            rows=None,
            launched=sa.func.coalesce(run.c.launched, sa.bindparam("at", type_=UTCDateTime)),
        )
        .returning(*run.columns)
    )
    return oldest, claim_oldest


def hand_back(connection: sa.Connection, claimed: Run) -> bool:
    """Put a running run back on the queue, because its worker shuts down; return False where it was not on this
    attempt.

    The attempt is not counted as lost.
    """
    queued = {"state": RunState.QUEUED.value, "executor": None, "progress": "Queued", "percent": 0}
    if not _update_running(connection, claimed, queued):
        return False
    _notify(connection)
    return True


def release(connection: sa.Connection, lost: HeldRun) -> RunState | None:
    """Take a run from a worker that died: put it back on the queue and count a lost attempt, or end it as cancelled
    where it was being cancelled. Return the new state; None, without a change, where it is not on that attempt any
    more."""
    attempt = (run.c.id == lost.id, run.c.executor.is_not_distinct_from(lost.executor), run.c.attempt == lost.attempt)
    running = sa.update(run).where(*attempt, run.c.state == RunState.RUNNING.value)
    requeued = running.values(
        state=RunState.QUEUED.value, executor=None, lost=run.c.lost + 1, progress="Queued", percent=0, rows=None
    )
    if connection.execute(requeued).rowcount:
        _notify(connection)
        return RunState.QUEUED
    cancelling = sa.update(run).where(*attempt, run.c.state == RunState.CANCELLING.value)
    return RunState.CANCELLED if _cancel(connection, cancelling) else None


def update_progress(connection: sa.Connection, claimed: Run, progress: str, percent: int, rows: int | None) -> None:
    """Update the progress of a run that is running on this attempt."""
    _update_running(connection, claimed, {"progress": progress, "percent": percent, "rows": rows})


def finish(
    connection: sa.Connection,
    claimed: Run,
    state: RunState,
    progress: str,
    rows: int | None,
    messages: Iterable[Message],
    artefacts: Iterable[Artifact] = (),
    phase_facts: Sequence[Mapping[str, Any]] = (),
    digest: RowsDigest | None = None,
    summary: Sequence[RowsSummary] | None = None,
    engine: str = "",
) -> bool:
    """End a run that is still running on this attempt, and return whether it has ended in this state.

    In the same transaction the digest and the summary of its rows and the engine are stored, webhook messages and the
    audit event are written, and its phases are added to the totals. A repeated call, after a commit whose response was
    lost, returns True and changes nothing. False where the run was cancelled or taken over.

    Args:
        claimed: the run as this worker claimed it, which identifies the attempt.
        state: SUCCEEDED, WARNED or FAILED.
        progress: the final progress text.
        rows: the number of rows of the report; None where it failed.
        messages: all messages of the run; they replace those that it has.
        artefacts: the finished files.
        phase_facts: see `phase_totals.add_phases`.
        digest: the digest of the rows; None where none was computed.
        summary: the summary of each part; None where none was computed.
        engine: the engine that executed it, with its version; empty where it failed.
    """
    values = {
        "state": state.value,
        "progress": progress,
        "rows": rows,
        "launched": claimed.launched,
        "completed": max(now(), claimed.launched or claimed.created),  # the clock may have been set back
        "messages": _messages(messages),
        "artefacts": [asdict(a) for a in artefacts],
    }
    if state is not RunState.FAILED:
        values["percent"] = 100
    if _update_running(connection, claimed, values):
        if digest is not None:
            recorded = {"its_run": claimed.id, "digest": digest.to_json(), "engine": engine}
            connection.execute(_PLAN_OF_RUN, recorded)
        if summary is not None:
            set_summary(connection, claimed.id, summary)
        _write_end_events(connection, claimed.id, engine)
        phase_totals.add_phases(connection, claimed.report_type, phase_facts)
        return True
    return has_ended(connection, claimed, state)


def has_ended(connection: sa.Connection, claimed: Run, *states: RunState) -> bool:
    """Return whether a run has ended in one of these states on this attempt."""
    values = [state.value for state in states]
    query = sa.select(run.c.id).where(*_attempt(claimed), run.c.state.in_(values))
    return connection.execute(query).first() is not None


def add_artifact(connection: sa.Connection, run_id: str, new: Artifact, messages: Iterable[Message]) -> Artifact:
    """Add a file that was rendered after the run had ended, with messages about it, and return it. Where the run has a
    file in this format already, change nothing and return that file."""
    query = sa.select(run.c.artefacts, run.c.messages).where(run.c.id == run_id).with_for_update()
    old_artefacts: list[dict[str, Any]]
    old_messages: list[dict[str, Any]]
    old_artefacts, old_messages = connection.execute(query).one()
    for artefact in old_artefacts:
        if artefact["format"] == new.format:
            return Artifact(**artefact)
    values = {"artefacts": [*old_artefacts, asdict(new)], "messages": [*old_messages, *_messages(messages)]}
    connection.execute(sa.update(run).where(run.c.id == run_id).values(values))
    return new


def request_cancel(connection: sa.Connection, run_id: str, by: audit.Actor = SYSTEM) -> None:
    """Cancel a queued run at once, or mark a running one as being cancelled; its supervisor then ends the child. No
    effect on a run in any other state.

    Args:
        by: the actor for the audit log.
    """
    queued = sa.update(run).where(run.c.id == run_id, run.c.state == RunState.QUEUED.value)
    _cancel(connection, queued, by)
    running = sa.update(run).where(run.c.id == run_id, run.c.state == RunState.RUNNING.value)
    if connection.execute(running.values(state=RunState.CANCELLING.value, progress="Cancelling")).rowcount:
        audit.write_event(connection, audit_events.run_cancelled(_get_existing(connection, run_id), by))


def confirm_cancelled(connection: sa.Connection, claimed: Run) -> None:
    """End a run that is being cancelled on this attempt. Call it once the child process has ended."""
    _cancel(connection, sa.update(run).where(*_attempt(claimed), run.c.state == RunState.CANCELLING.value))


def is_report_disabled(connection: sa.Connection, report_type: str) -> bool:
    """Return whether a report is switched off."""
    return connection.execute(_SWITCH, {"wanted": report_type}).first() is not None


def switch_report(connection: sa.Connection, report_type: str, off: bool) -> None:
    """Switch a report off or on."""
    connection.execute(sa.delete(report_switch).where(report_switch.c.report_type == report_type))
    if off:
        connection.execute(sa.insert(report_switch).values(report_type=report_type))


def _notify(connection: sa.Connection) -> None:
    """Notify workers, when this transaction is committed, that it has queued a run. Only on PostgreSQL; see `queue`."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {NOTIFY_CHANNEL}")


def _write_end_events(connection: sa.Connection, run_id: str, engine: str = "") -> None:
    """Write the webhook messages and the audit event of a run that has ended; see `finish` for `engine`."""
    webhook_messages.insert_messages(connection, run, run_id)
    audit.write_event(connection, audit_events.run_ended(_get_existing(connection, run_id), engine))


def _get_existing(connection: sa.Connection, run_id: str) -> Run:
    existing = get(connection, run_id)
    assert existing is not None, "this transaction has updated its row"
    return existing


def _attempt(claimed: Run) -> tuple[sa.ColumnElement[bool], ...]:
    return run.c.id == claimed.id, run.c.attempt == claimed.attempt, run.c.executor == claimed.executor


def _attempt_values(claimed: Run) -> dict[str, Any]:
    """Return the parameters of `_ON_ATTEMPT`."""
    return {"its_id": claimed.id, "its_attempt": claimed.attempt, "its_executor": claimed.executor}


def _update_running(connection: sa.Connection, claimed: Run, values: Mapping[str, Any]) -> bool:
    """Update columns of a run that is running on this attempt, and return whether it is."""
    return connection.execute(_RUNNING, {**_attempt_values(claimed), **values}).rowcount == 1


def _cancel(connection: sa.Connection, wanted: sa.Update, by: audit.Actor | None = None) -> bool:
    """Complete an UPDATE so that it ends its runs as cancelled, execute it, and write the events of each run. Return
    whether there was one.

    Args:
        wanted: an UPDATE with its conditions and without values.
        by: who cancelled a queued run, for the audit log; None where the event was written when it was requested.
    """
    ended = wanted.values(
        state=RunState.CANCELLED.value, completed=now(), progress="Cancelled", rows=None, artefacts=[]
    ).returning(run.c.id)
    ids = connection.execute(ended).scalars().all()
    for run_id in ids:
        if by is not None:
            audit.write_event(connection, audit_events.run_cancelled(_get_existing(connection, run_id), by))
        _write_end_events(connection, run_id)
    return bool(ids)


def _messages(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"level": message.level.value, "key": message.key, "text": message.text} for message in messages]


def _read_messages(stored: Iterable[Mapping[str, str]]) -> tuple[Message, ...]:
    return tuple(Message(MessageLevel(message["level"]), message["key"], message["text"]) for message in stored)


_FIELDS = tuple(column.name for column in run.columns if column.name not in ("single_flight", "statement"))


def _kept(row: Any) -> RetentionFacts:
    files = tuple(Artifact(**artefact) for artefact in row.artefacts)
    return RetentionFacts(row.id, bool(row.over), bool(row.free), files, _read_messages(row.messages))


def _all_runs(result: sa.CursorResult[Any]) -> list[Run]:
    return [_run(row) for row in result.mappings()]


def _first_run(result: sa.CursorResult[Any]) -> Run | None:
    row = result.mappings().first()
    return None if row is None else _run(row)


def _run(row: sa.RowMapping) -> Run:
    fields: dict[str, Any] = {name: row[name] for name in _FIELDS}
    fields["state"] = RunState(fields["state"])
    fields["formats"] = tuple(fields["formats"])
    fields["messages"] = _read_messages(fields["messages"])
    fields["artefacts"] = tuple(Artifact(**artefact) for artefact in fields["artefacts"])
    return Run(**fields)


def canonical_json(value: Any) -> str:
    """Return a value as canonical JSON: equal values give equal texts (sorted keys, no white space, no escapes)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
