"""Runs on another engine: their files, how they are cancelled, and how they fail."""

from __future__ import annotations

import re
import shutil
import signal
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from auditing import lines, settle
from child_work import work
from conformance import address, run_plan
from patience import PATIENCE_SECONDS, until
from ports import free_ports
from remote_runs import content, ended, exchanged, installation, over
from sparks import full, read_only, sail_server, spark_alone
from support import whohas
from whohas import timeouts
from whohas.engine.duckdb import ENGINE_VERSION
from whohas.engine.remote import open_engine
from whohas.engine.spark import SparkEngine
from whohas.errors import InvalidArguments, WhohasError
from whohas.execution.processes import ForkServer, watch_child
from whohas.execution.protocol import RemotePart
from whohas.execution.recovery import Recovery
from whohas.reports import orphan_identities
from whohas.runs.models import RunState
from whohas.services import Services, open_services
from whohas.settings import Settings
from whohas.warehouse.store import Warehouse

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

    from whohas.execution.lease import WorkerLease


@pytest.fixture
def services(sail: str, acme_home: Path, tmp_path: Path, fork_server: ForkServer) -> Iterator[Services]:
    """An installation with examples/acme and Sail, and no worker."""
    with installation(acme_home, tmp_path / "home", fork_server, spark_url=sail, keep_extracts=False) as opened:
        yield opened


@pytest.mark.parametrize("format", ["csv", "ndjson", "json", "csv.gz"])
def test_ordered_files_are_the_same_bytes(services: Services, format: str) -> None:
    arguments = {"query": "*", "indices": "identities", "sort": ["-displayName"], "selectedFormats": [format]}
    runs = [over(services, "SEARCH_EXPORT", **arguments, engine=engine) for engine in ("duckdb", "spark")]
    files: list[dict[str, bytes]] = []
    for run in runs:
        _, file = services.runs.get_artifact(run.id, format)
        with zipfile.ZipFile(services.runs.path(run, file)) as archive:
            files.append({name: archive.read(name) for name in archive.namelist()})
    assert files[0] == files[1]
    assert exchanged(services) == []


def test_files_for_people_are_made_from_the_extract(services: Services) -> None:
    run = over(services, "IDENTITIES_DETAILS", engine="spark", selectedFormats=["PDF", "XLSX", "CSV", "PARQUET"])
    assert run.state is RunState.SUCCEEDED
    assert content(services, run, "pdf").startswith(b"%PDF-")
    assert run.rows == 1100
    here = over(services, "IDENTITIES_DETAILS", selectedFormats=["CSV"])
    assert sorted(content(services, run, "csv").splitlines()) == sorted(content(services, here, "csv").splitlines())


def test_the_rows_of_both_engines_have_one_digest(services: Services) -> None:
    runs = [over(services, "ORPHAN_IDENTITIES", engine=engine) for engine in ("duckdb", "spark")]
    first, second = (services.runs.record(run).digest for run in runs)
    assert first is not None
    assert first == second


def test_a_replay_on_duckdb_proves_the_rows(services: Services) -> None:
    run = over(services, "UNCORRELATED_ACCOUNTS", engine="spark", selectedFormats=["CSV"])
    replay = services.on_demand.replay(run)
    assert replay.is_same
    assert replay.new_digest == services.runs.record(run).digest
    assert (replay.stored_engine, replay.new_engine) == (services.runs.record(run).engine, ENGINE_VERSION)
    command = whohas(services.settings.home, "replay", run.id)
    assert command.stdout == f"The same 39 rows. {ENGINE_VERSION} gives those of {replay.stored_engine}.\n"


def test_a_run_records_its_engine_and_statement(services: Services) -> None:
    run = over(services, "ORPHAN_IDENTITIES", engine="SPARK")
    assert run.arguments["engine"] == "spark"
    shown = whohas(services.settings.home, "show", run.id)
    engine = services.runs.record(run).engine
    assert re.fullmatch(r"Spark \d+\.\d+\.\d+ \(server \d+\.\d+\.\d+\)", engine)
    assert f"Engine:    {engine}\n" in shown.stdout
    assert f"-- As {engine} executed it:\nWITH held AS (SELECT a.identityId," in shown.stdout
    settle(services.settings, services.database)
    end = lines(services.settings.audit_log_path)[-1]
    assert (end["type"], end["data"]["engine"]) == ("whohas.run.ended", engine)


def test_the_engine_of_the_settings_is_the_default(services: Services, sail: str) -> None:
    settings = Settings(home=services.settings.home, spark_url=sail, engine="spark")
    with open_services(settings) as opened:
        run = opened.runs.start("ORPHAN_IDENTITIES", {}, "ann")
        plan = opened.runs.record(run).plan
    assert "engine" not in run.arguments
    assert plan is not None
    assert plan.engine == "spark"


def test_a_statement_that_is_not_translated_is_refused(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        orphan_identities,
        "REPORT",
        replace(orphan_identities.REPORT, make_plan=lambda *given: _with_upper(orphan_identities.REPORT, *given)),
    )
    monkeypatch.setattr("whohas.reports.find_report", lambda *_: orphan_identities.REPORT)
    with pytest.raises(InvalidArguments, match="the function upper"):
        services.runs.start("ORPHAN_IDENTITIES", {"engine": "spark"}, "ann")


