"""Runs on Trino: their files, how they are cancelled, and how they fail."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from conformance import address, run_plan
from patience import PATIENCE_SECONDS, until
from ports import free_ports
from remote_runs import content, ended, exchanged, installation, over
from support import whohas
from trinos import USER, Trino
from whohas.engine.remote import TranslatedStatement, open_engine
from whohas.errors import Unavailable, WhohasError
from whohas.execution.processes import ForkServer
from whohas.runs.models import Run, RunState
from whohas.search.index import searchable_snapshot
from whohas.services import Services
from whohas.warehouse.store import Warehouse

pytestmark = pytest.mark.engine

ENDLESS = (
    "SELECT count(*) AS c1 FROM UNNEST(sequence(1, 10000)) AS a(x) CROSS JOIN UNNEST(sequence(1, 10000)) AS b(y) "
    "CROSS JOIN UNNEST(sequence(1, 10000)) AS c(z) WHERE x + y + z = 7"
)


@pytest.fixture
def schema(tmp_path: Path) -> str:
    """A schema for the warehouse of one test."""
    return f"w_{tmp_path.name}".lower()


@pytest.fixture
def services(trino: Trino, acme_home: Path, tmp_path: Path, schema: str, fork_server: ForkServer) -> Iterator[Services]:
    """An installation with examples/acme and Trino, and no worker."""
    url = trino.schema_url(schema)
    with installation(acme_home, tmp_path / "home", fork_server, trino_url=url, keep_extracts=False) as opened:
        yield opened


def text(run: Run) -> str:
    """The only message of a run that failed and left no file."""
    assert run.state is RunState.FAILED
    assert run.artefacts == ()
    (message,) = run.messages
    return message.text


def test_files_on_trino_are_the_same_bytes(services: Services) -> None:
    arguments = {"query": "*", "indices": "identities", "sort": ["-displayName"], "selectedFormats": ["csv"]}
    runs = [over(services, "SEARCH_EXPORT", **arguments, engine=engine) for engine in ("duckdb", "trino")]
    files: list[dict[str, bytes]] = []
    for run in runs:
        _, file = services.runs.get_artifact(run.id, "csv")
        with zipfile.ZipFile(services.runs.path(run, file)) as archive:
            files.append({name: archive.read(name) for name in archive.namelist()})
    assert files[0] == files[1]
    assert exchanged(services) == []


def test_all_formats_are_made_of_trinos_rows(services: Services) -> None:
    run = over(services, "UNCORRELATED_ACCOUNTS", engine="trino", selectedFormats=["PDF", "XLSX", "CSV", "PARQUET"])
    assert run.state is RunState.SUCCEEDED, run.messages
    assert content(services, run, "pdf").startswith(b"%PDF-")
    replay = services.on_demand.replay(run)
    assert replay.is_same
    shown = whohas(services.settings.home, "show", run.id)
    assert "Engine:    Trino 476\n" in shown.stdout
    assert "-- As Trino 476 executed it:\n" in shown.stdout


def test_tables_of_a_session_end_with_it(services: Services, trino: Trino, schema: str) -> None:
    run = over(services, "SEARCH_EXPORT", query="oakenshaw", indices="identities", engine="trino")
    assert run.state is RunState.SUCCEEDED, run.messages
    assert trino.query(f"SHOW TABLES FROM lake.{schema}") == []


@pytest.fixture
def endless(services: Services, trino: Trino, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run that Trino is executing, and that does not end by itself."""
    monkeypatch.setattr("whohas.engine.dialects.translate", lambda *_: TranslatedStatement(ENDLESS, ()))
    run = services.runs.start("ORPHAN_IDENTITIES", {"engine": "trino"}, "ann")
    with services.runs.working():
        until(lambda: any("CROSS JOIN" in sql for sql in trino.active_queries()))
        yield run


def is_over(services: Services, run: Run) -> Run | None:
    return now if (now := services.runs.get(run.id)).state.is_over else None


def test_a_cancelled_run_stops_its_query(services: Services, endless: Run, trino: Trino) -> None:
    services.runs.cancel(endless.id)
    until(lambda: trino.active_queries() == [])
    run = until(lambda: is_over(services, endless))
    assert run is not None
    assert run.state is RunState.CANCELLED
    assert run.artefacts == ()
    assert exchanged(services) == []


def test_a_server_that_is_killed_fails_the_run(services: Services, endless: Run, trino: Trino) -> None:
    trino.stop(kill=True)
    try:
        run = until(lambda: is_over(services, endless))
    finally:
        trino.start()
    assert run is not None
    message = text(run)
    assert message.startswith("Trino at http://127.0.0.1:")
    assert "cannot be reached, or ended while it ran the report: " in message
    assert "WHOHAS_TRINO_URL" in message
    assert exchanged(services) == []


