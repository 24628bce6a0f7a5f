"""The plain poll, which is answered before the routing, says what the route of results says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

import asking
from patience import until
from support import Server, result_when_over, serving, whohas
from whohas.api.routes.reports import PREFIXES

NOBODYS = "0123456789abcdef0123456789abcdef"
SECRETS = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b")
"""An id and a secret, as a new client's are told."""
ROUTED = {"completed": "false"}
"""A query, with which a poll goes the way of every other request."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def polled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, acme_home: Path
) -> Iterator[Server]:
    """A server of this module, which asks its database on the spot or from a thread."""
    home: Path = tmp_path_factory.mktemp("polled") / "home"
    home.mkdir()
    (home / "warehouse").symlink_to(acme_home / "warehouse")
    url = request.getfixturevalue("postgres").ready_database() if request.param == "postgresql" else ""
    with serving(home, WHOHAS_DATABASE_URL=url) as server:
        yield server


def both(http: httpx2.Client, path: str) -> tuple[httpx2.Response, httpx2.Response]:
    return http.get(path), http.get(path, params=ROUTED)


def told(answer: httpx2.Response) -> object:
    """What an answer says, without the id that is its own."""
    body = answer.json()
    body.pop("trackingId", None)
    own = ("slpt-request-id", "date", "content-length")
    return answer.status_code, body, {name: value for name, value in answer.headers.items() if name not in own}


def started(http: httpx2.Client, report: str = "IDENTITIES") -> str:
    body = {"reportType": report, "arguments": {"selectedFormats": ["CSV"]}}
    return http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]


@pytest.fixture(scope="module")
def over(polled: Server) -> str:
    """A run that is over."""
    with polled.http() as http:
        run = started(http)
        result_when_over(http, run)
    return run


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_plain_poll_is_told_what_the_route_tells(polled: Server, over: str, prefix: str) -> None:
    with polled.http() as http:
        for path in (f"{prefix}/{over}/result", f"{prefix}/{NOBODYS}/result"):
            plain, routed = both(http, path)
            assert told(plain) == told(routed)
            assert plain.headers["content-type"] == "application/json"


def test_a_run_under_way_has_no_status_yet(polled: Server) -> None:
    with polled.http() as http:
        run = started(http, "ORPHAN_IDENTITIES")
        seen = [http.get(f"/v2025/reports/{run}/result").json() for _ in range(3)]
        assert result_when_over(http, run)["status"] == "SUCCESS"
    assert all(answer["status"] in (None, "SUCCESS") and answer["id"] == run for answer in seen)


@pytest.mark.parametrize("header", [None, "Bearer x", "Basic eA=="])
def test_without_a_valid_token_a_poll_is_a_401(polled: Server, header: str | None) -> None:
    with asking.Client(base_url=polled.url, headers={"Authorization": header} if header else {}) as http:
        plain, routed = both(http, f"/v2025/reports/{NOBODYS}/result")
    assert plain.status_code == 401
    assert told(plain) == told(routed)


def test_a_token_whose_scope_does_not_do_is_a_403(polled: Server) -> None:
    made = whohas_of(
        polled, "client", "create", "tasks-only", "--scope", "idn:task-management:read", "--level", "ORG_ADMIN"
    )
    with client_of(polled, made) as http:
        plain, routed = both(http, f"/v2025/reports/{NOBODYS}/result")
    assert plain.status_code == 403
    assert told(plain) == told(routed)


def test_somebody_elses_run_is_not_there(polled: Server) -> None:
    made = whohas_of(polled, "client", "create", "of-sources", "--level", "SOURCE_ADMIN", "--source", "Ledger Database")
    with polled.http() as admin, client_of(polled, made) as http:
        run = started(admin)
        plain, routed = both(http, f"/v2025/reports/{run}/result")
    assert plain.status_code == 404
    assert told(plain) == told(routed)


def test_a_revoked_client_cannot_poll_any_more(polled: Server) -> None:
    made = whohas_of(polled, "client", "create", "short-lived", "--level", "ORG_ADMIN", "--scope", "sp:report:manage")
    with client_of(polled, made) as http:
        run = started(http)
        assert http.get(f"/v2025/reports/{run}/result").status_code == 200
        whohas_of(polled, "client", "revoke", SECRETS.findall(made)[0])
        assert http.get(f"/v2025/reports/{run}/result").status_code == 401


def test_a_report_that_is_switched_off_tells_nothing(polled: Server) -> None:
    with polled.http() as http:
        run = started(http, "IDENTITIES_DETAILS")
        result_when_over(http, run)
        whohas_of(polled, "reports", "disable", "IDENTITIES_DETAILS")
        plain, routed = both(http, f"/v2025/reports/{run}/result")
        whohas_of(polled, "reports", "enable", "IDENTITIES_DETAILS")
        assert (plain.status_code, plain.json()) == (200, {})
        assert told(plain) == told(routed)
        assert http.get(f"/v2025/reports/{run}/result").json()["status"] == "SUCCESS"


def test_polls_are_counted_and_logged_like_other_requests(polled: Server) -> None:
    with polled.http() as http:
        tracking_id = http.get(f"/v2026/reports/{NOBODYS}/result").headers["SLPT-Request-ID"]
        figures = http.get("/metrics").text
    counted = 'whohas_http_requests_total{method="GET",route="/v2026/reports/{id:path}/result",status="404"}'
    assert counted in figures
    until(lambda: tracking_id in polled.log.read_text(), polled.log.read_text)  # the line comes after the answer
    log = polled.log.read_text()
    (line,) = (line for line in log.splitlines() if tracking_id in line)
    assert '"status": 404' in line


def whohas_of(server: Server, *arguments: str) -> str:
    done = whohas(server.home, *arguments, **server.settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def client_of(server: Server, made: str) -> httpx2.Client:
    """An HTTP client of a client that was just made."""
    client_id, secret = SECRETS.findall(made)[:2]
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    token = asking.post(f"{server.url}/oauth/token", data=form).raise_for_status().json()["access_token"]
    return asking.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"})
