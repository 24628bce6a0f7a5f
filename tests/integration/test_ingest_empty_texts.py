"""Empty text in JSON: a value as Elasticsearch has it, but no id, no name of a source and nothing to correlate by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from factories import report_plan, report_rows
from intake import Rig
from searching import Corpus

HR = {"id": "hr", "name": "HR"}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def people(rig: Rig, *documents: dict[str, Any]) -> Corpus:
    rig.write(**{"identities.ndjson": "".join(json.dumps(one) + "\n" for one in documents)})
    assert rig.load("identities.ndjson").rejected == 0
    return Corpus.of(rig.warehouse)


def test_an_attribute_exists_as_elasticsearch_documents_it(rig: Rig) -> None:
    values = {"text": "x", "empty": "", "null": None, "none": [], "nulls": [None], "both": ["", "x"], "one": [""]}
    corpus = people(rig, *({"id": id, "name": id, "attributes": {"city": city}} for id, city in values.items()))
    attributes = {row["id"]: dict(row["attributes"]).get("city") for row in rig.rows("identities")}
    assert attributes == {
        "text": ["x"], "empty": [""], "null": None, "none": None, "nulls": None, "both": ["", "x"], "one": [""],
    }  # fmt: skip
    there = {"text", "empty", "both", "one"}
    for query in ("_exists_:attributes.city", "attributes.city:*", "attributes.city:[* TO *]"):
        assert corpus.ids(query) == there
    assert corpus.ids("NOT attributes.city:*") == values.keys() - there
    assert corpus.ids('attributes.city.exact:""') == {"empty", "both", "one"}
    assert corpus.ids("attributes.city:x") == {"text", "both"}
    # nothing is left of an empty text that is analysed
    assert corpus.ids('attributes.city:""') == set()


def test_a_text_field_keeps_empty_text(rig: Rig) -> None:
    corpus = people(
        rig,
        {"id": "a", "name": "a", "email": "", "lifecycleState": {"stateName": ""}, "tags": ["", "x"]},
        {"id": "b", "name": "b", "email": None, "tags": []},
        {"id": "c", "name": "c", "email": "c@x", "tags": [None]},
    )
    rows = {row["id"]: row for row in rig.rows("identities")}
    assert [rows[id]["email"] for id in "abc"] == ["", None, "c@x"]
    assert (rows["a"]["lifecycleState"], rows["a"]["tags"]) == ("", ["", "x"])
    assert corpus.ids("_exists_:email") == {"a", "c"}
    assert corpus.ids("NOT email:*") == {"b"}
    assert corpus.ids('email.exact:""') == {"a"}
    assert corpus.ids("_exists_:tags") == {"a"}
    found = {row["id"]: row for row in corpus.search("*", columns=("id", "email", "tags"))}
    assert found["a"] == {"id": "a", "email": "", "tags": ["", "x"]}
    assert found["b"] == {"id": "b", "email": None, "tags": None}


def test_a_later_path_with_text_wins_over_an_empty_one(rig: Rig) -> None:
    people(rig, {"id": "a", "name": "ann", "displayName": "", "email": "", "attributes": {"email": "a@x"}})
    (row,) = rig.rows("identities")
    assert (row["displayName"], row["email"]) == ("ann", "a@x")


def test_nested_lists_keep_empty_text(rig: Rig) -> None:
    access = [{"id": "r", "type": "ROLE", "name": "R", "description": ""}, {"id": "s", "type": "ROLE", "name": "S"}]
    corpus = people(rig, {"id": "a", "name": "a", "access": access[:1]}, {"id": "b", "name": "b", "access": access[1:]})
    assert corpus.ids("@access(_exists_:description)") == {"a"}
    assert corpus.ids("@access(NOT description:*)") == {"b"}


def test_an_empty_text_is_no_id(rig: Rig) -> None:
    account = {"nativeIdentity": "n1", "sourceId": "ad", "sourceName": "AD"}
    rig.write(
        **{
            "accounts.json": json.dumps(
                [
                    {**account, "id": "", "identityId": "", "identity": {"id": "", "name": ""}},
                    {**account, "nativeIdentity": ""},
                    {"nativeIdentity": "n3", "sourceId": "", "sourceName": ""},
                ]
            ),
            "identities.json": json.dumps(
                [{"id": "", "name": "x"}, {"id": "p", "name": "p", "manager": {"id": ""}, "source": {"id": ""}}]
            ),
            "sources.json": json.dumps([{"id": "", "name": ""}]),
        }
    )
    report = rig.load(".")
    assert sorted(bad.reason for bad in report.rejections) == [
        "neither id nor name", "no id", "no nativeIdentity", "no source: neither sourceId nor sourceName",
    ]  # fmt: skip
    (row,) = rig.rows("accounts")
    assert (len(row["id"]), row["identityId"], row["correlated"], row["identityName"]) == (32, None, False, "")
    (person,) = rig.rows("identities")
    assert (person["managerId"], person["sourceId"]) == (None, "")
    corpus = Corpus.of(rig.warehouse)
    assert corpus.ids("_exists_:source.id OR _exists_:manager.id") == set()


def test_empty_text_never_correlates(rig: Rig) -> None:
    rig.write(
        **{
            "identities.json": json.dumps([{"id": "p", "name": "p", "email": "", "attributes": {"no": ""}}]),
            "b.toml": '[source]\nname="B"\n[accounts]\nfile="b.csv"\n[accounts.columns]\nnativeIdentity="N"\n'
            '[correlation]\naccount="M"\nidentity="email"\n',
            "b.csv": "N,M\n1,\n2,x\n",
        }
    )
    rig.load(".")
    assert [row["correlated"] for row in rig.rows("accounts")] == [False, False]


def test_an_entitlement_with_an_empty_value_matches_no_empty_attribute(rig: Rig) -> None:
    source = {"id": "ad", "name": "AD"}
    access = [{"id": "e", "type": "ENTITLEMENT", "name": "E", "attribute": "memberOf", "value": "", "source": source}]
    accounts = [
        {"id": f"a{n}", "nativeIdentity": f"a{n}", "sourceId": "ad", "sourceName": "AD", "identityId": "p",
         "attributes": {"memberOf": value}}
        for n, value in enumerate(("", "x"))
    ]  # fmt: skip
    rig.write(
        **{
            "identities.json": json.dumps([{"id": "p", "name": "p", "access": access}]),
            "accounts.json": json.dumps(accounts),
        }
    )
    rig.load(".")
    assert rig.rows("account_entitlements") == []


def test_an_attribute_of_empty_text_makes_no_column_of_accounts(rig: Rig, tmp_path: Path) -> None:
    account = {"sourceId": "ad", "sourceName": "AD"}
    accounts = [
        {**account, "nativeIdentity": "1", "attributes": {"a": "", "b": "", "c": None, "d": [""], "e": []}},
        {**account, "nativeIdentity": "2", "attributes": {"a": "x", "b": "", "c": None, "d": ["", ""], "e": [None]}},
    ]
    rig.write(**{"accounts.json": json.dumps(accounts)})
    rig.load(".")
    assert [row["accountAttributes"] for row in rig.rows("sources")] == [["a"]]
    rows = report_rows(rig.warehouse.snapshot(), tmp_path, "ACCOUNTS", {"sourceName": "AD"})
    assert [(row["a"], "b" in row, "c" in row, "d" in row) for row in rows] == [
        ("", False, False, False), ("x", False, False, False),
    ]  # fmt: skip
    stored = {row["nativeIdentity"]: dict(row["attributes"]) for row in rig.rows("accounts")}
    assert stored["1"] == {"a": [""], "b": [""], "d": [""]}


def test_an_empty_cell_of_csv_stays_missing(rig: Rig) -> None:
    rig.write(
        **{
            "identities.csv": 'id,name,email,city\np,p,,\nq,q,"",""\n',
            "accounts.csv": 'nativeIdentity,sourceId,attributes\n1,ad,"{""a"": """", ""b"": ""x""}"\n',
        }
    )
    rig.load(".")
    assert [(row["email"], row["attributes"]) for row in rig.rows("identities")] == [(None, []), (None, [])]
    # a cell that is JSON is JSON
    assert rig.rows("accounts")[0]["attributes"] == [("a", [""]), ("b", ["x"])]


