"""What commands print into a pipe, and where `run` and `download` put files."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from openpyxl import load_workbook

from support import WHOHAS, Server, environment, whohas

LONG = "n" * 100
LONGER = "x" * 200
COLOURS = {"FORCE_COLOR": "1", "COLUMNS": "40"}
"""What makes rich think of a terminal, and of a narrow one."""


def out(home: Path, *arguments: str | Path) -> list[str]:
    done = whohas(home, *arguments, **COLOURS)
    assert done.returncode == 0, (arguments, done.stderr)
    assert "\x1b" not in done.stdout + done.stderr
    return done.stdout.splitlines()


def test_a_piped_list_has_one_whole_row_per_line(home: Path, tmp_path: Path) -> None:
    source, badge = f"S [b]{LONGER} :smile:", "北" * 60
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text(f"login,{LONGER}\n1,{LONGER}\n")
    columns = '[accounts.columns]\nnativeIdentity = "login"\nname = "login"\n'
    mapping = f'[source]\nname = "{source}"\n[accounts]\nfile = "a.csv"\nattributes = "*"\n{columns}'
    (tmp_path / "data" / "map.toml").write_text(mapping)
    loaded = out(home, "load", tmp_path / "data" / "map.toml")
    assert any(line.startswith(f"{source} ") for line in loaded)
    client = json.loads(out(home, "client", "create", LONGER, "--json")[0])["id"]
    out(home, "user", "create", LONG, "--level", "REPORT_ADMIN")
    out(home, "schedule", "add", LONG, "0 6 * * MON", "identities")
    hook = out(home, "hook", "add", f"https://example.com/{LONGER}")[0].split()[1]
    saved = tmp_path / "a.csv"
    run = out(home, "run", "accounts", "-a", f"sourceName={source}", "-o", saved)[0].rpartition("(run ")[2].strip(")")
    out(home, "hold", run[:6], "--reason", f"{LONGER}\n{badge}")
    expected = {
        ("client", "list"): (client, LONGER),
        ("user", "list"): (LONG, "REPORT_ADMIN"),
        ("schedule", "list"): (LONG, "IDENTITIES"),
        ("hook", "list"): (hook, f"https://example.com/{LONGER}"),
        ("runs",): (run, f"source name: {source}", "succeeded"),
        ("holds",): (run, f"{LONGER} {badge}"),
        ("reports", "list"): ("SEARCH_EXPORT", "includeNested, phrases", "with a file for each index."),
        ("search", "*", "-i", "identities", "-n", "0"): ("0 found",),
        ("watch", run[:8]): (run, "100 %"),
        ("audit", "list", "--run", run[:8], "--type", "held"): (run, f"reason={LONGER}\n{badge}".replace("\n", " ")),
    }
    for command, values in expected.items():
        lines = out(home, *command)
        assert any(all(value in line for value in values) for line in lines), (command, lines)
        assert all(line == line.rstrip() for line in lines if command != ("watch", run[:8]))
    refused = whohas(home, "runs", "--limit", LONGER, **COLOURS)
    assert refused.returncode == 2 and "\x1b" not in refused.stderr and "─" not in refused.stderr


def test_a_run_is_named_by_the_beginning_of_its_id(own_home: Path, tmp_path: Path) -> None:
    ids = [
        out(own_home, "run", "IDENTITIES", "-o", tmp_path / f"{n}.csv", "-a", f"timeZone=+0{n}:00")[0][-33:-1]
        for n in range(2)
    ]
    shared = next((n for n in range(32) if ids[0][:n] != ids[1][:n]), 32) - 1
    one = ids[0][: shared + 1]
    assert out(own_home, "show", one.upper())[0] == f"Run:       {ids[0]}"
    assert out(own_home, "cancel", one) == [f"{ids[0]} is succeeded."]
    assert out(own_home, "hold", one)[0].startswith(ids[0])
    assert out(own_home, "release", one) == [f"{ids[0]} is no longer held."]
    assert out(own_home, "download", one, "-o", tmp_path / "late.xlsx") == [str(tmp_path / "late.xlsx")]
    if shared:
        several = whohas(own_home, "show", ids[0][:shared])
        assert several.returncode == 1 and all(id in several.stderr for id in ids)
    for wrong in ("", "%", "_", "z", "0" * 32, f"{ids[0]}0"):
        none = whohas(own_home, "show", wrong)
        assert none.returncode == 1 and "There is no run" in none.stderr


def test_a_run_of_a_server_is_named_so_too(server: Server, home: Path, tmp_path: Path) -> None:
    done = whohas(home, "run", "accounts", "-a", "sourceName=Nimbus CRM", "-o", tmp_path / "a.csv", **server.sail)
    run_id = done.stdout.rpartition("(run ")[2].strip(")\n")
    for start in (run_id[:12], run_id):
        late = whohas(home, "download", start, "-o", tmp_path / f"{start}.xlsx", **server.sail)
        assert late.returncode == 0, late.stderr
        assert load_workbook(tmp_path / f"{start}.xlsx").sheetnames[-1] == "About"
    none = whohas(home, "download", "zz", "-o", tmp_path / "b.csv", **server.sail)
    assert none.returncode == 1 and "no run whose id begins with 'zz'" in none.stderr


@pytest.mark.parametrize("there", [False, True])
def test_a_search_export_is_saved_as_its_name_ends(server: Server, tmp_path: Path, there: bool) -> None:
    where = server.sail if there else {}
    one = ("run", "search_export", "-a", "query=*", "-a", "indices=roles", "-a", "columns=id,name")
    for name in ("one.csv", "ONE.XLSX", "one.zip", "one.csv.zip"):
        done = whohas(server.home, *one, "-o", name, cwd=tmp_path, **where)
        assert done.returncode == 0, done.stderr
    with (tmp_path / "one.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["id", "name"] and len(rows) > 1
    assert [cell.value for cell in load_workbook(tmp_path / "ONE.XLSX")["Roles"][1]] == header
    for name in ("one.zip", "one.csv.zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            assert archive.read("Roles.csv") == (tmp_path / "one.csv").read_bytes()
    printed = whohas(server.home, *one, "-o", "-", cwd=tmp_path, **where)
    assert printed.stdout == (tmp_path / "one.csv").read_text()
    several = whohas(server.home, "run", "SEARCH_EXPORT", "-a", "query=*", "-o", "all.xlsx", cwd=tmp_path, **where)
    assert (several.returncode, several.stdout) == (2, "")
    assert "all.xlsx.zip" in several.stderr and not list(tmp_path.glob("all*"))
    assert not list(tmp_path.glob(".whohas*")), "no folder is left behind"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("-o", "a.docx"), "a.docx has no ending that is known. The endings are: .csv, .pdf, "),
        (("-o", "a"), "a has no ending that is known"),
        (("-o", "a.csv.bz2"), "a.csv.bz2 has no ending that is known"),
        (("-o", "a.pdf", "-f", "csv"), "a.pdf ends as PDF, but --format says CSV."),
        (("-f", "docx"), "There is no format 'DOCX'"),
    ],
)
def test_a_name_whose_ending_is_none_is_wrong_usage(home: Path, arguments: tuple[str, ...], text: str) -> None:
    for command in (("run", "ACCOUNTS", "-a", "sourceName=x"), ("run", "SEARCH_EXPORT"), ("download", "0" * 32)):
        done = whohas(home, *command, *arguments)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert text in done.stderr
    assert not home.exists(), "nothing was begun"


def test_what_was_probably_meant_is_said(own_home: Path, tmp_path: Path) -> None:
    for arguments, code, text in (
        (("run", "acounts"), 1, "There is no report type 'acounts'. Did you mean ACCOUNTS?"),
        (("run", "accounts", "-a", "SOURCENAME=x"), 2, "ACCOUNTS has no argument SOURCENAME. Did you mean sourceName?"),
        (("run", "IDENTITIES", "-a", "corelatedonly=true"), 2, "Did you mean correlatedOnly?"),
        (("run", "ACCOUNTS", "-o", "a.zip"), 2, "ACCOUNTS makes one file and no zip: name it a.csv."),
        (("reports", "disable", "acount"), 1, "There is no report 'acount'. Did you mean ACCOUNTS?"),
        (("hook", "add", "https://example.com", "--report", "roles"), 1, "There is no report 'roles'."),
        (("schedule", "add", "x", "0 6 * * MON", "Identities", "-a", "Timezone=x"), 2, "Did you mean timeZone?"),
        (("schedule", "add", "x", "0 6 * * MON", "ACCOUNTS"), 2, "Give --arg application=ID or --arg sourceName=NAME"),
        (("run", "SEARCH_EXPORT"), 2, "SEARCH_EXPORT needs the argument query. Give --arg query=QUERY;"),
        (("run", "IDENTITIES", "-a", "columns=id", "-a", "columns=name"), 2, "--arg columns is given twice"),
    ):
        done = whohas(own_home, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (code, ""), (arguments, done)
        assert text in done.stderr


def test_a_device_is_written_to_and_a_new_folder_made(server: Server, tmp_path: Path) -> None:
    run = ("run", "accounts", "-a", "sourceName=Nimbus CRM")
    assert whohas(server.home, *run, "-o", "/dev/stdout", cwd=tmp_path).stdout.startswith("id,nativeIdentity")
    assert whohas(server.home, *run, "-o", "new/", "-f", "csv.gz", cwd=tmp_path).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["Accounts Report.csv.gz"]


def test_streams_of_every_kind_are_written_to(acme_home: Path) -> None:
    variables = {**environment(acme_home), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    search = "whohas search 'attributes.city:\"São Paulo\"' -c name,attributes.city -n 2 -o csv -q"
    for command, code, says in (
        (search, 0, "São Paulo\n"),
        ("whohas reports >&-", 0, ""),
        ("whohas reports -q 2>&-", 0, "IDENTITIES_DETAILS"),
        (f"{search} | true; exit ${{PIPESTATUS[0]}}", 141, ""),
        ("whohas run IDENTITIES -o - -q | true; exit ${PIPESTATUS[0]}", 141, ""),
    ):
        program = f"whohas() {{ '{sys.executable}' {' '.join(WHOHAS)} \"$@\"; }}; {command}"
        done = subprocess.run(["bash", "-c", program.encode()], env=variables, capture_output=True)
        assert done.returncode == code, (command, done)
        assert says in done.stdout.decode() and "Traceback" not in done.stderr.decode()


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("nosuch/a.csv", "there is no folder nosuch. Make it"),
        ("nosuch/new/", "there is no folder nosuch. Make it"),
        ("file/a.csv", "file is no folder"),
        ("", "--output is empty"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused_before_the_run(
    home: Path, tmp_path: Path, output: str, says: str
) -> None:
    (tmp_path / "file").touch()
    for command in (("run", "IDENTITIES"), ("download", "0" * 32)):
        done = whohas(home, *command, "-o", output, "-f", "csv", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "") and says in done.stderr, done
    assert not home.exists() and not (tmp_path / "nosuch").exists()


@pytest.mark.parametrize("there", [False, True])
def test_only_the_owner_can_read_a_new_file(server: Server, tmp_path: Path, there: bool) -> None:
    run = ("run", "IDENTITIES", "-o", "a.csv")
    for mode in (0o600, 0o640):
        done = whohas(server.home, *run, cwd=tmp_path, **(server.sail if there else {}))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "a.csv").stat().st_mode & 0o777 == mode, "a replaced file keeps its permissions"
        (tmp_path / "a.csv").chmod(0o640)
