"""What belongs to somebody else: each route with an id, and each list, for every kind of caller, on a real server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import httpx2
import pytest
from fastapi.routing import iter_route_contexts

import asking
from ready import ready
from support import ACME, Server, result_when_over, serving
from whohas.api.app import create_app
from whohas.auth import ROUTES, AuthServices, Caller, UserLevel, check_access
from whohas.auth.callers import OLD_RESULT, SCOPE_ALL, SCOPE_MANAGE, SCOPE_READ, TASKS_READ, TASKS_WRITE
from whohas.errors import Forbidden
from whohas.services import Services, open_services
from whohas.settings import Settings

NOBODYS = "f" * 32
SOURCES = [json.loads(line)["id"] for line in (ACME / "sources.ndjson").read_text().splitlines()][:2]
EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Call:
    """How a route with an id is called so that it would do something, and what its id is of."""

    of: str
    body: object = None
    query: dict[str, str] = field(default_factory=dict)


END = [{"op": "replace", "path": "/completionStatus", "value": "TERMINATED"}]
CALLS = {
    "getReportResult": Call("run"),
    "getReport": Call("run", query={"fileFormat": "csv"}),
    "cancelReport": Call("run"),
    "getTaskStatus": Call("run"),
    "updateTaskStatus": Call("run", END),
    "watchRun": Call("run"),
    "getRun": Call("run"),
    "runStatement": Call("run"),
    "runSummary": Call("run"),
    "replayRun": Call("run"),
    "oneSchedule": Call("schedule"),
    "changeSchedule": Call("schedule", {"paused": True}),
    "removeSchedule": Call("schedule"),
    "runSchedule": Call("schedule"),
}
BY_GET = ("GET", "cancelReport")
LISTS = {"getTaskStatusList", "getPendingTasks", "getPendingTaskHeaders", "everySchedule", "watchRuns", "listRuns"}
WITHOUT_OBJECTS = {
    "startReport",
    "addSchedule",
    "metrics",
    "metricsWithToken",
    "oauthInfo",
    "token",
    "authorize",
    "signIn",
    "keySet",
    "health",
    "ready",
    "openapi",
}
"""What tells of nobody's runs or schedules; `tests/integration/test_visibility.py` has who may start what."""


@dataclass(frozen=True)
class Of:
    """Somebody, the objects that are theirs by kind, and a client with their token."""

    what: str
    caller: Caller
    http: httpx2.Client
    objects: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, acme_home: Path) -> Iterator[tuple[Server, Services]]:
    home = ready(tmp_path_factory.mktemp("others") / "home")
    shutil.copytree(acme_home / "warehouse", home / "warehouse")
    with serving(home) as server, open_services(Settings(home=home)) as services:
        yield server, services


@pytest.fixture(scope="module")
def routes(shared: tuple[Server, Services]) -> list[tuple[str, str, str]]:
    """Method, path and name of each route."""
    return [
        (method, str(route.path), str(route.name))
        for route in iter_route_contexts(create_app(shared[1]).routes)
        for method in sorted(route.methods or ())
        if method != "HEAD"
    ]


def somebody(
    server: Server,
    access: AuthServices,
    what: str,
    level: UserLevel,
    scopes: list[str],
    sources: list[str],
    *,
    user: bool,
) -> Of:
    if user:
        person = access.users.create(f"user {what}", [level], sources)
        client = access.clients.create(what, scopes, person=person).client
    else:
        client = access.clients.create(what, scopes, levels=[level], sources=sources).client
    token = access.tokens.issue(client).text
    http = asking.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"})
    return Of(what, access.tokens.verify(token), http)


