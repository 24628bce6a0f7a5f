"""docs/how-to/own-data.md, done as it says it: from four untidy exports to all reports."""

from __future__ import annotations

import csv
import io
import re
import shlex
import shutil
import subprocess
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import ROOT, whohas

Rows = list[dict[str, str]]


@dataclass(frozen=True)
class Followed:
    """What the commands of the page printed and wrote, by command."""

    folder: Path
    done: dict[str, subprocess.CompletedProcess[str]]

    def rows(self, name: str) -> Rows:
        with (self.folder / name).open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def zipped(self, name: str) -> Rows:
        with zipfile.ZipFile(self.folder / name) as archive:
            (member,) = archive.namelist()
            return list(csv.DictReader(io.StringIO(archive.read(member).decode())))

    def output(self, *words: str) -> str:
        (found,) = [one for command, one in self.done.items() if all(word in command for word in words)]
        return found.stdout + found.stderr


def commands() -> list[str]:
    page = (ROOT / "docs" / "how-to" / "own-data.md").read_text()
    blocks = re.findall(r"```\n(.*?)```", page, re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    folder = tmp_path_factory.mktemp("own-data")
    shutil.copytree(ROOT / "examples" / "own-data", folder / "examples" / "own-data")
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    for command in commands():
        program, *arguments = shlex.split(command)
        assert program == "whohas", command
        found = whohas(folder / "home", *arguments, cwd=folder)
        # a load that left a row and a cell out says so by its exit code, as the page explains
        wanted = 4 if "whohas load" in command else 0
        assert found.returncode == wanted, f"{command}: {found.returncode}\n{found.stdout}\n{found.stderr}"
        done[command] = found
    yield Followed(folder, done)


def test_proposals_name_the_flaws_of_a_file(followed: Followed) -> None:
    told = " ".join(followed.output("map", "hr.csv").replace("\n#", " ").split())
    assert 'encoding = "windows-1252"' in told and "skip = 3" in told and "footer = 2" in told
    assert "'31.02.2019'" in told and "'1011'" in told
    assert 'account = "Vorgesetzter (Pers.-Nr.)"' in told
    assert (followed.folder / "crm.toml").is_file()


def test_a_load_names_what_it_left_out(followed: Followed) -> None:
    for command in ("--check", "own-data"):
        told = followed.output("load", command) if command == "--check" else _load(followed)
        assert re.search(r"hr\.csv, line 23, .*an earlier row has the same", told)
        assert re.search(r"hr\.csv, line 20, column Eintritt", told)


def _load(followed: Followed) -> str:
    (done,) = [one for command, one in followed.done.items() if "load" in command and "--check" not in command]
    return done.stdout + done.stderr


def test_all_people_are_there_with_their_managers(followed: Followed) -> None:
    rows = {row["displayName"]: row for row in followed.rows("identities.csv")}
    assert len(rows) == 24
    assert rows["Hélène Grün"] | {"id": "", "created": ""} == rows["Hélène Grün"] | {
        "id": "", "name": "1007", "firstName": "Hélène", "lastName": "Grün", "email": "helene.gruen@example.com",
        "lifecycleState": "aktiv", "source": "HR", "manager": "Núria Castellanos", "isManager": "false",
        "employeeNumber": "1007", "accountCount": "2", "correlated": "true", "created": "",
    }  # fmt: skip
    assert rows["Hélène Grün"]["created"].startswith("2015-07-01")
    assert {name for name, row in rows.items() if row["isManager"] == "true"} == {
        "Ina Albrecht", "Jörg Baumann", "Núria Castellanos", "Deniz Çelik", "Eva Lindström",
    }  # fmt: skip
    assert rows["Jan Peters"]["created"] == ""
    assert rows["Paul Neumann"]["lifecycleState"] == "ausgeschieden"
    assert rows["Anna Kovács"]["lastName"] == "Kovács"


def test_details_have_each_account_with_its_entitlements(followed: Followed) -> None:
    rows = [row for row in followed.rows("details.csv") if row["displayName"] == "Petra Engel"]
    held = {row["account.source.name"]: row for row in rows}
    assert held.keys() == {"HR", "Active Directory", "Finance App"}
    assert re.findall("APPROVE|PAYROLL|POST|VIEW", held["Finance App"]["account.entitlements"]) == [
        "APPROVE", "PAYROLL", "POST", "VIEW",
    ]  # fmt: skip
    directory = held["Active Directory"]
    assert directory["account.disabled"] == "false"
    assert directory["account.passwordLastSet"] == "2026-10-11T07:30:00.000Z"
    assert directory["account.entitlements"] == "All Staff;Finance;Payroll, Benefits"
    former = [row for row in followed.rows("details.csv") if row["displayName"] == "Paul Neumann"]
    assert {row["account.source.name"]: row["account.disabled"] for row in former} == {
        "HR": "true", "Active Directory": "true", "Finance App": "", "CRM": "false",
    }  # fmt: skip


def test_rows_of_one_user_are_one_account(followed: Followed) -> None:
    rows = {row["nativeIdentity"]: row for row in followed.rows("finance.csv")}
    assert rows.keys() == {
        "BDAHL", "JBAUMANN", "PENGEL", "MFISCHER", "RQUANDT", "PNEUMANN", "IALBRECHT", "SVOGT", "BATCH01",
    }  # fmt: skip
    assert rows["PENGEL"]["identityName"] == "Petra Engel"
    assert [rows[name]["hasEntitlements"] for name in ("PENGEL", "SVOGT")] == ["true", "false"]
    assert rows["BATCH01"]["correlated"] == "false"


def test_accounts_of_nobody_are_uncorrelated(followed: Followed) -> None:
    rows = followed.rows("uncorrelated.csv")
    assert Counter(row["sourceName"] for row in rows) == {"Active Directory": 3, "Finance App": 1, "CRM": 2}
    assert {row["nativeIdentity"] for row in rows} == {
        "adm-hgruen", "svc-backup", "svc-print", "BATCH01", "integration@example.com", "CARMEN.RIOS@EXAMPLE.ORG",
    }  # fmt: skip


def test_partners_are_orphans(followed: Followed) -> None:
    rows = {row["displayName"]: row["accountSources"] for row in followed.rows("orphans.csv")}
    assert rows.keys() == {"Karin Weber", "Oki Sato"}
    assert re.findall(r"Active Directory|CRM", rows["Karin Weber"]) == ["Active Directory", "CRM"]


def test_a_failed_person_is_named_with_the_reason(followed: Followed) -> None:
    (row,) = followed.rows("errors.csv")
    assert (row["displayName"], row["processingState"], row["message"]) == (
        "Sina Vogt", "ERROR", "Pflichtfeld E-Mail ist leer",
    )  # fmt: skip
    assert row["date"] == "2026-11-02T05:15:00.000Z"


def test_one_person_can_post_and_approve(followed: Followed) -> None:
    assert "Petra Engel" in followed.output("whohas search")
    assert [row["displayName"] for row in followed.zipped("both.zip")] == ["Petra Engel"]


def test_the_leaver_still_has_a_working_account(followed: Followed) -> None:
    assert [row["displayName"] for row in followed.zipped("left.zip")] == ["Paul Neumann"]
