"""Paths that end with a slash, and bodies in a content coding."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

import asking
from support import Server

BODY = json.dumps({"reportType": "ACCOUNTS", "arguments": {"sourceName": "nothing"}}).encode()
ROUTES = [
    ("POST", "/v2025/reports/run"),
    ("POST", "/reports/v1/run"),
    ("POST", "/v2025/reports/0123456789abcdef0123456789abcdef/cancel"),
    ("PATCH", "/v2025/task-status/0123456789abcdef0123456789abcdef"),
    ("POST", "/whohas/schedules"),
    ("PATCH", "/whohas/schedules/x"),
    ("POST", "/whohas/schedules/x/run"),
]


def test_every_route_that_takes_a_body_is_tried(server: Server) -> None:
    paths = asking.get(f"{server.url}/openapi.json").json()["paths"]
    taking = {path for path, operations in paths.items() for one in operations.values() if "requestBody" in one}
    tails = {path.rpartition("/")[2] for _, path in ROUTES} | {"token", "authorize"}
    assert {path.rpartition("/")[2] for path in taking} - {"{id}"} <= tails


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "rot13"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_body_in_a_content_coding_is_a_415(server: Server, method: str, path: str, coding: str) -> None:
    content = zlib.compress(BODY) if coding == "deflate" else gzip.compress(BODY)
    headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
    with server.http() as http:
        refused = http.request(method, path, content=content, headers=headers)
    assert refused.status_code == 415
    assert refused.headers["Accept-Encoding"] == "identity"
    assert refused.json()["detailCode"] == "415 Unsupported Media Type"
    assert "without Content-Encoding" in refused.json()["messages"][0]["text"]


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/token/", "/oauth/authorize"])
def test_so_it_is_where_no_token_is_needed(server: Server, path: str) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"}
    refused = asking.post(f"{server.url}{path}", content=gzip.compress(b"a=b"), headers=headers)
    assert (refused.status_code, refused.headers["Accept-Encoding"]) == (415, "identity")


def test_a_chunked_body_in_a_coding_is_refused_too(server: Server) -> None:
    with server.http() as http:
        refused = http.post(
            "/v2025/reports/run", content=iter([gzip.compress(BODY)]), headers={"Content-Encoding": "gzip"}
        )
    assert refused.status_code == 415


@pytest.mark.parametrize("coding", ["identity", "Identity", "utf-8", "UTF-8", ""])
def test_no_coding_is_no_reason_to_refuse(server: Server, coding: str) -> None:
    with server.http() as http:
        answer = http.post("/v2025/reports/run", content=BODY, headers={"Content-Encoding": coding})
    assert (answer.status_code, "nothing" in answer.text) == (400, True)


def test_a_request_without_a_body_is_not_refused(server: Server) -> None:
    headers = {"Content-Encoding": "gzip"}
    with server.http() as http:
        assert http.get("/oauth/info", headers=headers).status_code == 200
        assert http.post("/v2025/reports/0123456789abcdef0123456789abcdef/cancel", headers=headers).status_code == 404


@pytest.mark.parametrize("path", ["/oauth/token/", "//oauth/token//", "/oauth//token///"])
def test_a_slash_at_the_end_is_answered_without_a_redirect(server: Server, path: str) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": server.client_id,
        "client_secret": server.client_secret,
    }
    answer = asking.post(f"{server.url}{path}", data=form)
    assert (answer.status_code, bool(answer.json()["access_token"])) == (200, True)


def test_every_path_is_protected_and_normalizing_opens_none(server: Server) -> None:
    with server.http() as http:
        for path in ("/oauth/info", "/whohas/schedules", "/v2025/task-status", "/healthz", "/openapi.json"):
            with_slash, without = http.get(f"{path}/"), http.get(path)
            assert (with_slash.status_code, with_slash.content) == (without.status_code, without.content), path
            assert without.status_code == 200
        started = http.post("/v2025/reports/run/", content=BODY)
        assert (started.status_code, "nothing" in started.text) == (400, True)
    for path in ("/oauth/info/", "/whohas/schedules/", "/v2025/task-status/", "/", "//"):
        assert asking.get(f"{server.url}{path}").status_code == 401, path