def test_trino_that_is_not_there_fails_the_run(acme_home: Path, tmp_path: Path, fork_server: ForkServer) -> None:
    (port,) = free_ports(1)
    url = f"http://{USER}@127.0.0.1:{port}/lake/whohas"
    with installation(acme_home, tmp_path / "home", fork_server, trino_url=url) as services:
        message = text(over(services, "IDENTITIES", engine="trino"))
    assert message.startswith(f"Trino at http://127.0.0.1:{port} cannot be reached")
    assert "Connection refused" in message


def test_a_table_that_cannot_be_registered_fails_the_run(
    trino: Trino, acme_home: Path, tmp_path: Path, schema: str, fork_server: ForkServer
) -> None:
    url = trino.schema_url(schema, "fixed")
    with installation(acme_home, tmp_path / "home", fork_server, trino_url=url) as services:
        message = text(over(services, "ORPHAN_IDENTITIES", engine="trino"))
        location = f"local://{services.warehouse.root}"
    assert "did not let whohas register it: " in message
    assert "procedure is disabled" in message
    statements = message.partition("run there: ")[2].split("; ")[:2]
    assert statements[1].startswith(f"CALL \"fixed\".system.register_table(schema_name => '{schema}', table_name => '")
    assert location in statements[1]
    for sql in statements:
        trino.query(sql.replace('"fixed"', "lake"))
    assert len(trino.query(f"SHOW TABLES FROM lake.{schema}")) == 1


def test_a_table_without_its_log_fails_the_run(services: Services) -> None:
    queued = services.runs.start("IDENTITIES", {"engine": "trino"}, "ann")
    shutil.rmtree(services.warehouse.root / "accounts" / "_delta_log")
    message = text(ended(services, queued))
    assert "Trino at http://127.0.0.1:" in message
    assert "accounts" in message
    assert exchanged(services) == []


def test_a_table_of_another_warehouse_is_refused(
    trino: Trino, services: Services, schema: str, acme_home: Path, tmp_path: Path
) -> None:
    assert over(services, "ORPHAN_IDENTITIES", engine="trino").state is RunState.SUCCEEDED
    snapshot = Warehouse(acme_home / "warehouse").snapshot()
    plan = run_plan(snapshot, "ORPHAN_IDENTITIES", {}, "trino")
    tables = plan.remote_tables(0, snapshot.root)
    with open_engine(address(trino.schema_url(schema), tmp_path)) as engine, pytest.raises(WhohasError) as error:
        engine.write_rows(plan.translated[0].sql, tables, tmp_path / "rows", lambda _: None)
    assert f"and not at local://{snapshot.root}/" in error.value.message


def test_a_token_is_sent_over_tls(trino: Trino, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trino.certificate))
    with open_engine(address(trino.tls_url, tmp_path, token=trino.token)) as engine:
        assert engine.version == "Trino 476"
    for wrong in (f"{trino.token}x", ""):
        with pytest.raises(Unavailable) as error, open_engine(address(trino.tls_url, tmp_path, token=wrong)):
            pass
        assert error.value.message.startswith("Trino at https://127.0.0.1:")
        assert "refused the user of whohas: error 401" in error.value.message
        assert "WHOHAS_TRINO_TOKEN" in error.value.message


def test_a_certificate_that_is_not_trusted_is_named(trino: Trino, tmp_path: Path) -> None:
    here = address(trino.tls_url, tmp_path, token=trino.token)
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"), open_engine(here):
        pass


def test_a_failed_query_has_trinos_words(trino: Trino, tmp_path: Path) -> None:
    with open_engine(address(trino.url, tmp_path)) as engine, pytest.raises(WhohasError) as error:
        engine.write_rows("SELECT 1 / (x - 1) AS c1 FROM (VALUES 1) AS t(x)", (), tmp_path / "rows", lambda _: None)
    assert "could not run the report's statement: Division by zero." in error.value.message


def test_a_later_attempt_ends_what_a_lost_one_left(trino: Trino, schema: str, acme_home: Path, tmp_path: Path) -> None:
    snapshot = searchable_snapshot(Warehouse(acme_home / "warehouse"))
    plan = run_plan(snapshot, "SEARCH_EXPORT", {"query": "oakenshaw", "indices": "identities"}, "trino")
    lost = address(trino.schema_url(schema), tmp_path)
    ends: list[BaseException] = []

    def execute() -> None:
        tables = plan.remote_tables(0, snapshot.root)
        try:
            engine.write_rows(ENDLESS, tables, tmp_path / "rows", lambda _: None)
        except WhohasError as error:
            ends.append(error)

    with open_engine(lost) as engine:
        executing = Thread(target=execute, daemon=True)
        executing.start()
        until(lambda: any("CROSS JOIN" in sql for sql in trino.active_queries()))
        assert trino.query(f"SHOW TABLES FROM lake.{schema}") != []
        with open_engine(replace(address(lost.url, tmp_path), lost=lost.session)):
            assert trino.query(f"SHOW TABLES FROM lake.{schema}") == []
        executing.join(PATIENCE_SECONDS)
    assert len(ends) == 1