@pytest.fixture(scope="module")
def owners(shared: tuple[Server, Services]) -> Iterator[list[Of]]:
    """Three who have a run that is over, and a schedule, each."""
    server, services = shared
    kinds = (
        ("owner, a user", UserLevel.CERT_ADMIN, True, "IDENTITIES", {"selectedFormats": ["CSV"]}, []),
        ("owner, of a source", UserLevel.SOURCE_ADMIN, True, "ACCOUNTS", {"application": SOURCES[0]}, SOURCES[:1]),
        ("owner, a program", UserLevel.ROLE_ADMIN, False, "ORPHAN_IDENTITIES", {}, []),
    )
    made: list[Of] = []
    for what, level, user, report, arguments, sources in kinds:
        who = somebody(server, services.access, what, level, [SCOPE_ALL], sources, user=user)
        run = who.http.post("/v2025/reports/run", json={"reportType": report, "arguments": arguments}).json()
        assert result_when_over(who.http, run["id"])["status"] in ("SUCCESS", "WARNING")
        new = {"name": f"of {what}", "reportType": report, "arguments": arguments, "cron": "0 6 * * MON"}
        schedule = who.http.post("/whohas/schedules", json=new).json()
        made.append(Of(what, who.caller, who.http, {"run": run["id"], "schedule": schedule["id"]}))
    yield made
    for one in made:
        one.http.close()


@pytest.fixture(scope="module")
def others(shared: tuple[Server, Services]) -> Iterator[list[Of]]:
    """Callers of each level, with and without sources; and of the scopes that there are, where the level allows all."""
    server, services = shared
    kinds = [
        (level, [SCOPE_ALL], sources, user)
        for level, user in product(UserLevel, (True, False))
        for sources in of_a(level)
    ]
    kinds += [
        (level, [scope], [], user)
        for level, scope, user in product(
            (UserLevel.CERT_ADMIN, UserLevel.ORG_ADMIN),
            (SCOPE_READ, SCOPE_MANAGE, OLD_RESULT, TASKS_READ, TASKS_WRITE),
            (True, False),
        )
    ]
    made = [
        somebody(server, services.access, f"other {number}, {level}", level, scopes, sources, user=user)
        for number, (level, scopes, sources, user) in enumerate(kinds)
    ]
    yield made
    for one in made:
        one.http.close()


def of_a(level: UserLevel) -> list[list[str]]:
    return [[], SOURCES[:1], SOURCES[1:]] if level in (UserLevel.SOURCE_ADMIN, UserLevel.SOURCE_SUBADMIN) else [[]]


def asked(who: Of, method: str, path: str, call: Call, id: str) -> tuple[int, str]:
    """The status of a call, and what it says where that ends; the id is left out of it."""
    url = path.replace("{id:path}", id).replace("{id}", id)
    with who.http.stream(method, url, json=call.body, params=call.query or None) as answer:
        if answer.headers.get("content-type", "").startswith(EVENTS):
            return answer.status_code, ""
        body = json.loads(answer.read()) if answer.status_code >= 400 else {}
    body.pop("trackingId", None)
    return answer.status_code, json.dumps(body).replace(id, "…")


def may(caller: Caller, route: str) -> bool:
    try:
        check_access(caller, route)
    except Forbidden:
        return False
    return True


def test_each_route_is_in_the_table_of_what_it_tells(routes: list[tuple[str, str, str]]) -> None:
    with_id = {name for _, path, name in routes if "{" in path}
    without = {name for _, path, name in routes if "{" not in path}
    assert with_id == CALLS.keys(), "a new route with an id must be tried with the id of somebody else's object"
    assert without - LISTS <= WITHOUT_OBJECTS, "a new route must be said to tell of nobody's objects, or be tried"
    assert ROUTES.keys() <= CALLS.keys() | LISTS | WITHOUT_OBJECTS
    words = ("hook", "hold")
    assert not [name for _, path, name in routes if any(word in f"{path} {name}".lower() for word in words)], (
        "webhooks and legal holds are the operator's"
    )


Route = tuple[str, str, str]


def few(with_id: list[Route], others: list[Of]) -> list[tuple[Route, Of]]:
    """Each operation at one path, by a caller of each level."""
    first = {name: (method, path, name) for method, path, name in reversed(with_id)}
    of_a_kind = {(who.caller.levels, bool(who.caller.sources)): who for who in reversed(others)}
    return list(product(first.values(), of_a_kind.values()))


def all_of_them(with_id: list[Route], others: list[Of]) -> list[tuple[Route, Of]]:
    return list(product(with_id, others))


