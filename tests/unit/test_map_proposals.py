"""Proposed mappings: what `whohas map` makes of columns and cells."""

from __future__ import annotations

import gzip
import tomllib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from support import ACME
from whohas.cli import app
from whohas.errors import InvalidArguments
from whohas.ingest.proposals import Proposal, SeveralSystems, propose
from whohas.ingest.proposals.times import detect_time_formats
from whohas.ingest.proposals.words import Concept, concept_of

PEOPLE = "Employee ID,Last Name,First Name,Email,Manager,Start Date,Status\n"


def made(tmp_path: Path, *files: tuple[str, str | bytes], name: str | None = None) -> dict[str, Any]:
    return tomllib.loads(text_of(tmp_path, *files, name=name).text)


def text_of(tmp_path: Path, *files: tuple[str, str | bytes], name: str | None = None) -> Proposal:
    paths = [tmp_path / file for file, _ in files]
    for path, (_, content) in zip(paths, files, strict=True):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return propose(paths, name, tmp_path / "map.toml")


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("Personalnummer", Concept.EMPLOYEE),
        ("Pers.-Nr.", Concept.EMPLOYEE),
        ("employee_id", Concept.EMPLOYEE),
        ("Matricule", Concept.EMPLOYEE),
        ("Número de empleado", Concept.EMPLOYEE),
        ("Vorgesetzter (Pers.-Nr.)", Concept.MANAGER),
        ("Manager Email", Concept.MANAGER),
        ("Supérieur hiérarchique", Concept.MANAGER),
        ("Nachname", Concept.LAST_NAME),
        ("Prénom", Concept.FIRST_NAME),
        ("Apellidos", Concept.LAST_NAME),
        ("E-Mail-Adresse", Concept.EMAIL),
        ("Correo electrónico", Concept.EMAIL),
        ("sAMAccountName", Concept.LOGIN),
        ("Benutzername", Concept.LOGIN),
        ("Nom d'utilisateur", Concept.LOGIN),
        ("whenCreated", Concept.CREATED),
        ("Eintrittsdatum", Concept.START),
        ("Date d'embauche", Concept.START),
        ("Fecha de baja", Concept.END),
        ("pwdLastSet", Concept.PASSWORD_SET),
        ("Last login (UTC)", Concept.LAST_LOGIN),
        ("memberOf", Concept.ENTITLEMENT),
        ("Berechtigungen", Concept.ENTITLEMENT),
        ("2FA enabled", Concept.SECOND_FACTOR),
        ("Shoe size", None),
    ],
)
def test_a_columns_name_gives_its_concept(name: str, concept: Concept | None) -> None:
    found = concept_of(name)
    assert (found.concept if found else None) == concept


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["01.03.2015", "31.12.2020"], ("%d.%m.%Y",)),
        (["1/15/2024 9:05:00 AM", "11/2/2026 12:00:05 PM"], ("%m/%d/%Y %I:%M:%S %p",)),
        (["25/12/2024", "01/02/2024"], ("%d/%m/%Y",)),
        (["20150301080000.0Z", "20151231235959.0Z"], ("ldap",)),
        (["133497000000000000", "0"], ("filetime",)),
        (["1700000000", "1600000000"], ("seconds",)),
        (["1700000000000", "1600000000000"], ("milliseconds",)),
        (["2026-08-21", "2026-08-21T07:30:00Z", "2026-08-21 07:30"], ("",)),
        (["05-Jan-2024", "17-Dec-2023"], ("%d-%b-%Y",)),
        (["01.03.2015", "2015-03-01", "02.03.2015", "2015-03-04"], ("", "%d.%m.%Y")),
    ],
)
def test_times_are_known_by_their_form(cells: list[str], formats: tuple[str, ...]) -> None:
    found = detect_time_formats([(cell, 1) for cell in cells])
    assert found is not None
    assert set(found.formats) == set(formats)
    assert found.parsed_cells == len(cells)


def test_days_and_months_that_cannot_be_told_apart_are_named() -> None:
    found = detect_time_formats([("01/02/2024", 2), ("03/04/2024", 1)])
    assert found is not None
    assert (found.formats, found.ambiguous_with) == (("%m/%d/%Y",), "%d/%m/%Y")


def test_names_and_numbers_are_no_times() -> None:
    assert detect_time_formats([("Ann", 3), ("Bob", 2)]) is None
    assert detect_time_formats([("1001", 1), ("1002", 1)]) is None


