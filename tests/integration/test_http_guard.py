"""Nothing answers without a valid token but the token endpoint, health and the API's description."""

from __future__ import annotations

import http.client
import json

import pytest

import asking
from patience import PATIENCE_SECONDS, until
from support import Server

RUN_ID = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v2025/reports/run"),
        ("POST", "/reports/v1/run"),
        ("GET", f"/v3/reports/{RUN_ID}/result"),
        ("GET", f"/latest/reports/{RUN_ID}?fileFormat=csv"),
        ("HEAD", f"/v2025/reports/{RUN_ID}?fileFormat=csv"),
        ("POST", f"/v2026/reports/{RUN_ID}/cancel"),
        ("GET", "/oauth/info"),
        ("GET", "/docs"),
        ("GET", "/"),
        ("GET", "/nothing/here"),
        ("DELETE", "/v2025/reports/run"),
        ("GET", "/healthz/../oauth/info"),
    ],
)
def test_without_a_token_everything_is_401_unknown_paths_too(server: Server, method: str, path: str) -> None:
    response = asking.request(method, server.url + path)
    assert response.status_code == 401
    if method != "HEAD":
        assert set(response.json()) == {"error"}
        assert "Authorization" in response.json()["error"]


@pytest.mark.parametrize(
    ("authorization", "says"),
    [
        ("Bearer ", "The token is empty"),
        ("Bearer", "The token is empty"),
        ("Bearer null", "not a JSON Web Token"),
        ("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.", "the algorithm must be ES256"),
        ("Basic YTpi", "of the form `Bearer <token>`"),
        ("", "of the form `Bearer <token>`"),
    ],
)
def test_a_token_that_is_none_is_refused_with_the_reason(server: Server, authorization: str, says: str) -> None:
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    connection.request("GET", "/oauth/info", headers={"Authorization": authorization})
    response = connection.getresponse()
    assert response.status == 401
    assert says in json.loads(response.read())["error"]


def test_a_token_with_a_changed_letter_is_refused(server: Server) -> None:
    token = server.token()
    changed = token[:-10] + ("A" if token[-10] != "A" else "B") + token[-9:]
    response = asking.get(f"{server.url}/oauth/info", headers={"Authorization": f"Bearer {changed}"})
    assert response.status_code == 401
    assert "signature" in response.json()["error"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_either_case(server: Server, scheme: str) -> None:
    response = asking.get(f"{server.url}/oauth/info", headers={"Authorization": f"{scheme} {server.token()}"})
    assert response.status_code == 200


def test_two_authorization_headers_are_refused(server: Server) -> None:
    header = f"Bearer {server.token()}"
    response = asking.get(f"{server.url}/oauth/info", headers=[("Authorization", header), ("Authorization", header)])
    assert response.status_code == 401


def test_health_answers_without_a_token(server: Server) -> None:
    response = asking.get(f"{server.url}/healthz")
    assert (response.status_code, response.json()["status"]) == (200, "ok")
    assert asking.head(f"{server.url}/healthz").status_code == 200


def test_the_description_names_every_operation_with_its_parameters(server: Server) -> None:
    described = asking.get(f"{server.url}/openapi.json").json()
    for prefix in (
        "/v3/reports",
        "/v2024/reports",
        "/v2025/reports",
        "/v2026/reports",
        "/latest/reports",
        "/reports/v1",
    ):
        start = described["paths"][f"{prefix}/run"]["post"]
        schema = start["requestBody"]["content"]["application/json"]["schema"]
        assert set(schema["properties"]) == {"reportType", "arguments"}
        file = described["paths"][f"{prefix}/{{id}}"]["get"]
        assert {parameter["name"] for parameter in file["parameters"]} == {"id", "fileFormat", "name", "auditable"}
        result = described["paths"][f"{prefix}/{{id}}/result"]["get"]
        assert {parameter["name"] for parameter in result["parameters"]} == {"id", "completed"}
        assert "404" in described["paths"][f"{prefix}/{{id}}/cancel"]["post"]["responses"]
        assert [set(way) for way in start["security"]] == [{"userAuth"}, {"applicationAuth"}]
        cancel = described["paths"][f"{prefix}/{{id}}/cancel"]["post"]
        assert [set(way) for way in cancel["security"]] == [{"userAuth"}], "the contract has no other way"
    ids = [operation["operationId"] for path in described["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


def test_unknown_paths_and_methods_have_the_contracts_bodies(server: Server) -> None:
    with server.http() as client:
        nowhere = client.get("/nothing/here")
        assert (nowhere.status_code, nowhere.json()["detailCode"]) == (404, "404 Not found")
        assert "/openapi.json" in nowhere.json()["messages"][0]["text"]
        wrong = client.delete("/v2025/reports/run")
        assert (wrong.status_code, wrong.json()["detailCode"]) == (405, "405 Method Not Allowed")
        run = client.get("/v2025/reports/run?fileFormat=csv")
        assert (run.status_code, run.headers["Allow"]) == (405, "POST")


def test_the_log_has_the_tracking_id_and_no_secret(server: Server) -> None:
    with server.http() as client:
        response = client.get(f"/v2025/reports/{RUN_ID}/result", params={"completed": "true", "x": "in-the-query"})
    tracking_id = response.json()["trackingId"]
    assert response.headers["SLPT-Request-ID"] == tracking_id
    until(lambda: tracking_id in server.log.read_text(), server.log.read_text)  # the line comes after the answer
    log = server.log.read_text()
    line = next(line for line in log.splitlines() if tracking_id in line)
    for part in ('"method": "GET"', f"/v2025/reports/{RUN_ID}/result", '"status": 404', server.client_id):
        assert part in line
    assert "in-the-query" not in log
    assert server.client_secret not in log
