"""Ids of identities that a mapping's column gives, and what refers to them when they come or go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from factories import report_rows
from intake import Rig
from searching import Corpus

HR = """
[source]
name = "HR"
authoritative = true
[accounts]
file = "hr.csv"
[accounts.columns]
nativeIdentity = "No"
name = "Name"
[identities.columns]
email = "Mail"
managerId = "Boss"
"""
WITH_IDS = HR + 'id = "Person"\n'
PEOPLE = "No,Name,Mail,Boss,Person\n1,Ann,ann@x,,P1\n2,Bob,bob@x,1,P2\n"

BADGES = """
[source]
name = "Badges"
[accounts]
file = "badges.csv"
[accounts.columns]
nativeIdentity = "Badge"
[correlation]
account = "Holder"
identity = "email"
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def ids(rig: Rig) -> dict[str, str]:
    return {row["displayName"]: row["id"] for row in rig.rows("identities")}


def test_a_column_gives_identities_their_ids(rig: Rig) -> None:
    rig.write(**{"hr.toml": WITH_IDS, "hr.csv": PEOPLE})
    report = rig.load(".")
    assert ids(rig) == {"Ann": "P1", "Bob": "P2"}
    assert [(row["identityId"], row["correlated"]) for row in rig.rows("accounts")] == [("P1", True), ("P2", True)]
    assert [row["managerId"] for row in rig.rows("identities")] == [None, "P1"]
    assert not report.warnings


def test_a_manager_can_be_named_by_id_too(rig: Rig) -> None:
    rig.write(**{"hr.toml": WITH_IDS, "hr.csv": PEOPLE.replace("bob@x,1", "bob@x,P1")})
    assert not rig.load(".").warnings
    assert [row["managerId"] for row in rig.rows("identities")] == [None, "P1"]


def test_an_empty_id_is_made_and_noted(rig: Rig) -> None:
    rig.write(**{"hr.toml": WITH_IDS, "hr.csv": PEOPLE + "3,Cyd,cyd@x,2,\n"})
    (warning,) = rig.load(".").warnings
    assert "hr.csv: 1 row has no Person" in warning
    assert (ids(rig)["Bob"], len(ids(rig)["Cyd"])) == ("P2", 32)
    assert [row["managerId"] for row in rig.rows("identities")] == [None, "P1", "P2"]


def test_an_id_that_is_none_rejects_its_row(rig: Rig) -> None:
    rig.write(**{"hr.toml": WITH_IDS, "hr.csv": PEOPLE + f"3,Cyd,cyd@x,,{'x' * 129}\n"})
    report = rig.load(".")
    assert [(bad.line, bad.column) for bad in report.rejections] == [(4, "Person")]
    assert list(ids(rig)) == ["Ann", "Bob"] and len(rig.rows("accounts")) == 2


def test_an_id_that_comes_twice_rejects_account_and_identity(rig: Rig) -> None:
    rig.write(**{"hr.toml": WITH_IDS, "hr.csv": PEOPLE + "3,Cyd,cyd@x,,P1\n2,Bob Two,bob2@x,,P7\n"})
    report = rig.load(".")
    assert sorted((bad.line, bad.column) for bad in report.rejections) == [(4, "Person"), (5, "No")]
    assert ids(rig) == {"Ann": "P1", "Bob": "P2"}
    assert [row["nativeIdentity"] for row in rig.rows("accounts")] == ["1", "2"]


def test_one_file_of_several_sources_derives_ids(rig: Rig) -> None:
    mapping = WITH_IDS.replace('name = "HR"\nauthoritative = true', 'column = "Org"\nauthoritative = ["HR"]')
    rig.write(**{"hr.toml": mapping, "hr.csv": "Org,No,Name,Mail,Boss,Person\nHR,1,Ann,,,P1\nAD,1,Ann,,,P1\n"})
    rig.load(".")
    held = {row["sourceName"]: (row["identityId"], row["correlated"]) for row in rig.rows("accounts")}
    assert held == {"HR": ("P1", True), "AD": (None, False)}
    assert ids(rig) == {"Ann": "P1"}