def _with_upper(report: Any, *given: Any) -> Any:
    original = orphan_identities._plan(*given)  # pyright: ignore[reportPrivateUsage]
    sql = original.statement.sql.replace("i.email", "upper(i.email) AS email")
    return replace(original, statement=replace(original.statement, sql=sql))


@pytest.mark.parametrize(
    ("engine", "message"),
    [("oracle", "must be duckdb, spark or trino, not 'oracle'"), (7, "must be duckdb, spark or trino, not '7'")],
)
def test_an_unknown_engine_is_refused(services: Services, engine: object, message: str) -> None:
    with pytest.raises(InvalidArguments, match=message):
        services.runs.start("IDENTITIES", {"engine": engine}, "ann")


def test_spark_without_an_address_is_refused(home: Path) -> None:
    with open_services(Settings(home=home)) as opened, pytest.raises(InvalidArguments, match="WHOHAS_SPARK_URL"):
        opened.runs.start("IDENTITIES", {"engine": "spark"}, "ann")


def test_a_run_fails_with_the_words_of_the_engine(services: Services) -> None:
    queued = services.runs.start("IDENTITIES", {"engine": "spark"}, "ann")
    shutil.rmtree(services.warehouse.root / "accounts" / "_delta_log")
    run = ended(services, queued)
    assert run.state is RunState.FAILED
    (text,) = [message.text for message in run.messages]
    assert text.startswith("Spark at sc://127.0.0.1:")
    assert "accounts" in text
    assert run.artefacts == ()
    assert exchanged(services) == []


def test_an_engine_that_is_not_there_fails_the_run(services: Services) -> None:
    (port,) = free_ports(1)
    away = f"sc://127.0.0.1:{port}"
    with open_services(Settings(home=services.settings.home, spark_url=away)) as opened:
        opened.on_demand.children.fork_server = services.on_demand.children.fork_server
        run = over(opened, "IDENTITIES", engine="spark")
    assert run.state is RunState.FAILED
    (text,) = [message.text for message in run.messages]
    assert text.startswith(f"Spark at {away} cannot be reached, or ended while it ran the report: ")
    assert "WHOHAS_SPARK_URL" in text
    assert run.artefacts == ()


@pytest.mark.parametrize("mounts", [read_only, full], ids=["denied", "full"])
def test_a_folder_that_the_engine_cannot_write_fails_the_run(
    mounts: Callable[[Path], str], acme_home: Path, tmp_path: Path, fork_server: ForkServer
) -> None:
    folder = tmp_path / "exchange"
    folder.mkdir()
    with (
        sail_server(tmp_path, mounts(folder)) as url,
        installation(acme_home, tmp_path / "home", fork_server, spark_url=url, spark_folder=folder) as opened,
    ):
        assert_cannot_write(opened, url)


@pytest.mark.engine
@pytest.mark.parametrize("mounts", [read_only, full], ids=["denied", "full"])
def test_a_folder_that_spark_cannot_write_fails_the_run(
    mounts: Callable[[Path], str], acme_home: Path, tmp_path: Path, fork_server: ForkServer
) -> None:
    folder = tmp_path / "exchange"
    folder.mkdir()
    with (
        spark_alone(tmp_path, {}, mounts(folder)) as url,
        installation(acme_home, tmp_path / "home", fork_server, spark_url=url, spark_folder=folder) as opened,
    ):
        assert_cannot_write(opened, url)


def assert_cannot_write(services: Services, url: str) -> None:
    run = over(services, "IDENTITIES", engine="spark")
    assert run.state is RunState.FAILED
    (text,) = [message.text for message in run.messages]
    assert text.startswith(f"Spark at {url} could not write the rows: ")
    assert f"It must be able to write to {services.settings.exchange_path} (WHOHAS_SPARK_FOLDER)" in text
    assert run.artefacts == ()
    assert exchanged(services) == []


@pytest.mark.parametrize(
    ("cause", "problem"),
    [
        ("java.io.IOException: No space left on device", "could not write the rows"),
        ("java.lang.ArithmeticException: long overflow", "could not run the report's statement"),
    ],
)
def test_the_cause_that_spark_leaves_out_is_named(cause: str, problem: str, tmp_path: Path) -> None:
    from pyspark.errors.exceptions.connect import SparkException

    def fail(_: object) -> None:
        """What Spark's client raises if a task fails, whatever the reason."""
        trace = f"org.apache.spark.SparkException\n\tat a.b(c.scala:1)\nCaused by: {cause}\n\tat d.e(f.java:2)"
        raise SparkException(f"Task failed while writing rows to file:{tmp_path}/part-0.", server_stacktrace=trace)

    session = SimpleNamespace(registerProgressHandler=fail)
    engine = SparkEngine(cast("SparkSession", session), address("sc://spark", tmp_path))
    with pytest.raises(WhohasError) as failed:
        engine.write_rows("SELECT 1 AS c1", (), tmp_path / "part-0", lambda _: None)
    assert f"{problem}: Task failed while writing rows to file:{tmp_path}/part-0. ({cause})." in failed.value.message


