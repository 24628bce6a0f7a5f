"""`whohas run`: here, beside a server on the same home, and against a server."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

from support import Server, result_when_over, serving, whohas


def test_it_runs_beside_a_server_on_the_same_home(server: Server, tmp_path: Path) -> None:
    done = whohas(server.home, "run", "ACCOUNTS", "--arg", "sourceName=Nimbus CRM", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "Accounts Report.csv").exists()


def test_it_runs_against_a_server(server: Server, home: Path, tmp_path: Path) -> None:
    done = whohas(home, "run", "ACCOUNTS", "-a", "sourceName=Nimbus CRM", "-o", "-", cwd=tmp_path, **server.sail)
    assert done.returncode == 0, done.stderr
    assert {row["sourceName"] for row in csv.DictReader(io.StringIO(done.stdout))} == {"Nimbus CRM"}
    assert list(tmp_path.glob("*.csv")) == []


def test_a_server_without_credentials_is_a_clear_error(server: Server, home: Path) -> None:
    done = whohas(home, "run", "ACCOUNTS", "-a", "sourceName=Nimbus CRM", "--server", server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"no credentials for the server {server.url}" in done.stderr
    assert "SAIL_CLIENT_ID and SAIL_CLIENT_SECRET" in done.stderr


def test_wrong_arguments_are_one_line_on_stderr(own_home: Path) -> None:
    for arguments, code, text in (
        (["-a", "sourceName"], 1, "is not NAME=VALUE"),
        (["-a", 'sourceName={"a"'], 1, "is not JSON"),
        (["-a", "sourceName=Aktive Directory"], 1, "Did you mean 'Active Directory'"),
        ([], 2, "ACCOUNTS needs the argument"),
        (["-a", "sourceName=Nimbus CRM", "-o", "/proc/nowhere/a.csv"], 2, "/proc/nowhere"),
    ):
        done = whohas(own_home, "run", "ACCOUNTS", "-q", *arguments)
        assert done.returncode == code, (arguments, done)
        assert text in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_report_is_described_with_all_arguments_and_columns(own_home: Path) -> None:
    shown = whohas(own_home, "reports", "accounts").stdout
    assert "\ncolumns " in shown and "\nnativeIdentity " in shown
    (crm,) = [line for line in shown.splitlines() if line.startswith("Nimbus CRM ")]
    assert "permissionSets" in crm, "the attributes of each source are columns too"
    described = json.loads(whohas(own_home, "reports", "accounts", "-o", "json").stdout)
    assert [one["name"] for one in described["arguments"]] == ["application", "sourceName", "columns"]
    assert "permissionSets" in described["sourceColumns"]["Nimbus CRM"]


def test_the_runs_of_this_installation_are_listed(own_home: Path) -> None:
    assert "No run yet" in whohas(own_home, "runs").stdout
    run = ("run", "ACCOUNTS", "-a", "sourceName=Badge System", "-o", own_home / "b.csv")
    assert whohas(own_home, *run).returncode == 0
    listed = whohas(own_home, "runs").stdout
    assert "source name: Badge System" in listed and "succeeded" in listed
    run_id = listed.splitlines()[1].split()[0]
    assert whohas(own_home, "cancel", run_id).stdout == f"{run_id} is succeeded.\n"
    assert whohas(own_home, "cancel", "f" * 32).returncode == 1


def test_an_earlier_runs_file_is_saved_in_another_format(server: Server, tmp_path: Path) -> None:
    run = whohas(server.home, "run", "ACCOUNTS", "-a", "sourceName=Nimbus CRM", "-o", tmp_path / "a.pdf", cwd=tmp_path)
    run_id = run.stdout.rpartition("(run ")[2].strip(")\n")
    made = whohas(server.home, "download", run_id, "-o", tmp_path / "a.csv.gz")
    assert (made.returncode, made.stdout) == (0, f"{tmp_path / 'a.csv.gz'}\n"), made.stderr
    there = whohas(server.home, "download", run_id, "-f", "ndjson", "-o", "-", cwd=tmp_path, **server.sail)
    rows = csv.reader(io.StringIO(gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).decode(), newline=""))
    assert len(there.stdout.splitlines()) == len(list(rows)) - 1
    missing = whohas(server.home, "download", "0" * 32)
    assert missing.returncode == 1 and "There is no run" in missing.stderr


def test_reports_are_listed_with_their_arguments(home: Path) -> None:
    listed = whohas(home, "reports", "list").stdout
    assert "ACCOUNTS" in listed and "application, sourceName" in listed
    wrong = whohas(home, "reports", "disable", "NOPE")
    assert wrong.returncode == 1 and "There is no report 'NOPE'" in wrong.stderr


def test_the_command_line_can_cancel_a_run_of_a_server(big_home: Path) -> None:
    body = {"reportType": "ACCOUNTS", "arguments": {"application": "big"}}
    one_at_a_time = {"WHOHAS_CONCURRENT_REPORTS": "ACCOUNTS", "WHOHAS_RUNS_AT_ONCE": "1"}
    with serving(big_home, **one_at_a_time) as server, server.http() as http:
        *others, last = [http.post("/v2025/reports/run", json=body).json()["id"] for _ in range(5)]
        assert whohas(big_home, "cancel", last).returncode == 0
        assert result_when_over(http, last)["status"] == "TERMINATED"
        for run_id in others:
            http.post(f"/v2025/reports/{run_id}/cancel").raise_for_status()
