"""What an installation can set about its HTTP door: CORS, the CSV's media type, the limit of bodies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import asking
from factories import publish
from support import Server, result_when_over, serving
from whohas.warehouse.store import Warehouse

ORIGIN = "https://reports.acme.example"
PREFLIGHT = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,accept",
}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home: Path = tmp_path_factory.mktemp("tuned") / "home"
    publish(Warehouse(home / "warehouse"), [{"id": "ad", "name": "Active Directory"}])
    settings = {
        "WHOHAS_CORS_ORIGINS": f"{ORIGIN}, https://other.example",
        "WHOHAS_CSV_MEDIA_TYPE": "text/csv; charset=utf-8",
        "WHOHAS_MAX_BODY_BYTES": "2048",
        "WHOHAS_TOKEN_LIFETIME": "7200",
        "WHOHAS_ORG": "acme",
    }
    with serving(home, **settings) as server:
        yield server


def test_a_page_of_a_listed_origin_may_ask(tuned: Server) -> None:
    response = asking.options(f"{tuned.url}/v2025/reports/run", headers=PREFLIGHT)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("authorization", "content-type", "accept"))


def test_a_page_of_another_origin_may_not(tuned: Server) -> None:
    headers = {**PREFLIGHT, "Origin": "https://evil.example"}
    response = asking.options(f"{tuned.url}/v2025/reports/run", headers=headers)
    assert "Access-Control-Allow-Origin" not in response.headers


def test_cors_exposes_the_headers_of_refusals_too(tuned: Server) -> None:
    response = asking.get(f"{tuned.url}/oauth/info", headers={"Origin": ORIGIN})
    assert response.status_code == 401
    assert response.headers["Access-Control-Allow-Origin"] == ORIGIN
    exposed = response.headers["Access-Control-Expose-Headers"]
    assert all(name in exposed for name in ("Content-Disposition", "Retry-After", "ETag", "SLPT-Request-ID"))


def test_without_the_setting_there_is_no_cors(server: Server) -> None:
    response = asking.options(f"{server.url}/v2025/reports/run", headers=PREFLIGHT)
    assert response.status_code == 401
    assert "Access-Control-Allow-Origin" not in response.headers


def test_the_media_type_of_a_csv_follows_the_setting(tuned: Server) -> None:
    with tuned.http() as http:
        body = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Active Directory"}}
        run = http.post("/v2025/reports/run", json=body).json()
        assert run["attributes"]["org"] == "acme"
        assert result_when_over(http, run["id"])["status"] == "SUCCESS"
        file = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"})
        assert file.headers["Content-Type"] == "text/csv; charset=utf-8"


def test_the_limit_of_bodies_is_what_is_set(tuned: Server) -> None:
    with tuned.http() as http:
        refused = http.post("/v2025/reports/run", content=b" " * 2049)
        assert (refused.status_code, "2,048 bytes" in refused.text) == (413, True)
        assert http.post("/v2025/reports/run", content=b" " * 2048).status_code == 400


def test_token_lifetime_and_organization_follow_the_settings(tuned: Server) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_id": tuned.client_id,
        "client_secret": tuned.client_secret,
    }
    token = asking.post(f"{tuned.url}/oauth/token", data=form).json()
    assert (token["expires_in"], token["org"]) == (7200, "acme")
