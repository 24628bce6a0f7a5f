"""Real input: who belongs to the GitHub organizations of the Kubernetes project, and to which of their teams."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from intake import Rig
from support import GITHUB_MAPPING
from whohas.search.index import open_index, searchable_snapshot
from whohas.search.service import SearchRequest, plan_search


@pytest.fixture(scope="module")
def files(shared: Path) -> dict[str, list[dict[str, str]]]:
    folder = shared / "real" / "github-orgs"
    return {path.stem: list(csv.DictReader(path.open(newline=""))) for path in folder.glob("*.csv")}


@pytest.fixture(scope="module")
def rig(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Rig:
    rig = Rig(tmp_path_factory.mktemp("github"))
    rig.write(**{"github.toml": GITHUB_MAPPING.format(folder=shared / "real" / "github-orgs")})
    rig.load("github.toml")
    return rig


def test_every_row_of_every_file_loads(rig: Rig, files: dict[str, list[dict[str, str]]]) -> None:
    assert rig.report.rejected == 0, rig.report.rejections
    assert {count.name: count.read for count in rig.report.files} == {
        f"{name}.csv": len(files[name]) for name in ("accounts", "groups", "memberships")
    }


def test_each_organization_is_a_source_and_kubernetes_makes_the_identities(
    rig: Rig, files: dict[str, list[dict[str, str]]]
) -> None:
    organizations = {row["organization"] for row in files["accounts"]}
    assert {row["name"]: row["authoritative"] for row in rig.rows("sources")} == {
        name: name == "kubernetes" for name in organizations
    }
    members = [row["login"] for row in files["accounts"] if row["organization"] == "kubernetes"]
    assert [row["name"] for row in rig.rows("identities")] == members


def test_accounts_are_those_of_the_file_in_its_order(rig: Rig, files: dict[str, list[dict[str, str]]]) -> None:
    wanted = sorted(files["accounts"], key=lambda row: row["organization"])
    stored = rig.rows("accounts")
    assert [(row["sourceName"], row["nativeIdentity"]) for row in stored] == [
        (row["organization"], row["login"]) for row in wanted
    ]
    assert [dict(row["attributes"]) for row in stored] == [{k: [v] for k, v in row.items() if v} for row in wanted]


def test_accounts_correlate_by_login_without_regard_to_case(rig: Rig, files: dict[str, list[dict[str, str]]]) -> None:
    people = {row["id"]: row["name"] for row in rig.rows("identities")}
    members = {row["login"].lower(): row["login"] for row in files["accounts"] if row["organization"] == "kubernetes"}
    stored: list[dict[str, Any]] = rig.rows("accounts")
    assert [people.get(row["identityId"]) for row in stored] == [members.get(row["name"].lower()) for row in stored]
    assert all(row["correlated"] == (row["identityId"] is not None) for row in stored)
    assert any(people[row["identityId"]] != row["name"] for row in stored if row["identityId"])


def test_groups_and_memberships_are_those_of_the_files(rig: Rig, files: dict[str, list[dict[str, str]]]) -> None:
    groups = {
        row["id"]: (row["sourceName"], row["value"], row["description"] or "") for row in rig.rows("entitlements")
    }
    assert sorted(groups.values()) == sorted((r["organization"], r["group"], r["description"]) for r in files["groups"])
    accounts = {row["id"]: row["nativeIdentity"].lower() for row in rig.rows("accounts")}
    held = sorted(
        (*groups[row["entitlementId"]][:2], accounts[row["accountId"]]) for row in rig.rows("account_entitlements")
    )
    assert held == sorted((r["organization"], r["group"], r["login"].lower()) for r in files["memberships"])


def test_the_same_load_again_changes_no_id(rig: Rig) -> None:
    before = {
        name: [row["id"] for row in rig.rows(name)] for name in ("sources", "identities", "accounts", "entitlements")
    }
    rig.load("github.toml")
    assert before == {name: [row["id"] for row in rig.rows(name)] for name in before}


def test_a_search_finds_the_members_of_a_team(rig: Rig, files: dict[str, list[dict[str, str]]]) -> None:
    logins = {row["login"] for row in files["accounts"] if row["organization"] == "kubernetes"}
    teams = Counter(row["group"] for row in files["memberships"] if row["organization"] == "kubernetes")
    team, _ = teams.most_common(1)[0]
    of_team = {
        row["login"] for row in files["memberships"] if row["organization"] == "kubernetes" and row["group"] == team
    }
    found = search(rig, f'@access(name.exact:"{team}" AND source.name.exact:kubernetes)')
    assert found and found == {login for login in logins if login.lower() in {one.lower() for one in of_team}}


def search(rig: Rig, query: str) -> set[str]:
    index = open_index(searchable_snapshot(rig.warehouse))
    answer = plan_search(
        SearchRequest(query, ("identities",), columns=("name",)), index, datetime(2026, 11, 23, tzinfo=UTC)
    )
    statement = answer.statements["identities"]
    with duckdb.connect() as connection:
        for name, files in statement.files.items():
            connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet({list(files)})')
        return {name for (name,) in connection.execute(statement.sql).fetchall()}
