"""Watching runs: over HTTP as server-sent events, and in the terminal."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

import asking
from factories import many_accounts
from patience import PATIENCE_SECONDS, until
from support import Server, result_when_over, serving, whohas
from whohas.api.app import create_app
from whohas.api.routes.events import PREFIX
from whohas.services import open_services
from whohas.settings import Settings

BIG = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}
SMALL = {"reportType": "IDENTITIES", "arguments": {"selectedFormats": ["CSV"]}}


@dataclass
class Event:
    """What a browser makes of an event."""

    id: str
    name: str
    data: dict[str, Any]


def events(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith((":", "retry:")):
            continue
        if not line and fields:
            yield Event(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
        elif line:
            name, _, value = line.partition(": ")
            fields[name] = value


def watched(http: httpx2.Client, path: str, **headers: str) -> list[Event]:
    """All events of a stream, to its end."""
    with http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(events(answer.iter_lines()))


def test_a_stream_resumes_and_ends_with_the_run(big_home: Path) -> None:
    with serving(big_home) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BIG).json()["id"]
        path = f"/whohas/runs/{run_id}/events"
        told = watched(http, path)
        assert {event.name for event in told} == {"run"}
        assert {event.data["id"] for event in told} == {run_id}
        percents = [event.data["percentComplete"] for event in told]
        assert percents == sorted(percents) and percents[-1] == 100
        assert [event.data["status"] for event in told][:-1] == [None] * (len(told) - 1)
        assert told[-1].data["status"] == "SUCCESS"
        assert len({event.id for event in told}) == len(told), "nothing is told twice"
        assert http.get(path, headers={"Last-Event-ID": told[-1].id}).status_code == 204
        assert watched(http, path, **{"Last-Event-ID": told[0].id}) == [told[-1]]
        assert watched(http, path, **{"Last-Event-ID": "nonsense \x7f"}) == [told[-1]]


def test_a_stream_includes_later_runs_and_ends_with_the_server(
    own_home: Path,
) -> None:
    told: list[Event] = []
    begun = threading.Event()

    def ended() -> list[str]:
        return [event.data["id"] for event in told if event.data["status"] == "SUCCESS"]

    with serving(own_home) as server, server.http() as http:

        def watch() -> None:
            with http.stream("GET", "/whohas/runs/events") as answer:
                begun.set()
                for event in events(answer.iter_lines()):
                    told.append(event)  # noqa: PERF402 - each as it comes

        with ThreadPoolExecutor(1) as pool:
            stream = pool.submit(watch)
            assert begun.wait(PATIENCE_SECONDS)
            ids: list[str] = []
            for page in ("A4", "Letter"):
                body = {**SMALL, "arguments": {**SMALL["arguments"], "pageSize": page}}
                ids.append(http.post("/v2025/reports/run", json=body).json()["id"])
                result_when_over(http, ids[-1])
            until(lambda: ended() == ids)
            assert server.stop() == 0
            stream.result(PATIENCE_SECONDS)  # an error, had the server cut it off to get away
        assert ended() == ids


def test_clients_that_vanish_cost_nothing(home: Path) -> None:
    many_accounts(home / "warehouse", 200_000)
    with serving(home) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BIG).json()["id"]
        for _ in range(30):
            with http.stream("GET", f"/whohas/runs/{run_id}/events") as answer:
                next(answer.iter_lines())
        assert result_when_over(http, run_id)["status"] == "SUCCESS"
        log = server.log.read_text()
        assert "broken off" not in log and "Traceback" not in log


def test_what_cannot_be_watched(server: Server) -> None:
    with server.http() as http:
        assert http.get(f"/whohas/runs/{'0' * 32}/events").status_code == 404
        assert http.get("/whohas/runs/x/events").status_code == 404
        assert asking.get(f"{server.url}/whohas/runs/events").status_code == 401


def test_the_terminal_shows_runs_as_they_go(own_home: Path) -> None:
    assert whohas(own_home, "watch").stdout == "No active runs.\n"
    assert "no run with the id" in whohas(own_home, "watch", "0" * 32).stderr
    with serving(own_home) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=SMALL).json()["id"]
        shown = whohas(own_home, "watch", run_id)
        assert shown.returncode == 0
        assert shown.stdout.splitlines()[-1].split()[:3] == [run_id, "IDENTITIES", "succeeded"]
        (task,) = json.loads(whohas(own_home, "runs", "--json", "--filters", 'completionStatus eq "SUCCESS"').stdout)
        published = http.get(f"/v2025/task-status/{run_id}").json()
        assert {name: task[name] for name in published} == published
        assert whohas(own_home, "runs", "--pending").stdout == "No such run.\n"
        assert "at character 4" in whohas(own_home, "runs", "--filters", "id is").stderr


@pytest.mark.parametrize("slow", [False, True], ids=["idle", "slow"])
def test_a_client_that_goes_leaves_no_watcher_and_no_task(own_home: Path, slow: bool) -> None:
    """Idle: it goes while there is nothing to send. Slow: it goes while it does not read what is sent."""

    async def watch() -> None:
        gone, sent = anyio.Event(), list[bytes]()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message.get("body", b""))
            if slow and len(sent) == 3:  # the head, the time to come back, and a first event that stays on its way
                await anyio.sleep_forever()

        before = len(asyncio.all_tasks())
        with anyio.fail_after(PATIENCE_SECONDS):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(app, scope, receive, send)
                while len(sent) < (3 if slow else 2):
                    await anyio.sleep(0.01)
                assert len(app.state.watch._watchers) == 1
                assert sent[1] == b"retry: 2000\n\n"
                gone.set()
            assert not app.state.watch._watchers
            while len(asyncio.all_tasks()) > before:  # the poller sees at its next look that nobody watches
                await anyio.sleep(0.01)

    with open_services(Settings(home=own_home)) as services:
        if slow:
            services.runs.start("IDENTITIES", {"selectedFormats": ["CSV"]}, "ann")
        app = create_app(services)
        client = services.access.clients.create("watcher", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client
        token = services.access.tokens.issue(client).text
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": "GET", "scheme": "http",
            "path": f"{PREFIX}/events", "raw_path": f"{PREFIX}/events".encode(), "query_string": b"",
            "headers": [(b"authorization", f"Bearer {token}".encode())], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        anyio.run(watch)


def test_an_event_has_the_fields_that_clients_read(server: Server) -> None:
    with server.http() as http:
        run_id = http.post("/v2025/reports/run", json=SMALL).json()["id"]
        result = result_when_over(http, run_id)
        answer = http.get(f"{PREFIX}/{run_id}/events")
        retry, event, end = answer.text.split("\n\n")
        assert (retry, end) == ("retry: 2000", "")
        fields = dict(line.split(": ", 1) for line in event.splitlines())
        assert sorted(fields) == ["data", "event", "id"]
        assert (fields["event"], json.loads(fields["data"])) == ("run", result)
        assert "no-store" in answer.headers["cache-control"] and answer.headers["x-accel-buffering"] == "no"
