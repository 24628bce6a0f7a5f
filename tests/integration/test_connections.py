"""Connections that are idle or slow, and too many of them: others are answered meanwhile."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from structlog.testing import capture_logs

from patience import PATIENCE_SECONDS, until
from whohas import timeouts
from whohas.api.connections import Connections, LimitedServer, limited_protocol, max_connections, report_requests

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
BIG = 40 << 20


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body; `/big` with much, `/wait` in a while."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    if scope["path"] == "/wait":
        await asyncio.sleep(5)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    if scope["path"] == "/big":
        for _ in range(BIG >> 16):
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
    await send({"type": "http.response.body", "body": str(length).encode(), "more_body": False})


@dataclass
class Running:
    """A server in a thread of this process."""

    port: int
    server: LimitedServer
    stack: ExitStack

    def connect(self, sent: bytes = b"") -> socket.socket:
        connection = self.stack.enter_context(
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        )
        connection.sendall(sent)
        return connection

    def answers(self) -> bool:
        """Whether a new caller is answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(GET + b"Connection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200")


@contextmanager
def running(most: int) -> Iterator[Running]:
    limits = Connections(most)
    config = uvicorn.Config(
        report_requests(application), http=limited_protocol(limits), ws="none", lifespan="off", log_config=None
    )
    config.load()
    server = LimitedServer(config, limits)
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener.dup()],), daemon=True)
        thread.start()
        try:
            yield Running(listener.getsockname()[1], server, stack)
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {
        "HTTP_POLL_SECONDS": 0.1,
        "HTTP_HEAD_SECONDS": 2,
        "HTTP_BODY_SECONDS": 2,
        "HTTP_STALLED_SECONDS": 2,
        "HTTP_LINGER_SECONDS": 1,
        "HTTP_KEEP_ALIVE_SECONDS": 2,
    }.items():
        monkeypatch.setattr(timeouts, name, seconds)


@pytest.fixture
def served(quick: None) -> Iterator[Running]:
    with running(1000) as server:
        yield server


def rest(connection: socket.socket) -> bytes:
    """What still comes until the server closes."""
    found = b""
    try:
        while part := connection.recv(1 << 16):
            found += part
    except ConnectionError:
        pass
    return found


@pytest.mark.parametrize("sent", [b"G", GET, GET + b"X: " + b"a" * 5000, b"\r\n"])
def test_headers_that_never_end_get_a_408(served: Running, sent: bytes) -> None:
    connection = served.connect(sent)
    assert rest(connection).startswith(b"HTTP/1.1 400 " if sent == b"\r\n" else b"HTTP/1.1 408 ")
    assert served.answers()


def trickled(connection: socket.socket, sent: bytes) -> bytes:
    """Send the same bytes until an answer begins, and return its begin."""

    def answer() -> bytes:
        try:
            connection.sendall(sent)
            return connection.recv(1000)
        except TimeoutError:
            return b""

    return until(answer)


def test_headers_that_trickle_get_a_408(served: Running) -> None:
    connection = served.connect(GET)
    connection.settimeout(0.2)
    answer = trickled(connection, b"X")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"headers of this request took longer than 2 seconds" in answer + rest(connection)


def test_a_body_that_trickles_gets_a_408(served: Running) -> None:
    connection = served.connect(POST)
    connection.settimeout(0.2)
    answer = trickled(connection, b"x")
    assert answer.startswith(b"HTTP/1.1 408 ") and b"body of this request" in answer + rest(connection)


def test_a_body_that_is_long_and_comes_on_is_taken(served: Running) -> None:
    connection = served.connect(POST)
    for _ in range(40):  # four seconds and more, at 25 kB a second
        connection.sendall(b"x" * 2500)
        time.sleep(0.1)
    assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_a_connection_without_a_request_is_closed(served: Running) -> None:
    with capture_logs():
        assert rest(served.connect()) == b""
    assert served.answers()


def test_an_answer_that_nobody_reads_is_cut(served: Running) -> None:
    connection = served.connect(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
    until(lambda: served.server.limits.all)
    until(lambda: not served.server.limits.all)
    assert len(rest(connection)) < BIG
    assert served.answers()


def test_a_slow_reader_gets_all_of_its_answer(served: Running) -> None:
    connection = served.connect(b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    taken = 0
    for _ in range(50):  # longer than a reader may stand still
        taken += len(connection.recv(1 << 17))
        time.sleep(0.1)
    assert taken + len(rest(connection)) > BIG


def test_idle_connections_make_room_for_callers() -> None:
    with running(50) as server:
        waiting = [server.connect(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(5)]
        until(lambda: sum(not one.idle for one in list(server.server.limits.all)) == 5)
        for _ in range(200):
            server.connect()
        time.sleep(1)
        assert all(server.answers() for _ in range(20))
        assert len(server.server.limits.all) <= 50
        for one in waiting:
            assert one.recv(20).startswith(b"HTTP/1.1 200"), "what is under way is not closed"


def test_busy_connections_are_not_closed_for_new_ones() -> None:
    with running(20) as server:
        busy = [server.connect(POST) for _ in range(20)]
        until(lambda: len(server.server.limits.all) == 20)
        assert rest(server.connect(GET + b"\r\n")) == b"", "there is no room"
        for one in busy:
            one.sendall(b"x" * 100_000)
            assert one.recv(20).startswith(b"HTTP/1.1 200")


def test_without_open_files_the_server_goes_on() -> None:
    with running(10_000) as server, capture_logs() as log:
        assert server.answers()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        connections = [server.connect() for _ in range(20)]
        until(lambda: len(server.server.limits.all) == 20)
        used = max(one.fileno() for one in connections) + 1
        held = [socket.socket() for _ in range(30)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, hard))
        try:
            with pytest.raises(OSError):
                while True:
                    held.append(socket.socket())
            caller = held.pop()
            caller.settimeout(60)
            caller.connect(("127.0.0.1", server.port))  # the listener has it, and no file for it
            caller.sendall(GET + b"\r\n")
            assert caller.recv(20).startswith(b"HTTP/1.1 200"), "an idle connection gave its file"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for one in (*held, caller):
                one.close()
        lines = [line for line in log if line["event"] == "connections closed"]
        assert len(lines) == 1, "it is said once"
        assert "No further connection can be accepted: Too many open files" in lines[0]["reason"]
        assert server.answers()


@pytest.mark.parametrize(("files", "most"), [(64, 32), (256, 128), (1024, 768), (20_000, 15_000), (65_536, 49_152)])
def test_files_are_left_for_everything_else(files: int, most: int) -> None:
    assert max_connections(files) == most