def test_an_hr_export_makes_identities_with_managers(tmp_path: Path) -> None:
    rows = "".join(f"{n},Last{n},First{n},p{n}@example.com,{n // 2 or ''},0{n}/15/2020,Active\n" for n in range(1, 9))
    found = made(tmp_path, ("hr.csv", PEOPLE + rows))
    assert found["source"] == {"name": "HR", "type": "HR", "authoritative": True}
    assert found["accounts"]["columns"]["nativeIdentity"] == "Employee ID"
    assert found["identities"]["columns"] == {
        "firstName": "First Name", "lastName": "Last Name", "email": "Email", "employeeNumber": "Employee ID",
        "lifecycleState": "Status", "created": {"column": "Start Date", "times": ["%m/%d/%Y"]},
    }  # fmt: skip
    assert found["manager"] == {"account": "Manager", "identity": "employeeNumber"}
    assert "correlation" not in found


def test_managers_by_mail_are_found_whatever_the_case(tmp_path: Path) -> None:
    rows = "".join(f"{n},L{n},F{n},p{n}@example.com,P{n // 2 or 1}@Example.com,2020-01-0{n},x\n" for n in range(1, 9))
    found = made(tmp_path, ("hr.csv", PEOPLE + rows))
    assert found["manager"] == {"account": "Manager", "identity": "email", "ignoreCase": True}


def test_a_directory_export_has_flags_filetimes_and_groups(tmp_path: Path) -> None:
    head = "#TYPE ADUser\nsAMAccountName,distinguishedName,mail,userAccountControl,whenCreated,pwdLastSet,memberOf\n"
    groups = '"CN=A,DC=example,DC=com;CN=B,DC=example,DC=com"'
    rows = "".join(
        f'u{n},"CN=u{n},DC=example,DC=com",u{n}@example.com,{512 + n % 2 * 2},2015030108000{n}.0Z,13349700000000000{n},{groups}\n'
        for n in range(1, 6)
    )
    found = made(tmp_path, ("users.csv", head + rows))
    assert found["source"]["type"] == "Active Directory"
    assert found["accounts"]["entitlements"] == ["memberOf"]
    assert found["accounts"]["lists"] == {"memberOf": ";"}
    assert found["accounts"]["columns"] == {
        "nativeIdentity": "sAMAccountName", "name": "sAMAccountName",
        "created": {"column": "whenCreated", "times": ["ldap"]},
        "passwordLastSet": {"column": "pwdLastSet", "times": ["filetime"]},
        "disabled": {"column": "userAccountControl", "flag": 2},
    }  # fmt: skip
    assert found["correlation"] == {"account": "mail", "identity": "email", "ignoreCase": True}


def test_a_saas_export_has_words_for_disabled(tmp_path: Path) -> None:
    text = "Email,Name,Status,Role,Last login,2FA\na@example.com,Ann,Active,Admin,Never,Yes\nb@example.com,Bob,Suspended,User,1/2/2026,No\n"
    found = made(tmp_path, ("crm.csv", text), name="The CRM")
    assert found["source"]["name"] == "The CRM"
    assert found["accounts"]["columns"]["nativeIdentity"] == "Email"
    assert found["accounts"]["columns"]["disabled"] == {"column": "Status", "true": ["Suspended"], "false": ["Active"]}
    assert found["accounts"]["entitlements"] == ["Role"]


def test_enabled_is_the_opposite_of_disabled(tmp_path: Path) -> None:
    found = made(tmp_path, ("a.csv", "login,Enabled\nann,True\nbob,False\n"))
    assert found["accounts"]["columns"]["disabled"] == {"column": "Enabled", "not": True}
    found = made(tmp_path, ("b.csv", "Benutzername;Aktiv\nann;ja\nbob;nein\n"))
    assert found["accounts"]["columns"]["disabled"] == {"column": "Aktiv", "true": ["nein"], "false": ["ja"]}


def test_words_of_a_status_that_are_not_known_are_named(tmp_path: Path) -> None:
    found = text_of(tmp_path, ("a.csv", "login,status\nann,active\nbob,zzz\n"))
    assert "disabled" not in tomllib.loads(found.text)["accounts"]["columns"]
    assert "'zzz' cannot be told to mean in use or not" in found.text


