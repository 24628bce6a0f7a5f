"""Names of identities for people, where no file gives a full name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intake import Rig
from whohas.ingest.proposals import propose

HR = """
[source]
name = "HR"
authoritative = true
[accounts]
file = "hr.csv"
[accounts.columns]
nativeIdentity = "No"
name = "Mail"
[identities.columns]
firstName = "First"
lastName = "Last"
email = "Mail"
"""


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def names(rig: Rig) -> list[tuple[str, str]]:
    return [(row["name"], row["displayName"]) for row in rig.rows("identities")]


def test_first_and_last_name_make_the_name_of_identities(rig: Rig) -> None:
    rows = "1,Ann,Smith,a@x\n2,Bob,,b@x\n3,,Jones,\n4,,,d@x\n5,,,\n"
    rig.write(**{"hr.toml": HR, "hr.csv": f"No,First,Last,Mail\n{rows}"})
    rig.load(".")
    assert names(rig) == [("1", "Ann Smith"), ("2", "Bob"), ("3", "Jones"), ("4", "d@x"), ("5", "5")]


def test_a_name_that_a_mapping_gives_stays(rig: Rig) -> None:
    rig.write(
        **{"hr.toml": HR + 'displayName = "Nick"\n', "hr.csv": "No,First,Last,Mail,Nick\n1,Ann,Smith,a@x,annie\n"}
    )
    rig.load(".")
    assert names(rig) == [("1", "annie")]


def test_an_account_name_of_several_words_stays(rig: Rig) -> None:
    rig.write(**{"hr.toml": HR.replace('name = "Mail"', 'name = "Full"'), "hr.csv": "No,First,Last,Mail,Full\n1,Ann,Smith,a@x,Dr. A. Smith\n"})  # fmt: skip
    rig.load(".")
    assert names(rig) == [("1", "Dr. A. Smith")]


def test_files_with_our_columns_and_documents_have_names_too(rig: Rig) -> None:
    rig.write(
        **{
            "identities-1.csv": "id,name,firstName,lastName\n1,asmith,Ann,Smith\n2,bob,,\n",
            "identities-2.json": json.dumps(
                [
                    {"id": "3", "alias": "cjones", "attributes": {"firstname": "Cy", "lastname": "Jones"}},
                    {"id": "4", "name": "deve", "displayName": "deve", "firstName": "Dan", "lastName": "Eve"},
                    {"id": "5", "name": "Ed A. Fox", "firstName": "Ed", "lastName": "Fox"},
                ]
            ),
        }
    )
    rig.load(".")
    assert names(rig) == [
        ("asmith", "Ann Smith"), ("bob", "bob"), ("cjones", "Cy Jones"), ("deve", "deve"), ("Ed A. Fox", "Ed A. Fox"),
    ]  # fmt: skip


def test_a_proposal_for_hr_without_full_names_gives_readable_names(rig: Rig) -> None:
    rows = "".join(f"{n},Last{n},First{n},p{n}@x.example,{n // 2 or ''},0{n}/15/2020\n" for n in range(1, 9))
    rig.write(**{"hr.csv": "Employee ID,Last Name,First Name,Email,Manager,Start Date\n" + rows})
    found = propose([rig.data / "hr.csv"], None, rig.data / "hr.toml").text
    assert "displayName is made of first and last name" in found
    rig.write(**{"hr.toml": found})
    rig.load("hr.toml")
    assert names(rig)[0] == ("1", "First1 Last1")
