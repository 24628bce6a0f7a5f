"""Notes of a load about rules and references that find nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intake import Rig
from whohas.errors import InvalidArguments

BADGES = """
[source]
name = "Badges"
[accounts]
file = "badges.csv"
[accounts.columns]
nativeIdentity = "No"
[correlation]
account = "Mail"
"""
PEOPLE = json.dumps(
    [
        {"id": "p1", "name": "ann", "email": "ann@x", "attributes": {"badge": "7"}},
        {"id": "p2", "name": "bob", "email": "bob@x"},
    ]
)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def badges(rig: Rig, rule: str, rows: str, people: str = PEOPLE) -> tuple[str, ...]:
    """The notes of a load of badges, which have a number and a mail address."""
    rig.write(**{"b.toml": BADGES + rule, "badges.csv": f"No,Mail\n{rows}"})
    if people:
        rig.write(**{"identities.json": people})
    return rig.load(".").warnings


def test_a_rule_with_an_attribute_nobody_has_gets_a_note(rig: Rig) -> None:
    (note,) = badges(rig, 'identity = "attributes.mail"\n', "1,ann@x\n2,bob@x\n3,cyd@x\n")
    assert note == (
        "0 of 3 accounts of 'Badges' are correlated: their Mail (such as 'ann@x' and 'bob@x') is compared with "
        "attributes.mail, which no identity has. Set correlation.identity to what identities have."
    )


def test_a_rule_that_correlates_nobody_shows_values_of_both_sides(rig: Rig) -> None:
    (note,) = badges(rig, 'identity = "email"\n', "1,zoe@x\n")
    assert note == (
        "0 of 1 account of 'Badges' are correlated: their Mail (such as 'zoe@x') is the email of no one identity; "
        "identities have (such as 'ann@x' and 'bob@x') there. Check correlation.account and correlation.identity."
    )


def test_a_rule_that_correlates_some_is_not_noted(rig: Rig) -> None:
    assert badges(rig, 'identity = "email"\n', "1,zoe@x\n2,ann@x\n") == ()


def test_a_rule_without_values_is_noted(rig: Rig) -> None:
    (note,) = badges(rig, 'identity = "email"\n', "1,\n2,\n")
    assert (
        note
        == "0 of 2 accounts of 'Badges' are correlated: none of them has a value of Mail. Check the export, or set correlation.account."
    )


def test_a_rule_before_there_are_identities_is_noted(rig: Rig) -> None:
    (note,) = badges(rig, 'identity = "email"\n', "1,ann@x\n", people="")
    assert "there are none yet" in note
    rig.write(**{"identities.json": PEOPLE})
    assert rig.load("identities.json").warnings == ()


def test_later_identities_that_a_rule_does_not_find_are_noted(rig: Rig) -> None:
    badges(rig, 'identity = "attributes.mail"\n', "1,ann@x\n", people="")
    rig.write(**{"identities.json": PEOPLE})
    (note,) = rig.load("identities.json").warnings
    assert "which no identity has" in note


@pytest.mark.parametrize(("rows", "count"), [("1,ANN@X\n2,Bob@x\n3,zoe@x\n", "2"), ("1,ANN@X\n2,bob@x\n", "1")])
def test_values_that_differ_in_case_only_are_noted(rig: Rig, rows: str, count: str) -> None:
    (note,) = badges(rig, 'identity = "email"\n', rows)
    assert "case only" in note and "ignoreCase = true" in note
    assert count in note.partition("Badges")[0 if "stay" in note else 2]
    assert badges(rig, 'identity = "email"\nignoreCase = true\n', rows) == ()


def test_a_value_that_several_identities_have_is_counted(rig: Rig) -> None:
    people = json.dumps([{"id": f"p{n}", "name": f"p{n}", "email": "team@x"} for n in range(2)])
    notes = badges(rig, 'identity = "email"\n', "1,team@x\n", people)
    assert any("1 of them: several identities have it" in note for note in notes)


def test_accounts_of_identities_that_are_not_there_are_noted(rig: Rig) -> None:
    accounts = [{"id": f"a{n}", "nativeIdentity": f"a{n}", "sourceId": "ad", "identityId": f"p{n}"} for n in range(6)]
    rig.write(**{"identities.json": PEOPLE, "accounts.json": json.dumps(accounts)})
    (note,) = rig.load(".").warnings
    assert note == "4 accounts have an identity that is not there: 'p0', 'p3', 'p4'. Load the identities."


def test_an_authoritative_source_without_identities_is_noted(rig: Rig) -> None:
    sources = json.dumps([{"id": "hr", "name": "HR", "authoritative": True}])
    accounts = json.dumps([{"id": "a", "nativeIdentity": "a", "sourceId": "hr"}])
    rig.write(**{"sources.json": sources, "accounts.json": accounts, "identities.json": PEOPLE})
    (note,) = rig.load(".").warnings
    assert note == (
        "The source 'HR' is authoritative, and none of its accounts (1) has an identity. "
        "Load its accounts with a mapping that has source.authoritative, or load the identities."
    )


def test_an_authoritative_mapping_without_accounts_is_noted(rig: Rig) -> None:
    mapping = '[source]\nname = "HR"\nauthoritative = true\n[entitlements]\nfile = "e.csv"\n[entitlements.columns]\n'
    rig.write(**{"hr.toml": f'{mapping}value = "Group"\n', "e.csv": "Group\nA\n"})
    (note,) = rig.load(".").warnings
    assert note == (
        "hr.toml: source.authoritative lets accounts make identities, and there is no [accounts]. "
        "Add it, or remove source.authoritative."
    )


def test_memberships_that_are_all_rejected_are_noted(rig: Rig) -> None:
    mapping = BADGES.partition("[correlation]")[0] + '[memberships]\nfile = "m.csv"\n[memberships.columns]\n'
    rig.write(
        **{
            "b.toml": mapping + 'account = "Who"\nentitlement = "What"\n',
            "badges.csv": "No,Mail\n1,a\n",
            "m.csv": "Who,What\n7,A\n8,B\n",
        }
    )
    (note,) = rig.load(".").warnings
    assert note == (
        "Not one row of m.csv (2 in all) could be loaded: nobody holds what it names. See the rejected rows."
    )


def test_each_attribute_that_a_mapping_names_must_be_there(rig: Rig) -> None:
    mapping = BADGES.partition("[correlation]")[0].replace(
        '"badges.csv"', '"badges.csv"\nattributes = ["Nope", "Mail"]'
    )
    rig.write(**{"b.toml": mapping, "badges.csv": "No,Mail\n1,a\n"})
    with pytest.raises(InvalidArguments, match=r"accounts\.attributes names the column 'Nope'"):
        rig.load(".")
