"""Whose runs are whose: a launcher's own, all of an administrator, and a source administrator's own sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

import asking
from support import ACME, Server, result_when_over, whohas
from whohas.auth import AuthServices
from whohas.services import open_services
from whohas.settings import Settings

Calling = Callable[..., httpx2.Client]


@pytest.fixture(scope="module")
def access(server: Server, acme_home: Path) -> AuthServices:
    with open_services(Settings(home=acme_home)) as services:
        return services.access


@pytest.fixture
def calling(server: Server, access: AuthServices, request: pytest.FixtureRequest) -> Calling:
    """A caller of a name and level, and perhaps sources, made anew for the test."""

    def make(name: str, level: str, *sources: str) -> httpx2.Client:
        person = access.users.create(f"{name} of {request.node.name}", [level], sources)
        token = access.tokens.issue(access.clients.create(name, ["sp:scopes:all"], person=person).client).text
        client = asking.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"})
        request.addfinalizer(client.close)
        return client

    return make


def start(http: httpx2.Client, report_type: str, **arguments: object) -> httpx2.Response:
    return http.post("/v2025/reports/run", json={"reportType": report_type, "arguments": arguments})


def looks(http: httpx2.Client, run_id: str) -> set[int]:
    """The statuses of everything that can be done to a run."""
    return {
        http.get(f"/v2025/reports/{run_id}/result").status_code,
        http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).status_code,
        http.post(f"/v2025/reports/{run_id}/cancel").status_code,
        http.get(f"/v2025/task-status/{run_id}").status_code,
        http.get(f"/whohas/runs/{run_id}/events").status_code,
    }


def test_only_the_launcher_and_administrators_see_a_run(calling: Calling) -> None:
    ann, bob = calling("ann", "CERT_ADMIN"), calling("bob", "ROLE_ADMIN")
    run_id = start(ann, "IDENTITIES", selectedFormats=["CSV"]).json()["id"]
    assert result_when_over(ann, run_id)["status"] == "SUCCESS"
    assert looks(ann, run_id) == {200, 204}
    assert looks(bob, run_id) == {404}
    assert looks(calling("carol", "HELPDESK"), run_id) == {404}
    for level in ("ORG_ADMIN", "REPORT_ADMIN"):
        assert looks(calling(level, level), run_id) == {200, 204}
    of_another = bob.get(f"/v2025/reports/{run_id}/result").json()["messages"][0]["text"]
    of_nobody = bob.get(f"/v2025/reports/{'f' * 32}/result").json()["messages"][0]["text"]
    assert of_another.replace(run_id, "…") == of_nobody.replace("f" * 32, "…"), "it does not say that there is one"


def test_lists_of_tasks_count_and_show_what_the_caller_sees(calling: Calling) -> None:
    ann, bob = calling("ann", "CERT_ADMIN"), calling("bob", "CERT_ADMIN")
    run_id = start(ann, "IDENTITIES", selectedFormats=["JSON"]).json()["id"]
    for path in ("/v2025/task-status", "/task-status/v1/pending-tasks"):
        seen = bob.get(path, params={"count": "true"})
        assert (seen.json(), seen.headers["X-Total-Count"]) == ([], "0")
    seen = ann.get("/v2025/task-status", params={"count": "true"})
    assert ([one["id"] for one in seen.json()], seen.headers["X-Total-Count"]) == ([run_id], "1")
    administrator = calling("carol", "ORG_ADMIN").get("/v2025/task-status")
    assert run_id in [one["id"] for one in administrator.json()]
    ending = [{"op": "replace", "path": "/completionStatus", "value": "TERMINATED"}]
    assert bob.patch(f"/v2025/task-status/{run_id}", json=ending).status_code == 404


def test_a_stream_of_all_runs_has_the_visible_ones(calling: Calling) -> None:
    ann, bob = calling("ann", "CERT_ADMIN"), calling("bob", "CERT_ADMIN")
    with bob.stream("GET", "/whohas/runs/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        of_another = start(ann, "IDENTITIES", selectedFormats=["NDJSON"]).json()["id"]
        result_when_over(ann, of_another)
        own = start(bob, "ORPHAN_IDENTITIES", selectedFormats=["NDJSON"]).json()["id"]
        told: list[str] = []
        over = False
        for line in lines:
            told += [line.removeprefix("id: ").partition("-")[0]] if line.startswith("id: ") else []
            over = over or '"status":"SUCCESS"' in line or '"status":"WARNING"' in line
            if over and not line:  # an event's id may follow its data; an empty line ends the event
                break
    assert set(told) == {own}


def test_a_schedule_is_its_makers_and_the_administrators(calling: Calling, server: Server) -> None:
    ann, bob = calling("ann", "CERT_ADMIN"), calling("bob", "CERT_ADMIN")
    new = {"name": "weekly", "reportType": "UNCORRELATED_ACCOUNTS", "cron": "0 6 * * MON"}
    made = ann.post("/whohas/schedules", json=new)
    path = made.headers["Location"]
    assert bob.get("/whohas/schedules").json() == []
    answers = [bob.get(path), bob.patch(path, json={"paused": True}), bob.delete(path), bob.post(f"{path}/run")]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert [one["name"] for one in ann.get("/whohas/schedules").json()] == ["weekly"]
    administrator = calling("carol", "REPORT_ADMIN")
    run_id = administrator.post(f"{path}/run").json()["id"]
    for who, status in ((administrator, 200), (ann, 200), (bob, 404)):
        assert who.get(f"/v2025/reports/{run_id}/result").status_code == status
    assert administrator.delete(path).status_code == 204


def test_a_source_administrator_schedules_reports_on_their_own_sources_alone(calling: Calling) -> None:
    sources = [json.loads(line) for line in (ACME / "sources.ndjson").read_text().splitlines()]
    own, other = [one["id"] for one in sources][:2]
    ann = calling("ann", "SOURCE_ADMIN", own)
    new = {"name": "own", "reportType": "ACCOUNTS", "arguments": {"application": own}, "cron": "0 6 * * MON"}
    made = ann.post("/whohas/schedules", json=new)
    assert made.status_code == 201
    path = made.headers["Location"]
    assert ann.patch(path, json={"arguments": {"application": other}}).status_code == 403
    assert ann.post("/whohas/schedules", json={**new, "name": "all", "arguments": {}}).status_code in (400, 403)
    assert ann.post(f"{path}/run").status_code == 200
    assert ann.delete(path).status_code == 204


def test_whoever_starts_what_is_under_way_sees_it_too(calling: Calling) -> None:
    ann, bob = calling("ann", "CERT_ADMIN"), calling("bob", "CERT_ADMIN")
    first, second = (start(who, "ORPHAN_IDENTITIES").json() for who in (ann, bob))
    for who, run in ((ann, first), (bob, second)):
        assert who.get(f"/v2025/reports/{run['id']}/result").status_code == 200
    assert first["id"] == second["id"] or first["created"] != second["created"]


def test_the_newest_completed_run_is_one_that_the_caller_sees(calling: Calling) -> None:
    ann, bob = calling("ann", "CERT_ADMIN"), calling("bob", "CERT_ADMIN")
    arguments = {"correlatedOnly": True, "selectedFormats": ["CSV"]}
    result_when_over(ann, start(ann, "IDENTITIES", **arguments).json()["id"])
    mine = start(bob, "IDENTITIES", **arguments).json()["id"]
    seen = bob.get(f"/v2025/reports/{mine}/result", params={"completed": "true"}).json()
    assert seen["id"] == mine


def test_a_source_administrator_has_reports_on_their_own_sources_alone(calling: Calling) -> None:
    sources = [json.loads(line) for line in (ACME / "sources.ndjson").read_text().splitlines()]
    source = next(one["id"] for one in sources if one["name"] == "Active Directory")
    for level in ("SOURCE_ADMIN", "SOURCE_SUBADMIN"):
        ann = calling(level, level, source)
        started = start(ann, "ACCOUNTS", sourceName="Active Directory", selectedFormats=["CSV"])
        assert started.status_code == 200
        assert result_when_over(ann, started.json()["id"])["status"] in ("SUCCESS", "WARNING")
        profile = start(ann, "IDENTITY_PROFILE_IDENTITY_ERROR", authoritativeSource=source)
        assert profile.status_code in (200, 400), "on their source; 400 where it is not authoritative"
        for report_type in ("IDENTITIES", "UNCORRELATED_ACCOUNTS", "ORPHAN_IDENTITIES"):
            refused = start(ann, report_type)
            assert (refused.status_code, source in refused.text) == (403, True)
        search = start(ann, "SEARCH_EXPORT", query="name:a*", indices=["identities"])
        assert search.status_code == 403
        assert start(calling(f"{level} of another", level, "other"), "ACCOUNTS", application=source).status_code == 403
        assert start(calling(f"{level} of none", level), "ACCOUNTS", application=source).status_code == 403


def test_losing_a_source_loses_the_runs_on_it(calling: Calling, access: AuthServices, server: Server) -> None:
    done = whohas(server.home, "user", "create", "ann of hr", "--level", "SOURCE_ADMIN", "--source", "Active Directory")
    assert done.returncode == 0, done.stderr
    person = access.users.get("ann of hr")
    token = access.tokens.issue(access.clients.create("laptop", ["sp:scopes:all"], person=person).client).text
    with asking.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}) as ann:
        run_id = start(ann, "ACCOUNTS", sourceName="Active Directory").json()["id"]
        assert ann.get(f"/v2025/reports/{run_id}/result").status_code == 200
        access.users.change("ann of hr", sources=["other"])
        assert ann.get(f"/v2025/reports/{run_id}/result").status_code == 404
