"""What a connection takes: a head that has an end, and nothing after it that changes what it said."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterable, Iterator

import pytest

import asking
from patience import PATIENCE_SECONDS
from support import Server

CHUNK = b"x" * 4_096
MOST = 16_384
"""Bytes of a head that are taken in any case."""
ENDLESS = 4 << 20
"""More bytes than a server may take in before it gives up."""


def sent(server: Server, parts: Iterable[bytes]) -> tuple[bytes, int]:
    """The answer to bytes that are sent until the server has had enough; and how many it let one send."""
    host, port = server.url.removeprefix("http://").split(":")
    taken, answer = 0, b""
    with socket.create_connection((host, int(port)), 30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                taken += len(part)
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:
            pass  # the server closed it while more was on the way
    return answer, taken


def until_closed(begin: bytes, more: bytes) -> Iterator[bytes]:
    yield begin
    for _ in range(ENDLESS // len(more)):
        yield more


HEAD = b"POST /v2025/reports/run HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", CHUNK),
        (HEAD + b"X: ", CHUNK),
        (HEAD, b"X-" + CHUNK + b": y\r\n"),
        (HEAD, b"A: b\r\n" * 1_000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", CHUNK),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", CHUNK),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"A: b\r\n" * 1_000),
    ],
    ids=["a path", "a header", "long headers", "short headers", "a chunk's extension", "a trailer", "trailers"],
)
def test_what_never_ends_is_not_kept(server: Server, begin: bytes, more: bytes) -> None:
    answer, taken = sent(server, until_closed(begin, more))
    assert taken < ENDLESS
    assert not answer or answer.split(b" ", 2)[1] in (b"400", b"401"), answer[:200]
    assert asking.get(f"{server.url}/healthz").status_code == 200


def test_a_request_head_just_below_the_limit_is_accepted(server: Server) -> None:
    headers = {f"X-{number}": "y" * 1_000 for number in range(MOST // 1_024)}
    assert asking.get(f"{server.url}/healthz", headers=headers).status_code == 200


def test_a_long_body_needs_no_short_head(server: Server) -> None:
    with server.http() as http:
        body = b" " * (MOST * 4) + b'{"reportType": "NOTHING"}'
        assert "NOTHING" in http.post("/v2025/reports/run", content=body).json()["messages"][0]["text"]


def test_a_trailer_does_not_become_a_header(server: Server) -> None:
    chunked = (
        HEAD
        + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nAuthorization: Bearer %s\r\n\r\n"
    )
    answer, _ = sent(server, [chunked % server.token().encode()])
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"Authorization header is missing" in answer


def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    paths = [b"/healthz", b"/nothing", b"/healthz"]
    requests = b"".join(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path for path in paths[:-1])
    last = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % paths[-1]
    answer, _ = sent(server, [requests + last])
    statuses = [part.split(b" ", 1)[0] for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"401", b"200"]


def test_a_client_that_offers_http2_is_answered_again_and_again(server: Server) -> None:
    # as Java's own client does with each request until it is answered in HTTP/2
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    headers = dict(line.split(": ") for line in offer.decode().splitlines())
    for _ in range(3):
        headers["Authorization"] = f"Bearer {server.token()}"
        connection.request("POST", "/v2025/reports/run", b'{"reportType": "NOTHING"}', headers)
        answer = connection.getresponse()
        assert (answer.status, b"NOTHING" in answer.read()) == (400, True)


SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize("path", [b"/v2025/reports/run", b"/oauth/token", b"/healthz", b"/oauth/authorize"])
@pytest.mark.parametrize("method", [b"POST", b"GET", b"PUT"])
@pytest.mark.parametrize(
    "lengths",
    [
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        b"content-length: 99999999\r\ntransfer-encoding: Chunked\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
    ],
)
def test_a_request_with_two_lengths_is_answered_and_closed(
    server: Server, method: bytes, path: bytes, lengths: bytes
) -> None:
    head = method + b" " + path + b" HTTP/1.1\r\nHost: x\r\n" + lengths + b"\r\n"
    answer, _ = sent(server, [head + CHUNKED + SMUGGLED])
    assert answer.count(b"HTTP/1.1 ") == 1, answer
    assert b"\r\nconnection: close\r\n" in answer.lower()
    assert answer.split(b" ", 2)[1] in (b"200", b"400", b"401", b"405"), answer


def test_a_request_with_one_length_keeps_its_connection(server: Server) -> None:
    head = b"POST /oauth/token HTTP/1.1\r\nHost: x\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for request in (b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED):
        answer, _ = sent(server, [head + request + last])
        assert answer.count(b"HTTP/1.1 ") == 2, answer