@pytest.mark.engine
def test_a_token_that_spark_refuses_fails_the_run(acme_home: Path, tmp_path: Path, fork_server: ForkServer) -> None:
    with spark_alone(tmp_path, {"spark.connect.authenticate.token": "right"}) as url:
        for token, state in ((None, RunState.FAILED), ("wrong", RunState.FAILED), ("right", RunState.SUCCEEDED)):
            home = tmp_path / f"home-{token}"
            with installation(acme_home, home, fork_server, spark_url=url, spark_token=token) as opened:
                run = over(opened, "ORPHAN_IDENTITIES", engine="spark")
            assert run.state is state, run.messages
            texts = [message.text for message in run.messages]
            print(texts)
            if state is RunState.FAILED:
                assert texts[0].startswith(f"Spark at {url} refused the token of whohas: UNAUTHENTICATED: ")
                assert "WHOHAS_SPARK_TOKEN" in texts[0]
                assert "wrong" not in texts[0]


def test_rows_that_an_engine_writes_late_are_removed(services: Services) -> None:
    run = over(services, "ORPHAN_IDENTITIES", engine="spark")
    late = services.settings.exchange_path / f"{run.id}-1" / "part-0" / "_temporary"
    late.mkdir(parents=True)
    no_lease = cast("WorkerLease", None)
    Recovery(services.settings, services.database, services.artefacts, no_lease, list).remove_late_files()
    assert exchanged(services) == []


def test_views_of_a_session_end_with_it(sail: str, acme_home: Path, tmp_path: Path) -> None:
    snapshot = Warehouse(acme_home / "warehouse").snapshot()
    plan = run_plan(snapshot, "ORPHAN_IDENTITIES", {})
    here = address(sail, tmp_path)
    with open_engine(here) as engine:
        engine.write_rows(plan.translated[0].sql, plan.remote_tables(0, snapshot.root), tmp_path / "a", lambda _: None)
    with pytest.raises(WhohasError, match="is not running"), open_engine(here):
        pass


def test_a_later_attempt_ends_the_session_of_a_lost_one(sail: str, acme_home: Path, tmp_path: Path) -> None:
    snapshot = Warehouse(acme_home / "warehouse").snapshot()
    plan = run_plan(snapshot, "ORPHAN_IDENTITIES", {})
    lost = address(sail, tmp_path)
    with open_engine(lost) as engine:
        engine.write_rows(plan.translated[0].sql, plan.remote_tables(0, snapshot.root), tmp_path / "a", lambda _: None)
        with open_engine(replace(address(sail, tmp_path), lost=lost.session)):
            pass
        with pytest.raises(WhohasError):
            engine.write_rows("SELECT id AS c1 FROM identities", (), tmp_path / "b", lambda _: None)


ENDLESS = "SELECT sum(a.id * b.id) AS c1 FROM range(10000000) AS a CROSS JOIN range(10000000) AS b"


def test_an_interrupt_ends_the_statement(sail: str, tmp_path: Path) -> None:
    ends: list[BaseException] = []

    def execute() -> None:
        try:
            engine.write_rows(ENDLESS, (), tmp_path / "rows", lambda _: None)
        except WhohasError as error:
            ends.append(error)

    with open_engine(address(sail, tmp_path)) as engine:
        executing = Thread(target=execute, daemon=True)
        executing.start()
        until(executing.is_alive)
        engine.interrupt()
        executing.join(PATIENCE_SECONDS)
    assert len(ends) == 1


def test_a_child_that_is_ended_stops_the_engine_first(sail: str, fork_server: ForkServer, tmp_path: Path) -> None:
    endless = RemotePart(ENDLESS, (), ())
    planned = work(tmp_path)
    planned = replace(
        planned,
        parts=(replace(planned.parts[0], remote=endless),),
        engine=address(sail, tmp_path / "exchange"),
    )
    child = fork_server.fork()
    followed = watch_child(child, planned, timeouts.ATTEMPT_CANCEL_POLL_SECONDS)
    try:
        until(lambda: "Running on Spark" in str(next(followed)))
        child.stop()
        # by SIGTERM it would be -15, by SIGKILL -9: it ended itself, after it had stopped the engine
        assert until(lambda: child.exit_code) == 128 + signal.SIGTERM
    finally:
        child.stop()
        child.close()


def test_the_token_is_in_no_representation(tmp_path: Path) -> None:
    assert "hidden" not in repr(address("sc://x", tmp_path, token="hidden"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://spark:15002", "sc://spark.acme.example:15002"),
        ("sc://", "sc://spark.acme.example:15002"),
        ("sc://spark/;token=x", "WHOHAS_SPARK_TOKEN"),
        (f"sc://spark/;session_id={uuid.UUID(int=4)}", "a session"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Settings(spark_url=url)


def test_spark_as_the_default_needs_an_address() -> None:
    with pytest.raises(ValueError, match="set WHOHAS_SPARK_URL too"):
        Settings(engine="spark")
