"""The ACCOUNTS report of real input: the members of a GitHub organization, row by row against their CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from support import GITHUB_MAPPING, result_when_over, serving, whohas


def test_the_accounts_of_kubernetes_sigs_are_those_of_the_csv(shared: Path, home: Path, tmp_path: Path) -> None:
    folder = shared / "real" / "github-orgs"
    mapping = tmp_path / "github.toml"
    mapping.write_text(GITHUB_MAPPING.format(folder=folder))
    loaded = whohas(home, "load", mapping)
    assert loaded.returncode == 0, loaded.stderr
    with (folder / "accounts.csv").open(newline="") as file:
        everybody = list(csv.DictReader(file))
    identities = {row["login"].lower(): row["login"] for row in everybody if row["organization"] == "kubernetes"}
    members = [row for row in everybody if row["organization"] == "kubernetes-sigs"]

    with serving(home) as server, server.http() as http:
        body = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "kubernetes-sigs"}}
        run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
        assert result_when_over(http, run_id)["rows"] == len(members)
        text = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert len(rows) == len(members) > 1000
    for row, member in zip(rows, members, strict=True):
        holder = identities.get(member["login"].lower())
        assert (row["nativeIdentity"], row["name"], row["role"]) == (member["login"], member["login"], member["role"])
        assert (row["sourceName"], row["organization"]) == ("kubernetes-sigs", "kubernetes-sigs")
        assert row["correlated"] == ("false" if holder is None else "true")
        assert row["identityName"] == (holder or "")
        assert bool(row["identityId"]) == (holder is not None)
    assert {row["correlated"] for row in rows} == {"true", "false"}
    in_other_case = [m for m in members if identities.get(m["login"].lower(), m["login"]) != m["login"]]
    assert in_other_case, "the real input has logins that differ only in case; this test is about them"