@pytest.mark.parametrize("pairs", [few, pytest.param(all_of_them, marks=pytest.mark.long)])
def test_somebody_elses_is_not_there_and_not_changed(
    shared: tuple[Server, Services],
    routes: list[Route],
    owners: list[Of],
    others: list[Of],
    pairs: Callable[[list[Route], list[Of]], list[tuple[Route, Of]]],
) -> None:
    services = shared[1]
    # a cancel by GET is a 405 to everybody, whatever its id
    with_id = [(method, path, name) for method, path, name in routes if name in CALLS and (method, name) != BY_GET]
    wrong: list[str] = []
    tried = 0
    before = {who.what: state(services, who) for who in owners}
    nobodys: dict[tuple[str, str, int], str] = {}
    for number, ((method, path, name), who) in enumerate(pairs(with_id, others)):
        if who.caller.sees_all and may(who.caller, name):
            continue  # an administrator: below
        expected = 404 if may(who.caller, name) else 403
        owner = owners[number % len(owners)]
        status, text = asked(who, method, path, CALLS[name], owner.objects[CALLS[name].of])
        tried += 1
        if expected == 404 and (method, path, 404) not in nobodys:
            nobodys[method, path, 404] = asked(who, method, path, CALLS[name], NOBODYS)[1]
        if status != expected or (expected == 404 and text != nobodys[method, path, 404]):
            wrong.append(f"{method} {path} of {owner.what} by {who.what}: {status} {text[:200]}")
    assert not wrong, f"{len(wrong)} of {tried}:\n" + "\n".join(wrong[:40])
    assert before == {who.what: state(services, who) for who in owners}
    print(f"{len(with_id)} routes with an id, {len(others)} callers, {tried} requests")
    assert tried > 80


def test_no_list_names_somebody_elses(routes: list[tuple[str, str, str]], owners: list[Of], others: list[Of]) -> None:
    tried = 0
    once = {name: (method, path, name) for method, path, name in routes if method == "GET"}
    for method, path, name in once.values():
        if name not in LISTS or name == "watchRuns":  # tests/integration/test_visibility.py has the stream
            continue
        for who in others:
            if who.caller.sees_all or not may(who.caller, name):
                continue
            answer = who.http.request(method, path, params={"count": "true"})
            tried += 1
            assert answer.status_code in (200, 204), (method, path, who.what)
            assert answer.headers.get("X-Total-Count", "0") == "0", (method, path, who.what)
            named = [id for owner in owners for id in owner.objects.values() if id in answer.text]
            assert not named, (method, path, who.what)
    print(f"{tried} lists")
    assert tried > 50


def test_an_administrator_and_the_owner_reach_each_object(
    shared: tuple[Server, Services], routes: list[tuple[str, str, str]], owners: list[Of], others: list[Of]
) -> None:
    """So that the refusals above are not those of requests that nobody could make."""
    administrator = next(
        who for who in others if who.caller.sees_all and who.caller.is_user and SCOPE_ALL in who.caller.scopes
    )
    tried = {name: (method, path, name) for method, path, name in routes if (method, name) != BY_GET}
    for method, path, name in tried.values():
        if name not in CALLS or name == "removeSchedule":
            continue
        for owner in owners:
            for who in (owner, administrator):
                status, text = asked(who, method, path, CALLS[name], owner.objects[CALLS[name].of])
                expected = {200, 202, 204, 409} if may(who.caller, name) else {403}  # 409: a run that is over stays so
                assert status in expected, (method, path, who.what, text)


def state(services: Services, who: Of) -> tuple[object, ...]:
    run = services.runs.get(who.objects["run"])
    return run.state, run.artefacts, run.messages, services.schedules.get(who.objects["schedule"])


def test_a_stream_ends_when_the_right_to_it_does(shared: tuple[Server, Services], owners: list[Of]) -> None:
    server, services = shared
    for turn, change in enumerate(({"disabled": True}, {"levels": []}, {"disabled": True})):
        what = f"watcher {turn}"
        who = somebody(server, services.access, what, UserLevel.CERT_ADMIN, [SCOPE_ALL], [], user=True)
        with who.http.stream("GET", "/whohas/runs/events") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")
            services.access.users.change(f"user {what}", **change)
            for number, line in enumerate(lines):  # a heartbeat every 15 seconds; by itself a stream ends after an hour
                assert not line.startswith("data:") and number < 80, line
        who.http.close()
