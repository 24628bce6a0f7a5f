"""The reports on a company of four: small enough to explain each row by hand.

anna has an HR account and one in the directory, which holds two entitlements (one of them no longer exists); boris has left HR and keeps his account in the directory; carla
has nothing; dora has an HR account, and her last processing failed. Nobody holds the directory's account svc.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from factories import publish, report_plan, report_rows
from whohas.errors import InvalidArguments
from whohas.warehouse.store import Snapshot, Warehouse

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SOURCES = [
    {"id": "hr", "name": "People", "authoritative": True, "accountAttributes": [], "loaded": NOON, "loadId": "l1"},
    {"id": "ad", "name": "Directory", "authoritative": False, "accountAttributes": [], "loaded": NOON, "loadId": "l2"},
]
IDENTITIES = [
    {"id": "1", "name": "anna", "displayName": "Anna Ek", "sourceId": "hr", "managerName": "dora", "created": NOON},
    {"id": "2", "name": "boris", "displayName": "Boris Ek", "sourceId": "hr", "lifecycleState": "terminated"},
    {"id": "3", "name": "carla", "displayName": None, "sourceId": None},
    {"id": "4", "name": "dora", "displayName": "Dora Ek", "sourceId": "hr", "identityProfileId": "p", "isManager": True,
     "processingState": "ERROR", "processingDate": NOON, "processingStage": "Refresh", "processingRetryCount": 2,
     "processingMessage": "The attribute email has two values, a@x and b@x"},
]  # fmt: skip
PROFILES = [{"id": "p", "name": "Staff", "authoritativeSourceId": "hr"}]


def account(id: str, source: str, holder: str | None, **more: Any) -> dict[str, Any]:
    held = {"identityId": holder, "correlated": holder is not None}
    return {"id": id, "nativeIdentity": id, "name": id, "sourceId": source, "attributes": [], **held, **more}


ACCOUNTS = [
    account("h1", "hr", "1"),
    account("h4", "hr", "4"),
    account("d1", "ad", "1"),
    account("d2", "ad", "2", disabled=False),
    account("svc", "ad", None, disabled=True, privileged=True, created=NOON),
]


ENTITLEMENTS = [
    {"id": "e1", "name": "admins", "displayName": "Admins", "value": "CN=Admins", "sourceId": "ad"},
    {"id": "e2", "name": "Readers", "value": "CN=Readers", "sourceId": "ad"},
]
GRANTED = [
    {"accountId": "d1", "entitlementId": "e1", "sourceId": "ad"},
    {"accountId": "d1", "entitlementId": "gone", "sourceId": "ad", "value": "CN=Old,DC=x"},
    {"accountId": "d2", "entitlementId": "e2", "sourceId": "ad"},
]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    warehouse = Warehouse(tmp_path_factory.mktemp("warehouse"))
    return publish(
        warehouse, SOURCES, ACCOUNTS, IDENTITIES, profiles=PROFILES, entitlements=ENTITLEMENTS, granted=GRANTED
    )


def names(rows: list[dict[str, str]]) -> list[str]:
    return sorted(row["name"] for row in rows)


def test_identities_tells_of_each_how_many_accounts_it_has(snapshot: Snapshot, tmp_path: Path) -> None:
    rows = {row["name"]: row for row in report_rows(snapshot, tmp_path, "IDENTITIES", {})}
    told = {name: (row["displayName"], row["accountCount"], row["correlated"]) for name, row in rows.items()}
    assert told == {
        "anna": ("Anna Ek", "2", "true"),
        "boris": ("Boris Ek", "1", "false"),
        "carla": ("carla", "0", "false"),
        "dora": ("Dora Ek", "1", "true"),
    }
    assert (rows["anna"]["source"], rows["anna"]["manager"], rows["anna"]["created"]) == (
        "People", "dora", "2026-11-01T12:00:00.000Z",
    )  # fmt: skip
    assert (rows["boris"]["lifecycleState"], rows["dora"]["isManager"]) == ("terminated", "true")


@pytest.mark.parametrize("flag", [True, "true", "True"])
def test_correlated_only_leaves_out_whom_no_authoritative_source_knows(
    snapshot: Snapshot, tmp_path: Path, flag: object
) -> None:
    assert names(report_rows(snapshot, tmp_path, "IDENTITIES", {"correlatedOnly": flag})) == ["anna", "dora"]


def test_details_have_a_row_per_account_or_person(snapshot: Snapshot, tmp_path: Path) -> None:
    rows = report_rows(snapshot, tmp_path, "IDENTITIES_DETAILS", {})
    told = sorted((row["name"], row["account.id"], row["account.source.name"]) for row in rows)
    assert told == [
        ("anna", "d1", "Directory"),
        ("anna", "h1", "People"),
        ("boris", "d2", "Directory"),
        ("carla", "", ""),
        ("dora", "h4", "People"),
    ]
    held = {row["account.id"]: row["account.entitlements"] for row in rows}
    assert (held["d1"], held["d2"], held["h1"]) == ("Admins;CN=Old,DC=x", "Readers", "")
    assert {row["account.disabled"] for row in rows if row["account.id"] == "d2"} == {"false"}
    known = report_rows(snapshot, tmp_path, "IDENTITIES_DETAILS", {"correlatedOnly": True})
    assert {row["name"] for row in known} == {"anna", "dora"}


@pytest.mark.parametrize("flag", [1, "yes", [True]])
def test_a_flag_that_is_none_is_refused(snapshot: Snapshot, flag: object) -> None:
    with pytest.raises(InvalidArguments, match="correlatedOnly must be true or false"):
        report_plan(snapshot, "IDENTITIES", {"correlatedOnly": flag})


def test_orphans_are_those_without_an_authoritative_account(snapshot: Snapshot, tmp_path: Path) -> None:
    rows = report_rows(snapshot, tmp_path, "ORPHAN_IDENTITIES", {})
    assert {row["name"]: row["accountSources"] for row in rows} == {"boris": "Directory", "carla": ""}


def test_correlated_and_orphan_identities_are_all_of_them(snapshot: Snapshot, tmp_path: Path) -> None:
    correlated = names(report_rows(snapshot, tmp_path, "IDENTITIES", {"correlatedOnly": True}))
    orphans = names(report_rows(snapshot, tmp_path, "ORPHAN_IDENTITIES", {}))
    assert sorted(correlated + orphans) == names(report_rows(snapshot, tmp_path, "IDENTITIES", {}))


def test_uncorrelated_accounts_tell_where_they_are_and_since_which_load(snapshot: Snapshot, tmp_path: Path) -> None:
    (row,) = report_rows(snapshot, tmp_path, "UNCORRELATED_ACCOUNTS", {})
    assert (row["name"], row["sourceName"], row["disabled"], row["privileged"]) == ("svc", "Directory", "true", "true")
    assert (row["loaded"], row["loadId"]) == ("2026-11-01T12:00:00.000Z", "l2")


def test_identity_errors_are_those_of_the_profile_on_that_source(snapshot: Snapshot, tmp_path: Path) -> None:
    (row,) = report_rows(snapshot, tmp_path, "IDENTITY_PROFILE_IDENTITY_ERROR", {"authoritativeSource": "hr"})
    assert (row["name"], row["profile"], row["stage"], row["retryCount"]) == ("dora", "Staff", "Refresh", "2")
    assert row["message"] == "The attribute email has two values, a@x and b@x"
    assert report_rows(snapshot, tmp_path, "IDENTITY_PROFILE_IDENTITY_ERROR", {"authoritativeSource": "ad"}) == []


def test_an_unknown_authoritative_source_is_refused(snapshot: Snapshot) -> None:
    with pytest.raises(InvalidArguments, match=r"no source with the id 'x' \(argument authoritativeSource\)"):
        report_plan(snapshot, "IDENTITY_PROFILE_IDENTITY_ERROR", {"authoritativeSource": "x"})


def test_an_authoritative_source_may_be_named(snapshot: Snapshot) -> None:
    def arguments(**given: str) -> Mapping[str, Any]:
        return report_plan(snapshot, "IDENTITY_PROFILE_IDENTITY_ERROR", given).arguments

    by_id = arguments(authoritativeSource="hr")
    assert arguments(sourceName="People") == arguments(authoritativeSource="hr", sourceName="People") == by_id
    with pytest.raises(InvalidArguments, match="make both name the same source"):
        arguments(authoritativeSource="hr", sourceName="Directory")
    with pytest.raises(InvalidArguments, match="There is no source named 'people'"):
        arguments(sourceName="people")
