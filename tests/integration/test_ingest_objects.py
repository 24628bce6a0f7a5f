"""Lists of objects in cells: what is in them is read by the rules of ordinary cells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from intake import Rig
from whohas.engine.duckdb import connect_duckdb
from whohas.ingest import LoadStopped
from whohas.ingest.objects import read_lists
from whohas.warehouse.columns import INTEGER, TEXT, TIME, TableColumn, object_list


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def profile(*entitlements: object, **more: object) -> dict[str, Any]:
    return {"id": "p1", "name": "Buyer", "source": {"id": "s1", "name": "ERP"}, "entitlements": entitlements, **more}


def told(rig: Rig) -> list[tuple[object, ...]]:
    """File, line, column and value of what the last load reported; the value of a rejected item is None."""
    path = rig.report.rejects
    found = [] if path is None else [json.loads(line) for line in path.read_text().splitlines()]
    return [(Path(e["file"]).name, e["line"], e["column"], e.get("value")) for e in found]


@pytest.mark.parametrize(
    ("written", "value"),
    [(True, True), ("yes", True), (1, True), ("N", False), (0, False), ("0", False), (None, None), ("", None)],
)
def test_documented_words_are_booleans_in_nested_objects(rig: Rig, written: object, value: object) -> None:
    rig.write(**{"access_profiles.json": json.dumps([profile({"id": "e1", "privileged": written})])})
    rig.load(".")
    assert rig.rows("access_profiles")[0]["entitlements"][0]["privileged"] is value
    assert told(rig) == []


@pytest.mark.parametrize(
    ("written", "value"), [(5, "5"), ("perhaps", "perhaps"), (1.5, "1.5"), ({"a": 1}, '{"a":1}'), ([True], "[true]")]
)
def test_other_words_become_null_and_are_reported(rig: Rig, written: object, value: str) -> None:
    items = [{"id": "e1", "privileged": written}, {"id": "e2", "privileged": True}]
    rig.write(**{"access_profiles.ndjson": "\n" + json.dumps(profile(*items))})
    rig.load(".")
    found = rig.rows("access_profiles")[0]["entitlements"]
    assert [(item["id"], item["privileged"]) for item in found] == [("e1", None), ("e2", True)]
    assert told(rig) == [("access_profiles.ndjson", 2, "entitlements.privileged", value)]
    assert rig.report.emptied == 1 and rig.report.rejected == 0


def test_deeper_objects_follow_the_same_rules(rig: Rig) -> None:
    dimension = {"id": "d1", "name": "North", "entitlements": [{"id": "e1", "privileged": "maybe"}]}
    role = {"id": "r1", "name": "Clerk", "dimensions": [dimension], "dimensionSchemaAttributes": {"derived": 7}}
    activity = {
        "id": "a1",
        "approvals": [{"owner": "Ann", "comments": [{"comment": {"x": 1}, "commenter": "Bob"}], "result": ["a"]}],
        "expansionItems": [{"source": ["s"], "state": "done"}],
    }
    rig.write(**{"roles.json": json.dumps([role]), "account_activities.json": json.dumps([activity])})
    rig.load(".")
    assert sorted((column, value) for _, _, column, value in told(rig)) == [
        ("approvals.comments.comment", '{"x":1}'),
        ("approvals.owner", "Ann"),
        ("approvals.result", '["a"]'),
        ("dimensionSchemaAttributes.derived", "7"),
        ("dimensions.entitlements.privileged", "maybe"),
        ("expansionItems.source", '["s"]'),
    ]
    (kept,) = rig.rows("account_activities")
    assert kept["approvals"][0]["comments"] == [{"comment": None, "commenter": "Bob", "date": None}]
    assert rig.rows("roles")[0]["dimensionSchemaAttributes"][0]["derived"] is None


def test_items_without_identity_are_rejected(rig: Rig) -> None:
    items = ["e0", {"id": "e1"}, None, {"id": {"x": 1}}, {"id": "bad\u0007id"}, {"privileged": True}, {"value": "POST"}]
    rig.write(**{"access_profiles.json": json.dumps([profile(*items)])})
    rig.load(".")
    found = rig.rows("access_profiles")[0]["entitlements"]
    assert [(item["value"], item["id"] is not None) for item in found] == [(None, True), ("POST", True)]
    assert [(column, value) for _, _, column, value in told(rig)] == [
        ("entitlements", None),
        ("entitlements", None),
        ("entitlements.id", None),
        ("entitlements.id", None),
        ("entitlements", None),
    ]
    reasons = [rejection.reason for rejection in rig.report.rejections]
    assert reasons[0] == '"e0" is a text instead of an object' and reasons[1] == "null instead of an object"
    assert reasons[4] == "neither id nor name nor value"


def test_owned_objects_are_read_strictly(rig: Rig) -> None:
    person = {"id": "1", "name": "ann", "owns": {"roles": [{"id": "r1", "name": "Clerk"}, "r2"], "apps": []}}
    rig.write(**{"identities.json": json.dumps([person, {"id": "2", "name": "bob", "owns": "all"}])})
    rig.load(".")
    assert rig.rows("identities")[0]["owned"] == [{"id": "r1", "name": "Clerk", "type": "ROLE"}]
    assert told(rig) == [("identities.json", 1, "owns", None), ("identities.json", 1, "owns", "all")]


def test_cells_of_csv_and_parquet_follow_the_same_rules(rig: Rig) -> None:
    kind = pa.list_(pa.struct([("id", pa.string()), ("privileged", pa.int64())]))
    items = [[{"id": "e1", "privileged": 5}, {"id": "e2", "privileged": 1}]]
    pq.write_table(
        pa.table({"id": ["p1"], "name": ["A"], "sourceName": ["ERP"], "entitlements": pa.array(items, kind)}),
        rig.data / "access_profiles-1.parquet",
    )
    cell = '[{""id"": ""e1"", ""privileged"": ""so so""}]'
    rig.write(**{"access_profiles-2.csv": f'id,name,sourceName,entitlements\np2,B,ERP,"{cell}"\n'})
    rig.load(".")
    rows = {row["id"]: row["entitlements"] for row in rig.rows("access_profiles")}
    assert [item["privileged"] for item in rows["p1"]] == [None, True]
    assert [item["privileged"] for item in rows["p2"]] == [None]
    assert sorted(told(rig)) == [
        ("access_profiles-1.parquet", 1, "entitlements.privileged", "5"),
        ("access_profiles-2.csv", 2, "entitlements.privileged", "so so"),
    ]


def test_times_and_integers_in_objects_follow_the_rules(tmp_path: Path) -> None:
    column = TableColumn("uses", object_list(at=TIME, count=INTEGER, by=TEXT), "")
    cell = '[{"at": "2026-01-31", "count": 7, "by": ""}, {"at": "31.1.26", "count": "1,000", "by": 5}]'
    read = read_lists(connect_duckdb(100_000_000, 1, tmp_path / "spill"), column, pa.array([None, cell]))
    assert [item and [(i["count"], i["by"]) for i in item] for item in read.data.to_pylist()] == [
        None,
        [(7, ""), (None, "5")],
    ]
    assert read.data.to_pylist()[1][0]["at"].isoformat() == "2026-01-31T00:00:00+00:00"
    assert [(f.row, f.path, f.value) for f in read.faults] == [(1, ".at", "31.1.26"), (1, ".count", "1,000")]


def test_the_guard_counts_cells_of_nested_objects(rig: Rig) -> None:
    good = [{"id": f"e{n}", "privileged": True} for n in range(100)]
    few = [{"id": f"x{n}", "privileged": "?"} for n in range(2)]
    rig.write(**{"access_profiles.json": json.dumps([profile(*good, *few)])})
    assert rig.load(".", accept_loss=False).losses == ()
    many = [{"id": f"x{n}", "privileged": "?"} for n in range(10)]
    rig.write(**{"access_profiles.json": json.dumps([profile(*good, *many)])})
    with pytest.raises(LoadStopped) as caught:
        rig.load(".", accept_loss=False)
    (loss,) = caught.value.report.losses
    assert (loss.kind, loss.count, loss.total) == ("unreadable", 10, 110)
    assert "column entitlements.privileged" in loss.subject


def test_the_guard_counts_rejected_items_of_lists(rig: Rig) -> None:
    rig.write(**{"access_profiles.json": json.dumps([profile(*[{"id": f"e{n}"} for n in range(20)], *"abc")])})
    with pytest.raises(LoadStopped) as caught:
        rig.load(".", accept_loss=False)
    (loss,) = caught.value.report.losses
    assert (loss.kind, loss.count, loss.total) == ("rejected", 3, 23)
