"""Who holds what, asked on the command line of one's own files."""

from __future__ import annotations

from pathlib import Path

from support import whohas

MAPPINGS = {
    "hr.toml": """
[source]
name = "HR"
authoritative = true
[accounts]
file = "hr.csv"
[accounts.columns]
nativeIdentity = "No"
name = "Name"
[identities.columns]
name = "Name"
email = "Mail"
""",
    "ledger.toml": """
[source]
name = "Ledger"
[accounts]
file = "ledger.csv"
attributes = "*"
[accounts.columns]
nativeIdentity = "Login"
[correlation]
account = "Mail"
identity = "email"
ignoreCase = true
[memberships]
file = "roles.csv"
[memberships.columns]
account = "Login"
entitlement = "Role"
""",
    "hr.csv": "No,Name,Mail\n1,Pat,pat@x\n2,Quinn,quinn@x\n",
    "ledger.csv": "Login,Mail\nLP,PAT@x\nLQ,quinn@x\n",
    "roles.csv": "Login,Role\nLP,POST\nLP,APPROVE\nLQ,POST\n",
}
BOTH = "@access(name:POST) AND @access(name:APPROVE)"


def found(home: Path, query: str) -> list[list[str]]:
    """The name of each person that a search finds, and how many entitlements they hold."""
    answer = whohas(home, "search", query, "--columns", "name,entitlementCount")
    assert answer.returncode == 0, answer.stderr
    _, *rows, count = answer.stdout.splitlines()
    assert count == f"{len(rows)} found"
    return [row.split() for row in rows]


def test_a_search_finds_who_holds_two_roles_of_a_ledger(tmp_path: Path) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    data.mkdir()
    for name, text in MAPPINGS.items():
        (data / name).write_text(text)
    assert whohas(home, "load", data).returncode == 0
    assert found(home, BOTH) == [["Pat", "2"]]
    (data / "roles.csv").write_text("Login,Role\nLP,POST\nLQ,POST\nLQ,APPROVE\n")
    checked = whohas(home, "load", data, "--check")
    assert checked.returncode == 0 and "identity_access" in checked.stdout
    assert found(home, BOTH) == [["Pat", "2"]]
    assert whohas(home, "load", data).returncode == 0
    assert found(home, BOTH) == [["Quinn", "2"]]
    (data / "hr.csv").write_text("No,Name,Mail\n1,Pat,quinn@x\n2,Quinn,pat@x\n")
    assert whohas(home, "load", data / "hr.toml").returncode == 0
    assert found(home, BOTH) == [["Pat", "2"]]
