"""docs/how-to/python.md and both READMEs, as written: each example of Python is run against a server."""

from __future__ import annotations

import csv
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

from support import ROOT, Server

GUIDE = (ROOT / "docs" / "how-to" / "python.md").read_text()
README = (ROOT / "README.md").read_text()
README_OF_CLIENT = (ROOT / "client" / "README.md").read_text()


def examples(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the examples; the environment names the server."""
    for name, value in server.sail.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(page: str) -> dict[str, Any]:
    """Run the examples of a page in their order, and return their variables."""
    variables: dict[str, Any] = {"__name__": "guide"}
    for number, example in enumerate(examples(page), 1):
        exec(compile(example, f"example {number}", "exec"), variables)  # noqa: S102 - our own pages
    return variables


def test_every_example_of_the_guide_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(examples(GUIDE)) == 10
    variables = run(GUIDE)
    with (here / "accounts.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["sourceName"] for row in rows} == {"Active Directory"}
    assert variables["disabled"] == [row["name"] for row in rows if row["disabled"] == "true"]
    assert variables["table"].num_rows == len(variables["frame"]) == len(rows)
    assert variables["memory"].getvalue().startswith(b"id,")
    assert (here / "people.csv").read_text().startswith("name,email\n")
    assert zipfile.ZipFile(here / "all.zip").namelist() == ["Identities.csv", "Entitlements.csv"]
    assert variables["names"]
    assert (here / "identities.pdf").read_bytes().startswith(b"%PDF-")
    assert Path(variables["path"]).read_bytes() == (here / "accounts.csv").read_bytes()
    assert "It did not work" not in capsys.readouterr().out


def test_the_example_of_the_readme_runs(here: Path) -> None:
    assert len(examples(README)) == 1
    run(README)
    assert (here / "accounts.csv").read_text().startswith("id,")


def test_the_example_of_the_clients_readme_runs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(README_OF_CLIENT)
    with (here / "accounts.csv").open(newline="") as file:
        printed = [f"{row['name']} {row['disabled'].title()}" for row in csv.DictReader(file)]
    assert capsys.readouterr().out.splitlines() == printed != []
