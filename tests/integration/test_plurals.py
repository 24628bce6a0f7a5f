"""Numbers in messages: one row, two rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from intake import Rig
from whohas.cli.load_report import print_load
from whohas.ingest import LoadStopped
from whohas.ingest.proposals import propose
from whohas.plurals import pluralize

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
id = "Person"
email = "Mail"
created = "Start"
[manager]
account = "Boss"
identity = "email"
"""
APP = """
[source]
name = "App"
[accounts]
file = "app.csv"
[accounts.columns]
nativeIdentity = "Login"
[memberships]
file = "roles.csv"
columns = { account = "Login", entitlement = "Role" }
[correlation]
account = "Mail"
identity = "email"
"""

_WRONG = re.compile(
    r"(?<![\d.,:-])1 (?:\w+ )?(rows|cells|accounts|identities|entitlements|items|values|lines|columns)\b"
)


def test_one_takes_the_singular_and_all_others_the_plural() -> None:
    assert [pluralize(n, "row") for n in (0, 1, 2, 2000)] == ["0 rows", "1 row", "2 rows", "2,000 rows"]
    assert pluralize(1, "row has", "rows have") == "1 row has" and pluralize(3, "row has", "rows have") == "3 rows have"


@pytest.mark.parametrize("times", [1, 2])
def test_messages_of_loads_with_one_of_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], times: int
) -> None:
    rig = Rig(tmp_path)
    rows = "1,Ann,,a@x,2015-03-01,z@x\n" + "2,Bob,p2,A@x,soon,\n" * (times - 1)
    rig.write(
        **{
            "hr.toml": HR,
            "hr.csv": "No,Name,Person,Mail,Start,Boss,\n" + rows.replace("\n", ",x\n") + ",Zoe,p9,,,,\nTotal,1,,,,,\n",
            "app.toml": APP,
            "app.csv": f'Login,Mail\n="u1",A@X\n{"u2,y@x" if times > 1 else ""}\n',
            "roles.csv": "Login,Role\nu1,POST\nu1,POST\nu1,\nu9,POST\n",
            "account_entitlements.json": json.dumps([{"accountId": "x", "entitlementId": "y", "sourceId": "s"}]),
            "access_profiles.json": json.dumps([{"name": "P", "sourceName": "App", "entitlements": [{"id": 1}, 2]}]),
        }
    )
    printed(rig, capsys)
    rig.write(**{"app.csv": "Login,Mail\nu7,\n", "roles.csv": "Login,Role\nu7,X\n"})
    printed(rig, capsys)


def printed(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """Loads without accepting losses, then accepting them, and looks at all that is printed."""
    for accept in (False, True):
        stopped = False
        try:
            report = rig.load(".", accept_loss=accept)
        except LoadStopped as stop:
            report, stopped = stop.report, True
            assert not _WRONG.search(str(stop)), str(stop)
        print_load(report, check=False, quiet=False, stopped=stopped)
        shown = capsys.readouterr().out
        assert "1 row" in shown and not _WRONG.search(shown), _WRONG.findall(shown)


@pytest.mark.parametrize("rows", [1, 2])
def test_reasons_of_proposals_with_one_of_everything(tmp_path: Path, rows: int) -> None:
    lines = ["ann,a@x,POST,Active,2026-01-31,Yes", "bob,b@x,POST;SEE,Ended,31.1.2026,No"][:rows]
    path = tmp_path / "app.csv"
    path.write_text("Login,Mail,Role,Status,Created,Locked\n" + "\n".join(lines) + "\nu,x\nTotal: 1,,,,,\n")
    found: Any = propose([path])
    assert not _WRONG.search(found.text), _WRONG.findall(found.text)
