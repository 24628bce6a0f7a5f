"""Every report on examples/acme, through the API, against the counts that its README gives."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from support import ACME, Server, result_when_over


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx2.Client]:
    with server.http() as client:
        yield client


def count(what: str) -> int:
    found = re.search(rf"^\| {what} \| ([\d,]+) \|", (ACME / "README.md").read_text(), re.MULTILINE)
    assert found, what
    return int(found[1].replace(",", ""))


def rows(http: httpx2.Client, report_type: str, **arguments: Any) -> list[dict[str, str]]:
    body = {"reportType": report_type, "arguments": arguments}
    run = http.post("/v2025/reports/run", json=body).raise_for_status().json()
    result = result_when_over(http, run["id"])
    assert result["status"] == "SUCCESS", result
    text = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"}).raise_for_status().text
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(found) == result["rows"]
    return found


def test_identities_and_orphans_are_as_many_as_the_readme_says(http: httpx2.Client) -> None:
    everybody = rows(http, "IDENTITIES")
    assert len(everybody) == count("identities")
    assert sum(row["isManager"] == "true" for row in everybody) == count("managers")
    orphans = rows(http, "ORPHAN_IDENTITIES")
    assert len(orphans) == count("orphan identities")
    assert len(rows(http, "IDENTITIES", correlatedOnly=True)) == len(everybody) - len(orphans)


def test_uncorrelated_accounts_are_those_of_all_sources(http: httpx2.Client) -> None:
    uncorrelated = rows(http, "UNCORRELATED_ACCOUNTS")
    badges = [row for row in uncorrelated if row["sourceName"] == "Badge System"]
    assert len(uncorrelated) - len(badges) == count("uncorrelated accounts")
    assert len(badges) == sum(row["correlated"] == "false" for row in rows(http, "ACCOUNTS", sourceName="Badge System"))


def test_identity_errors_say_why(http: httpx2.Client) -> None:
    hr = rows(http, "ACCOUNTS", sourceName="Workforce HR")[0]["sourceId"]
    failed = rows(http, "IDENTITY_PROFILE_IDENTITY_ERROR", authoritativeSource=hr)
    assert len(failed) == count("identity errors")
    assert all(row["message"] and row["stage"] and row["date"] for row in failed)


def test_details_have_every_held_account_with_what_it_holds(http: httpx2.Client) -> None:
    details = rows(http, "IDENTITIES_DETAILS")
    directory = {row["id"]: row for row in rows(http, "ACCOUNTS", sourceName="Active Directory")}
    held = {row["account.id"]: row for row in details if row["account.source.name"] == "Active Directory"}
    assert set(held) == {id for id, account in directory.items() if account["correlated"] == "true"}
    groups = {id: account["memberOf"].count("CN=") for id, account in directory.items()}
    entitlements = {id: len(row["account.entitlements"].split(";")) for id, row in held.items() if groups[id]}
    assert entitlements and entitlements == {id: groups[id] for id in entitlements}
    without = [row for row in details if not row["account.id"]]
    assert len({row["id"] for row in details}) == count("identities") and len(without) == 2
