"""Commands on a server: the rule for which installation is meant, and the same results as on its machine."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import WHOHAS, Server, environment, result_when_over, whohas

ACCOUNTS = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Nimbus CRM", "selectedFormats": ["CSV"]}}


@pytest.fixture
def run_id(server: Server) -> str:
    """The id of a run that has ended on the server."""
    with server.http() as http:
        id = http.post("/v2025/reports/run", json=ACCOUNTS).json()["id"]
        assert result_when_over(http, id)["status"] == "SUCCESS"
    return id


def on_server(server: Server, home: Path, *arguments: str | Path) -> str:
    """What a command prints on a server that only the environment names."""
    done = whohas(home, *arguments, **server.sail)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == f"whohas: server {server.url} (SAIL_BASE_URL)"
    return done.stdout


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_runs_are_listed_and_shown_as_on_its_machine(server: Server, home: Path, run_id: str) -> None:
    (there,) = [run for run in rows(on_server(server, home, "runs", "-o", "csv")) if run["id"] == run_id]
    (here,) = [run for run in rows(whohas(server.home, "runs", "-o", "csv").stdout) if run["id"] == run_id]
    assert there == here and there["rows"] != ""
    assert (there["arguments"], there["state"]) == ("source name: Nimbus CRM", "succeeded")
    assert on_server(server, home, "show", run_id[:12]) == whohas(server.home, "show", run_id).stdout
    assert on_server(server, home, "show", run_id, "--sql") == whohas(server.home, "show", run_id, "--sql").stdout
    assert not list(home.glob("*.db")), "nothing was opened here"


def test_json_is_the_object_of_the_api(server: Server, home: Path, run_id: str) -> None:
    with server.http() as http:
        task = http.get(f"/v2025/task-status/{run_id}").json()
        run = http.get(f"/whohas/runs/{run_id}").json()
        rows_of_result = http.get(f"/v2025/reports/{run_id}/result").json()["rows"]
        assert run == run | task | {"rows": rows_of_result, "state": "succeeded", "duration": run["duration"]}
        statement = http.get(f"/whohas/runs/{run_id}/statement", headers={"Accept": "application/json"}).json()
        filters = f'id eq "{run_id}"'
        assert json.loads(on_server(server, home, "runs", "-o", "json", "--filters", filters)) == [run]
        assert json.loads(on_server(server, home, "runs", "--json", "--filters", filters)) == [run]
        shown = json.loads(on_server(server, home, "show", run_id, "-o", "json"))
        assert shown["statement"] == statement and shown["snapshot"] == statement["snapshot"]
        assert shown == run | {"statement": statement}
        replayed = json.loads(on_server(server, home, "replay", run_id, "-o", "json"))
        assert replayed["same"] is True and replayed["then"] == statement["digest"]
    assert json.loads(whohas(server.home, "show", run_id, "-o", "json").stdout) == shown


def test_runs_are_watched_cancelled_and_downloaded(server: Server, home: Path, run_id: str, tmp_path: Path) -> None:
    assert on_server(server, home, "watch", run_id).split()[:3] == [run_id, "ACCOUNTS", "succeeded"]
    assert on_server(server, home, "cancel", run_id[:12]) == f"{run_id} is succeeded.\n"
    assert on_server(server, home, "download", run_id[:12], "-o", tmp_path / "a.csv") == f"{tmp_path / 'a.csv'}\n"
    assert {row["sourceName"] for row in rows((tmp_path / "a.csv").read_text())} == {"Nimbus CRM"}
    assert on_server(server, home, "replay", run_id).startswith("The same ")


def test_a_search_finds_the_same_on_a_server(server: Server, home: Path) -> None:
    asked = ("search", "attributes.department:*", "-c", "name,attributes.department", "-s", "name", "-n", "3")
    assert on_server(server, home, *asked) == whohas(server.home, *asked).stdout
    for output in ("csv", "json"):
        assert on_server(server, home, *asked, "-o", output) == whohas(server.home, *asked, "-o", output).stdout
    objects: list[Any] = json.loads(on_server(server, home, *asked, "-o", "json"))
    assert len(objects) == 3 and objects[0].keys() == {"name", "attributes"}
    wrong = whohas(home, "search", "name:(a AND", **server.sail)
    assert wrong.returncode == 1 and "name:(a AND" in wrong.stderr
    explained = whohas(home, "search", "a", "--explain", **server.sail)
    assert explained.returncode == 2 and "--local" in explained.stderr


def test_schedules_of_a_server_are_kept(server: Server, home: Path) -> None:
    add = ("schedule", "add", "berlin", "0 6 * * MON", "accounts", "-a", "sourceName=Nimbus CRM")
    assert "berlin runs ACCOUNTS next at " in on_server(server, home, *add, "--zone", "Europe/Berlin")
    with server.http() as http:
        made = http.get("/whohas/schedules/berlin").json()
        assert json.loads(on_server(server, home, "schedule", "show", "berlin", "-o", "json")) == made
        assert made in json.loads(on_server(server, home, "schedule", "list", "-o", "json"))
    listed = on_server(server, home, "schedule", "list")
    assert "source name: Nimbus CRM" in listed and "06:00:00 Europe/Berlin" in listed
    assert on_server(server, home, "schedule", "pause", "berlin") == "berlin is paused.\n"
    assert "paused" in on_server(server, home, "schedule", "show", made["id"])
    assert "06:00:00 Europe/Berlin" in on_server(server, home, "schedule", "resume", "berlin")
    queued = on_server(server, home, "schedule", "run", "berlin").split()[2]
    with server.http() as http:
        assert result_when_over(http, queued)["status"] == "SUCCESS"
    assert on_server(server, home, "schedule", "remove", "berlin") == "berlin is removed.\n"
    gone = whohas(home, "schedule", "show", "berlin", **server.sail)
    assert gone.returncode == 1 and "no schedule 'berlin'" in gone.stderr
    ours = whohas(home, *add, "--launcher", "ann", **server.sail)
    assert ours.returncode == 2 and "--launcher is for the local installation" in ours.stderr


def test_an_option_a_profile_and_this_machine_can_be_chosen(server: Server, home: Path, tmp_path: Path) -> None:
    user = tmp_path / "user"
    (user / ".sailpoint").mkdir(parents=True)
    credentials = f"{{clientid: {server.client_id}, clientsecret: {server.client_secret}}}"
    content = f"activeenvironment: audit\nenvironments: {{audit: {{baseurl: {server.url}, pat: {credentials}}}}}\n"
    (user / ".sailpoint" / "config.yaml").write_text(content)
    variables = {"HOME": str(user), "XDG_DATA_HOME": str(user / "data")}
    for options, says in (
        (("--server", server.url), f"server {server.url} (--server)"),
        (("--profile", "audit"), f"server {server.url} (profile audit)"),
        ((), f"local installation {home}"),
    ):
        done = whohas(home, "runs", *options, **variables)
        assert (done.returncode, done.stderr) == (0, f"whohas: {says}\n")
        assert whohas(home, "runs", *options, "-q", **variables).stderr == ""
    unset = {name: one for name, one in environment(home, **variables).items() if name != "WHOHAS_HOME"}
    implied = subprocess.run([sys.executable, *WHOHAS, "runs"], env=unset, capture_output=True, text=True)
    assert (implied.returncode, implied.stderr) == (
        0,
        f"whohas: server {server.url} (profile audit; --local is this machine)\n",
    )
    both = whohas(home, "runs", "--local", "--profile", "audit", **variables)
    assert both.returncode == 2 and "exclude each other" in both.stderr
    local = whohas(home, "runs", "--local", **server.sail)
    assert local.stderr == f"whohas: local installation {home}\n" and "No run yet" in local.stdout


@pytest.mark.parametrize(
    "command",
    [("load", "x"), ("user", "list"), ("keys", "list"), ("audit", "verify"), ("hook", "list"), ("holds",), ("serve",)],
    ids=" ".join,
)
def test_a_command_of_this_machine_says_so_when_a_server_is_meant(
    server: Server, home: Path, command: tuple[str, ...]
) -> None:
    refused = whohas(home, *command, "--server", server.url)
    assert refused.returncode == 2 and "works on the installation of this machine only" in refused.stderr
    if command != ("serve",):
        done = whohas(home, *command, **server.sail)
        only = f"whohas {' '.join(command).removesuffix(' x')} works on this machine only"
        assert f"local installation {home} ({only}, not on {server.url} of SAIL_BASE_URL)" in done.stderr


def test_what_is_no_such_server_is_told(home: Path, server: Server) -> None:
    credentials = {name: value for name, value in server.sail.items() if name != "SAIL_BASE_URL"}
    done = whohas(home, "runs", "--server", "http://127.0.0.1:9", **credentials)
    assert done.returncode == 1 and "http://127.0.0.1:9 does not answer" in done.stderr
    other = whohas(home, "runs", "--server", "http://127.0.0.1:9", **server.sail)
    assert other.returncode == 1 and "no credentials for the server http://127.0.0.1:9" in other.stderr
