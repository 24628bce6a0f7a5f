"""`whohas client`, `user` and `keys`: what they print, and that a secret is printed once and nowhere else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support import WHOHAS, environment, whohas
from whohas.services import open_services
from whohas.settings import Settings


def test_a_client_is_created_listed_rotated_and_revoked(home: Path) -> None:
    made = json.loads(out(whohas(home, "client", "create", "nightly", "--level", "REPORT_ADMIN", "--json")))
    assert "REPORT_ADMIN" in out(whohas(home, "client", "list"))
    rotated = json.loads(out(whohas(home, "client", "rotate", made["id"], "--json")))
    assert rotated["id"] == made["id"]
    assert rotated["secret"] != made["secret"]
    out(whohas(home, "client", "revoke", made["id"]))
    again = whohas(home, "client", "rotate", made["id"])
    assert (again.returncode, "no active client" in again.stderr) == (1, True)
    listed = out(whohas(home, "client", "list"))
    assert made["secret"] not in listed
    assert rotated["secret"] not in listed


def test_a_user_is_created_with_a_password_from_standard_input(home: Path) -> None:
    home.mkdir()
    command = [sys.executable, *WHOHAS, "user", "create", "ann", "--level", "REPORT_ADMIN", "--password"]
    done = subprocess.run(
        command, env=environment(home), input="correct horse battery\n", capture_output=True, text=True
    )
    assert "ann is a user: REPORT_ADMIN" in out(done)
    with open_services(Settings(home=home)) as services:
        assert services.access.users.sign_in("ann", "correct horse battery").name == "ann"
    out(whohas(home, "user", "change", "ann", "--level", "HELPDESK", "--disable"))
    listed = out(whohas(home, "user", "list"))
    assert "HELPDESK" in listed
    assert "correct horse" not in listed + done.stdout + done.stderr
    made = whohas(home, "client", "create", "laptop", "--user", "ann", "--json")
    assert json.loads(out(made))["name"] == "laptop"
    assert "user ann" in out(whohas(home, "client", "list"))


def test_what_is_not_given_is_the_least_and_said(home: Path) -> None:
    assert "without a level, who may do nothing yet" in out(whohas(home, "user", "create", "ann o'hara"))
    assert "none" in out(whohas(home, "user", "list"))
    program = out(whohas(home, "client", "create", "nightly"))
    assert "sp:report:read, the least" in program and "none, the least: it may do nothing yet." in program
    assert "no level" in out(whohas(home, "client", "list"))
    personal = out(whohas(home, "client", "create", "laptop", "--user", "ann o'hara"))
    assert "sp:report:read, the least" in personal and "none, which may do nothing" in personal
    facts = json.loads(out(whohas(home, "client", "create", "hourly", "--json")))
    assert (facts["scopes"], facts["levels"]) == (["sp:report:read"], [])


def test_what_cannot_be_is_one_line_and_exit_code_1(home: Path) -> None:
    for arguments, says in (
        (("user", "create", "ann", "--level", "BOSS"), "no level 'BOSS'"),
        (("user", "create", "ann", "--source", "Nowhere"), "no source named 'Nowhere'"),
        (("client", "create", "x", "--user", "nobody"), "no user 'nobody'"),
        (("client", "create", "x", "--user", "ann", "--level", "ORG_ADMIN"), "levels and sources of its user"),
        (("client", "create", "x", "--redirect", "http://evil.example"), "no address to send users back to"),
    ):
        done = whohas(home, *arguments, "-q")
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert says in done.stderr


def test_keys_are_listed_and_rotated(home: Path) -> None:
    first = out(whohas(home, "keys", "list")).splitlines()
    out(whohas(home, "keys", "rotate"))
    both = out(whohas(home, "keys", "list")).splitlines()
    assert [line.split()[-1] for line in first] == ["tokens", "yes"]
    assert [line.split()[-1] for line in both] == ["tokens", "yes", "no"]
    assert both[2].split()[0] == first[1].split()[0], "the newest is first"
    out(whohas(home, "keys", "rotate", "--end-tokens"))
    assert len(out(whohas(home, "keys", "list")).splitlines()) == 2


def out(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout
