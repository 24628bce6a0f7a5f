"""Fixtures for all tests; the strict mode: with STRICT=1 a skip is a failure; and where chance comes from.

In an ordinary run hypothesis draws the same examples each time, and nothing hangs on how quick the machine is: the gate
is no lottery. `make properties` draws new ones (see `chance.py`), and what it finds becomes an `@example`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

import chance
from content_streams import checked, whole_reports
from factories import MILLION, link_copy, many_accounts
from kafka import Broker, kafka_broker
from markers import APART
from postgres import Postgres, postgres_server, programs
from ready import ready
from stores import S3Server, moto, versitygw
from support import ACME, SHARED, Server, serving, whohas
from whohas.execution.processes import ForkServer

_SAME = hypothesis_settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("fixed", _SAME, derandomize=True)
hypothesis_settings.register_profile("new", _SAME, derandomize=False, print_blob=True)
# before any test module is imported: its decorators take what holds now
hypothesis_settings.load_profile("new" if os.environ.get(chance.VARIABLE) else "fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chaos-seconds", type=int, default=20, help="how long tests/chaos kills and stops things")
    parser.addoption(
        "--database", choices=["sqlite", "postgresql"], help="only the tests that need PostgreSQL, or only the others"
    )
    parser.addoption("--chaos-kills", type=int, default=10, help="how often tests/chaos kills a server on SQLite")
    parser.addoption(
        "--chaos-seed", type=int, default=1, help="what it kills when; `make chaos` takes another each time"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if len(apart := sorted(APART & {mark.name for mark in item.iter_markers()})) > 1:
            raise pytest.UsageError(
                f"{item.nodeid} is marked {' and '.join(apart)}: a test runs in one target of make."
            )
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker("property")
    if database := config.getoption("--database"):
        unwanted = [item for item in items if _needs_postgresql(item) != (database == "postgresql")]
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in set(unwanted)]


def _needs_postgresql(item: pytest.Item) -> bool:
    """Return whether a test uses the fixture `postgres` or is the variant of a test for PostgreSQL."""
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    return "postgresql" in parameters or "postgres" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if os.environ.get("STRICT") == "1" and report.skipped and not hasattr(report, "wasxfail"):
        _, _, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, str(report.longrepr))
        report.outcome = "failed"
        report.longrepr = f"STRICT=1 and this test was skipped: {reason}"
    return report


@pytest.fixture(scope="session", autouse=True)
def printed_reports_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Check every PDF of the folders that tests share."""
    yield
    for path in whole_reports(tmp_path_factory.getbasetemp()):
        checked(path)


@pytest.fixture(autouse=True)
def printed_reports(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check every PDF that a test leaves in its own folder, whoever made it: a server, a command, the test."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    for path in whole_reports(folder) if folder else ():
        checked(path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home folder."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def acme_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with examples/acme loaded."""
    home = tmp_path_factory.mktemp("acme") / "home"
    done = whohas(home, "load", ACME)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def own_home(acme_home: Path, home: Path) -> Path:
    """A home folder of its own with examples/acme loaded, and nothing run yet."""
    shutil.copytree(acme_home / "warehouse", ready(home) / "warehouse")
    return home


@pytest.fixture(scope="session")
def big_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with one source, `big`, of a million accounts; copy it with `link_copy`."""
    root = tmp_path_factory.mktemp("big") / "warehouse"
    many_accounts(root, MILLION)
    return root


@pytest.fixture
def big_home(home: Path, big_warehouse: Path) -> Path:
    """A home folder of its own on that warehouse."""
    link_copy(big_warehouse, home)
    return home


@pytest.fixture(scope="session")
def server(acme_home: Path) -> Iterator[Server]:
    """A server on examples/acme, shared by the tests that do not stop it."""
    with serving(acme_home) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of this test process alone; nobody stops it."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """An S3 of moto of this test process alone; nobody stops it. Each test has a bucket of its own."""
    with moto() as server:
        yield server


@pytest.fixture(scope="session")
def versitygw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A VersityGW of this test process alone; nobody stops it. Each test has a bucket of its own."""
    with versitygw(tmp_path_factory.mktemp("versitygw")) as server:
        yield server


class SharedForkServer(ForkServer):
    """What children are forked from, for one installation of this test process after the other: it has nothing of
    theirs, and to load everything takes it two seconds."""

    def close(self) -> None:
        """Leave it to the next installation; `end` ends it."""

    def end(self) -> None:
        super().close()


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """A fork server for installations that are opened within this test process."""
    shared = SharedForkServer()
    yield shared
    shared.end()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """An Apache Kafka of this test process alone; nobody stops it. Each test has topics of its own."""
    with kafka_broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """What WHOHAS_DATABASE_URL is: empty for SQLite in the home folder, or a new database on PostgreSQL, with its tables."""
    return request.getfixturevalue("postgres").ready_database() if request.param == "postgresql" else ""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def mainly_sqlite(request: pytest.FixtureRequest) -> str:
    """The same for tests of many seconds: with PostgreSQL they run in `make long` alone."""
    return request.getfixturevalue("postgres").ready_database() if request.param == "postgresql" else ""


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of the published contract and of real input, beside the repository."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not there: the published contract and real input lie in it")
    return SHARED
