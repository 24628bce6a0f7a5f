"""Managers that a file names by number, mail address or native identity, and what follows from them."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance import examples
from factories import report_rows
from intake import Rig
from searching import Corpus
from whohas.errors import InvalidArguments

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
employeeNumber = "Staff No"
"""
BY_NUMBER = '[manager]\naccount = "Boss"\nidentity = "employeeNumber"\n'
BY_MAIL = '[manager]\naccount = "Boss"\nidentity = "email"\nignoreCase = true\n'
BY_NATIVE = HR + 'managerId = "Boss"\n'
PEOPLE = "No,Name,Mail,Staff No,Boss\n1,Ann,ann@x,E1,\n2,Bob,bob@x,E2,E1\n3,Cyd,cyd@x,E3,E2\n"


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def managers(rig: Rig) -> dict[str, tuple[str, str]]:
    """By display name: manager and isManager, as the report has them."""
    rows = report_rows(rig.warehouse.snapshot(), rig.home, "IDENTITIES", {})
    return {row["displayName"]: (row["manager"], row["isManager"]) for row in rows}


def test_a_rule_finds_managers_by_number(rig: Rig) -> None:
    rig.write(**{"hr.toml": HR + BY_NUMBER, "hr.csv": PEOPLE})
    report = rig.load(".")
    assert managers(rig) == {"Ann": ("", "true"), "Bob": ("Ann", "true"), "Cyd": ("Bob", "false")}
    assert not report.warnings
    corpus = Corpus.of(rig.warehouse)
    found = corpus.search("isManager:true", columns=("displayName", "manager.name", "manager.displayName"))
    assert sorted((row["displayName"], row["manager.name"], row["manager.displayName"]) for row in found) == [
        ("Ann", None, None),
        ("Bob", "1", "Ann"),
    ]
    ids = {row["displayName"]: row["id"] for row in rig.rows("identities")}
    assert corpus.ids(f"manager.id:{ids['Bob']}") == {ids["Cyd"]}


def test_a_rule_can_ignore_case(rig: Rig) -> None:
    rig.write(**{"hr.toml": HR + BY_MAIL, "hr.csv": PEOPLE.replace("E3,E2", "E3,BOB@X")})
    rig.load(".")
    assert managers(rig)["Cyd"] == ("Bob", "false")


def test_a_manager_is_found_by_native_identity_without_a_rule(rig: Rig) -> None:
    rig.write(**{"hr.toml": BY_NATIVE, "hr.csv": "No,Name,Mail,Staff No,Boss\n1a,James,,,\n1a2a,Mary,,,1a\n"})
    assert not rig.load(".").warnings
    assert managers(rig) == {"James": ("", "true"), "Mary": ("James", "false")}


def test_a_manager_that_nobody_is_is_noted(rig: Rig) -> None:
    people = "No,Name,Mail,Staff No,Boss\n1,Ann,,,z9\n2,Bob,,,z8\n3,Cyd,,,z7\n4,Dan,,,z6\n"
    rig.write(**{"hr.toml": BY_NATIVE, "hr.csv": people})
    (warning,) = rig.load(".").warnings
    assert warning.startswith("4 identities have a manager that no identity is: 'z6', 'z7', 'z8'.")
    assert "[manager]" in warning


def test_a_rule_that_finds_nobody_is_noted_with_examples(rig: Rig) -> None:
    rig.write(**{"hr.toml": HR + BY_NUMBER, "hr.csv": PEOPLE.replace("E2,E1", "E2,77").replace("E3,E2", "E3,78")})
    (warning,) = rig.load(".").warnings
    assert "2 of 3 identities of 'HR' are without their manager" in warning
    assert "'77' and '78'" in warning and "'E1' and 'E2'" in warning and "employeeNumber" in warning
    assert all(row["managerId"] is None for row in rig.rows("identities"))


def test_a_manager_that_differs_in_case_only_is_noted(rig: Rig) -> None:
    rig.write(**{"hr.toml": HR + BY_NUMBER, "hr.csv": PEOPLE.replace("E3,E2", "E3,e2")})
    (warning,) = rig.load(".").warnings
    assert "case only for 1 of them" in warning and "ignoreCase = true" in warning


def test_a_document_without_its_manager_is_noted(rig: Rig) -> None:
    people = [{"id": "p1", "name": "ann", "manager": {"id": "p9", "name": "zoe"}}, {"id": "p2", "name": "bob"}]
    rig.write(**{"identities.json": json.dumps(people)})
    (warning,) = rig.load(".").warnings
    assert warning == "1 identity has a manager that no identity is: 'p9'. Load the identities of these managers."
    assert managers(rig) == {"ann": ("zoe", ""), "bob": ("", "")}


def test_what_documents_say_of_managers_stands(rig: Rig) -> None:
    people = [
        {"id": "p1", "name": "ann", "isManager": False},
        {"id": "p2", "name": "bob", "manager": {"id": "p1", "name": "Miss Ann"}},
        {"id": "p3", "name": "cyd", "manager": {"id": "p2"}},
    ]
    rig.write(**{"identities.json": json.dumps(people)})
    rig.load(".")
    assert managers(rig) == {"ann": ("", "false"), "bob": ("Miss Ann", "true"), "cyd": ("bob", "false")}


