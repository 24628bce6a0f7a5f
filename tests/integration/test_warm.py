"""A server that says that it serves has done what its first calls would wait for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import children, environment, fork_servers, serving
from whohas.services import open_services
from whohas.settings import Settings

FIRST_START = """
import sys
from whohas.api.app import create_app
from whohas.services import open_services
from whohas.settings import load_settings

with open_services(load_settings()) as services:
    create_app(services)
    services.warm_up()
    before, connections = set(sys.modules), services.database.pool.checkedin()
    services.runs.start("ACCOUNTS", {"sourceName": "Ledger Database"}, "tester")
    print(connections, *sorted(set(sys.modules) - before))
"""


def test_the_first_start_imports_nothing_and_finds_connections(acme_home: Path, home: Path, database_url: str) -> None:
    home.mkdir()
    (home / "warehouse").symlink_to(acme_home / "warehouse")
    extra = environment(home, WHOHAS_DATABASE_URL=database_url)
    done = subprocess.run([sys.executable, "-c", FIRST_START], env=extra, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    connections, *imported = done.stdout.split()
    assert int(connections) >= 4
    assert not imported


def test_a_home_with_missing_or_damaged_data_is_still_served(home: Path) -> None:
    with open_services(Settings(home=home)) as services:
        services.warm_up()
        manifests = home / "warehouse" / "manifests"
        manifests.mkdir(parents=True)
        (manifests / "000000001.json").write_text("{")
        services.warm_up()


def test_the_fork_server_is_ready_before_the_first_run(home: Path) -> None:
    with serving(home) as server:
        assert len(fork_servers(server.process.pid)) == 1
        assert not children(server.process.pid)
