"""Schedules: kept, due, missed, claimed by one of many, and what people do with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from patience import until
from support import Server, serving, whohas
from whohas.db.engine import create_engine
from whohas.runs.models import Run
from whohas.runs.repository import now
from whohas.runs.service import PlannedRun, Runs
from whohas.runs.tables import run
from whohas.schedules.service import schedule
from whohas.services import Services, open_services
from whohas.settings import Settings

SERVERS = 4
DUE = 12
PATH = "/whohas/schedules"


@pytest.fixture
def services(own_home: Path, database_url: str) -> Iterator[Services]:
    with open_services(Settings(home=own_home, database_url=database_url or None)) as opened:
        yield opened


def make_due(database: sa.Engine, **values: Any) -> None:
    """Every schedule was due an hour ago, as after an outage."""
    with database.begin() as connection:
        connection.execute(sa.update(schedule).values({"next_at": now() - timedelta(hours=1), **values}))


def add(services: Services, name: str = "all", **other: Any) -> None:
    given = {"report_type": "IDENTITIES", "arguments": {}, "cron": "*/5 * * * *", "time_zone": "UTC", "launcher": "ann"}
    services.schedules.add(name, **{**given, **other})


def runs_of(services: Services) -> list[tuple[str, str]]:
    with services.database.connect() as connection:
        return [(row.report_type, row.launcher) for row in connection.execute(sa.select(run))]


def test_what_is_not_due_starts_nothing(services: Services) -> None:
    add(services)
    assert services.schedules.start_due() == 0
    assert runs_of(services) == []


def test_missed_times_are_made_up_for_once(services: Services) -> None:
    add(services)
    make_due(services.database)
    assert [services.schedules.start_due() for _ in range(3)] == [1, 0, 0]
    assert runs_of(services) == [("IDENTITIES", "ann")]
    one = services.schedules.get("all")
    assert now() < one.next_at <= now() + timedelta(minutes=5)
    made = services.runs.get(one.last_run or "")
    assert made.attributes["schedule"] == "all"
    assert one.last_error == ""


def test_many_servers_start_each_due_schedule_once(own_home: Path) -> None:
    settings = Settings(home=own_home, concurrent_reports=("IDENTITIES",))  # single flight would hide a second start
    with ExitStack() as stack:
        servers = [stack.enter_context(open_services(settings)) for _ in range(SERVERS)]
        for number in range(DUE):
            add(servers[0], f"number {number}")
        make_due(servers[0].database)
        with ThreadPoolExecutor(SERVERS) as pool:
            fired = list(pool.map(lambda server: server.schedules.start_due(), servers))
        assert sum(fired) == DUE
        assert len(runs_of(servers[0])) == DUE
        assert len({one.last_run for one in servers[0].schedules.list()}) == DUE


def test_a_running_report_is_not_started_a_second_time(services: Services) -> None:
    add(services)
    make_due(services.database)
    assert services.schedules.start_due() == 1
    first = services.schedules.get("all").last_run
    make_due(services.database)
    assert services.schedules.start_due() == 1
    assert services.schedules.get("all").last_run == first
    assert len(runs_of(services)) == 1


def test_a_schedule_that_cannot_start_says_why_and_goes_on(services: Services) -> None:
    add(services)
    services.runs.switch_report("IDENTITIES", off=True)
    make_due(services.database)
    assert services.schedules.start_due() == 1
    one = services.schedules.get("all")
    assert "switched off" in one.last_error and one.last_run is None and one.next_at > now()
    services.runs.switch_report("IDENTITIES", off=False)
    make_due(services.database)
    services.schedules.start_due()
    assert services.schedules.get("all").last_error == ""
    assert len(runs_of(services)) == 1


def test_a_removed_zone_pauses_its_schedule_and_no_other(services: Services) -> None:
    add(services, "gone")
    add(services, "there")
    make_due(services.database)
    with services.database.begin() as connection:
        connection.execute(sa.update(schedule).where(schedule.c.name == "gone").values(time_zone="Europe/Atlantis"))
    assert services.schedules.start_due() == 1
    gone = services.schedules.get("gone")
    assert gone.paused and "Atlantis" in gone.last_error


def test_what_passed_in_a_pause_is_not_made_up_for(services: Services) -> None:
    add(services)
    services.schedules.change("all", {"paused": True})
    make_due(services.database)
    assert services.schedules.start_due() == 0
    services.schedules.change("all", {"paused": False})
    assert services.schedules.start_due() == 0
    assert runs_of(services) == []


def test_a_start_that_fails_midway_leaves_its_time_due(services: Services) -> None:
    add(services)
    make_due(services.database)

    class Broken(Runs):
        def insert(self, *given: Any) -> Run | None:
            super().insert(*given)
            raise RuntimeError("the database is away")

    parts = {name: getattr(services.runs, name) for name in services.runs.__dataclass_fields__}
    broken = services.schedules.__class__(services.database, Broken(**parts))
    with pytest.raises(RuntimeError):
        broken.start_due()
    assert runs_of(services) == []
    assert services.schedules.start_due() == 1
    assert len(runs_of(services)) == 1


def test_a_schedule_changed_while_it_is_planned_runs_as_changed(services: Services) -> None:
    add(services)
    make_due(services.database)
    new = {"selectedFormats": ["NDJSON"]}

    class Slow(Runs):
        def plan(self, *given: Any) -> PlannedRun:
            planned = super().plan(*given)
            services.schedules.change("all", {"arguments": new})
            return planned

    parts = {name: getattr(services.runs, name) for name in services.runs.__dataclass_fields__}
    slow = services.schedules.__class__(services.database, Slow(**parts))
    assert slow.start_due() == 0
    assert runs_of(services) == []
    assert services.schedules.start_due() == 1
    assert services.runs.get(services.schedules.get("all").last_run or "").formats == ("ndjson",)


def test_after_an_outage_the_server_starts_what_was_missed(own_home: Path) -> None:
    made = whohas(own_home, "schedule", "add", "crm", "0 3 * * *", "ACCOUNTS", "-a", "sourceName=Nimbus CRM",
                  "--zone", "Europe/Berlin", "--launcher", "ann")  # fmt: skip
    assert made.returncode == 0, made.stderr
    database = create_engine(f"sqlite:///{own_home / 'whohas.db'}")
    make_due(database)
    database.dispose()
    with serving(own_home) as server, server.http() as http:
        tasks = until(lambda: http.get("/v2025/task-status?filters=completionStatus pr").json())
        (task,) = tasks
        assert (task["uniqueName"], task["launcher"]) == ("Accounts Report", "ann")
        assert task["attributes"]["schedule"] == "crm"
        answer = http.get("/whohas/schedules/crm").json()
        assert (answer["lastRun"], answer["lastError"], answer["timeZone"]) == (task["id"], None, "Europe/Berlin")


def test_the_command_line_makes_shows_pauses_runs_and_removes(own_home: Path) -> None:
    assert "No schedule yet" in whohas(own_home, "schedule", "list").stdout
    add = ("schedule", "add", "weekly", "0 6 * * MON", "IDENTITIES")
    assert whohas(own_home, *add).stdout.startswith("weekly runs IDENTITIES next at ")
    assert "already" in whohas(own_home, *add).stderr
    assert "five fields" in whohas(own_home, "schedule", "add", "bad", "* *", "IDENTITIES").stderr
    unknown = whohas(own_home, "schedule", "add", "bad", "* * * * *", "ACCOUNTS", "-a", "sourceName=Nope")
    assert unknown.returncode == 1 and "no source named 'Nope'" in unknown.stderr
    assert "0 6 * * MON" in whohas(own_home, "schedule", "list").stdout
    assert whohas(own_home, "schedule", "pause", "weekly").stdout == "weekly is paused.\n"
    assert "Next:      paused" in whohas(own_home, "schedule", "show", "weekly").stdout
    assert "queued" in whohas(own_home, "schedule", "run", "weekly").stdout
    assert whohas(own_home, "schedule", "resume", "weekly").stdout.startswith("weekly runs next at ")
    assert "Last run:" in whohas(own_home, "schedule", "show", "weekly").stdout
    assert whohas(own_home, "schedule", "remove", "weekly").stdout == "weekly is removed.\n"
    assert "no schedule 'weekly'" in whohas(own_home, "schedule", "show", "weekly").stderr


def test_schedules_over_http(server: Server, acme_home: Path) -> None:
    with server.http() as http:
        body = {"name": "over http", "reportType": "IDENTITIES", "cron": "0 6 * * MON", "timeZone": "Europe/Berlin"}
        made = http.post(PATH, json=body)
        assert made.status_code == 201, made.text
        one = made.json()
        assert (one["launcher"], one["paused"], one["lastRun"]) == ("dev", False, None)
        assert made.headers["Location"] == f"{PATH}/{one['id']}"
        assert http.get(f"{PATH}/{one['id']}").json() == one
        assert one in http.get(PATH).json()
        assert http.post(PATH, json=body).status_code == 409
        paused = http.patch(f"{PATH}/{one['id']}", json={"paused": True, "name": "renamed"}).json()
        assert (paused["paused"], paused["next"], paused["name"]) == (True, None, "renamed")
        started = http.post(f"{PATH}/{one['id']}/run").json()
        assert started["attributes"]["schedule"] == "renamed"
        assert http.get(f"{PATH}/{one['id']}").json()["lastRun"] == started["id"]
        for wrong, says in (
            ({**body, "name": " "}, "a name"),
            ({**body, "name": "x", "cron": "nope"}, "five fields"),
            ({**body, "name": "x", "timeZone": "Nowhere"}, "no time zone"),
            ({**body, "name": "x", "reportType": "NONE"}, "NONE"),
            ({**body, "name": "x", "extra": 1}, "extra"),
            ({**body, "name": 7}, "name"),
            ({}, "reportType"),
        ):
            refused = http.post(PATH, json=wrong)
            assert refused.status_code == 400, wrong
            assert says in refused.json()["messages"][0]["text"]
        assert http.patch(f"{PATH}/{one['id']}", json={"cron": "99 * * * *"}).status_code == 400
        assert http.delete(f"{PATH}/{one['id']}").status_code == 204
        assert http.delete(f"{PATH}/{one['id']}").status_code == 404
    reader = whohas(acme_home, "client", "create", "schedule reader", "--level", "ORG_ADMIN", "--json")
    facts = json.loads(reader.stdout)
    limited = Server(server.process, acme_home, server.url, facts["id"], facts["secret"], server.log)
    with limited.http() as http:
        assert http.get(PATH).status_code == 200
        assert http.post(PATH, json=body).status_code == 403
