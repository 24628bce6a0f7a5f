"""The layout of the database: from any version to this one, once, whoever else starts at the same time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

import whohas.services  # noqa: F401 - it brings every table, which is what is compared
from factories import publish
from processes import python
from support import ROOT, environment, result_when_over, serving
from whohas import migrations
from whohas.database import connect, metadata
from whohas.errors import Unavailable
from whohas.warehouse.store import Warehouse

FIRST = ROOT / "tests" / "migrations" / "0.1.0.sql"
"""A database that version 0.1.0 made: a run in each state but WARNED, one client, one report switched off."""
SOURCES = [{"id": "s", "name": "S", "accountAttributes": []}]
ACCOUNTS = [{"id": "a", "nativeIdentity": "a", "name": "a", "sourceId": "s", "correlated": False, "attributes": []}]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """As the fixture of all tests, but without any tables."""
    return request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else ""


@pytest.fixture
def database(home: Path, database_url: str) -> sa.Engine:
    return connect(database_url or f"sqlite:///{home / 'whohas.db'}")


@pytest.fixture
def first_home(home: Path) -> Path:
    """A home folder as 0.1.0 left it when it was killed."""
    home.mkdir()
    made = sqlite3.connect(home / "whohas.db")
    made.executescript(FIRST.read_text())
    made.close()
    publish(Warehouse(home / "warehouse"), SOURCES, ACCOUNTS)
    return home


def states(home: Path) -> dict[str, tuple[str, str]]:
    rows = sqlite3.connect(home / "whohas.db").execute("SELECT state, id, report_type FROM run").fetchall()
    return {state: (run_id, report) for state, run_id, report in rows}


def test_the_steps_come_to_the_tables_that_the_code_has(home: Path, database: sa.Engine) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    home.mkdir()
    migrations.upgrade(database)
    with database.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        assert context.get_current_revision() == migrations.HEAD
    assert migrations.script().get_current_head() == migrations.HEAD


def test_a_layout_from_a_newer_version_is_an_error_that_says_what_to_do(home: Path, database: sa.Engine) -> None:
    home.mkdir()
    migrations.upgrade(database)
    with database.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Unavailable, match="step 9999, which this whohas does not know"):
        migrations.upgrade(database)


def test_many_processes_may_be_the_first_at_once(
    home: Path, tmp_path: Path, database_url: str, database: sa.Engine
) -> None:
    script = "from whohas.services import open_services as o; from whohas.settings import load_settings as l\nwith o(l()): pass"
    env = environment(home, WHOHAS_DATABASE_URL=database_url)
    with (tmp_path / "log").open("w") as log:
        starters = [python("-c", script, env=env, stdout=log, stderr=log) for _ in range(6)]
        ends = [starter.wait(120) for starter in starters]
    assert ends == [0] * 6, (tmp_path / "log").read_text()
    with database.connect() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [
            migrations.HEAD
        ]


def test_a_step_that_fails_leaves_the_layout_as_it_was(first_home: Path) -> None:
    database = connect(f"sqlite:///{first_home / 'whohas.db'}")
    with database.begin() as connection:
        connection.execute(sa.text("CREATE TABLE worker (in_the_way TEXT)"))
    with pytest.raises(OperationalError):
        migrations.upgrade(database)
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
