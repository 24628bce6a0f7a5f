"""Ids of access items that have none: the same for an item's own row and for what identities hold."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from intake import Rig
from searching import Corpus

AD = {"id": "ad", "name": "AD"}
HELD = [
    {"type": "ENTITLEMENT", "name": "Admins", "attribute": "memberOf", "value": "CN=Admins", "source": AD},
    {"type": "ENTITLEMENT", "name": "Readers", "source": AD},
    {"type": "ACCESS_PROFILE", "name": "Basics", "source": AD},
    {"type": "role", "name": "Clerk"},
]
ENTITLEMENTS = [
    {"name": "Administrators", "attribute": "memberOf", "value": "CN=Admins", "source": AD},
    {"name": "Readers", "source": AD},
]
PROFILES = [
    {
        "name": "Basics",
        "source": AD,
        "entitlements": [{"name": "Admins", "attribute": "memberOf", "value": "CN=Admins"}, {"id": "e9", "name": "X"}],
    }
]
ROLES = [{"name": "Clerk", "owner": {"id": "p1"}}]
APPS = [{"name": "Mail", "accountSource": AD}]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def table(*rows: dict[str, str]) -> str:
    """Rows as CSV."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def flat(document: dict[str, Any]) -> dict[str, str]:
    """A document's columns, of those that are texts."""
    found = {name: value for name, value in document.items() if isinstance(value, str)}
    source = document.get("source") or document.get("accountSource")
    return found if source is None else {**found, "sourceName": source["name"]}


def held(rig: Rig) -> dict[str, str]:
    return {row["name"]: row["id"] for row in rig.rows("identity_access")}


@pytest.mark.parametrize("form", ["json", "csv"])
def test_items_without_ids_join_with_their_own_rows(rig: Rig, form: str) -> None:
    person = {"id": "p1", "name": "ann", "access": HELD, "apps": [{"name": "Mail", "source": AD}]}
    own = {"entitlements": ENTITLEMENTS, "access_profiles": PROFILES, "roles": ROLES, "apps": APPS}
    rig.write(**{"identities.json": json.dumps([person])})
    for name, documents in own.items():
        text = json.dumps(documents) if form == "json" else table(*map(flat, documents))
        rig.write(**{f"{name}.{form}": text})
    assert rig.load(".").rejected == 0
    ids = {row["name"]: row["id"] for name in own for row in rig.rows(name)}
    assert held(rig) == {
        "Admins": ids["Administrators"],
        "Readers": ids["Readers"],
        "Basics": ids["Basics"],
        "Clerk": ids["Clerk"],
    }
    assert [row["id"] for row in rig.rows("identity_apps")] == [ids["Mail"]]
    assert len({*ids.values(), ""}) == 6
    if form == "json":
        (profile,) = rig.rows("access_profiles")
        assert [item["id"] for item in profile["entitlements"]] == [ids["Administrators"], "e9"]
    assert Corpus.of(rig.warehouse).ids(f"@access(id:{ids['Clerk']} AND type:ROLE)") == {"p1"}


def test_rows_of_access_in_csv_get_the_same_ids(rig: Rig) -> None:
    rig.write(**{"identities.json": json.dumps([{"id": "p1", "name": "ann", "access": HELD}])})
    rig.load(".")
    nested = held(rig)
    rig.clear()
    rows = [{"identityId": "p1", **flat(item)} for item in HELD]
    rig.write(**{"identity_access.csv": table(*rows)})
    assert rig.load(".").rejected == 0
    assert held(rig) == nested


def test_made_ids_are_the_same_in_every_load(rig: Rig) -> None:
    rig.write(**{"roles.json": json.dumps(ROLES), "access_profiles.json": json.dumps(PROFILES)})
    rig.load(".")
    before = [row["id"] for name in ("roles", "access_profiles") for row in rig.rows(name)]
    rig.load(".")
    assert [row["id"] for name in ("roles", "access_profiles") for row in rig.rows(name)] == before


def test_kinds_and_sources_of_one_name_have_different_ids(rig: Rig) -> None:
    other = {"id": "crm", "name": "CRM"}
    rig.write(
        **{
            "access_profiles.json": json.dumps([{"name": "A", "source": AD}, {"name": "A", "source": other}, {"name": "A"}]),
            "roles.json": json.dumps([{"name": "A"}]),
            "apps.json": json.dumps([{"name": "A", "source": AD}]),
            "entitlements.json": json.dumps([{"name": "A", "source": AD}]),
        }
    )  # fmt: skip
    assert rig.load(".").rejected == 0
    ids = [row["id"] for name in ("access_profiles", "roles", "apps", "entitlements") for row in rig.rows(name)]
    assert len(set(ids)) == 6


def test_items_without_id_and_name_are_rejected(rig: Rig) -> None:
    access = [{"type": "ROLE"}, {"name": "A"}, {"type": "ENTITLEMENT", "attribute": "memberOf", "source": AD}]
    rig.write(
        **{
            "identities.json": json.dumps([{"id": "p1", "name": "ann", "access": access, "apps": [{"id": ""}]}]),
            "roles.json": json.dumps([{"description": "x"}, {"id": "r1"}]),
        }
    )
    report = rig.load(".")
    told = sorted((bad.file.rpartition("/")[2], bad.column, bad.reason) for bad in report.rejections)
    reason = "no id, nor type and name to make one from"
    assert told == [
        ("identities.json", "access.id", reason),
        ("identities.json", "access.id", reason),
        ("identities.json", "access.id", reason),
        ("identities.json", "apps.name", "neither id nor name"),
        ("roles.json", "name", "neither id nor name"),
    ]
    assert [row["id"] for row in rig.rows("roles")] == ["r1"]


def test_items_of_one_made_id_come_once(rig: Rig) -> None:
    rows = ({"name": "A", "description": "1"}, {"name": "A", "description": "2"})
    rig.write(**{"roles.ndjson": "".join(json.dumps(row) + "\n" for row in rows)})
    assert rig.load(".").rejected == 1
    assert [row["description"] for row in rig.rows("roles")] == ["1"]
