"""The four operations, as a client sees them on the wire."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from support import Server, result_when_over, whohas

SOURCE = {"sourceName": "Active Directory"}
ACCOUNTS = {"reportType": "ACCOUNTS", "arguments": SOURCE}
PREFIXES = ("/v3/reports", "/v2024/reports", "/v2025/reports", "/v2026/reports", "/latest/reports", "/reports/v1")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SEVEN = (
    "ACCOUNTS", "IDENTITIES_DETAILS", "IDENTITIES", "IDENTITY_PROFILE_IDENTITY_ERROR",
    "ORPHAN_IDENTITIES", "SEARCH_EXPORT", "UNCORRELATED_ACCOUNTS",
)  # fmt: skip


@pytest.fixture(scope="module")
def http(server: Server) -> Any:
    with server.http() as client:
        yield client


def started(http: httpx2.Client, where: str = "/v2025/reports", **headers: str) -> dict[str, Any]:
    response = http.post(f"{where}/run", json=ACCOUNTS, headers=headers)
    assert response.status_code == 200, response.text
    return response.json()


def text_of(response: httpx2.Response) -> str:
    body = response.json()
    assert set(body) == {"detailCode", "trackingId", "messages", "causes"}
    assert body["trackingId"] == response.headers["SLPT-Request-ID"]
    return body["messages"][0]["text"]


@pytest.mark.parametrize("prefix", [*PREFIXES, "//reports/v1", "/v2025//reports"])
def test_a_report_runs_from_start_to_download_under_every_prefix(
    server: Server, http: httpx2.Client, prefix: str
) -> None:
    where = server.url + prefix
    run = started(http, where)
    result_when_over(http, run["id"])
    result = http.get(f"{where}/{run['id']}/result").json()
    assert (result["status"], result["availableFormats"]) == ("SUCCESS", ["CSV", "PDF"])
    file = http.get(f"{where}/{run['id']}", params={"fileFormat": "csv"})
    assert file.text.startswith("id,nativeIdentity,name,")
    assert http.post(f"{where}/{run['id']}/cancel").status_code == 204


def test_a_start_answers_with_the_task_of_the_contract(http: httpx2.Client) -> None:
    run = started(http)
    assert run["type"] == "QUEUED_TASK"
    assert re.fullmatch("[0-9a-f]{32}", run["id"])
    assert (run["reportType"], run["taskDefName"], run["launcher"]) == ("ACCOUNTS", "Accounts Report", "dev")
    assert (run["parentName"], run["returns"], run["attributes"]) == (
        None,
        [],
        {"org": "whohas", "trackingId": run["attributes"]["trackingId"]},
    )
    assert re.fullmatch("[0-9a-f]{32}", run["attributes"]["trackingId"])
    assert TIME.fullmatch(run["created"])
    assert set(run) == {
        "type", "id", "reportType", "description", "parentName", "launcher", "created", "launched", "completed",
        "completionStatus", "messages", "returns", "attributes", "progress", "taskDefName",
    }  # fmt: skip
    assert run["completionStatus"] is None
    assert isinstance(run["progress"], str)


def test_a_result_is_null_until_the_end_and_then_complete(http: httpx2.Client) -> None:
    run = started(http)
    first = http.get(f"/v2025/reports/{run['id']}/result").json()
    if first["status"] is None:
        assert (first["duration"], first["rows"], first["availableFormats"]) == (None, None, None)
    result = result_when_over(http, run["id"])
    assert (result["id"], result["reportType"], result["taskDefName"]) == (run["id"], "ACCOUNTS", "Accounts Report")
    assert type(result["rows"]) is int
    assert type(result["duration"]) is int
    assert result["created"] == run["created"]
    assert result["percentComplete"] == 100
    assert result["messages"] == []


def test_accept_and_content_type_change_nothing(http: httpx2.Client) -> None:
    run = started(http, Accept="application/pdf", **{"Content-Type": "application/x-www-form-urlencoded"})
    result_when_over(http, run["id"])
    file = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"}, headers={"Accept": "application/json"})
    assert (file.status_code, file.headers["Content-Type"]) == (200, "application/csv")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "The body is empty"),
        (b"{", "line 1, column 2"),
        (b"[]", "must be a JSON object"),
        (b"{}", "reportType is missing"),
        (b'{"reportType": null}', "reportType is missing"),
        (b'{"reportType": ""}', "reportType is missing"),
        (b'{"reportType": 5}', "reportType must be a text"),
        (b'{"reportType": ["ACCOUNTS"]}', "reportType must be a text"),
        (b'{"reportType": "ACCOUNT"}', "There is no report type 'ACCOUNT'"),
        (b'{"reportType": "ACCOUNTS", "reportType": "ACCOUNTS"}', "twice"),
        (b'{"reportType": "ACCOUNTS", "arguments": []}', "arguments must be a JSON object"),
        (b'{"reportType": "ACCOUNTS", "arguments": "x"}', "arguments must be a JSON object"),
        (b'{"reportType": "ACCOUNTS", "arguments": {"sourceName": NaN}}', "NaN"),
        (b'{"reportType": "ACCOUNTS", "arguments": ' + b"[" * 100_000, "levels deep"),
        (b'{"reportType": "ACCOUNTS"}', "application"),
        (b'{"reportType": "ACCOUNTS", "arguments": null}', "application"),
        (b'{"reportType": "ACCOUNTS", "arguments": {"sourceName": 5}}', "sourceName"),
        (b'{"reportType": "ACCOUNTS", "arguments": {"sourceName": "No Such Source"}}', "No Such Source"),
        (b'{"reportType": "SEARCH_EXPORT", "arguments": {"correlatedOnly": false}}', "from_json"),
        (b'{"reportType": "IDENTITY_PROFILE_IDENTITY_ERROR"}', "authoritativeSource"),
    ],
)
def test_a_wrong_start_is_a_400_with_the_reason(http: httpx2.Client, body: bytes, says: str) -> None:
    response = http.post("/v2025/reports/run", content=body)
    assert response.status_code == 400
    assert says in text_of(response)
    assert response.json()["detailCode"] == "400.1 Bad Request Content"


@pytest.mark.parametrize("body", [b"{}", b'{"reportType": 5}', b'{"reportType": "X"}'])
def test_a_wrong_report_type_is_answered_with_the_seven(http: httpx2.Client, body: bytes) -> None:
    said = text_of(http.post("/v2025/reports/run", content=body))
    assert all(name in said for name in SEVEN)


def test_arguments_that_older_clients_send_along_are_no_fault(http: httpx2.Client) -> None:
    arguments = {**SOURCE, "defaultS3Bucket": True, "s3Bucket": "x", "correlatedOnly": False}
    run = http.post("/v3/reports/run", json={"reportType": "ACCOUNTS", "arguments": arguments})
    assert run.status_code == 200


def test_an_argument_that_means_nothing_is_told_in_a_message(http: httpx2.Client) -> None:
    result_when_over(http, started(http)["id"])
    body = {"reportType": "ACCOUNTS", "arguments": {**SOURCE, "colour": "blue"}}
    run = http.post("/v2025/reports/run", json=body).json()
    (message,) = run["messages"]
    assert set(message) == {"type", "error", "warning", "key", "localizedText"}
    assert (message["type"], message["error"], message["warning"]) == ("INFO", False, False)
    assert "colour" in message["localizedText"]
    assert result_when_over(http, run["id"])["messages"] == [message]


@pytest.mark.parametrize(
    "run_id",
    [
        "0" * 32,
        "x",
        "ABCDEF0123456789ABCDEF0123456789",
        "a%2Fb",
        "%00",
        "%0A",
        "%ff",
        "..%2f..",
        "%E2%80%AE",
        "x" * 5000,
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2025/reports/{}/result"),
        ("GET", "/reports/v1/{}?fileFormat=csv"),
        ("POST", "/v2025/reports/{}/cancel"),
    ],
)
def test_an_id_of_no_run_is_a_404(http: httpx2.Client, method: str, path: str, run_id: str) -> None:
    response = http.request(method, path.format(run_id))
    assert response.status_code == 404
    assert text_of(response)
    assert response.json()["detailCode"] == "404 Not found"


@pytest.mark.parametrize("spelling", ["%61", "%30"])
def test_an_id_may_be_percent_encoded(http: httpx2.Client, spelling: str) -> None:
    run = started(http)
    letter = bytes.fromhex(spelling[1:]).decode()
    result = http.get(f"/v2025/reports/{run['id'].replace(letter, spelling)}/result")
    assert result.json()["id"] == run["id"]


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "1", "false", "False", "0"])
def test_a_flag_is_read_in_every_spelling_that_clients_have(http: httpx2.Client, value: str) -> None:
    run = started(http)
    response = http.get(f"/v2025/reports/{run['id']}/result", params={"completed": value})
    assert response.status_code == 200


@pytest.mark.parametrize("value", ["", "maybe", "2", "null"])
def test_a_flag_that_is_none_is_a_400(http: httpx2.Client, value: str) -> None:
    run = started(http)
    response = http.get(f"/v2025/reports/{run['id']}/result", params={"completed": value})
    assert response.status_code == 400
    assert "true or false" in text_of(response)
    assert "completed" in text_of(response)


def test_completed_returns_the_newest_finished_run_of_the_report(http: httpx2.Client) -> None:
    done = started(http)
    result_when_over(http, done["id"])
    next_one = started(http)
    result = http.get(f"/v2025/reports/{next_one['id']}/result", params={"completed": "True"}).json()
    assert result["status"] == "SUCCESS"
    assert result["id"] in (done["id"], next_one["id"])


@pytest.mark.parametrize("value", ["csv", "CSV", "Csv"])
def test_a_file_format_is_read_in_either_case(http: httpx2.Client, value: str) -> None:
    run = started(http)
    result_when_over(http, run["id"])
    assert http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": value, "auditable": "True"}).is_success


@pytest.mark.parametrize("query", ["", "?fileFormat=", "?fileFormat=docx", "?fileFormat=extract", "?name=x"])
def test_an_unknown_file_format_is_a_400_with_the_choices(http: httpx2.Client, query: str) -> None:
    response = http.get(f"/v2025/reports/{'0' * 32}{query}")
    assert response.status_code == 400
    assert re.search("csv(, | or )pdf, ", text_of(response))


def test_a_missing_format_is_made_on_the_first_request(http: httpx2.Client) -> None:
    body = {**ACCOUNTS, "arguments": {**SOURCE, "selectedFormats": ["CSV"]}}
    run = http.post("/v2025/reports/run", json=body).json()
    result_when_over(http, run["id"])
    response = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "pdf"})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/pdf")
    assert response.content.startswith(b"%PDF-")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\x00", b"x" * 100_000])
@pytest.mark.parametrize("media_type", ["application/json", "application/x-www-form-urlencoded"])
def test_a_cancel_does_not_look_at_its_body(http: httpx2.Client, content: bytes, media_type: str) -> None:
    run = started(http)
    response = http.post(f"/v2025/reports/{run['id']}/cancel", content=content, headers={"Content-Type": media_type})
    assert (response.status_code, response.content) == (204, b"")
    assert result_when_over(http, run["id"])["status"] in ("TERMINATED", "SUCCESS")


def test_a_report_that_is_switched_off_has_empty_results(server: Server, http: httpx2.Client) -> None:
    run = started(http)
    result_when_over(http, run["id"])
    assert whohas(server.home, "reports", "disable", "ACCOUNTS").returncode == 0
    try:
        assert http.get(f"/v2025/reports/{run['id']}/result").json() == {}
        refused = http.post("/v2025/reports/run", json=ACCOUNTS)
        assert refused.status_code == 400
        assert "switched off" in text_of(refused)
    finally:
        assert whohas(server.home, "reports", "enable", "ACCOUNTS").returncode == 0
    assert http.get(f"/v2025/reports/{run['id']}/result").json()["status"] == "SUCCESS"