def test_names_of_empty_text_give_way_in_reports(rig: Rig, tmp_path: Path) -> None:
    held = {
        "id": "e",
        "type": "ENTITLEMENT",
        "name": "",
        "attribute": "g",
        "value": "v",
        "source": {"id": "ad", "name": "AD"},
    }
    person = {"id": "p", "name": "pat", "manager": {"id": "p", "displayName": "", "name": ""}}
    rig.write(
        **{
            "identities.json": json.dumps([{**person, "access": [held]}]),
            "accounts.json": json.dumps([{"id": "a", "nativeIdentity": "a", "sourceId": "ad", "identityId": "p"}]),
            "entitlements.json": json.dumps(
                [{"id": "e", "name": "", "displayName": "", "attribute": "g", "value": "v", "sourceId": "ad"}]
            ),
        }
    )  # fmt: skip
    assert rig.load(".").rejected == 0
    snapshot = rig.warehouse.snapshot()
    (row,) = report_rows(snapshot, tmp_path, "IDENTITIES_DETAILS", {})
    assert (row["displayName"], row["manager"], row["account.entitlements"]) == ("pat", "pat", "v")
    (account,) = report_rows(snapshot, tmp_path, "ACCOUNTS", {"application": "ad"})
    assert (account["identityName"], account["name"]) == ("pat", "")


@pytest.mark.parametrize(
    "report",
    ["IDENTITIES", "IDENTITIES_DETAILS", "ORPHAN_IDENTITIES", "UNCORRELATED_ACCOUNTS", "ACCOUNTS"],
)
def test_reports_show_empty_text_as_an_empty_cell(rig: Rig, tmp_path: Path, report: str) -> None:
    texts = ("displayName", "firstName", "email", "status", "employeeNumber")
    rig.write(
        **{
            "identities.json": json.dumps([{"id": "p", "name": "", **dict.fromkeys(texts, "")}]),
            "accounts.json": json.dumps(
                [{"nativeIdentity": "a", "name": "", "sourceId": "ad", "sourceName": "AD", "attributes": {"x": ""}}]
            ),
        }
    )
    rig.load(".")
    snapshot = rig.warehouse.snapshot()
    arguments = {"application": "ad"} if report == "ACCOUNTS" else {}
    columns = report_plan(snapshot, report, arguments).statements[0].columns
    (row,) = report_rows(snapshot, tmp_path, report, arguments)
    assert {name: value for name, value in row.items() if name in {c.name for c in columns} & {*texts, "name"}} == {
        name: "" for name in row if name in {*texts, "name"}
    }
