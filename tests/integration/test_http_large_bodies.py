"""Bodies beyond the limit: refused, the answer delivered, and never held in memory."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator

import psutil
import pytest

from patience import PATIENCE_SECONDS
from support import Server

MEGABYTE = b"x" * (1 << 20)
HUNDRED = 100


def megabytes(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield MEGABYTE


def posted(
    server: Server, body: Iterator[bytes] | bytes, token: str | None, path: str = "/v2025/reports/run", **headers: str
) -> tuple[int, dict[str, object]]:
    """Sends the whole body before it looks at the answer, as most clients do."""
    host, port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_SECONDS)
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    connection.request("POST", path, body, headers, encode_chunked="Transfer-Encoding" in headers)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def memory(server: Server) -> int:
    return psutil.Process(server.process.pid).memory_info().rss


@pytest.mark.parametrize("path", ["/v2025/reports/run", "/oauth/token"])
@pytest.mark.parametrize("way", [{"Content-Length": str(HUNDRED << 20)}, {"Transfer-Encoding": "chunked"}])
def test_a_body_of_100_megabytes_is_a_cheap_413(server: Server, way: dict[str, str], path: str) -> None:
    token = server.token()
    before = memory(server)
    status, body = posted(server, megabytes(HUNDRED), token, path, **way)
    assert (status, body["detailCode"]) == (413, "413 Payload Too Large")
    assert "1,048,576 bytes" in str(body["messages"])
    assert memory(server) - before < 20 << 20


def test_without_a_token_it_is_a_401_all_the_same(server: Server) -> None:
    status, body = posted(server, megabytes(HUNDRED), None, **{"Transfer-Encoding": "chunked"})
    assert (status, set(body)) == (401, {"error"})


def test_a_body_just_within_the_limit_is_read(server: Server) -> None:
    padding = (1 << 20) - len('{"reportType": ""}')
    body = json.dumps({"reportType": "x" * padding}).encode()
    assert len(body) == 1 << 20
    assert posted(server, body, server.token())[0] == 400
    assert posted(server, body + b" ", server.token())[0] == 413


def test_a_client_that_sends_expect_is_refused_before_its_body(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        head = (
            f"POST /v2025/reports/run HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.token()}\r\n"
            f"Content-Length: {HUNDRED << 20}\r\nExpect: 100-continue\r\n\r\n"
        )
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_client_that_disconnects_midway_does_no_harm(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
            head = (
                f"POST /v2025/reports/run HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {server.token()}\r\n"
                "Content-Length: 1000\r\n\r\n{"
            )
            connection.sendall(head.encode())
    status, _ = posted(server, b"{}", server.token())
    assert status == 400


@pytest.mark.parametrize("with_token", [True, False])
def test_the_answer_comes_even_if_the_body_never_does(server: Server, with_token: bool) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    authorization = f"Authorization: Bearer {server.token()}\r\n" if with_token else ""
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        head = f"POST /v2025/reports/run HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Length: {HUNDRED << 20}\r\n\r\n"
        connection.sendall(head.encode() + b"{")
        assert connection.recv(100).startswith(b"HTTP/1.1 413" if with_token else b"HTTP/1.1 401")


def test_a_connection_stays_usable_after_a_too_long_body(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE_SECONDS)
    for _ in range(3):
        connection.request(
            "POST", "/v2025/reports/run", megabytes(3), {"Content-Length": str(3 << 20), "Authorization": "Bearer x"}
        )
        response = connection.getresponse()
        assert (response.status, bool(response.read())) == (401, True)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
