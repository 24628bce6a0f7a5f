"""The token endpoint, in each way that a known client writes to it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

import asking
from support import Server

Ask = Callable[[str, dict[str, str]], httpx2.Response]


def in_the_query(url: str, fields: dict[str, str]) -> httpx2.Response:
    return asking.post(url, params=fields)


def urlencoded(url: str, fields: dict[str, str]) -> httpx2.Response:
    return asking.post(url, data=fields)


def multipart(url: str, fields: dict[str, str]) -> httpx2.Response:
    return asking.post(url, files={name: (None, value) for name, value in fields.items()})


def multipart_as_dotnet_writes_it(url: str, fields: dict[str, str]) -> httpx2.Response:
    boundary = "c0ffee00-1234-5678-9abc-def012345678"
    parts = [
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name={name}\r\n\r\n{value}\r\n"
        for name, value in fields.items()
    ]
    content = "".join([*parts, f"--{boundary}--\r\n"])
    return asking.post(url, content=content, headers={"Content-Type": f'multipart/form-data; boundary="{boundary}"'})


def grant_in_the_query_rest_in_the_body(url: str, fields: dict[str, str]) -> httpx2.Response:
    rest = {name: value for name, value in fields.items() if name != "grant_type"}
    return asking.post(url, params={"grant_type": fields["grant_type"]}, data=rest)


def as_json(url: str, fields: dict[str, str]) -> httpx2.Response:
    return asking.post(url, json=fields)


def basic(url: str, fields: dict[str, str]) -> httpx2.Response:
    pair = base64.b64encode(f"{fields['client_id']}:{fields['client_secret']}".encode()).decode()
    return asking.post(url, data={"grant_type": fields["grant_type"]}, headers={"Authorization": f"Basic {pair}"})


WAYS = [
    in_the_query,
    urlencoded,
    multipart,
    multipart_as_dotnet_writes_it,
    grant_in_the_query_rest_in_the_body,
    as_json,
    basic,
]


@pytest.fixture
def fields(server: Server) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": server.client_id,
        "client_secret": server.client_secret,
    }


@pytest.mark.parametrize("path", ["/oauth/token", "//oauth/token"])
@pytest.mark.parametrize("ask", WAYS)
def test_a_token_is_given_in_each_way_that_clients_ask(
    server: Server, fields: dict[str, str], ask: Ask, path: str
) -> None:
    response = ask(server.url + path, fields)
    assert response.status_code == 200, response.text
    token = response.json()["access_token"]
    info = asking.get(f"{server.url}/oauth/info", headers={"Authorization": f"Bearer {token}"})
    assert info.json()["tokenEndpoint"] == f"{server.url}/oauth/token"


@pytest.mark.parametrize("ask", WAYS)
def test_a_wrong_secret_is_a_401_in_each_way(server: Server, fields: dict[str, str], ask: Ask) -> None:
    response = ask(f"{server.url}/oauth/token", {**fields, "client_secret": "wrong"})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_the_answer_has_the_keys_and_kinds_that_clients_read(server: Server, fields: dict[str, str]) -> None:
    response = urlencoded(f"{server.url}/oauth/token", fields)
    body: dict[str, Any] = response.json()
    assert body["token_type"] == "bearer"
    assert body["expires_in"] == 43_200
    assert type(body["expires_in"]) is int
    assert (body["user_name"], body["scope"]) == ("dev", "sp:scopes:all")
    assert len(body["user_id"]) == 32
    assert body["user_id"] == body["identity_id"] != server.client_id, "a personal client acts for its user"
    assert body["strong_auth"] is body["strong_auth_supported"] is body["internal"] is False
    assert body["enabled"] is True
    assert set(body) >= {"accessType", "tenant_id", "pod", "org", "identity_id", "jti"}
    assert response.headers["Cache-Control"] == "no-store"


def test_the_grant_is_read_in_either_case(server: Server, fields: dict[str, str]) -> None:
    response = urlencoded(f"{server.url}/oauth/token", {**fields, "grant_type": "CLIENT_CREDENTIALS"})
    assert response.status_code == 200


def test_the_body_counts_where_the_query_says_otherwise(server: Server, fields: dict[str, str]) -> None:
    response = asking.post(f"{server.url}/oauth/token", params={**fields, "client_secret": "wrong"}, data=fields)
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"client_id": ""}, 401, "invalid_client"),
        ({"client_id": "x" * 32}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_secret": "\0"}, 401, "invalid_client"),
    ],
)
def test_a_wrong_field_gets_the_code_of_rfc_6749(
    server: Server, fields: dict[str, str], change: dict[str, str], status: int, error: str
) -> None:
    response = urlencoded(f"{server.url}/oauth/token", {**fields, **change})
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert server.client_secret not in response.text


@pytest.mark.parametrize("pair", ["%", "!", "gA==", "YWJj"])
def test_basic_credentials_that_are_none_are_a_401(server: Server, pair: str) -> None:
    headers = {"Authorization": f"Basic {pair}"}
    response = asking.post(f"{server.url}/oauth/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


def test_a_401_names_basic_to_a_client_that_used_it(server: Server, fields: dict[str, str]) -> None:
    wrong = {**fields, "client_secret": "wrong"}
    challenged = basic(f"{server.url}/oauth/token", wrong)
    assert challenged.status_code == 401
    assert challenged.headers["WWW-Authenticate"] == 'Basic realm="whohas", charset="UTF-8"'
    assert challenged.headers["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in urlencoded(f"{server.url}/oauth/token", wrong).headers


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", ""),
        (b"no boundary", "multipart/form-data"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--", "multipart/form-data; boundary=x"),
        (b"{", "application/json"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"&".join(b"a=1" for _ in range(1000)), "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_400(server: Server, content: bytes, media_type: str) -> None:
    response = asking.post(f"{server.url}/oauth/token", content=content, headers={"Content-Type": media_type})
    assert response.status_code == 400


@pytest.mark.parametrize("charset", ["utf-7", "unicode_escape", "punycode", "nonsense", '"utf-16"'])
def test_a_form_in_an_unusual_charset_is_a_400(server: Server, fields: dict[str, str], charset: str) -> None:
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items())
    headers = {"Content-Type": f"multipart/form-data; boundary=b; charset={charset}"}
    refused = asking.post(f"{server.url}/oauth/token", content=f"{parts}--b--\r\n", headers=headers)
    assert refused.status_code == 400
    assert "Send UTF-8" in refused.json()["messages"][0]["text"]


@pytest.mark.parametrize("host", ["a b", "[::1", "a;b", "u:p@x", "x:0", "x/y", "x?y", "x#y", "x\\y", "", "x:99999"])
def test_a_host_that_is_none_is_repeated_nowhere(server: Server, host: str) -> None:
    with server.http() as http:
        refused = http.get("/oauth/info", headers={"Host": host})
        assert refused.status_code == 400, refused.text
        assert http.get("/oauth/info", headers={"Host": "Reports.example:1"}).json()["tenantId"]


def test_a_token_of_a_client_revoked_meanwhile_is_refused(server: Server) -> None:
    from support import whohas

    made = json.loads(_out(whohas(server.home, "client", "create", "short lived", "--level", "HELPDESK", "--json")))
    form = {"grant_type": "client_credentials", "client_id": made["id"], "client_secret": made["secret"]}
    token = asking.post(f"{server.url}/oauth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert asking.get(f"{server.url}/oauth/info", headers=headers).status_code == 200
    _out(whohas(server.home, "client", "revoke", made["id"]))
    refused = asking.get(f"{server.url}/oauth/info", headers=headers)
    assert (refused.status_code, refused.json()["error"]) == (
        401,
        "JWT validation failed: its client 'short lived' was revoked. Use another client of this server (`whohas client "
        "create`).",
    )
    assert asking.post(f"{server.url}/oauth/token", data=form).status_code == 401
    listed = _out(whohas(server.home, "client", "list"))
    assert made["id"] in listed
    assert made["secret"] not in listed


def test_a_client_that_may_only_read_cannot_start(server: Server) -> None:
    from support import whohas

    text = _out(whohas(server.home, "client", "create", "auditor", "--level", "REPORT_ADMIN"))
    client_id, secret = (line.split()[-1] for line in text.splitlines()[:2])
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    token = asking.post(f"{server.url}/oauth/token", data=form).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    refused = asking.post(f"{server.url}/v2025/reports/run", json={"reportType": "ACCOUNTS"}, headers=headers)
    assert (refused.status_code, refused.json()["detailCode"]) == (403, "403 Forbidden")
    assert "'auditor' may not start a run" in refused.json()["messages"][0]["text"]
    unknown = asking.get(f"{server.url}/v2025/reports/{'0' * 32}/result", headers=headers)
    assert unknown.status_code == 404


def _out(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout
