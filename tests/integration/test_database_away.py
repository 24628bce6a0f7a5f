"""PostgreSQL away while a server or worker starts: it waits, says so, and goes on or gives up."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

import asking
from cluster import Node
from patience import until
from ports import free_ports
from postgres import Postgres, postgres_server
from support import whohas


@pytest.fixture(scope="module")
def postgres_of_ours() -> Iterator[Postgres]:
    """A server that these tests may stop; it runs when a test begins."""
    with postgres_server() as server:
        yield server


@contextmanager
def node(home: Path, *command: str, **extra: str) -> Generator[Node]:
    home.mkdir(exist_ok=True)
    one = Node(command[0], home, command, extra).start()
    try:
        yield one
    finally:
        if one.alive:
            one.kill()


def lines(one: Node) -> list[dict[str, Any]]:
    """What it logged; each line is JSON."""
    return [json.loads(line) for line in one.log.read_text().splitlines()]


def until_it_waits(one: Node) -> str:
    """The reason that it gives, once it waits."""

    def waits() -> list[str]:
        return [line["reason"] for line in lines(one) if line["event"] == "waiting for the database"]

    until(lambda: waits() or not one.alive, one.log.read_text)
    assert one.alive, one.log.read_text()
    return waits()[0]


def answer(url: str) -> httpx2.Response:
    def answers() -> list[httpx2.Response]:
        with suppress(httpx2.TransportError):
            return [asking.get(url)]
        return []

    return until(answers)[0]


def test_a_server_waits_for_postgresql_and_says_so(home: Path, postgres_of_ours: Postgres) -> None:
    url, port = postgres_of_ours.new_database(), free_ports(1)[0]
    address = f"http://127.0.0.1:{port}"
    postgres_of_ours.stop_hard()
    try:
        with node(home, "serve", "--port", str(port), WHOHAS_DATABASE_URL=url) as server:
            reason = until_it_waits(server)
            assert f"127.0.0.1:{postgres_of_ours.port}" in reason and "does not answer" in reason
            ready = answer(f"{address}/readyz")
            assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
            assert "waits for it" in ready.json()["parts"]["database"]
            assert "127.0.0.1" not in ready.text, "who may see nothing learns no addresses"
            assert ready.headers["Retry-After"]
            assert answer(f"{address}/healthz").status_code == 200
            refused = asking.post(f"{address}/oauth/token", data={"grant_type": "client_credentials"})
            assert (refused.status_code, refused.json()["detailCode"]) == (503, "503 Service Unavailable")
            postgres_of_ours.start()
            server.ready()
            until(lambda: answer(f"{address}/readyz").status_code == 200, server.log.read_text)
            assert asking.get(f"{address}/oauth/info").status_code == 401
            assert server.stop() == 0
            assert "Traceback" not in server.log.read_text()
            assert any(line["event"] == "the database answers" for line in lines(server))
    finally:
        _running(postgres_of_ours)


@pytest.mark.parametrize("command", [("worker",), ("serve", "--port", "0")])
def test_who_waits_too_long_gives_up_with_one_sentence(
    home: Path, postgres_of_ours: Postgres, command: tuple[str, ...]
) -> None:
    url = postgres_of_ours.new_database()
    postgres_of_ours.stop_hard()
    try:
        done = whohas(home, *command, WHOHAS_DATABASE_URL=url, WHOHAS_DATABASE_WAIT_SECONDS="2")
    finally:
        _running(postgres_of_ours)
    assert done.returncode == 1
    *_, last = [json.loads(line) for line in done.stderr.splitlines()]
    assert "does not answer" in last["reason"] and "WHOHAS_DATABASE_WAIT_SECONDS" in last["reason"]


def test_a_worker_that_waits_can_be_stopped(home: Path, postgres_of_ours: Postgres) -> None:
    url = postgres_of_ours.new_database()
    postgres_of_ours.stop_hard()
    try:
        with node(home, "worker", WHOHAS_DATABASE_URL=url) as worker:
            until_it_waits(worker)
            assert worker.stop() == 0
    finally:
        _running(postgres_of_ours)


def test_a_worker_survives_postgresql_going_away_as_it_starts(home: Path, postgres_of_ours: Postgres) -> None:
    url = postgres_of_ours.new_database()
    with node(home, "worker", WHOHAS_DATABASE_URL=url) as worker:
        for pause in (0.3, 0.6, 0.9):  # at some step of its start, whichever it is on this machine
            time.sleep(pause)
            postgres_of_ours.stop_hard()
            time.sleep(0.2)
            postgres_of_ours.start()
        worker.ready()
        worker.send(signal.SIGTERM)
        assert worker.stop() == 0
        assert "Traceback" not in "".join(str(line.get("exception", "")) for line in lines(worker))


def test_an_unreachable_database_ends_the_start_at_once(home: Path, postgres_of_ours: Postgres) -> None:
    done = whohas(home, "worker", WHOHAS_DATABASE_URL=postgres_of_ours.url("no_such_database"))
    assert done.returncode == 1
    (line,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert 'database "no_such_database" does not exist' in line["reason"]


def test_a_command_says_at_once_that_postgresql_is_away(home: Path) -> None:
    port = free_ports(1)[0]
    for command in (("runs",), ("client", "list"), ("load", str(home))):
        done = whohas(home, *command, "-q", WHOHAS_DATABASE_URL=f"postgresql://u:secret@127.0.0.1:{port}/x")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert f"The database postgresql://127.0.0.1:{port}/x does not answer" in done.stderr
        assert "secret" not in done.stderr


def _running(server: Postgres) -> None:
    if not server.answers():
        server.start()
