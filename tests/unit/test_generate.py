"""The generated organization: the same every time, counted right, consistent in itself, and flat in memory."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from whohas.cli.generate import generate as command
from whohas.errors import InvalidArguments
from whohas.generate import Summary, generate
from whohas.generate.names import CULTURES, family_names, parse_names

ACME = Path(__file__).parents[2] / "examples" / "acme"
HR = "Workforce HR"


@cache
def documents(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ACME / f"{name}.ndjson").read_bytes().splitlines()]


@cache
def badges() -> list[dict[str, str]]:
    with (ACME / "badges.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    folder = tmp_path_factory.mktemp("generated")
    return folder, generate(folder, 300)


def table_rows(text: str) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if line.startswith("|")
    ]


def number(values: Iterable[object]) -> int:
    return sum(1 for value in values if value)


def test_the_same_arguments_give_the_bytes_of_the_example(acme: tuple[Path, Summary]) -> None:
    folder, _ = acme
    made = {path.name for path in folder.iterdir()}
    assert made == {path.name for path in ACME.iterdir()} - {"README.md"}
    for name in sorted(made):
        assert (folder / name).read_bytes() == (ACME / name).read_bytes(), name


def test_another_seed_gives_other_people(tmp_path: Path) -> None:
    generate(tmp_path, 10, seed=2)
    assert (tmp_path / "identities.ndjson").read_bytes()[:40] != (ACME / "identities.ndjson").read_bytes()[:40]


def test_another_day_of_reference_moves_every_date(tmp_path: Path) -> None:
    generate(tmp_path, 10, reference=date(2020, 1, 1))
    assert "2026-" not in (tmp_path / "identities.ndjson").read_text(encoding="utf-8")


@pytest.mark.parametrize("identities", [1, 2, 3, 9, 10, 11, 14, 40, 2049])
def test_every_size_holds_together(tmp_path: Path, identities: int) -> None:
    told: list[int] = []
    summary = generate(tmp_path, identities, progress=told.append)
    lines = (tmp_path / "identities.ndjson").read_bytes().splitlines()
    people = {person["id"]: person for person in map(json.loads, lines)}
    assert len(people) == summary.identities == told[-1] == identities
    bosses = {person["manager"]["id"] for person in people.values() if "manager" in person}
    assert bosses == {id for id, person in people.items() if person["isManager"]}


def test_the_readme_gives_the_counts(acme: tuple[Path, Summary]) -> None:
    _, summary = acme
    rows = table_rows((ACME / "README.md").read_text(encoding="utf-8"))
    counts = {name: int(count) for name, count in (row for row in rows if len(row) == 2) if count.isdigit()}
    assert counts == dict(summary.rows())
    sources = [row for row in rows if len(row) == 7 and row[1].isdigit()]
    assert sources == [[str(value) for value in asdict(source).values()] for source in summary.by_source]


def test_the_counts_are_those_of_the_files(acme: tuple[Path, Summary]) -> None:
    _, summary = acme
    people, accounts = documents("identities"), documents("accounts")
    with_hr = {a["identityId"] for a in accounts if a["authoritative"]}
    terminated = {p["id"] for p in people if p["attributes"]["cloudLifecycleState"] == "terminated"}
    assert dict(summary.rows()) == {
        "identities": len(people),
        "managers": number(p["isManager"] for p in people),
        "terminated identities": len(terminated),
        "locked identities": number(p["locked"] for p in people),
        "identity errors": number(p.get("processingState") == "ERROR" for p in people),
        "orphan identities": number(p["id"] not in with_hr for p in people),
        "identities without source": number("source" not in p for p in people),
        "identities without accounts": number(p["accountCount"] == 0 for p in people),
        "identities without email": number(p["email"] is None for p in people),
        "accounts": len(accounts),
        "uncorrelated accounts": number(a["uncorrelated"] for a in accounts),
        "enabled accounts of the terminated": number(
            a.get("identityId") in terminated and not a["disabled"] for a in accounts
        ),
        "entitlements": len(documents("entitlements")),
        "access profiles": len(documents("access_profiles")),
        "roles": len(documents("roles")),
        "apps": len(documents("apps")),
        "account activities": len(documents("account_activities")),
        "events": len(documents("events")),
    }
    for source in summary.by_source[:-1]:
        of = [a for a in accounts if a["sourceName"] == source.name]
        assert asdict(source) == {
            "name": source.name,
            "accounts": len(of),
            "uncorrelated": number(a["uncorrelated"] for a in of),
            "disabled": number(a["disabled"] for a in of),
            "locked": number(a["locked"] for a in of),
            "privileged": number(a["privileged"] for a in of),
            "manually_correlated": number(a["manuallyCorrelated"] for a in of),
        }


def test_badges_are_counted_as_their_mapping_reads_them(acme: tuple[Path, Summary]) -> None:
    counts, mapping = acme[1].by_source[-1], tomllib.loads((ACME / "badges.toml").read_text(encoding="utf-8"))
    columns, correlation = mapping["accounts"]["columns"], mapping["correlation"]
    emails = {p[correlation["identity"]].lower() for p in documents("identities") if p["email"]}
    assert counts.name == mapping["source"]["name"]
    assert counts.accounts == len({badge[columns["nativeIdentity"]] for badge in badges()}) == len(badges())
    assert counts.uncorrelated == number(badge[correlation["account"]].lower() not in emails for badge in badges())
    assert counts.disabled == number(badge[columns["disabled"]] == "yes" for badge in badges())
    assert number(badge["Email"] != badge["Email"].lower() for badge in badges()) > 50


def test_ids_and_native_identities_are_unique() -> None:
    for name in ("identities", "accounts", "entitlements", "access_profiles", "roles", "apps", "events", "sources"):
        ids = [document["id"] for document in documents(name)]
        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch("[0-9a-f]{32}", id) for id in ids), name
    assert max(Counter((a["sourceId"], a["nativeIdentity"]) for a in documents("accounts")).values()) == 1


def test_an_account_says_of_its_identity_what_the_identity_says() -> None:
    people = {person["id"]: person for person in documents("identities")}
    held = Counter(account.get("identityId") for account in documents("accounts"))
    for account in documents("accounts"):
        assert account["uncorrelated"] == ("identityId" not in account) == ("identity" not in account)
        if not account["uncorrelated"]:
            person = people[account["identityId"]]
            assert account["identity"] == {"id": person["id"], "type": "IDENTITY", "name": person["displayName"]}
            assert account["cloudLifecycleState"] == person["attributes"]["cloudLifecycleState"]
        assert account["created"] < account["modified"]
    assert all(held[id] == person["accountCount"] for id, person in people.items())


def test_an_identity_has_the_access_of_its_accounts() -> None:
    known = {(e["source"]["id"], e["attribute"], e["value"]): e["id"] for e in documents("entitlements")}
    of_identity: dict[str, set[str]] = {}
    for account in documents("accounts"):
        held = {
            known[account["sourceId"], attribute, value]
            for attribute in ("memberOf", "ROLES", "profile", "permissionSets")
            for value in _values(account["attributes"].get(attribute))
        }
        assert account["hasEntitlements"] == bool(held)
        of_identity.setdefault(account.get("identityId", ""), set()).update(held)
    for person in documents("identities"):
        kinds = Counter(item["type"] for item in person["access"])
        listed = [item["id"] for item in person["access"] if item["type"] == "ENTITLEMENT"]
        assert sorted(listed) == sorted(of_identity.get(person["id"], set()))
        assert person["accessCount"] == len(person["access"])
        assert person["entitlementCount"] == kinds["ENTITLEMENT"]
        assert person["accessProfileCount"] == kinds["ACCESS_PROFILE"]
        assert person["roleCount"] == kinds["ROLE"]
        assert person["appCount"] == len(person["apps"])


def _values(value: str | list[str] | None) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else value


def test_bundles_are_held_with_what_is_in_them() -> None:
    profiles = {p["id"]: {e["id"] for e in p["entitlements"]} for p in documents("access_profiles")}
    roles = {r["id"]: {p["id"] for p in r["accessProfiles"]} for r in documents("roles")}
    for person in documents("identities"):
        held = {item["id"] for item in person["access"]}
        for item in held & profiles.keys():
            assert profiles[item] <= held
        for item in held & roles.keys():
            assert roles[item] <= held


def test_owners_own_what_says_so() -> None:
    owners = Counter[str]()
    for name in ("sources", "entitlements", "access_profiles", "roles", "apps"):
        owners.update(document["owner"]["id"] for document in documents(name) if "owner" in document)
    assert owners == {p["id"]: p["ownsCount"] for p in documents("identities") if "ownsCount" in p}


def test_managers_form_one_tree_by_department() -> None:
    people = {person["id"]: person for person in documents("identities")}
    for start in people.values():
        person, seen = start, set[str]()
        while "manager" in person:
            assert person["id"] not in seen
            seen.add(person["id"])
            boss = people[person["manager"]["id"]]
            assert (boss["name"], boss["displayName"]) == (person["manager"]["name"], person["manager"]["displayName"])
            departments = boss["attributes"]["department"], person["attributes"]["department"]
            assert departments[0] in (departments[1], "Executive Office")
            person = boss
        assert not seen or person["attributes"]["jobTitle"] == "Chief Executive"


def test_a_request_has_its_event() -> None:
    events = {event["trackingNumber"]: event for event in documents("events")}
    for activity in documents("account_activities"):
        event = events[activity["trackingNumber"]]
        assert (event["name"], event["target"]["name"]) == ("Request Access", activity["recipient"]["name"])


@pytest.mark.parametrize(
    "mark",
    ["\n", '"', ",", ";", "é", "[\u0400-\u04ff]", "[\u0370-\u03ff]", "[\u4e00-\u9fff]", "[\uac00-\ud7af]"],
)
def test_what_breaks_careless_readers_is_there(mark: str) -> None:
    texts = [value for account in documents("accounts") for value in _texts(account)] + [
        v for b in badges() for v in b.values()
    ]
    assert any(re.search(mark, text) for text in texts)


def _texts(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list() | dict():
            return [t for v in (value.values() if isinstance(value, dict) else value) for t in _texts(v)]
        case _:
            return []


def test_formulas_leading_zeros_and_empty_values_are_there() -> None:
    attributes = [account["attributes"] for account in documents("accounts")]
    assert any(str(a.get("description", "")).startswith("=") for a in attributes)
    assert all(a["employeeNumber"].startswith(("0", "F")) for a in attributes if "employeeNumber" in a)
    assert any(value in ("", []) for a in attributes for value in a.values())
    assert {badge["Note"][:1] for badge in badges()} >= {"=", "+", "-"}


def test_latin_names_are_unique() -> None:
    latin = [family.latin for culture in CULTURES for family in family_names(culture)]
    assert len(set(latin)) == len(latin)
    for culture in CULTURES:
        given = [name.latin for name in parse_names(culture.given)]
        assert len(set(given)) == len(given)
        assert all(re.fullmatch(r"[a-z]+", name) for name in given)
    assert all(re.fullmatch(r"[a-z.-]+", name) for name in latin)


def test_the_example_stays_small() -> None:
    assert sum(path.stat().st_size for path in ACME.iterdir()) < 3_100_000


def test_the_command_writes_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(tmp_path / "made", identities=20)
    assert len((tmp_path / "made" / "identities.ndjson").read_bytes().splitlines()) == 20
    assert "20  identities" in capsys.readouterr().out


def test_the_command_leaves_a_full_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidArguments, match="is not empty"):
        command(tmp_path, identities=5)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    command(tmp_path, identities=5, force=True)
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize(
    ("identities", "seed", "part"), [(0, 1, "--identities"), (-3, 1, "--identities"), (5, -1, "--seed")]
)
def test_the_command_refuses_what_cannot_be(tmp_path: Path, identities: int, seed: int, part: str) -> None:
    with pytest.raises(InvalidArguments, match=part):
        command(tmp_path, identities=identities, seed=seed)
    with pytest.raises(ValueError, match="at least"):
        generate(tmp_path, identities, seed)


def test_the_command_wants_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArguments, match="is a file"):
        command(tmp_path / "file", identities=5)