@pytest.mark.parametrize("first", [HR, WITH_IDS], ids=["gets ids", "loses ids"])
def test_references_follow_when_a_source_gets_or_loses_ids(rig: Rig, first: str) -> None:
    second = WITH_IDS if first is HR else HR
    rig.write(
        **{
            "hr.toml": first,
            "hr.csv": PEOPLE,
            "badges.toml": BADGES,
            "badges.csv": "Badge,Holder\nb1,ann@x\nb2,zoe@x\n",
        }
    )
    rig.load("hr.toml", "badges.toml")
    old = ids(rig)
    hr = next(row["id"] for row in rig.rows("sources") if row["name"] == "HR")
    ann = {"identityId": old["Ann"], "ownerId": old["Bob"]}
    rig.write(
        **{
            "identity_access.json": json.dumps(
                [{**ann, "identitySourceId": hr, "type": "ROLE", "id": "r1", "name": "Clerk"}]
            ),
            "identity_apps.json": json.dumps([{**ann, "identitySourceId": hr, "id": "app", "name": "Mail"}]),
            "roles.json": json.dumps([{"id": "r1", "name": "Clerk", "owner": {"id": old["Bob"]}}]),
            "sources.json": json.dumps([{"id": "crm", "name": "CRM", "owner": {"id": old["Ann"]}}]),
            "accounts.json": json.dumps(
                [{"id": "c1", "nativeIdentity": "c1", "sourceId": "crm", "identityId": old["Ann"]}]
            ),
            "identities.json": json.dumps(
                [{"id": "x1", "name": "Eve", "manager": {"id": old["Bob"]}, "source": {"id": "ext", "name": "Ext"}}]
            ),
        }
    )
    rig.load("identity_access.json", "identity_apps.json", "roles.json", "sources.json", "accounts.json",
             "identities.json")  # fmt: skip
    rig.write(**{"hr.toml": second})
    report = rig.load("hr.toml")
    new = ids(rig)
    assert new["Ann"] != old["Ann"] and {new["Ann"], old["Ann"]} >= {"P1"}
    holders = {row["nativeIdentity"]: row["identityId"] for row in rig.rows("accounts")}
    assert holders == {"1": new["Ann"], "2": new["Bob"], "b1": new["Ann"], "b2": None, "c1": new["Ann"]}
    bosses = {row["displayName"]: row["managerId"] for row in rig.rows("identities")}
    assert bosses == {"Ann": None, "Bob": new["Ann"], "Eve": new["Bob"]}
    assert [row["identityId"] for row in rig.rows("identity_access")] == [new["Ann"]]
    assert [row["identityId"] for row in rig.rows("identity_apps")] == [new["Ann"]]
    assert [row["ownerId"] for row in rig.rows("roles")] == [new["Bob"]]
    assert [row["ownerId"] for row in rig.rows("sources") if row["id"] == "crm"] == [new["Ann"]]
    assert not report.warnings
    assert Corpus.of(rig.warehouse).ids("@access(name:Clerk) AND @accounts(source.name:CRM)") == {new["Ann"]}
    rows = {row["displayName"]: row for row in report_rows(rig.warehouse.snapshot(), rig.home, "IDENTITIES", {})}
    assert (rows["Eve"]["manager"], rows["Ann"]["accountCount"]) == ("Bob", "3")
    # back again: the ids are those of the first load
    rig.write(**{"hr.toml": first})
    rig.load("hr.toml")
    assert {key: value for key, value in ids(rig).items() if key != "Eve"} == old
    assert [row["identityId"] for row in rig.rows("identity_access")] == [old["Ann"]]


def test_people_who_exchange_ids_keep_what_refers_to_them(rig: Rig) -> None:
    rig.write(**{"hr.toml": WITH_IDS, "hr.csv": PEOPLE})
    rig.load("hr.toml")
    accounts = [{"id": f"c{n}", "nativeIdentity": f"c{n}", "sourceId": "crm", "identityId": f"P{n}"} for n in (1, 2)]
    rig.write(**{"accounts.json": json.dumps(accounts)})
    rig.load("accounts.json")
    rig.write(**{"hr.csv": PEOPLE.replace("P1", "P9").replace("P2", "P1").replace("P9", "P2")})
    rig.load("hr.toml")
    assert ids(rig) == {"Ann": "P2", "Bob": "P1"}
    held = {row["id"]: row["identityId"] for row in rig.rows("accounts") if row["sourceId"] == "crm"}
    assert held == {"c1": "P2", "c2": "P1"}


def test_a_load_with_the_same_ids_leaves_other_tables_alone(rig: Rig) -> None:
    rig.write(
        **{"hr.toml": WITH_IDS, "hr.csv": PEOPLE, "badges.toml": BADGES, "badges.csv": "Badge,Holder\nb1,ann@x\n"}
    )
    rig.load(".")
    before = rig.warehouse.snapshot()
    rig.load("hr.toml")
    after = rig.warehouse.snapshot()
    assert rig.report.rejected == 0
    badges = next(row["id"] for row in rig.rows("sources") if row["name"] == "Badges")
    from whohas.warehouse.schema import ACCOUNTS

    own = frozenset({badges})
    assert [f.path for f in before.files(ACCOUNTS, own)] == [f.path for f in after.files(ACCOUNTS, own)]
