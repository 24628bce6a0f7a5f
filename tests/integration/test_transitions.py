"""Every way that a run can go is in `TRANSITIONS`, and the statements of the table take those ways and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ready import ready
from whohas.db.engine import create_engine
from whohas.runs import repository
from whohas.runs.models import TRANSITIONS, Run, RunId, RunState
from whohas.runs.webhook_messages import webhook_message_table, webhook_table

ME = "e" * 32
ENDS = (RunState.SUCCEEDED, RunState.WARNED, RunState.FAILED)

Statement = Callable[[sa.Connection, Run], Any]


def ending(state: RunState) -> Statement:
    return lambda connection, run: repository.finish(connection, run, state, "Over", 1, ())


STATEMENTS: list[tuple[str, Statement]] = [
    ("claim", lambda connection, run: repository.claim(connection, ME, 1)),
    ("hand_back", repository.hand_back),
    ("release", lambda connection, run: repository.release(connection, held(run))),
    ("request_cancel", lambda connection, run: repository.request_cancel(connection, run.id)),
    ("confirm_cancelled", repository.confirm_cancelled),
    ("note_progress", lambda connection, run: repository.update_progress(connection, run, "Extracting", 5, 1)),
    *(("finish", ending(state)) for state in ENDS),
]


def held(run: Run) -> repository.HeldRun:
    return repository.HeldRun(run.id, run.executor, run.attempt)


def a_run(state: RunState) -> Run:
    return Run(
        id=RunId("0" * 32), report_type="ACCOUNTS", report_name="Accounts Report", description="", arguments={},
        key="k", attributes={}, state=state, snapshot=1, launcher="tester", created=repository.now(), launched=None,
        completed=None, rows=None, progress="", percent=0, attempt=1, formats=("csv",), messages=(), artefacts=(),
        executor=ME,
    )  # fmt: skip


@pytest.fixture
def database(home: Path, database_url: str) -> sa.Engine:
    return create_engine(database_url or f"sqlite:///{ready(home) / 'whohas.db'}")


def after(database: sa.Engine, before: RunState, statement: Statement, run: Run | None = None) -> RunState:
    """The state of a run after a statement on it."""
    with database.connect() as connection:
        kept = a_run(before)
        assert repository.insert(connection, kept, single_flight=True)
        statement(connection, run or kept)
        now = repository.get(connection, kept.id)
        connection.rollback()
    assert now is not None
    return now.state


def test_statements_use_exactly_the_declared_transitions(database: sa.Engine) -> None:
    taken = {(None, RunState.QUEUED, "insert")}
    for state in RunState:
        for name, statement in STATEMENTS:
            then = after(database, state, statement)
            if then is not state:
                taken.add((state, then, name))
    assert taken == {(way.before, way.after, way.statement) for way in TRANSITIONS}


def test_a_webhook_gets_one_message_for_each_end_of_run(database: sa.Engine) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.insert(webhook_table).values(
                id="h" * 32, url="https://example.com", created=repository.now(), disabled=""
            )
        )
    for state in RunState:
        for name, statement in STATEMENTS:
            with database.connect() as connection:
                kept = a_run(state)
                repository.insert(connection, kept, single_flight=True)
                for _ in range(2):
                    statement(connection, kept)
                then = repository.get(connection, kept.id)
                told = connection.execute(sa.select(sa.func.count()).select_from(webhook_message_table)).scalar_one()
                connection.rollback()
            assert then is not None
            assert told == (1 if then.state.is_over and not state.is_over else 0), (state, name)


def test_nothing_leaves_a_run_that_is_over(database: sa.Engine) -> None:
    assert not [way for way in TRANSITIONS if way.before is not None and way.before.is_over]


@pytest.mark.parametrize("lost", [{"attempt": 0}, {"executor": "f" * 32}], ids=["earlier attempt", "other worker"])
def test_an_attempt_that_lost_its_run_changes_nothing(database: sa.Engine, lost: dict[str, Any]) -> None:
    for state in RunState:
        stale = replace(a_run(state), **lost)
        for name, statement in STATEMENTS:
            if name not in ("claim", "request_cancel"):  # these are nobody's attempt
                assert after(database, state, statement, stale) is state, name


def test_an_end_whose_answer_was_lost_may_be_written_again(database: sa.Engine) -> None:
    run = a_run(RunState.RUNNING)
    with database.begin() as connection:
        repository.insert(connection, run, single_flight=True)
    for _ in range(2):
        with database.begin() as connection:
            assert repository.finish(connection, run, RunState.SUCCEEDED, "Done", 1, ())
    with database.begin() as connection:
        assert not repository.finish(connection, run, RunState.FAILED, "Failed", None, ())


def test_a_run_holds_its_key_until_it_is_over(database: sa.Engine) -> None:
    for state in RunState:
        with database.connect() as connection:
            repository.insert(connection, a_run(state), single_flight=True)
            same = replace(a_run(RunState.QUEUED), id=RunId("1" * 32))
            assert repository.insert(connection, same, single_flight=True) is state.is_over
            connection.rollback()
