"""What a run answers to whom, on examples/acme, through the API."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from factories import publish
from support import ACME, Server, result_when_over, serving, whohas
from whohas.warehouse.store import Warehouse

PREFIXES = ["/v3", "/v2024", "/v2025", "/v2026", "/latest"]
FIXED = [
    "id", "nativeIdentity", "name", "sourceId", "sourceName", "identityId", "identityName", "correlated",
    "manuallyCorrelated", "disabled", "locked", "privileged", "hasEntitlements", "created", "modified",
]  # fmt: skip


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx2.Client]:
    with server.http() as client:
        yield client


def accounts_of(source: str) -> list[dict[str, Any]]:
    with (ACME / "accounts.ndjson").open() as file:
        return [account for line in file if (account := json.loads(line))["sourceName"] == source]


def start(http: httpx2.Client, path: str = "/v2025/reports/run", **arguments: Any) -> dict[str, Any]:
    return http.post(path, json={"reportType": "ACCOUNTS", "arguments": arguments}).raise_for_status().json()


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_four_operations_answer_under_every_version(http: httpx2.Client, prefix: str) -> None:
    run = start(http, f"{prefix}/reports/run", sourceName="Nimbus CRM")
    assert re.fullmatch("[0-9a-f]{32}", run["id"])
    result = result_when_over(http, run["id"], prefix)
    assert (result["id"], result["status"], result["availableFormats"]) == (run["id"], "SUCCESS", ["CSV", "PDF"])
    assert http.get(f"{prefix}/reports/{run['id']}", params={"fileFormat": "csv"}).status_code == 200
    assert http.post(f"{prefix}/reports/{run['id']}/cancel").status_code == 204


def test_newer_sdks_get_the_form_that_they_expect(http: httpx2.Client) -> None:
    run = start(http, "/reports/v1/run", sourceName="Nimbus CRM")
    while (result := http.get(f"/reports/v1/{run['id']}/result").json())["status"] is None:
        pass
    assert result["status"] == "SUCCESS"
    assert http.get(f"/reports/v1/{run['id']}", params={"fileFormat": "CSV"}).status_code == 200
    assert http.post(f"/reports/v1/{run['id']}/cancel").status_code == 204


def test_the_report_has_every_account_with_every_attribute(http: httpx2.Client) -> None:
    accounts = accounts_of("Active Directory")
    run = start(http, application=accounts[0]["sourceId"], sourceName="Active Directory")
    result = result_when_over(http, run["id"])
    assert result["rows"] == len(accounts)
    answer = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"})
    found = {row["id"]: row for row in rows(answer.text)}
    assert set(found) == {account["id"] for account in accounts}
    attributes = sorted({name for account in accounts for name in account["attributes"]})
    assert list(next(iter(found.values())))[: len(FIXED)] == FIXED
    for account in accounts:
        row = found[account["id"]]
        assert row["nativeIdentity"] == account["nativeIdentity"]
        assert row["identityId"] == (account.get("identityId") or "")
        assert row["correlated"] == str(not account["uncorrelated"]).lower()
        assert row["disabled"] == str(account["disabled"]).lower()
        for name in attributes:
            column = f"attributes.{name}" if name in FIXED else name
            assert row[column] == text_of(account["attributes"].get(name)), (account["id"], name)


def text_of(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case list():
            return ";".join(text_of(item) for item in value)
        case _:
            return str(value)


def test_a_csv_with_a_mapping_is_a_report_too(http: httpx2.Client) -> None:
    with (ACME / "badges.csv").open(newline="") as file:
        badges = list(csv.DictReader(file))
    run = start(http, sourceName="Badge System")
    result_when_over(http, run["id"])
    found = rows(http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"}).text)
    assert [row["nativeIdentity"] for row in found] == [badge["Badge No"] for badge in badges]
    assert [row["Building Access"] for row in found] == [badge["Building Access"] for badge in badges]
    assert {row["correlated"] for row in found} == {"true", "false"}


def test_a_result_has_whole_numbers_and_real_dates(http: httpx2.Client) -> None:
    run = start(http, sourceName="Ledger Database")
    assert (run["type"], run["reportType"], run["launcher"]) == ("QUEUED_TASK", "ACCOUNTS", "dev")
    assert run["attributes"]["org"] == "whohas"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", run["created"])
    result = result_when_over(http, run["id"])
    assert type(result["rows"]) is int and type(result["duration"]) is int


def test_completed_returns_the_newest_completed_run_of_the_report(big_home: Path) -> None:
    body = {"reportType": "ACCOUNTS", "arguments": {"application": "big"}}
    with serving(big_home) as server, server.http() as http:
        first = http.post("/v2025/reports/run", json=body).json()["id"]
        while_first = http.get(f"/v2025/reports/{first}/result", params={"completed": "true"}).json()
        assert (while_first["id"], while_first["status"]) == (first, None)
        result_when_over(http, first)
        second = http.post("/v2025/reports/run", json=body).json()["id"]
        assert second != first
        path = f"/v2025/reports/{second}/result"
        assert http.get(path).json()["status"] is None
        completed = http.get(path, params={"completed": "True"}).json()
        assert (completed["id"], completed["status"]) == (first, "SUCCESS")
        result_when_over(http, second)
        assert http.get(path, params={"completed": "true"}).json()["id"] == second


def test_a_disabled_report_cannot_start_and_has_no_results(own_home: Path) -> None:
    with serving(own_home) as server, server.http() as http:
        run = start(http, sourceName="Nimbus CRM")
        result_when_over(http, run["id"])
        assert whohas(own_home, "reports", "disable", "ACCOUNTS").stdout == "ACCOUNTS is off.\n"
        refused = http.post("/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": {"sourceName": "x"}})
        assert refused.status_code == 400
        assert "switched off" in refused.json()["messages"][0]["text"]
        assert http.get(f"/v2025/reports/{run['id']}/result").json() == {}
        assert whohas(own_home, "reports", "enable", "ACCOUNTS").returncode == 0
        assert http.get(f"/v2025/reports/{run['id']}/result").json()["status"] == "SUCCESS"


def test_an_unknown_argument_is_ignored_with_a_message(http: httpx2.Client) -> None:
    run = start(http, sourceName="Ledger Database", correlatedOnly=True, defaultS3Bucket=True, sourcename="x")
    result = result_when_over(http, run["id"])
    texts = [message["localizedText"] for message in result["messages"]]
    ignored = "ACCOUNTS has no argument sourcename: ignored. Did you mean sourceName by sourcename?"
    assert texts == [f"{ignored} Its arguments: application, sourceName, columns."]
    assert result["status"] == "SUCCESS"


def test_a_missing_file_is_a_404_with_advice(http: httpx2.Client) -> None:
    run = start(http, sourceName="Nimbus CRM", selectedFormats=["CSV"], timeZone="Europe/Oslo")
    http.post(f"/v2025/reports/{run['id']}/cancel").raise_for_status()
    if result_when_over(http, run["id"])["status"] == "TERMINATED":
        cancelled = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "pdf"})
        assert (cancelled.status_code, cancelled.json()["detailCode"][:3]) == (404, "404")
        assert "was cancelled and has no file" in cancelled.json()["messages"][0]["text"]
    unknown = http.get("/v2025/reports/" + "0" * 32, params={"fileFormat": "csv"})
    assert unknown.status_code == 404


def test_a_run_reads_the_snapshot_that_it_started_with(own_home: Path) -> None:
    with serving(own_home) as server, server.http() as http:
        before = start(http, sourceName="Badge System")
        count = result_when_over(http, before["id"])["rows"]
        folder = own_home / "half"
        folder.mkdir()
        lines = (ACME / "badges.toml").read_text()
        (folder / "badges.toml").write_text(lines)
        with (ACME / "badges.csv").open(newline="") as file:
            kept = list(csv.reader(file))[:6]
        with (folder / "badges.csv").open("w", newline="") as file:
            csv.writer(file).writerows(kept)
        assert whohas(own_home, "load", folder, "--accept-loss").returncode == 0
        after = start(http, sourceName="Badge System")
        assert result_when_over(http, after["id"])["rows"] == 5
        file = http.get(f"/v2025/reports/{before['id']}", params={"fileFormat": "csv"})
        assert len(rows(file.text)) == count


def test_a_run_over_old_data_ends_with_warning_and_file(home: Path) -> None:
    old = datetime.now(UTC) - timedelta(days=500)
    sources = [{"id": "hr", "name": "Old HR", "authoritative": True, "accountAttributes": [], "loaded": old}]
    publish(Warehouse(home / "warehouse"), sources, identities=[{"id": "1", "name": "ann", "sourceId": "hr"}])
    with serving(home) as server, server.http() as http:
        body = {"reportType": "IDENTITIES", "arguments": {}}
        run = http.post("/v2025/reports/run", json=body).json()
        result = result_when_over(http, run["id"])
        assert (result["status"], result["rows"]) == ("WARNING", 1)
        assert "Old HR (last loaded on" in result["messages"][0]["localizedText"]
        file = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"})
        assert (file.status_code, file.text.splitlines()[1][:5]) == (200, "1,ann")
