"""Proposals for files of several systems, and for small files of who has what."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from intake import Rig
from whohas.ingest.proposals import Proposal, propose


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def proposed(rig: Rig, text: str, form: str = "csv", name: str | None = None) -> tuple[Proposal, dict[str, Any]]:
    """Proposes a mapping for a file, and loads it by that."""
    path = rig.data / f"users.{form}"
    if form == "csv":
        path.write_text(text)
    else:
        book: Any = openpyxl.Workbook()
        for line in text.splitlines():
            book.active.append([cell or None for cell in line.split(",")])
        book.save(path)
    found = propose([path], name, rig.data / "users.toml")
    (rig.data / "users.toml").write_text(found.text)
    rig.load("users.toml")
    return found, tomllib.loads(found.text)


def held(rig: Rig) -> list[tuple[str, str]]:
    accounts = {row["id"]: row["nativeIdentity"] for row in rig.rows("accounts")}
    return sorted((accounts[row["accountId"]], row["value"]) for row in rig.rows("account_entitlements"))


ORGS = "organization,login,role\n" + "".join(
    f"{org},u{n},{'admin' if n == len(org) % 3 else 'member'}\n"
    for org in ("etcd", "kubernetes", "sigs")
    for n in range(5)
)


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_column_that_separates_systems_becomes_the_source(rig: Rig, form: str) -> None:
    _, found = proposed(rig, ORGS, form)
    assert found["source"]["column"] == "organization" and "name" not in found["source"]
    assert rig.report.rejected == 0 and len(rig.rows("accounts")) == 15
    assert {row["name"] for row in rig.rows("sources")} == {"etcd", "kubernetes", "sigs"}


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_memberships_of_several_systems_name_what_is_dropped(rig: Rig, form: str) -> None:
    text = "organization,group,login,role\n" + "".join(
        f"{org},{group},u{n},{'maintainer' if n == g else 'member'}\n"
        for org in ("etcd", "kubernetes") for g, group in enumerate(("admins", "docs")) for n in range(4)
    )  # fmt: skip
    proposal, found = proposed(rig, text, form)
    assert found["source"]["column"] == "organization"
    assert found["memberships"]["columns"] == {"account": "login", "entitlement": "group"}
    assert 'Not loaded, for an account\'s rows differ there and a membership has no attributes: "role"' in " ".join(
        proposal.text.replace("\n#", "").split()
    )
    assert rig.report.rejected == 0 and len(rig.rows("account_entitlements")) == 16


def test_a_system_column_separates_even_unique_logins(rig: Rig) -> None:
    rows = "".join(f"{'CRM' if n % 2 else 'ERP'},u{n},u{n}@x.example\n" for n in range(6))
    _, found = proposed(rig, "System,Login,Mail\n" + rows)
    assert found["source"]["column"] == "System"
    proposal, found = proposed(rig, "Organization,Login,Mail\n" + rows)
    assert found["source"]["name"] == "Users"
    assert 'column = "Organization"' in proposal.text


def test_a_name_for_several_systems_says_what_it_means(rig: Rig) -> None:
    proposal, found = proposed(rig, ORGS, name="GitHub")
    assert found["source"]["name"] == "GitHub"
    assert 'All rows become one source. If "organization" (etcd, kubernetes, sigs, …)' in proposal.text


@pytest.mark.parametrize("form", ["csv", "xlsx"])
@pytest.mark.parametrize("header", ["user,role", "Name,Role", "who,role", "role,user", "No,user,role"])
def test_unique_roles_of_few_rows_name_no_account(rig: Rig, form: str, header: str) -> None:
    rows = {"user": ["ann", "ann", "bob"], "role": ["POST", "APPROVE", "AUDIT"], "No": ["1", "2", "3"]}
    rows |= {"Name": ["Ann Lee", "Ann Lee", "Bob Ray"], "who": rows["user"], "Role": rows["role"]}
    lines = zip(*(rows[name] for name in header.split(",")), strict=True)
    proposed(rig, "\n".join([header, *(",".join(line) for line in lines)]) + "\n", form)
    people = ("Ann Lee", "Bob Ray") if "Name" in header else ("ann", "bob")
    assert held(rig) == [(people[0], "APPROVE"), (people[0], "POST"), (people[1], "AUDIT")]


def test_roles_of_unique_users_become_entitlements(rig: Rig) -> None:
    _, found = proposed(rig, "user,role\nann,POST\nbob,AUDIT\nzoe,SEE\n")
    assert found["accounts"]["columns"]["nativeIdentity"] == "user"
    assert held(rig) == [("ann", "POST"), ("bob", "AUDIT"), ("zoe", "SEE")]


def test_a_file_of_groups_stays_one_of_entitlements(rig: Rig) -> None:
    rows = "".join(f"{org},{org}-{n},,About {n},{'open' if n % 2 else 'closed'}\n" for org in "ab" for n in range(4))
    (rig.data / "groups.csv").write_text("organization,group,parent_group,description,privacy\n" + rows)
    found = tomllib.loads(propose([rig.data / "groups.csv"], None, rig.data / "map.toml").text)
    assert found["entitlements"]["columns"]["value"] == "group" and "memberships" not in found
