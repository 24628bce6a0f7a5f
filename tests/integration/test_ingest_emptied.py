"""A column that had values and has none any more: the load says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intake import Rig
from whohas.ingest import LoadStopped

HR = """
[source]
name = "HR"
authoritative = true
[accounts]
file = "hr.csv"
[accounts.columns]
nativeIdentity = "No"
name = "Name"
disabled = "Off"
[identities.columns]
email = "Mail"
created = "Start"
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def hr(*rows: str, header: str = "No,Name,Off,Mail,Start,Site") -> dict[str, str]:
    return {"hr.toml": HR, "hr.csv": "\n".join([header, *rows]) + "\n"}


FULL = ("1,Ann,no,ann@x,2015-03-01,Rome", "2,Bob,no,,2015-03-01,Oslo", "3,Eve,,eve@x,,Rome")


def emptied(rig: Rig) -> list[str]:
    return [note for note in rig.report.warnings if "no value any more" in note]


@pytest.mark.parametrize(
    ("cells", "column", "count"),
    [("1,Ann,no,,2015-03-01,Rome", "Mail", 2), ("1,Ann,,a@x,2015-03-01,Rome", "Off", 2),
     ("1,Ann,no,a@x,,Rome", "Start", 2), ("1,Ann,no,a@x,2015-03-01,", "Site", 3)],
)  # fmt: skip
def test_a_column_that_became_empty_is_named(rig: Rig, cells: str, column: str, count: int) -> None:
    rig.write(**hr(*FULL))
    rig.load(".")
    assert emptied(rig) == []
    rig.write(**hr(*(cells.replace("1,Ann", start) for start in ("1,Ann", "2,Bob", "3,Eve"))))
    rig.load(".")
    had = f"{count} rows had one"
    assert emptied(rig) == [
        f"HR: the column {column!r} has no value any more in 3 rows; {had} before this load. Check the export."
    ]
    rig.load(".")
    assert emptied(rig) == []


def test_a_column_that_is_missing_is_named_too(rig: Rig) -> None:
    rig.write(**hr(*FULL))
    rig.load(".")
    rig.write(**hr(*(row.rpartition(",")[0] for row in FULL), header="No,Name,Off,Mail,Start"))
    rig.load(".")
    assert [note.split("'")[1] for note in emptied(rig)] == ["Site"]


def test_one_value_that_is_left_makes_no_note(rig: Rig) -> None:
    rig.write(**hr(*FULL))
    rig.load(".")
    rig.write(**hr("1,Ann,no,ann@x,2015-03-01,Rome", "2,Bob,,,,", "3,Eve,,,,"))
    rig.load(".")
    assert emptied(rig) == []


def test_documents_and_tables_without_partitions_are_looked_at(rig: Rig) -> None:
    person = {"id": "1", "name": "ann", "email": "a@x", "attributes": {"site": "Rome", "level": 3}}
    role = {"id": "r1", "name": "Clerk", "description": "Writes", "entitlements": [{"id": "e1"}]}
    rig.write(**{"identities.json": json.dumps([person]), "roles.json": json.dumps([role])})
    rig.load(".")
    rig.write(
        **{
            "identities.json": json.dumps([person | {"email": None, "attributes": {"level": 3, "site": ""}}]),
            "roles.json": json.dumps([{"id": "r1", "name": "Clerk"}]),
        }
    )
    rig.load(".")
    assert [note.partition(" has")[0] for note in emptied(rig)] == [
        "identities: the column 'email'", "roles: the column 'description'", "roles: the column 'entitlements'",
    ]  # fmt: skip


def test_a_key_that_became_empty_stops_the_load(rig: Rig) -> None:
    rig.write(**hr(*FULL))
    rig.load(".")
    rig.write(**hr(*(row[1:] for row in FULL)))
    with pytest.raises(LoadStopped) as caught:
        rig.load(".", accept_loss=False)
    assert {loss.kind for loss in caught.value.report.losses} == {"rejected", "removed"}
    assert len(rig.rows("identities")) == 3


def test_what_stays_of_other_sources_makes_no_note(rig: Rig) -> None:
    rig.write(**hr(*FULL))
    rig.load(".")
    badges = '[source]\nname = "Badges"\n[accounts]\nfile = "b.csv"\n[accounts.columns]\nnativeIdentity = "No"\n'
    rig.write(**{"b.toml": badges, "b.csv": "No\n1\n2\n"})
    rig.load("b.toml")
    assert emptied(rig) == []
