"""The console in a real browser, headless: each journey's acts, accessibility by axe, and pictures of every page.

The pictures are in `.cache/pictures`, for people to look at: each page in two widths and two colour schemes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from browsing import run_script
from console import add_user
from factories import add_ended_runs
from ports import free_ports
from support import Server, serving, whohas

HERE = Path(__file__).parent
OWN_DATA = HERE.parents[1] / "examples" / "own-data"
FRESH, LOADS, MANY, OUTAGES, SEVEN = "fresh", "loads", "many", "outages", "seven"
"""The journeys that have data of their own, or none."""
JOURNEYS = sorted({path.stem for path in HERE.glob("*.mjs")} - {"browser", FRESH, LOADS, MANY, OUTAGES, SEVEN})
RUNS = 100_000

pytestmark = pytest.mark.browser


class Restarted:
    """A server that is killed and started again on its port; the first time it executes no runs."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._port = free_ports(1)[0]
        self._opened = ExitStack()
        self.server = self._start(WHOHAS_WORKER="false")

    def _start(self, **settings: str) -> Server:
        return self._opened.enter_context(serving(self.home, self._port, **settings))

    def kill(self) -> None:
        self.server.kill()

    def start(self) -> None:
        self.server = self._start()

    def spoil(self) -> None:
        """Take the files of all accounts away, so that reports on them fail; the log of the table stays."""
        self._move_accounts(self.home / "warehouse" / "accounts", self.home / "accounts")

    def mend(self) -> None:
        self._move_accounts(self.home / "accounts", self.home / "warehouse" / "accounts")

    def _move_accounts(self, source: Path, target: Path) -> None:
        target.mkdir(exist_ok=True)
        for path in source.iterdir():
            if path.name != "_delta_log":
                path.rename(target / path.name)

    def close(self) -> None:
        self._opened.close()


@pytest.fixture(scope="module")
def server(acme_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("browser") / "home"
    shutil.copytree(acme_home, home)
    with serving(home) as running:
        add_user(running, "ann", "ORG_ADMIN")
        yield running


@pytest.fixture
def fresh_server(tmp_path: Path) -> Iterator[Server]:
    """A server as it is after its installation: no data, no runs, no users."""
    with serving(tmp_path / "home") as running:
        yield running


@pytest.fixture
def server_with_failed_loads(acme_home: Path, tmp_path: Path) -> Iterator[Server]:
    """A server whose last loads rejected rows, were stopped to protect data, and failed, in this order."""
    home = tmp_path / "home"
    shutil.copytree(acme_home, home)
    head = "sourceId,sourceName,nativeIdentity,name,disabled,created"
    for name, lines in {
        "rejected": (
            head,
            *(f"hr,HR,{n},u{n},false,2024-01-01" for n in range(3)),
            "hr,HR,4,u4,perhaps,2024-01-01",
            "hr,HR,,x,,",
        ),
        "stopped": (head, *(f"hr,HR,{n},u{n},false,some day" for n in range(9))),
        "failed": ("sourceId,sourceId",),
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "accounts.csv").write_text("".join(f"{line}\n" for line in lines))
        assert whohas(home, "load", tmp_path / name).returncode
    with serving(home) as running:
        add_user(running, "ann", "ORG_ADMIN")
        yield running


@pytest.fixture
def server_with_many_runs(acme_home: Path, tmp_path: Path) -> Iterator[Server]:
    home = tmp_path / "home"
    shutil.copytree(acme_home, home)
    add_ended_runs(home, RUNS)
    with serving(home) as running:
        add_user(running, "ann", "ORG_ADMIN")
        yield running


@pytest.fixture
def server_of_own_data(tmp_path: Path) -> Iterator[Server]:
    """A server with the exports of `examples/own-data`."""
    home = tmp_path / "home"
    assert whohas(home, "load", OWN_DATA, "--allow-rejects").returncode == 0
    with serving(home) as running:
        add_user(running, "ann", "ORG_ADMIN")
        yield running


@pytest.fixture
def restarted(acme_home: Path, tmp_path: Path) -> Iterator[Restarted]:
    home = tmp_path / "home"
    shutil.copytree(acme_home, home)
    running = Restarted(home)
    add_user(running.server, "ann", "ORG_ADMIN")
    yield running
    running.close()


@pytest.mark.parametrize("journey", JOURNEYS)
def test_journey_works_and_is_accessible(server: Server, journey: str) -> None:
    run_script(HERE / f"{journey}.mjs", server.url)


def test_fresh_installation_says_what_to_do(fresh_server: Server) -> None:
    acts = {"create the first user": lambda: add_user(fresh_server, "ann", "ORG_ADMIN")}
    run_script(HERE / f"{FRESH}.mjs", fresh_server.url, acts)


def test_failed_load_is_understood_and_repaired(server_with_failed_loads: Server) -> None:
    run_script(HERE / f"{LOADS}.mjs", server_with_failed_loads.url)


def test_many_runs_are_filtered_sorted_and_paged(server_with_many_runs: Server) -> None:
    run_script(HERE / f"{MANY}.mjs", server_with_many_runs.url, RUNS=str(RUNS))


def test_open_pages_survive_the_end_of_the_server(restarted: Restarted) -> None:
    acts = {"kill": restarted.kill, "start": restarted.start, "spoil": restarted.spoil, "mend": restarted.mend}
    run_script(HERE / f"{OUTAGES}.mjs", restarted.server.url, acts)


def test_all_seven_reports_are_run_and_downloaded(server_of_own_data: Server) -> None:
    print(run_script(HERE / f"{SEVEN}.mjs", server_of_own_data.url))
