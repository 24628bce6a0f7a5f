"""The layout of the database: from any version to this one, once, whoever else starts at the same time."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

import whohas.services  # noqa: F401 - it brings every table, which is what is compared
from factories import publish
from patience import PATIENCE_SECONDS, until
from postgres import Postgres
from processes import python
from support import ROOT, environment, result_when_over, serving
from whohas.db import migrations
from whohas.db.engine import create_engine, metadata
from whohas.errors import Unavailable
from whohas.execution.lease import worker_table
from whohas.execution.legacy_jobs import remove_job_tables
from whohas.runs import repository
from whohas.warehouse.store import Warehouse

FIRST = ROOT / "tests" / "migrations" / "0.1.0.sql"
"""A database that version 0.1.0 made: a run in each state but WARNED, one client, one report switched off."""
BEFORE = ROOT / "tests" / "migrations" / "0005.sql"
BEFORE_POSTGRESQL = ROOT / "tests" / "migrations" / "0005-postgresql.sql"
"""Databases of the last version that kept jobs for DBOS, left by kill -9: a run that succeeded, one in progress, one
being cancelled, and four that wait, two in each lane."""
SOURCES = [{"id": "s", "name": "S", "accountAttributes": []}]
ACCOUNTS = [{"id": "a", "nativeIdentity": "a", "name": "a", "sourceId": "s", "correlated": False, "attributes": []}]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """As the fixture of all tests, but without any tables."""
    return request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else ""


@pytest.fixture
def database(home: Path, database_url: str) -> sa.Engine:
    return create_engine(database_url or f"sqlite:///{home / 'whohas.db'}")


@pytest.fixture
def first_home(home: Path) -> Path:
    """A home folder as 0.1.0 left it when it was killed."""
    home.mkdir()
    made = sqlite3.connect(home / "whohas.db")
    made.executescript(FIRST.read_text())
    made.close()
    publish(Warehouse(home / "warehouse"), SOURCES, ACCOUNTS)
    return home


def load(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(BEFORE_POSTGRESQL.read_bytes())


@pytest.fixture
def postgresql_before(postgres: Postgres) -> str:
    """A database on PostgreSQL as the last version with DBOS left it."""
    url = postgres.new_database()
    load(url)
    return url


@pytest.fixture
def home_before(home: Path, database_url: str) -> Path:
    """A home folder as the last version with DBOS left it when it was killed."""
    publish(Warehouse(home / "warehouse"), SOURCES, ACCOUNTS)
    if database_url:
        load(database_url)
    else:
        made = sqlite3.connect(home / "whohas.db")
        made.executescript(BEFORE.read_text())
        made.close()
    return home


def job_tables(database: sa.Engine) -> list[str]:
    """The tables of DBOS that are there."""
    there = sa.inspect(database)
    if database.dialect.name == "postgresql":
        return there.get_table_names(schema="dbos") if "dbos" in there.get_schema_names() else []
    ours = {*metadata.tables, "alembic_version"}
    return [name for name in there.get_table_names() if name not in ours]


def states(home: Path) -> dict[str, tuple[str, str]]:
    rows = sqlite3.connect(home / "whohas.db").execute("SELECT state, id, report_type FROM run").fetchall()
    return {state: (run_id, report) for state, run_id, report in rows}


def test_the_steps_come_to_the_tables_that_the_code_has(home: Path, database: sa.Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    home.mkdir()
    migrations.upgrade_schema(database)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == migrations.HEAD
    assert migrations.migration_scripts().get_current_head() == migrations.HEAD


def test_a_layout_of_a_newer_version_is_an_error(home: Path, database: sa.Engine) -> None:
    home.mkdir()
    migrations.upgrade_schema(database)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="step 9999, which this whohas does not know"):
        migrations.upgrade_schema(database)


def test_many_processes_may_be_the_first_at_once(
    home: Path, tmp_path: Path, database_url: str, database: sa.Engine
) -> None:
    script = "from whohas.services import open_services as o; from whohas.settings import load_settings as l\nwith o(l()): pass"
    env = environment(home, WHOHAS_DATABASE_URL=database_url)
    with (tmp_path / "log").open("w") as log:
        starters = [python("-c", script, env=env, stdout=log, stderr=log) for _ in range(6)]
        ends = [starter.wait(PATIENCE_SECONDS) for starter in starters]
    assert ends == [0] * 6, (tmp_path / "log").read_text()
    with database.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [
            migrations.HEAD
        ]


def test_a_step_that_fails_leaves_the_layout_as_it_was(first_home: Path) -> None:
    database = create_engine(f"sqlite:///{first_home / 'whohas.db'}")
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE worker (in_the_way TEXT)"))
    with pytest.raises(OperationalError):
        migrations.upgrade_schema(database)
    there = sa.inspect(database)
    assert not there.has_table("alembic_version")
    assert "executor" not in {column["name"] for column in there.get_columns("run")}


def test_this_version_takes_over_what_the_first_one_left(first_home: Path) -> None:
    before = states(first_home)
    assert set(before) == {"succeeded", "running", "queued", "cancelling", "cancelled"}
    with serving(first_home) as server, server.http() as http:
        for state, status in {
            "succeeded": "SUCCESS", "running": "SUCCESS", "queued": "SUCCESS",
            "cancelling": "TERMINATED", "cancelled": "TERMINATED",
        }.items():  # fmt: skip
            run_id, _ = before[state]
            result = result_when_over(http, run_id)
            assert result["status"] == status, state
            late = any(message["key"] == "plan.late" for message in result["messages"])
            assert late == (state in ("running", "queued")), state
        file = http.get(f"/v2025/reports/{before['running'][0]}", params={"fileFormat": "csv"})
        assert file.text.splitlines()[1].startswith("a,a,a,s,S")
        body = {"reportType": "IDENTITY_PROFILE_IDENTITY_ERROR", "arguments": {"authoritativeSource": "s"}}
        assert "switched off" in http.post("/v2025/reports/run", json=body).json()["messages"][0]["text"]
    assert job_tables(create_engine(f"sqlite:///{first_home / 'whohas.db'}")) == []


def test_runs_of_the_version_with_dbos_go_on(home_before: Path, database_url: str, database: sa.Engine) -> None:
    with database.connect() as connection:
        rows = connection.execute(sa.text("SELECT id, state FROM run")).all()
    assert Counter(state for _, state in rows) == {"succeeded": 1, "running": 1, "cancelling": 1, "queued": 4}
    assert "workflow_status" in job_tables(database)
    database.dispose()
    with serving(home_before, WHOHAS_DATABASE_URL=database_url) as server, server.http() as http:
        for run_id, state in rows:
            status = "TERMINATED" if state == "cancelling" else "SUCCESS"
            assert result_when_over(http, run_id)["status"] == status, state
    with database.connect() as connection:
        query = sa.text("SELECT state, attempt, lost FROM run WHERE state = 'succeeded' ORDER BY attempt")
        assert [tuple(row) for row in connection.execute(query)] == [*[("succeeded", 1, 0)] * 5, ("succeeded", 2, 1)]
    assert job_tables(database) == []


def test_job_tables_stay_where_another_application_uses_them(home_before: Path, database: sa.Engine) -> None:
    status = "dbos.workflow_status" if database.dialect.name == "postgresql" else "workflow_status"
    with database.begin() as connection:
        connection.execute(sa.text(f"UPDATE {status} SET application_name = 'shop' WHERE status = 'SUCCESS'"))
    before = job_tables(database)
    remove_job_tables(database)
    assert before and job_tables(database) == before


def test_job_tables_stay_while_another_process_is_connected(postgresql_before: str) -> None:
    database, other = create_engine(postgresql_before), create_engine(postgresql_before)
    with other.connect():
        remove_job_tables(database)
        assert "workflow_status" in job_tables(database)
    other.dispose()
    until(lambda: not (remove_job_tables(database) or job_tables(database)))


def test_job_tables_in_use_are_left_for_the_next_start(postgresql_before: str) -> None:
    database = create_engine(postgresql_before)
    with psycopg.connect(postgresql_before) as reader:
        reader.execute("SELECT * FROM dbos.workflow_status")
        remove_job_tables(database)
    assert "workflow_status" in job_tables(database)


def test_events_that_old_workers_repeated_are_a_view(home_before: Path, database: sa.Engine) -> None:
    with database.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM worker_beat")).scalar_one() == 1
    migrations.upgrade_schema(database)
    there = sa.inspect(database)
    assert (there.has_table("worker_beat"), there.get_view_names()) == (True, ["worker_beat"])
    with database.begin() as connection:
        at = repository.now()
        new = {"executor": "e" * 32, "host": "h", "process": 1, "started": at, "seen": at}
        connection.execute(sa.insert(worker_table).values(new))
        ids = connection.execute(sa.text("SELECT id FROM worker_beat ORDER BY seen DESC")).scalars().all()
    assert ids[0] == "e" * 32
