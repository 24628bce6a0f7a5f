"""The documentation: the site builds without a warning or another host, and pages with commands do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from sphinx.cmd.build import main as build

from patience import PATIENCE_SECONDS
from ports import free_ports
from postgres import Postgres, programs
from support import ACME, ROOT, environment, whohas

BIN = Path(sys.executable).parent
DOCS = ROOT / "docs"


def blocks(page: str, languages: str = "sh") -> list[str]:
    """Return the blocks of a page that are marked `sh`: those that a test can run; `bash`: those for PostgreSQL."""
    return re.findall(rf"^```(?:{languages})\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def follow(script: str, folder: Path, home: Path) -> str:
    """Run blocks as one script of bash in a folder, and return the output."""
    variables = environment(home)
    variables["PATH"] = f"{BIN}:{variables['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env=variables,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    arguments = [
        "--fail-on-warning",
        "--nitpicky",
        "--quiet",
        "-d",
        str(folder / "trees"),
        str(DOCS),
        str(folder / "html"),
    ]
    assert build(arguments) == 0
    return folder / "html"


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md") if not path.match("*.in.md")}
    assert len(pages) > 50
    assert not [page for page in pages if not (site / page).exists()]


def test_the_site_loads_nothing_from_another_host(site: Path) -> None:
    loaded = (
        r"""(?:<(?:script|img|link|iframe)\b[^>]*?\b(?:src|href)=["']|url\(["']?|@import ["'])(?:https?:)?//[^"')]+"""
    )
    found = [
        (path.relative_to(site), one)
        for path in [*site.rglob("*.html"), *site.rglob("*.css")]
        for one in re.findall(loaded, path.read_text())
    ]
    assert not found


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    port = str(free_ports(1)[0])
    script = "\n".join(blocks("tutorial.md")).replace("8437", port)
    output = follow(script, tmp_path, tmp_path / "unused")
    accounts = (tmp_path / "accounts.csv").read_text().splitlines()
    identities = (tmp_path / "identities.csv").read_text().splitlines()
    assert len(accounts) > 304 and accounts[0] in output and "304 rows" in output
    assert len(identities) > 2 and identities[0] in output
    assert (tmp_path / "uncorrelated.pdf").read_bytes().startswith(b"%PDF-")
    assert "ORPHAN_IDENTITIES" in output and "17 found" in output
    assert "in order and unchanged" in output


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def test_a_backup_restores_runs_files_and_secrets(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    home = tmp_path / "home"
    before, after, path = {}, {}, ""
    if database == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        before, after = ({"WHOHAS_DATABASE_URL": postgres.new_database()} for _ in range(2))
        path = f"{programs()}:"
    assert whohas(home, "load", ACME, **before).returncode == 0
    arguments = ["run", "ACCOUNTS", "--arg", "sourceName=Active Directory", "-o", "a.csv", "-q"]
    run = whohas(home, *arguments, cwd=tmp_path, **before)
    assert run.returncode == 0, run.stderr
    created = whohas(home, "client", "create", "nightly", **before)
    assert created.returncode == 0, created.stderr
    clients = whohas(home, "client", "list", **before).stdout
    assert "nightly" in clients

    exports = [f'export {name}="{value}"' for name, value in {"WHOHAS_HOME": str(home), **before}.items()]
    page = "\n".join(blocks("how-to/back-up.md", "sh|bash" if before else "sh"))
    if before:
        assert page.count("postgresql://whohas@db.example/restored") == 1
        page = page.replace("postgresql://whohas@db.example/restored", after["WHOHAS_DATABASE_URL"])
    output = follow("\n".join([*exports, f'export PATH="{path}$PATH"', page]), tmp_path, home)
    assert "in order and unchanged" in output and "ACCOUNTS" in output

    restored = tmp_path / "restored"
    (folder,) = (restored / "artefacts").iterdir()
    download = whohas(restored, "download", folder.name, "-o", "b.csv", cwd=tmp_path, **after)
    assert download.returncode == 0, download.stderr
    assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()
    replay = whohas(restored, "replay", folder.name, **after)
    assert replay.returncode == 0, replay.stdout + replay.stderr
    assert whohas(restored, "client", "list", **after).stdout == clients
    keys = {path.name: path.read_bytes() for path in (home / "keys").iterdir()}
    assert {path.name: path.read_bytes() for path in (restored / "keys").iterdir()} == keys
    with tarfile.open(tmp_path / "whohas-backup.tar.gz") as archive:
        assert not [name for name in archive.getnames() if "spill" in name]
