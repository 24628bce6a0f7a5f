"""A run is planned once: what is recorded is what ran, it runs as printed, and it can be run again."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import httpx2
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable

from factories import link_copy
from patience import until
from support import ACME, Server, result_when_over, whohas
from whohas.engine.duckdb import RowDigest, with_row_hashes
from whohas.engine.sql import quote_identifier
from whohas.engine.statement import ResultColumn
from whohas.execution.processes import ForkServer
from whohas.reports import orphan_identities
from whohas.runs import tables
from whohas.runs.models import Run, RunState
from whohas.runs.plans import PartDigest, RowsDigest, RunPlan
from whohas.search.analyzer import ANALYSER_VERSION
from whohas.services import Services, open_services
from whohas.settings import Settings
from whohas.warehouse.schema import TABLES

REPORTS: dict[str, dict[str, Any]] = {
    "ACCOUNTS": {"sourceName": "Nimbus CRM"},
    "IDENTITIES": {},
    "IDENTITIES_DETAILS": {},
    "IDENTITY_PROFILE_IDENTITY_ERROR": {},
    "ORPHAN_IDENTITIES": {},
    "UNCORRELATED_ACCOUNTS": {},
}


@pytest.fixture
def http(server: Server) -> Iterator[httpx2.Client]:
    with server.http() as client:
        yield client


@pytest.fixture
def services(acme_home: Path, tmp_path: Path, fork_server: ForkServer) -> Iterator[Services]:
    """An installation with examples/acme, and no worker."""
    (tmp_path / "home").mkdir()
    link_copy(acme_home / "warehouse", tmp_path / "home")
    with open_services(Settings(home=tmp_path / "home", keep_extracts=False)) as opened:
        opened.on_demand.children.fork_server = fork_server
        yield opened


def carried_out(services: Services, run: Run) -> Run:
    with services.runs.working():
        return until(lambda: now if (now := services.runs.get(run.id)).state.is_over else None) or run


def started(services: Services, report: str = "ORPHAN_IDENTITIES", formats: tuple[str, ...] = ("CSV",)) -> Run:
    arguments = dict(REPORTS[report])
    if report == "IDENTITY_PROFILE_IDENTITY_ERROR":
        from whohas.warehouse.catalog import read_catalog

        found = read_catalog(services.warehouse.snapshot()).sources
        arguments = {"authoritativeSource": next(one.id for one in found if one.authoritative)}
    return services.runs.start(report, {**arguments, "selectedFormats": list(formats)}, "ann")


def test_a_run_does_what_was_planned_when_it_was_started(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    run = started(services)
    recorded = services.runs.record(run).sql
    changed = orphan_identities._SQL.replace("WHERE NOT coalesce(h.known, false)", "WHERE true")  # pyright: ignore[reportPrivateUsage]
    assert changed != orphan_identities._SQL  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(orphan_identities, "_SQL", changed)
    over = carried_out(services, run)
    assert over.rows == 7
    assert services.runs.record(run).sql == recorded
    assert "plan.late" not in {message.key for message in over.messages}


def test_a_queued_run_without_a_plan_is_planned_late(services: Services) -> None:
    run = started(services)
    with services.database.begin() as connection:
        connection.execute(sa.delete(tables.run_plan))
        connection.execute(sa.update(tables.run).values(statement="SELECT 'of before'"))
    over = carried_out(services, run)
    assert (over.state, over.rows) == (RunState.SUCCEEDED, 7)
    (said,) = [message.text for message in over.messages if message.key == "plan.late"]
    assert said.startswith("An earlier version of whohas queued this run. Version ")
    record = services.runs.record(run)
    assert record.plan is not None and record.plan.late
    assert "identities" in record.sql and record.digest is not None


def test_options_are_those_of_the_start(services: Services, tmp_path: Path) -> None:
    run = services.runs.start("ORPHAN_IDENTITIES", {"selectedFormats": ["HTML"]}, "ann")
    elsewhere = Settings(home=services.settings.home, time_zone="Pacific/Auckland")
    with open_services(elsewhere) as later:
        over = carried_out(later, run)
        page = later.runs.path(*later.runs.get_artifact(over.id, "html")).read_text()
    assert "Auckland" not in page


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("formats", [("CSV",), ("XLSX", "CSV")])
def test_recorded_sql_runs_as_printed_on_the_documented_tables(
    services: Services, report: str, formats: tuple[str, ...]
) -> None:
    """With nothing but DuckDB, the Delta tables and the SQL."""
    over = carried_out(services, started(services, report, formats))
    record = services.runs.record(over)
    assert record.plan is not None and record.digest is not None
    versions = services.warehouse.snapshot(over.snapshot).versions
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name in TABLES:
        if name in versions:
            data = DeltaTable(services.warehouse.root / name, version=versions[name]).to_pyarrow_table()
            connection.register(name, data)
        else:
            connection.register(name, TABLES[name].schema.empty_table())
    found = connection.sql(record.runnable_sql)
    names = [f"c{place}" for place in range(len(found.columns))]
    cells = [
        f"hash({name})" if str(type) == "VARCHAR[]" else name for name, type in zip(names, found.types, strict=True)
    ]
    digest = f"SELECT count(*), sum(hash({', '.join(cells)})) FROM ({record.runnable_sql}) AS r({', '.join(names)})"
    ((rows, sum),) = connection.sql(digest).fetchall()
    assert (rows, str(sum)) == (over.rows, record.digest.parts[0].sum)
    text = services.runs.path(*services.runs.get_artifact(over.id, "csv")).read_text()
    header, *lines = csv.reader(io.StringIO(text, newline=""))
    assert header == found.columns
    ids = sorted(line[0] for line in lines)
    assert ids == sorted(row[0] or "" for row in found.fetchall())


@pytest.mark.parametrize("report", REPORTS)
def test_a_replay_gives_the_same_rows(services: Services, report: str) -> None:
    over = carried_out(services, started(services, report))
    assert whohas(services.settings.home, "load", "-q", ACME / "accounts.ndjson").returncode == 0
    replay = services.on_demand.replay(over)
    assert replay.is_same is True, replay
    assert sum(part.rows for part in replay.new_digest.parts) == over.rows


def test_a_search_export_is_replayed_on_a_rebuilt_index(services: Services, tmp_path: Path) -> None:
    run = services.runs.start("SEARCH_EXPORT", {"query": "name:a* OR status:*", "selectedFormats": ["CSV"]}, "ann")
    over = carried_out(services, run)
    record = services.runs.record(run)
    assert record.plan is not None and record.plan.analyser == ANALYSER_VERSION
    shutil.rmtree(services.settings.warehouse_address.path / "search")
    replay = services.on_demand.replay(over)
    assert replay.is_same is True and len(replay.new_digest.parts) > 1
    with services.database.begin() as connection:
        older = replace(record.plan, analyser=ANALYSER_VERSION - 1).to_json()
        digest = replace(
            replay.new_digest, parts=(replace(replay.new_digest.parts[0], sum="1"), *replay.new_digest.parts[1:])
        ).to_json()
        connection.execute(sa.update(tables.run_plan).values(plan=older, digest=digest))
    replay = services.on_demand.replay(over)
    assert replay.is_same is None
    assert replay.why_not_comparable.startswith(
        "Version 0 of the analyser made the words of the search index then, and version 1 "
    )


def test_a_replay_tells_other_rows_and_what_it_cannot_tell(services: Services) -> None:
    over = carried_out(services, started(services))
    kept = services.runs.record(over).digest
    assert kept is not None
    (part,) = kept.parts

    def keep(digest: RowsDigest | None) -> None:
        with services.database.begin() as connection:
            value = sa.null() if digest is None else digest.to_json()
            connection.execute(sa.update(tables.run_plan).values(digest=value))

    keep(RowsDigest(kept.engine, (PartDigest("", part.rows, str(int(part.sum) + 1)),)))
    assert services.on_demand.replay(over).is_same is False
    done = whohas(services.settings.home, "replay", over.id[:8])
    assert done.returncode == 1
    assert "The rows are not the same." in done.stderr
    keep(RowsDigest("DuckDB 0.1", kept.parts))
    replay = services.on_demand.replay(over)
    assert replay.is_same is None and "DuckDB 0.1, " in replay.why_not_comparable
    keep(RowsDigest("DuckDB 0.1", (PartDigest("", part.rows + 1, part.sum),)))
    assert services.on_demand.replay(over).is_same is False
    keep(None)
    done = whohas(services.settings.home, "replay", over.id)
    assert done.returncode == 1
    assert "No digest was kept with this run." in done.stderr
    keep(kept)
    assert whohas(services.settings.home, "replay", over.id).stdout == "The same 7 rows.\n"


def test_the_statement_and_a_replay_are_had_over_http(http: httpx2.Client, server: Server) -> None:
    body = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Nimbus CRM", "selectedFormats": ["CSV"]}}
    run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
    result = result_when_over(http, run_id)
    assert "statement" not in result and result["messageCount"] == len(result["messages"])
    text = http.get(f"/whohas/runs/{run_id}/statement")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert "$source" not in text.text and "a.attributes['" in text.text
    found = http.get(f"/whohas/runs/{run_id}/statement", headers={"Accept": "application/json"}).json()
    (statement,) = found["statements"]
    assert statement["parameters"].keys() == {"source"} and "$source" in statement["sql"]
    assert statement["columns"][:2] == [{"name": "id", "type": "text"}, {"name": "nativeIdentity", "type": "text"}]
    assert found["digest"]["parts"][0]["rows"] == result["rows"]
    replay = http.post(f"/whohas/runs/{run_id}/replay").raise_for_status().json()
    assert (replay["same"], replay["reason"]) == (True, None)
    assert http.get(f"/whohas/runs/{'0' * 32}/statement").status_code == 404
    assert http.post(f"/whohas/runs/{'0' * 32}/replay").status_code == 404
    shown = whohas(server.home, "show", run_id, "--sql").stdout
    assert shown == text.text


def test_a_digest_ignores_the_order_and_counts_repeated_rows() -> None:
    columns = (ResultColumn("a", "text"), ResultColumn("b", "texts"), ResultColumn("c", "boolean"))

    def digest(values: str) -> tuple[int, int]:
        sums = RowDigest()
        with duckdb.connect() as connection:
            sums.register_on(connection)
            statement = f"SELECT * FROM (VALUES {values}) t(a, b, c)"
            rows = connection.execute(with_row_hashes(statement, columns)).fetchall()
        assert len(rows) == sums.rows
        return sums.rows, sums.sum

    one, other = "('x', ['y'], true)", "('z', NULL::VARCHAR[], NULL)"
    assert digest(f"{one}, {other}") == digest(f"{other}, {one}")
    assert digest(f"{one}, {one}, {other}")[1] != digest(other)[1]
    for unlike in (
        "('x', ['y'], false)",
        "('x', ['y'], NULL)",
        "('x', NULL, true)",
        "('xy', NULL, true)",
        "('', ['x', 'y'], true)",
    ):
        assert digest(unlike) != digest("('x', ['y'], true)"), unlike
    assert digest("('x', ['y', 'z'], true)") != digest("('x', ['yz'], true)")


def test_a_plan_is_the_same_after_it_was_kept(services: Services) -> None:
    run = started(services, "ACCOUNTS")
    plan = services.runs.record(run).plan
    assert plan is not None
    assert RunPlan.from_json(plan.to_json()) == plan
    assert all(not Path(path).is_absolute() for paths in plan.files.values() for path in paths)
    assert plan.parts[0].statement.attributes["accounts"], "attributes may be read from columns"


def test_two_columns_of_one_name_do_not_mix() -> None:
    columns = (ResultColumn("Mail", "text"), ResultColumn("mail", "text"))
    sums = RowDigest()
    with duckdb.connect() as connection:
        sums.register_on(connection)
        statement = f"SELECT 'a' AS {quote_identifier('Mail')}, 'b' AS {quote_identifier('mail')}"
        assert connection.execute(with_row_hashes(statement, columns)).fetchall() == [("a", "b")]
