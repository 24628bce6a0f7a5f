"""Completion in shells: the script of `whohas completion`, executed by bash, and by zsh and fish where they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from patience import PATIENCE_SECONDS
from support import environment, whohas

BASH = """
source <(whohas completion bash)
COMP_WORDS=({words})
COMP_CWORD={position}
$(complete -p whohas | sed 's/.*-F \\([^ ]*\\) .*/\\1/') whohas
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
CHECKS = {"bash": "bash -n", "zsh": "zsh -n", "fish": "fish --no-execute"}


@pytest.fixture
def variables(home: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a shell that finds `whohas`, and a file with profiles."""
    user = tmp_path / "user"
    (user / ".sailpoint").mkdir(parents=True)
    (user / ".sailpoint" / "config.yaml").write_text("environments: {audit: {baseurl: https://a.example.com}}")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {**environment(home), "HOME": str(user), "PATH": path}


def completed(variables: dict[str, str], *words: str) -> list[str]:
    """What bash offers for the last word."""
    script = BASH.format(words=" ".join(f"'{word}'" for word in words), position=len(words) - 1)
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=variables, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("whohas", "ru"), ["run", "runs"]),
        (("whohas", "schedule", "pa"), ["pause"]),
        (("whohas", "runs", "--pen"), ["--pending"]),
        (("whohas", "runs", "-o", "j"), ["json"]),
        (("whohas", "run", "IDENTITIES"), ["IDENTITIES", "IDENTITIES_DETAILS"]),
        (("whohas", "run", "orph"), ["orphan_identities"]),
        (("whohas", "run", "ACCOUNTS", "--format", "nd"), ["ndjson"]),
        (("whohas", "reports", "acc"), ["accounts"]),
        (("whohas", "search", "x", "--index", "ro"), ["roles"]),
        (("whohas", "user", "create", "ann", "--level", "REP"), ["REPORT_ADMIN"]),
        (("whohas", "runs", "--profile", "au"), ["audit"]),
        (("whohas", "docs", "own"), ["own-data"]),
        (("whohas", "completion", ""), ["bash", "zsh", "fish"]),
    ],
    ids=" ".join,
)
def test_bash_completes(variables: dict[str, str], words: tuple[str, ...], expected: list[str]) -> None:
    assert completed(variables, *words) == expected


@pytest.fixture
def with_data(variables: dict[str, str], acme_home: Path) -> dict[str, str]:
    """The environment of a shell whose installation has data."""
    return {**variables, "WHOHAS_HOME": str(acme_home)}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--arg", "so"), ["sourceName="]),
        (("--arg", "sourceName", "=", "Act"), ["Active\\", "Directory"]),
        (("--arg", "sourceName", "=", '"Act'), ["Active", "Directory"]),
        (("--arg", "sourceName", "=", "Nope"), []),
        (("--arg", "detail", "="), ["readable", "complete"]),
        (("--arg", "selectedFormats", "=", "CSV,PD"), ["CSV,PDF"]),
        (("--arg", "columns", "=", "name,natI"), []),
        (("--arg", "columns", "=", "name,nati"), ["name,nativeIdentity"]),
        (("--arg", "sourceName", "=", "Nimbus\\ CRM", "--arg", "columns", "=", "perm"), ["permissionSets"]),
    ],
    ids=" ".join,
)
def test_bash_completes_arguments_of_a_report(
    with_data: dict[str, str], words: tuple[str, ...], expected: list[str]
) -> None:
    assert completed(with_data, "whohas", "run", "ACCOUNTS", *words) == expected


def test_bash_completes_runs_and_columns_of_a_search(variables: dict[str, str], own_home: Path) -> None:
    variables = {**variables, "WHOHAS_HOME": str(own_home)}
    done = whohas(own_home, "run", "IDENTITIES", "-o", "-")
    assert done.returncode == 0, done.stderr
    (run_id,) = [run["id"] for run in json.loads(whohas(own_home, "runs", "-o", "json").stdout)]
    assert completed(variables, "whohas", "show", run_id[:4]) == [run_id]
    assert completed(variables, "whohas", "search", "x", "-c", "name,displayN") == ["name,displayName"]
    missing = own_home.with_name("missing")
    assert completed({**variables, "WHOHAS_HOME": str(missing)}, "whohas", "show", "") == []
    assert not missing.exists(), "a completion makes nothing"


@pytest.mark.parametrize("shell", [shell for shell in CHECKS if shutil.which(shell)])
def test_the_script_of_a_shell_is_well_formed(variables: dict[str, str], tmp_path: Path, shell: str) -> None:
    done = subprocess.run(["whohas", "completion", shell], env=variables, capture_output=True, text=True)
    assert done.returncode == 0 and "whohas" in done.stdout, done.stderr
    script = tmp_path / f"whohas.{shell}"
    script.write_text(done.stdout)
    checked = subprocess.run([*CHECKS[shell].split(), script], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_values_with_their_meaning(variables: dict[str, str], shell: str) -> None:
    asked = {"_WHOHAS_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": "whohas run ACC"}
    done = subprocess.run(
        ["whohas"],
        env={**variables, **asked, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert "ACCOUNTS" in done.stdout and "Accounts Report" in done.stdout, done.stderr
