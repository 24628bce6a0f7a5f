"""JSON and CSV of each command that prints a list or an object."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from support import ACME, whohas


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with one of everything that is listed."""
    home = tmp_path_factory.mktemp("used") / "home"
    folder = home.parent
    for arguments in (
        ("load", ACME),
        ("run", "ACCOUNTS", "-a", "sourceName=Nimbus CRM", "-o", folder / "a.csv"),
        ("user", "create", "ann", "--level", "SOURCE_ADMIN", "--source", "Nimbus CRM"),
        ("client", "create", "laptop", "--user", "ann"),
        ("schedule", "add", "weekly", "0 6 * * MON", "IDENTITIES", "--zone", "Europe/Berlin"),
        ("hook", "add", "https://example.com/runs"),
    ):
        done = whohas(home, *arguments)
        assert done.returncode == 0, (arguments, done.stderr)
    held = whohas(home, "hold", run_of(home), "--reason", 'for the "audit", 2026')
    assert held.returncode == 0, held.stderr
    return home


def run_of(home: Path) -> str:
    return json.loads(whohas(home, "runs", "-o", "json").stdout)[0]["id"]


LISTS = {
    ("runs",): {"reportType": "ACCOUNTS", "arguments": "source name: Nimbus CRM", "state": "succeeded"},
    ("holds",): {"reason": 'for the "audit", 2026'},
    ("user", "list"): {"name": "ann", "levels": "SOURCE_ADMIN", "signsIn": "false", "disabled": ""},
    ("client", "list"): {"name": "laptop", "user": "ann", "scopes": "sp:report:read", "revoked": ""},
    ("keys", "list"): {"signs": "true"},
    ("schedule", "list"): {"name": "weekly", "timeZone": "Europe/Berlin", "paused": "false"},
    ("schedule", "show", "weekly"): {"cron": "0 6 * * MON", "arguments": "{}"},
    ("hook", "list"): {"url": "https://example.com/runs", "reportType": "", "delivered": "0"},
    ("reports",): {"type": "ACCOUNTS", "off": "false"},
    ("reports", "accounts"): {"column": "id", "type": "text"},
    ("audit", "list", "--type", "run.ended", "--limit", "1"): {"type": "whohas.run.ended", "report": "ACCOUNTS"},
    ("audit", "verify"): {"intact": "true", "isEndKnown": "true", "faults": ""},
    ("audit", "status"): {"waiting": "0", "fault": ""},
    ("search", "name:*", "-c", "name", "-n", "1"): {},
    ("docs",): {"page": "glossary"},
    ("sweep", "--dry-run"): None,
}


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_a_list_is_csv_with_a_header(used_home: Path, command: tuple[str, ...]) -> None:
    done = whohas(used_home, *command, "-o", "csv")
    assert done.returncode == 0, done.stderr
    found = list(csv.DictReader(io.StringIO(done.stdout, newline="")))
    expected = LISTS[command]
    if expected is None:
        assert found == [] and done.stdout.startswith("kind,run,bytes")
    else:
        assert {name: found[0][name] for name in expected} == expected


@pytest.mark.parametrize("command", LISTS, ids=" ".join)
def test_a_list_is_json_with_the_same_values(used_home: Path, command: tuple[str, ...]) -> None:
    done = whohas(used_home, *command, "-o", "json")
    assert done.returncode == 0, done.stderr
    found: Any = json.loads(done.stdout)
    first = found[0] if isinstance(found, list) and found else found
    for name in {"name", "url", "timeZone", "cron", "reason", "intact", "off", "waiting"} & (
        LISTS[command] or {}
    ).keys():
        exact = first[name]
        assert (exact if isinstance(exact, str) else json.dumps(exact)) == (LISTS[command] or {})[name]


def test_people_read_names_instead_of_ids(used_home: Path) -> None:
    users = json.loads(whohas(used_home, "user", "list", "-o", "json").stdout)
    listed = whohas(used_home, "user", "list").stdout
    assert "Nimbus CRM" in listed and users[0]["sources"][0] not in listed
    assert listed.splitlines()[1].split()[2] == "no", "ann does not sign in"


def test_times_are_in_the_zone_of_the_installation(used_home: Path) -> None:
    (run,) = json.loads(whohas(used_home, "runs", "-o", "json").stdout)
    there = whohas(used_home, "runs", WHOHAS_TIME_ZONE="Asia/Tokyo").stdout
    assert "Created (Asia/Tokyo)" in there and run["created"][11:19] not in there
    assert run["created"][:19].replace("T", " ") in whohas(used_home, "runs").stdout


def test_a_report_is_described_with_arguments_and_columns(used_home: Path) -> None:
    shown = whohas(used_home, "reports", "accounts").stdout
    assert shown.startswith("ACCOUNTS: Accounts Report\n")
    assert "whohas run ACCOUNTS --arg NAME=VALUE" in shown
    assert "sourceName" in shown and "nativeIdentity" in shown and "selectedFormats" in shown
    described = json.loads(whohas(used_home, "reports", "show", "ACCOUNTS", "-o", "json").stdout)
    assert [one["name"] for one in described["arguments"]][:2] == ["application", "sourceName"]
    assert described["columns"][0]["name"] == "id" and described["off"] is False
    unknown = whohas(used_home, "reports", "acounts")
    assert unknown.returncode == 1 and "Did you mean ACCOUNTS?" in unknown.stderr
    whohas(used_home, "reports", "disable", "ACCOUNTS")
    assert "ACCOUNTS (switched off)" in whohas(used_home, "reports").stdout
    whohas(used_home, "reports", "enable", "ACCOUNTS")


def test_a_load_is_reported_as_json_and_csv(home: Path) -> None:
    done = whohas(home, "load", ACME, "-o", "json")
    report = json.loads(done.stdout)
    assert (report["snapshot"], report["stopped"], report["check"]) == (1, False, False)
    directory = next(source for source in report["sources"] if source["name"] == "Active Directory")
    assert directory["correlated"] + directory["uncorrelated"] == directory["after"] == 304
    again = whohas(home, "load", ACME, "--check", "-o", "csv")
    counts = {row["name"]: row for row in csv.DictReader(io.StringIO(again.stdout))}
    assert (counts["Active Directory"]["before"], counts["Active Directory"]["kind"]) == ("304", "source")
    assert counts["identities"]["loaded"] == "300"


def test_a_page_is_printed_as_it_is_written(home: Path) -> None:
    page = (ACME.parents[1] / "docs" / "how-to" / "load.md").read_text()
    assert whohas(home, "docs", "load").stdout == page == whohas(home, "docs", "how-to/load.md").stdout
    wrong = whohas(home, "docs", "laod")
    assert wrong.returncode == 1 and "Did you mean load?" in wrong.stderr
    assert not home.exists(), "a page needs no installation"


def test_the_secret_of_a_client_is_printed_in_each_form(used_home: Path) -> None:
    create = ("client", "create", "nightly", "--level", "REPORT_ADMIN")
    (made,) = csv.DictReader(io.StringIO(whohas(used_home, *create, "-o", "csv").stdout))
    assert len(made["secret"]) >= 32 and made["levels"] == "REPORT_ADMIN"
    both = whohas(used_home, *create, "--json", "-o", "csv")
    assert both.returncode == 2 and "exclude each other" in both.stderr