def test_an_export_of_users_and_roles_is_memberships(tmp_path: Path) -> None:
    found = made(tmp_path, ("roles.csv", "User,Role\nann,POST\nann,APPROVE\nbob,POST\n"))
    assert found["memberships"] == {"file": "roles.csv", "columns": {"account": "User", "entitlement": "Role"}}
    assert "accounts" not in found


def test_one_row_per_entitlement_is_one_account(tmp_path: Path) -> None:
    found = made(tmp_path, ("in.csv", "id,name,groups\nu1,Ann,admin\nu1,Ann,audit\nu2,Bob,admin\n"))
    assert found["accounts"]["entitlements"] == ["groups"]
    assert found["accounts"]["columns"]["nativeIdentity"] == "id"


def test_files_of_users_roles_and_memberships_become_one_mapping(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        ("users.csv", "user_id,login,email\n1,ann,a@example.com\n2,bob,b@example.com\n3,cy,c@example.com\n"),
        ("roles.csv", "role_id,role_name,description\n10,POST,posts\n20,APPROVE,approves\n"),
        ("user_roles.csv", "user_id,role_id\n1,10\n1,20\n2,10\n3,20\n"),
    )
    assert found["accounts"]["file"] == "users.csv"
    assert found["accounts"]["columns"]["nativeIdentity"] == "user_id"
    assert found["entitlements"]["columns"] == {"value": "role_id", "name": "role_name", "description": "description"}
    assert found["memberships"]["columns"] == {"account": "user_id", "entitlement": "role_id"}


def test_roles_that_no_file_of_entitlements_has_stay_attributes(tmp_path: Path) -> None:
    found = made(
        tmp_path,
        ("accounts.csv", "login,role\nann,admin\nbob,member\ncy,member\n"),
        ("groups.csv", "group,description\nred,r\nblue,b\n"),
        ("memberships.csv", "login,group\nann,red\nann,blue\nbob,red\ncy,blue\n"),
    )
    assert "entitlements" not in found["accounts"]
    assert found["entitlements"]["columns"]["value"] == "group"


def test_a_column_can_name_each_rows_source(tmp_path: Path) -> None:
    text = "organization,login,email\n" + "".join(f"o{o},u{n},u{n}@example.com\n" for o in (1, 2) for n in range(9))
    found = made(tmp_path, ("accounts.csv", text))
    assert found["source"]["column"] == "organization"
    assert found["accounts"]["columns"]["nativeIdentity"] == "login"


def test_files_of_different_systems_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeveralSystems, match="call whohas map for each file"):
        text_of(tmp_path, ("a.csv", "login,mail\nann,a@example.com\n"), ("b.csv", "user,phone\nzoe,123\n"))


def test_nothing_unique_is_said(tmp_path: Path) -> None:
    found = text_of(tmp_path, ("a.csv", "login,dept\n" + "ann,x\nbob,x\n" * 5))
    assert "NOT UNIQUE" in found.text
    assert any("8 rows repeat the value of an earlier one ('ann', 'bob')" in note for note in found.notes)


def test_preamble_footer_encoding_and_delimiter_become_keys(tmp_path: Path) -> None:
    text = "Personalliste;;\nStichtag 1.1.2026;;\n\nKennung;Name;Ort\n" + "".join(
        f"u{n};Jürgen {n};Köln\n" for n in range(9)
    )
    found = made(tmp_path, ("a.csv", (text + "Anzahl: 9;;\n").encode("windows-1252")))
    assert found["csv"] == {"encoding": "windows-1252", "delimiter": ";", "skip": 3, "footer": 1}
    assert found["accounts"]["columns"]["nativeIdentity"] == "Kennung"


def test_a_header_may_name_more_columns_than_rows_have_cells(tmp_path: Path) -> None:
    header = "login,full name,mail,created,locked,closed,archived\n"
    rows = "".join(f"u{n},User {n},u{n}@example.com,2026-01-0{n}\n" for n in range(1, 9))
    found = made(tmp_path, ("a.csv", header + rows + "u9,User 9,u9@example.com,2026-01-09,2026-02-01,2026-03-01,no\n"))
    assert found["csv"] == {"short": True}
    assert found["accounts"]["columns"]["nativeIdentity"] == "login"


