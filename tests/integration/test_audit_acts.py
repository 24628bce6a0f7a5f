"""Each act has its event, one; what was refused or undone has none of an act."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

import asking
from auditing import lines, outbox, settle, types
from factories import publish
from patience import until
from ready import ready
from support import Server, result_when_over, serving, whohas
from whohas.audit import Actor, EventType
from whohas.auth import Caller, session_caller
from whohas.auth.users import person_table
from whohas.errors import WhohasError
from whohas.execution.processes import ForkServer
from whohas.ingest import LoadReport, Loss
from whohas.runs import tables
from whohas.runs.service import Runs
from whohas.services import Services, open_services
from whohas.settings import Settings
from whohas.warehouse.audit_events import emit_stopped_load_event, tell_loads
from whohas.warehouse.store import Warehouse

SOURCES = [{"id": "s", "name": "S", "accountAttributes": []}]
ACCOUNTS = [{"id": "a", "nativeIdentity": "a", "name": "a", "sourceId": "s", "correlated": False, "attributes": []}]
START = {"reportType": "ACCOUNTS", "arguments": {"application": "s", "selectedFormats": ["CSV"]}}
ME = Actor("operator", "ann", address="here")


@pytest.fixture
def services(home: Path, database_url: str, fork_server: ForkServer) -> Iterator[Services]:
    ready(home)
    with open_services(Settings(home=home, database_url=database_url or None, keep_files_days=1)) as services:
        services.on_demand.children.fork_server = fork_server
        publish(services.warehouse, SOURCES, ACCOUNTS)
        tell_loads(services.warehouse, services.database)
        services.relay.flush()
        yield services


Act = Callable[[Services], object]
Seen = list[dict[str, Any]]


def told(services: Services, act: Act) -> Seen:
    """The events that an act adds."""
    services.relay.flush()
    before = len(lines(services.settings.audit_log_path))
    with suppress(WhohasError):
        act(services)
    services.relay.flush()
    return lines(services.settings.audit_log_path)[before:]


def start(services: Services) -> str:
    return services.runs.start("ACCOUNTS", {"application": "s", "selectedFormats": ["CSV"]}, "ann", by=ME).id


def over(services: Services) -> str:
    run_id = start(services)
    with services.runs.working():
        until(lambda: services.runs.get(run_id).state.is_over)
    return run_id


def cancelled(services: Services) -> str:
    run_id = start(services)
    services.runs.cancel(run_id, by=ME)
    return run_id


def download(services: Services, run_id: str, format: str) -> None:
    run, artefact = services.runs.get_artifact(run_id, format)
    services.runs.record_download(run, artefact, ME, "accounts.csv")


def hand_out_address(services: Services, run_id: str) -> None:
    run, artefact = services.runs.get_artifact(run_id, "csv")
    services.runs.record_address(run, artefact, ME, "accounts.csv")


def a_client(services: Services) -> str:
    return services.access.clients.create("script", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client.id


def revoked(services: Services) -> str:
    return services.access.clients.revoke(a_client(services)).id


def a_schedule(services: Services) -> str:
    return services.schedules.add("daily", "ACCOUNTS", {"application": "s"}, "0 6 * * *", "UTC", "ann").id


def long_ago(services: Services) -> str:
    run_id = over(services)
    with services.database.begin() as connection:
        connection.execute(sa.text("UPDATE run SET completed = '2001-01-01 00:00:00.000000'"))
    return run_id


def held(services: Services) -> str:
    return services.retention.place_hold(over(services), "ann").run_id


def a_stray(services: Services) -> None:
    stray = services.settings.artefacts_path / ("e" * 32) / "1-accounts.csv.part"
    stray.parent.mkdir(parents=True)
    stray.write_text("x")
    os.utime(stray, (0, 0))
    os.utime(stray.parent, (0, 0))


def due(services: Services) -> None:
    a_schedule(services)
    with services.database.begin() as connection:
        connection.execute(sa.text("UPDATE schedule SET next_at = '2001-01-01 00:00:00.000000'"))


def load(services: Services) -> None:
    publish(services.warehouse, SOURCES, ACCOUNTS)
    tell_loads(services.warehouse, services.database)


def stop_load(services: Services) -> None:
    loss = Loss("removed", "HR, accounts", 5, 5, "20 %")
    emit_stopped_load_event(services.database, LoadReport("0" * 32, None, (), (), (), losses=(loss,)), ME)


def accept_loss(services: Services) -> None:
    with services.warehouse.load() as loading:
        loading.publish(
            [], (), {"user": "ann", "host": "here", "losses": ["HR, accounts: 5 of 5 keys would be removed"]}
        )
    tell_loads(services.warehouse, services.database)


def ann(services: Services) -> Caller:
    return session_caller(services.access.users.get("ann"))


def a_session(services: Services) -> str:
    if "ann" not in {user.name for user in services.access.users.list()}:
        with services.database.begin() as connection:  # without an event
            values = {"id": "a" * 32, "name": "ann", "levels": [], "sources": [], "created": datetime.now(UTC)}
            connection.execute(person_table.insert().values(values))
    return services.access.sessions.start(ann(services), ME)


def somebody() -> Caller:
    return Caller("b" * 32, "bob", frozenset(), frozenset(), "b" * 32)


ACTS: dict[str, tuple[Act | None, Callable[[Services, Any], object], list[str]]] = {
    "a start": (None, lambda s, _: start(s), ["run.started"]),
    "a start that is wrong": (None, lambda s, _: s.runs.start("ACCOUNTS", {}, "ann", by=ME), []),
    "the same start again, by the same": (start, lambda s, _: start(s), []),
    "the same start again, by another": (
        start,
        lambda s, _: s.runs.start("ACCOUNTS", {"application": "s", "selectedFormats": ["CSV"]}, "bob", somebody(), by=ME),
        ["run.joined"],
    ),
    "a cancel": (start, lambda s, id: s.runs.cancel(id, by=ME), ["run.cancelled", "run.ended"]),
    "a cancel of a run that is over": (over, lambda s, id: s.runs.cancel(id, by=ME), []),
    "a cancel of no run": (None, lambda s, _: s.runs.cancel("f" * 32, by=ME), []),
    "a run to its end": (None, lambda s, _: over(s), ["run.started", "run.ended"]),
    "a download": (over, lambda s, id: download(s, id, "csv"), ["report.downloaded"]),
    "a signed address": (over, hand_out_address, ["report.address_handed_out"]),
    "a download of what is made now": (over, lambda s, id: download(s, id, "json"), ["report.downloaded"]),
    "a download of no file": (cancelled, lambda s, id: download(s, id, "csv"), []),
    "a download of no run": (None, lambda s, _: download(s, "f" * 32, "csv"), []),
    "a look at the rows": (over, lambda s, id: s.runs.record_view(s.runs.get(id), ME), ["report.viewed"]),
    "a sign-in": (None, lambda s, _: a_session(s), ["session.started"]),
    "a sign-out": (a_session, lambda s, id: s.access.sessions.end(s.access.sessions.find(id), ME), ["session.ended"]),
    "a sign-out everywhere": (a_session, lambda s, _: s.access.sessions.end_all(ann(s), ME), ["session.ended"]),
    "a client": (None, lambda s, _: a_client(s), ["client.created"]),
    "a client that cannot be": (None, lambda s, _: s.access.clients.create("x", ["no:such:scope"], levels=["ORG_ADMIN"]), []),
    "a new secret": (a_client, lambda s, id: s.access.clients.rotate_secret(id, by=ME), ["client.rotated"]),
    "a new secret of no client": (None, lambda s, _: s.access.clients.rotate_secret("f" * 32, by=ME), []),
    "a client's end": (a_client, lambda s, id: s.access.clients.revoke(id, ME), ["client.revoked"]),
    "a client's end, again": (revoked, lambda s, id: s.access.clients.revoke(id, ME), []),
    "a user": (None, lambda s, _: s.access.users.create("ann", ["REPORT_ADMIN"], by=ME), ["user.created"]),
    "a user twice": (
        lambda s: s.access.users.create("ann", ["REPORT_ADMIN"]),
        lambda s, _: s.access.users.create("ann", ["REPORT_ADMIN"], by=ME),
        [],
    ),
    "a user changed": (
        lambda s: s.access.users.create("ann", ["REPORT_ADMIN"]),
        lambda s, _: s.access.users.change("ann", disabled=True, by=ME),
        ["user.changed"],
    ),
    "no user changed": (None, lambda s, _: s.access.users.change("nobody", disabled=True, by=ME), []),
    "a report switched off": (None, lambda s, _: s.runs.switch_report("ACCOUNTS", off=True, by=ME), ["report.switched"]),
    "no report switched off": (None, lambda s, _: s.runs.switch_report("NOTHING", off=True, by=ME), []),
    "a hold": (over, lambda s, id: s.retention.place_hold(id, "ann", by=ME), ["run.held"]),
    "a hold, again": (held, lambda s, id: s.retention.place_hold(id, "bob", by=ME), []),
    "a release": (held, lambda s, id: s.retention.release_hold(id, ME), ["run.released"]),
    "a release of what is not held": (over, lambda s, id: s.retention.release_hold(id, ME), []),
    "a sweep": (long_ago, lambda s, _: s.retention.sweep(by=ME), ["retention.swept", "retention.swept"]),
    "a dry sweep": (long_ago, lambda s, _: s.retention.sweep(dry=True, by=ME), []),
    "a sweep of nothing": (over, lambda s, _: s.retention.sweep(by=ME), []),
    "a sweep of a stray file": (a_stray, lambda s, _: s.retention.sweep(by=ME), ["retention.swept"]),
    "a schedule": (None, lambda s, _: a_schedule(s), ["schedule.created"]),
    "a schedule twice": (a_schedule, lambda s, _: a_schedule(s), []),
    "a schedule changed": (
        a_schedule, lambda s, id: s.schedules.change(id, {"paused": True}, by=ME), ["schedule.changed"],
    ),
    "a schedule that starts": (a_schedule, lambda s, id: s.schedules.start_now(id, by=ME), ["run.started"]),
    "a schedule that is due": (due, lambda s, _: s.schedules.start_due(), ["run.started"]),
    "a schedule's end": (a_schedule, lambda s, id: s.schedules.remove(id, by=ME), ["schedule.removed"]),
    "a hook": (None, lambda s, _: s.webhooks.add("https://hooks.example/x", by=ME), ["hook.created"]),
    "a hook that cannot be": (None, lambda s, _: s.webhooks.add("ftp://hooks.example", by=ME), []),
    "a hook's end": (
        lambda s: s.webhooks.add("https://hooks.example/x")[0].id, lambda s, id: s.webhooks.remove(id, ME), ["hook.removed"],
    ),
    "a load": (None, lambda s, _: load(s), ["data.loaded"]),
    "a load that is stopped": (None, lambda s, _: stop_load(s), ["load.stopped"]),
    "a load whose loss is accepted": (None, lambda s, _: accept_loss(s), ["data.loaded", "load.loss_accepted"]),
    "a load, told again": (load, lambda s, _: tell_loads(s.warehouse, s.database), []),
}  # fmt: skip


@pytest.mark.parametrize(("before", "act", "expected"), ACTS.values(), ids=ACTS)
def test_an_act_has_its_event_and_what_failed_has_none(
    services: Services, before: Act | None, act: Callable[[Services, Any], object], expected: list[str]
) -> None:
    given = before(services) if before else None
    events = told(services, lambda services: act(services, given))
    assert types(events) == Counter(expected)
    for event in events:
        assert event["source"] == "/whohas/whohas"
        assert event["data"]["actor"]["kind"] in ("operator", "system", "schedule")


def test_every_type_of_event_is_among_the_acts() -> None:
    tried = {f"whohas.{type}" for _, _, expected in ACTS.values() for type in expected}
    elsewhere = {"whohas.data.searched", "whohas.identity.viewed"}  # acts of the console: test_console_search
    assert {type.value for type in EventType} - tried == {"whohas.request.denied"} | elsewhere


def test_a_transaction_that_fails_after_its_event_leaves_neither(services: Services, monkeypatch: Any) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("the disk of the database is full")

    monkeypatch.setattr(Runs, "_check_room", fails)
    before = len(lines(services.settings.audit_log_path))
    with pytest.raises(RuntimeError):
        start(services)
    services.relay.flush()
    assert len(lines(services.settings.audit_log_path)) == before
    with services.database.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(tables.run)).scalar_one() == 0


# over HTTP, as clients meet it


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("watched") / "home"
    publish(Warehouse(home / "warehouse"), SOURCES, ACCOUNTS)
    with serving(home) as server:
        yield server


def added(server: Server, act: Callable[[], object]) -> Seen:
    """The events that an act adds to the trail of a running server."""
    settings = Settings(home=server.home)
    trail = settings.audit_log_path
    with outbox(settings) as database:
        settle(settings, database)
        before = len(lines(trail))
        act()
        settle(settings, database)
    return lines(trail)[before:]


@pytest.fixture(scope="module")
def done(watched: Server) -> str:
    return done_on(watched)


def done_on(server: Server) -> str:
    with server.http() as http:
        run_id = http.post("/v2025/reports/run", json=START).json()["id"]
        result_when_over(http, run_id)
    return run_id


def get(server: Server, run_id: str, headers: dict[str, str] | None = None, **query: str) -> httpx2.Response:
    with server.http("/v2025/reports") as http:
        return http.get(f"/{run_id}", params={"fileFormat": "csv", **query}, headers=headers or {})


def test_an_audited_download_records_who_from_where_and_what(watched: Server, done: str) -> None:
    answers: list[httpx2.Response] = []
    (event,) = added(watched, lambda: answers.append(get(watched, done, auditable="True", name="Q3/../list")))
    answer, data = answers[0], event["data"]
    assert event["type"] == "whohas.report.downloaded"
    assert event["subject"] == data["run"] == done
    assert data["actor"]["kind"] == "user" and data["actor"]["name"] == "dev"
    assert data["from"] == "127.0.0.1"
    assert data["trackingId"] == answer.headers["SLPT-Request-ID"]
    assert (data["report"], data["format"], data["outcome"]) == ("ACCOUNTS", "csv", "success")
    assert f'"{data["sha256"]}"' == answer.headers["ETag"]
    assert data["bytes"] == len(answer.content) and data["rows"] == 1
    assert data["fileName"].endswith(".csv") and "/" not in data["fileName"]
    (event,) = added(watched, lambda: get(watched, done, {"Range": "bytes=0-4"}, auditable="true"))
    assert event["data"]["range"] == "0-4"


@pytest.mark.parametrize(
    "request_",
    [
        {"auditable": "false"},
        {},
        {"auditable": "true", "fileFormat": "docx"},
        {"auditable": "true", "id": "0" * 32},
        {"auditable": "true", "id": "no id"},
    ],
    ids=["not asked for", "not said", "no such format", "no such run", "no id"],
)
def test_an_unfinished_or_unaudited_download_has_no_event(watched: Server, done: str, request_: dict[str, str]) -> None:
    query = {**request_}
    run_id = query.pop("id", done)
    assert added(watched, lambda: get(watched, run_id, **query)) == []


def test_a_head_or_a_cached_file_is_no_download(watched: Server, done: str) -> None:
    def ask() -> None:
        etag = get(watched, done).headers["ETag"]
        assert get(watched, done, {"If-None-Match": etag}, auditable="true").status_code == 304
        assert get(watched, done, {"Range": "bytes=999999-"}, auditable="true").status_code == 416
        with watched.http("/v2025/reports") as http:
            assert http.head(f"/{done}", params={"fileFormat": "csv", "auditable": "true"}).status_code == 200

    assert added(watched, ask) == []


def test_by_setting_every_download_has_its_event(home: Path) -> None:
    publish(Warehouse(home / "warehouse"), SOURCES, ACCOUNTS)
    with serving(home, WHOHAS_AUDIT_DOWNLOADS="all") as server:
        run_id = done_on(server)
        (event,) = added(server, lambda: get(server, run_id))
        assert event["type"] == "whohas.report.downloaded"


def test_no_byte_goes_out_without_the_event(watched: Server, done: str) -> None:
    database = sqlite3.connect(watched.home / "whohas.db")
    database.execute("ALTER TABLE audit_event RENAME TO away")
    database.commit()
    try:
        answer = get(watched, done, auditable="true")
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/json")
        assert get(watched, done).status_code == 200
    finally:
        database.execute("ALTER TABLE away RENAME TO audit_event")
        database.commit()
        database.close()


def test_a_denied_request_has_its_event_before_its_answer(watched: Server) -> None:
    def without_a_token() -> None:
        assert asking.get(f"{watched.url}/v2025/reports/x/result").status_code == 401

    (event,) = added(watched, without_a_token)
    data = event["data"]
    assert (event["type"], data["outcome"], data["status"]) == ("whohas.request.denied", "denied", 401)
    assert (data["actor"]["kind"], data["from"], data["path"]) == ("unknown", "127.0.0.1", "/v2025/reports/x/result")
    assert "Authorization header is missing" in data["reason"]

    def wrong_secret() -> None:
        form = {"grant_type": "client_credentials", "client_id": watched.client_id, "client_secret": "a guess"}
        assert asking.post(f"{watched.url}/oauth/token", data=form).status_code == 401

    (event,) = added(watched, wrong_secret)
    assert event["data"]["tried"] == watched.client_id
    assert "a guess" not in str(event)


def test_a_caller_without_the_right_is_told_of_by_name(watched: Server) -> None:
    made = whohas(watched.home, "client", "create", "reader", "--scope", "sp:report:read", "--json")
    client = json.loads(made.stdout)
    form = {"grant_type": "client_credentials", "client_id": client["id"], "client_secret": client["secret"]}
    token = asking.post(f"{watched.url}/oauth/token", data=form).json()["access_token"]

    def start_anyway() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        assert asking.post(f"{watched.url}/v2025/reports/run", json=START, headers=headers).status_code == 403

    (event,) = added(watched, start_anyway)
    assert event["data"]["actor"] == {"kind": "client", "name": "reader", "id": client["id"]}
    assert event["data"]["operation"] == "startReport"


def test_the_backlog_is_in_the_metrics(watched: Server) -> None:
    text = asking.get(f"{watched.url}/metrics").text
    for name in ("events", "waiting", "oldest_seconds", "refused"):
        assert f"\nwhohas_audit_{name} " in text
