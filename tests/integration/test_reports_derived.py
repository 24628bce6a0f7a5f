"""Facts that reports and searches derive where no file gives them, and old warehouses."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from factories import report_rows
from intake import Rig
from searching import Corpus
from whohas.warehouse.columns import Table
from whohas.warehouse.schema import IDENTITIES, SOURCES
from whohas.warehouse.store import DataFile, TableChange


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def accounts_of(rig: Rig, folder: Path, source: str) -> dict[str, str]:
    rows = report_rows(rig.warehouse.snapshot(), folder, "ACCOUNTS", {"sourceName": source})
    return {row["nativeIdentity"]: row["hasEntitlements"] for row in rows}


def test_an_account_has_entitlements_if_a_membership_says_so(rig: Rig, tmp_path: Path) -> None:
    rig.write(
        **{
            "app.toml": '[source]\nname="App"\n[accounts]\nfile="a.csv"\n[accounts.columns]\nnativeIdentity="Login"\n'
            '[memberships]\nfile="m.csv"\n[memberships.columns]\naccount="User"\nentitlement="Role"\n',
            "a.csv": "Login\nann\nbob\n",
            "m.csv": "User,Role\nann,A\nann,B\n",
        }
    )
    rig.load(".")
    assert accounts_of(rig, tmp_path, "App") == {"ann": "true", "bob": "false"}


def test_what_a_file_says_of_entitlements_stands(rig: Rig, tmp_path: Path) -> None:
    accounts = [
        {"id": "1", "nativeIdentity": "1", "sourceId": "s", "sourceName": "S", "hasEntitlements": False},
        {"id": "2", "nativeIdentity": "2", "sourceId": "s", "sourceName": "S", "hasEntitlements": True},
        {"id": "3", "nativeIdentity": "3", "sourceId": "s", "sourceName": "S"},
    ]
    granted = [{"accountId": "1", "entitlementId": "e", "sourceId": "s"}]
    rig.write(**{"accounts.json": json.dumps(accounts), "account_entitlements.json": json.dumps(granted)})
    rig.load(".")
    assert accounts_of(rig, tmp_path, "S") == {"1": "false", "2": "true", "3": "false"}


def test_entitlements_stay_unknown_where_nothing_says_who_holds_any(rig: Rig, tmp_path: Path) -> None:
    rig.write(**{"accounts.csv": "nativeIdentity,sourceName\n1,S\n"})
    rig.load(".")
    assert accounts_of(rig, tmp_path, "S") == {"1": ""}


def test_accounts_are_counted_where_no_document_counts(rig: Rig, tmp_path: Path) -> None:
    people = [{"id": "p", "name": "p"}, {"id": "q", "name": "q", "accountCount": 7}]
    accounts = [{"nativeIdentity": f"{n}", "sourceId": "s", "identityId": "p"} for n in range(2)]
    rig.write(**{"identities.json": json.dumps(people), "accounts.json": json.dumps(accounts)})
    rig.load(".")
    corpus = Corpus.of(rig.warehouse)
    assert (corpus.ids("accountCount:2"), corpus.ids("accountCount:7")) == ({"p"}, {"q"})
    rows = report_rows(rig.warehouse.snapshot(), tmp_path, "IDENTITIES", {})
    assert {row["id"]: row["accountCount"] for row in rows} == {"p": "2", "q": "0"}


def test_one_person_in_two_sources_is_one_row(rig: Rig, tmp_path: Path) -> None:
    """An identity's id that a later load brings for another source too must not double those who report to it."""
    boss = {"id": "b", "name": "boss"}
    rig.write(
        **{
            "identities.json": json.dumps(
                [{**boss, "source": {"id": "x"}}, {"id": "p", "name": "pat", "manager": {"id": "b"}, "source": {"id": "x"}}]
            )
        }
    )  # fmt: skip
    rig.load(".")
    rig.write(**{"identities.json": json.dumps([{**boss, "source": {"id": "y"}}])})
    rig.load(".")
    rows = report_rows(rig.warehouse.snapshot(), tmp_path, "IDENTITIES", {})
    assert [row["manager"] for row in rows if row["id"] == "p"] == ["boss"]


def test_a_warehouse_without_rules_of_managers_gets_them(rig: Rig, tmp_path: Path) -> None:
    """The table of sources as the version before made it, without `managerCorrelation`."""
    old = Table(SOURCES.name, SOURCES.doc, tuple(c for c in SOURCES.columns if not c.added_later))
    with rig.warehouse.load() as load:
        changes: list[TableChange] = []
        for table, rows in (
            (old, [{"id": "hr", "name": "HR", "authoritative": True}]),
            (IDENTITIES, [{"id": "p", "name": "pat", "managerId": "q", "sourceId": ""}]),
        ):
            path = load.new_file_path(table)
            pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
            changes.append(TableChange(table, (DataFile(path, len(rows), "" if table.partition else None),), None))
        load.publish(changes, ("hr",))
    (before,) = report_rows(rig.warehouse.snapshot(), tmp_path, "IDENTITIES", {})
    assert (before["manager"], before["isManager"]) == ("", "")
    rig.write(
        **{
            "hr.toml": '[source]\nname="HR"\nauthoritative=true\n[accounts]\nfile="hr.csv"\n[accounts.columns]\n'
            'nativeIdentity="No"\n[manager]\naccount="Boss"\nidentity="name"\n',
            "hr.csv": "No,Boss\n1,\n2,1\n",
        }
    )
    rig.load(".")
    (source,) = rig.rows("sources")
    assert json.loads(source["managerCorrelation"])["identity"] == "name"
    fields = [field.name for field in DeltaTable(rig.warehouse.root / "sources").schema().fields]
    assert fields == SOURCES.schema.names
    rows = report_rows(rig.warehouse.snapshot(), tmp_path, "IDENTITIES", {})
    assert {row["name"]: (row["manager"], row["isManager"]) for row in rows} == {
        "pat": ("", "false"), "1": ("", "true"), "2": ("1", "false"),
    }  # fmt: skip
    # a load that dies is taken back, whatever it added
    with rig.warehouse.load():
        pass
    rig.load("hr.toml")
    assert [row["name"] for row in rig.rows("sources")] == ["HR"]