def test_one_short_row_is_an_accident(tmp_path: Path) -> None:
    rows = "".join(f"u{n},u{n}@example.com,Ulm\n" for n in range(30))
    found = text_of(tmp_path, ("a.csv", f"login,mail,town\nu99,u99@example.com\n{rows}"))
    assert "csv" not in tomllib.loads(found.text)
    assert any("1 row has too few or too many cells and will be rejected" in note for note in found.notes)


def test_a_separator_is_chosen_by_consistency_not_by_the_header(tmp_path: Path) -> None:
    found = made(tmp_path, ("a.csv", "uid;Name, Vorname;E-Mail\n1;Muster, Max;m@example.com\n2;B, A;b@example.com\n"))
    assert found["csv"] == {"delimiter": ";"}
    assert found["accounts"]["columns"]["nativeIdentity"] == "uid"


def test_formulas_that_keep_zeros_are_read_as_texts(tmp_path: Path) -> None:
    text = 'Email,Employee ID,\na@example.com,="0001001",\nb@example.com,="0001002",\n'
    found = text_of(tmp_path, ("a.csv", text))
    assert "leading zeros" in found.text
    assert any("ends in a delimiter" in note for note in found.notes)


def test_a_column_without_a_name_is_passed_over(tmp_path: Path) -> None:
    found = text_of(tmp_path, ("a.csv", "login,,mail\nann,2,a@example.com\nbob,3,b@example.com\n"))
    assert tomllib.loads(found.text)["correlation"]["account"] == "mail"
    assert any("Column 2 has values and no name" in note for note in found.notes)


def test_secrets_are_no_attributes(tmp_path: Path) -> None:
    found = made(tmp_path, ("a.csv", "login,password hash,Password\nann,x,y\nbob,z,w\n"))
    assert found["accounts"]["attributes"] == ["login"]


def test_any_names_and_values_are_valid_toml(tmp_path: Path) -> None:
    header = '"lo""gin","a\\b","x\ny","é ü","\x7f#","role [1]"\n'
    rows = "".join(f'u{n},"a;b",p\x07,"{n}",v,"r{n % 2};r3"\n' for n in range(6))
    found = made(tmp_path, ('we"ird.csv', header + rows))
    assert found["accounts"]["columns"]["nativeIdentity"] == 'lo"gin'
    assert found["accounts"]["file"] == 'we"ird.csv'


def test_packed_and_parquet_files_are_read(tmp_path: Path) -> None:
    packed = made(tmp_path, ("a.csv.gz", gzip.compress(b"login,mail\nann,a@example.com\n")))
    assert packed["accounts"]["columns"]["nativeIdentity"] == "login"
    table = pa.table({"login": ["ann", "bob"], "groups": [["x", "y"], ["x"]], "Enabled": [True, False]})
    pq.write_table(table, tmp_path / "b.parquet")
    found = tomllib.loads(propose([tmp_path / "b.parquet"], None, tmp_path / "map.toml").text)
    assert found["accounts"]["entitlements"] == ["groups"]
    assert found["accounts"]["columns"]["disabled"] == {"column": "Enabled", "not": True}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n  \n", "has no header"),
        ("a.json", b"{}", "JSON documents load as they are"),
        ("a.csv", b"a,a,b\n1,2,3\n", "names 'a' more than once"),
        ("a.parquet", b"PAR1 not", "is not a Parquet file"),
        ("a.csv", bytes(range(256)) * 4, "holds bytes that no text has"),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(InvalidArguments, match=message):
        text_of(tmp_path, (name, content))


def test_the_command_writes_once_and_then_needs_force(tmp_path: Path) -> None:
    target = tmp_path / "map.toml"
    run = CliRunner().invoke
    assert run(app, ["map", str(ACME / "badges.csv"), "-o", str(target)]).exit_code == 0
    before = target.read_text()
    again = run(app, ["map", str(ACME / "badges.csv"), "-o", str(target)])
    assert (again.exit_code, target.read_text()) == (2, before)
    target.write_text("mine")
    assert run(app, ["map", str(ACME / "badges.csv"), "-o", str(target), "--force"]).exit_code == 0
    assert target.read_text() == before


def test_what_the_command_prints_is_the_mapping(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["map", str(ACME / "badges.csv"), "--name", "Badges"])
    assert done.exit_code == 0
    assert tomllib.loads(done.stdout)["source"]["name"] == "Badges"
    assert "whohas load map.toml --check" in done.stdout