def test_cycles_and_self_management_break_nothing(rig: Rig) -> None:
    people = "No,Name,Mail,Staff No,Boss\n1,Ann,,E1,E1\n2,Bob,,E2,E3\n3,Cyd,,E3,E2\n"
    rig.write(**{"hr.toml": HR + BY_NUMBER, "hr.csv": people})
    rig.load(".")
    # whom nobody else reports to is no manager
    assert managers(rig) == {"Ann": ("Ann", "false"), "Bob": ("Cyd", "true"), "Cyd": ("Bob", "true")}


def test_managers_follow_when_later_loads_bring_and_change_people(rig: Rig) -> None:
    rig.write(**{"hr.toml": HR + BY_NUMBER, "hr.csv": PEOPLE.replace("E2,E1", "E2,X1")})
    rig.load("hr.toml")
    assert managers(rig)["Bob"] == ("", "true")
    other = HR.replace('"HR"', '"Partners"').replace("hr.csv", "partners.csv")
    rig.write(**{"partners.toml": other, "partners.csv": "No,Name,Mail,Staff No\n1,Zoe,,X1\n"})
    rig.load("partners.toml")
    assert managers(rig)["Bob"] == ("Zoe", "true") and managers(rig)["Zoe"] == ("", "true")
    rig.write(**{"partners.csv": "No,Name,Mail,Staff No\n1,Zoe Ek,,X1\n"})
    rig.load("partners.toml")
    assert managers(rig)["Bob"] == ("Zoe Ek", "true")
    rig.write(**{"partners.csv": "No,Name,Mail,Staff No\n2,Yan,,X2\n"})
    report = rig.load("partners.toml")
    assert managers(rig) == {"Ann": ("", "false"), "Bob": ("", "true"), "Cyd": ("Bob", "false"), "Yan": ("", "false")}
    assert "1 of 3 identities of 'HR' is without its manager" in " ".join(report.warnings)


def test_documents_take_the_place_of_a_rule(rig: Rig) -> None:
    rig.write(**{"hr.toml": HR + BY_NUMBER, "hr.csv": PEOPLE})
    rig.load("hr.toml")
    (source,) = rig.rows("sources")
    person = {"id": "p1", "name": "ann", "manager": {"id": "p1"}, "source": {"id": source["id"], "name": "HR"}}
    rig.write(**{"identities.json": json.dumps([{**person, "attributes": {"Boss": "E7"}}])})
    rig.load("identities.json")
    assert rig.rows("sources")[0]["managerCorrelation"] is None
    assert [row["managerId"] for row in rig.rows("identities")] == ["p1"]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (BY_NATIVE + BY_NUMBER, "both say who the manager is"),
        (HR.replace("true", "false").replace("[identities", "[accounts.x") + BY_NUMBER, "accounts.x is not known"),
        (HR + '[manager]\naccount = "Boss"\n', r"\[manager\] needs account"),
        (HR + BY_NUMBER.replace("employeeNumber", "employeNumber"), "did you mean 'employeeNumber'"),
        (HR + BY_NUMBER.replace("Boss", "Chef"), "manager.account names the column 'Chef'"),
        (HR.replace('"hr.csv"', '"hr.csv"\nattributes = ["Mail"]') + BY_NUMBER, "manager.account 'Boss' is not kept"),
        (HR.split("[identities", maxsplit=1)[0].replace("true", "false") + BY_NUMBER, "needs .accounts. and source.authoritative"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_work_is_refused(rig: Rig, mapping: str, message: str) -> None:
    rig.write(**{"hr.toml": mapping, "hr.csv": PEOPLE})
    with pytest.raises(InvalidArguments, match=message):
        rig.load(".")


_VALUES = st.sampled_from(["", "a", "A", "b", "B", "c", "ß", "x;y", "a "])
_PERSON = st.tuples(_VALUES, _VALUES)


def _model(people: Sequence[tuple[str, str]], ignore_case: bool) -> dict[str, tuple[str, str]]:
    """Manager and isManager of each person by number, found one by one."""

    def fold(text: str) -> str:
        return text.lower() if ignore_case else text

    counts = Counter(fold(number) for number, _ in people if number)
    by = {fold(number): str(place) for place, (number, _) in enumerate(people) if number and counts[fold(number)] == 1}
    found = {str(place): by.get(fold(boss), "") if boss else "" for place, (_, boss) in enumerate(people)}
    leads = {boss for person, boss in found.items() if boss and boss != person}
    known = any(found.values())
    return {person: (boss, str(person in leads).lower() if known else "") for person, boss in found.items()}


@settings(max_examples=examples(10, new=25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    first=st.lists(_PERSON, min_size=1, max_size=6),
    second=st.lists(_PERSON, max_size=4),
    ignore_case=st.booleans(),
)
def test_managers_are_those_of_a_plain_model(
    tmp_path_factory: Any, first: list[tuple[str, str]], second: list[tuple[str, str]], ignore_case: bool
) -> None:
    rig = Rig(tmp_path_factory.mktemp("managers"))
    rule = BY_NUMBER + f"ignoreCase = {str(ignore_case).lower()}\n"
    everybody = [*first, *second]
    # the second source comes by a load of its own, so that managers of the first are found again
    for name, start, people in (("HR", 0, first), ("Partners", len(first), second)):
        if not people:
            continue
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow(["No", "Name", "Mail", "Staff No", "Boss"])
        writer.writerows([start + n, start + n, "m", number, boss] for n, (number, boss) in enumerate(people))
        mapping = HR.replace('"HR"', f'"{name}"').replace("hr.csv", f"{name}.csv") + rule
        rig.write(**{f"{name}.csv": file.getvalue(), f"{name}.toml": mapping})
        rig.load(f"{name}.toml")
    assert managers(rig) == _model(everybody, ignore_case)
