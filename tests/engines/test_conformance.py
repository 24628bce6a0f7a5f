"""Other engines give the rows of DuckDB, cell by cell, in the same order where a report promises one."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chance import examples
from conformance import CASES, EXAMPLES, LACKS, Case, address, conformance_table, differing_parts, run_plan
from factories import publish
from support import ROOT, whohas
from trinos import Trino
from whohas.engine.remote import RemoteEngine, RemoteName, open_engine
from whohas.errors import WhohasError
from whohas.search.index import searchable_snapshot
from whohas.warehouse.schema import ACCOUNTS
from whohas.warehouse.store import Snapshot, Warehouse

PAGE = ROOT / "docs" / "reference" / "engines.md"


@pytest.fixture(scope="module")
def snapshot(acme_home: Path) -> Snapshot:
    return searchable_snapshot(Warehouse(acme_home / "warehouse"))


def compare(
    engine: RemoteEngine,
    snapshot: Snapshot,
    case: Case,
    lacks: frozenset[str],
    folder: Path,
    name: RemoteName = "spark",
) -> None:
    plan = run_plan(snapshot, case.report, case.arguments, name)
    if case.group in lacks:
        with pytest.raises(WhohasError, match="could not run the report's statement"):
            differing_parts(engine, plan, snapshot.root, folder)
    else:
        assert differing_parts(engine, plan, snapshot.root, folder) == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name[:60])
def test_sail_gives_the_rows_of_duckdb(
    sail_engine: RemoteEngine, snapshot: Snapshot, case: Case, tmp_path: Path
) -> None:
    compare(sail_engine, snapshot, case, LACKS["Sail"], tmp_path)


def test_the_page_says_what_runs_where() -> None:
    """`WHOHAS_REWRITE_ENGINES=1` writes the table anew."""
    before, begin, rest = PAGE.read_text().partition("| what | cases |")
    table, end, after = rest.partition("\n\n")
    if os.environ.get("WHOHAS_REWRITE_ENGINES") == "1":
        PAGE.write_text(f"{before}{conformance_table()}{end}{after}")
        return
    assert begin + table == conformance_table()


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
SOMETIMES = st.none() | TEXTS
TIMES = st.none() | st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda time: time.replace(tzinfo=UTC))


@st.composite
def companies(draw: st.DrawFn) -> dict[str, list[dict[str, Any]]]:
    """Few sources, identities, accounts and entitlements, with any texts, times and nulls in them."""
    sources: list[dict[str, Any]] = [
        {"id": f"s{n}", "name": draw(SOMETIMES), "type": draw(SOMETIMES), "authoritative": draw(st.none() | st.booleans()),
         "accountAttributes": ["a'b", "$x", "n"], "loaded": datetime(2026, 1, 1, tzinfo=UTC)}
        for n in range(draw(st.integers(1, 3)))
    ]  # fmt: skip
    some_source = st.sampled_from([source["id"] for source in sources])
    identities: list[dict[str, Any]] = [
        {"id": f"i{n}", "name": draw(SOMETIMES), "displayName": draw(SOMETIMES), "sourceId": draw(st.none() | some_source),
         "managerId": draw(st.sampled_from([None, "i0", "i1", "gone"])), "created": draw(TIMES),
         "isManager": draw(st.none() | st.booleans()), "processingState": draw(st.sampled_from(["ERROR", None]))}
        for n in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    accounts: list[dict[str, Any]] = [
        {"id": f"a{n}", "nativeIdentity": draw(TEXTS), "name": draw(SOMETIMES), "sourceId": draw(some_source),
         "identityId": (holder := draw(st.sampled_from([None, "gone", "i0", "i1"]))), "correlated": holder is not None,
         "disabled": draw(st.none() | st.booleans()), "modified": draw(TIMES),
         "attributes": [(key, draw(st.lists(SOMETIMES, max_size=2))) for key in ("a'b", "$x", "n") if draw(st.booleans())]}
        for n in range(draw(st.integers(0, 5)))
    ]  # fmt: skip
    granted: list[dict[str, Any]] = [
        {"accountId": f"a{draw(st.integers(0, 4))}", "entitlementId": draw(st.sampled_from(["e0", "gone", None])),
         "sourceId": draw(some_source), "value": draw(SOMETIMES)}
        for _ in range(draw(st.integers(0, 6)))
    ]  # fmt: skip
    entitlements = [
        {"id": "e0", "name": draw(SOMETIMES), "displayName": draw(SOMETIMES), "sourceId": draw(some_source)}
    ]
    return {
        "sources": sources,
        "identities": identities,
        "accounts": accounts,
        "granted": granted,
        "entitlements": entitlements,
    }


COMPANY_REPORTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("IDENTITIES", {}),
    ("IDENTITIES_DETAILS", {}),
    ("ORPHAN_IDENTITIES", {}),
    ("UNCORRELATED_ACCOUNTS", {}),
    ("ACCOUNTS", {"application": "s0"}),
    ("IDENTITY_PROFILE_IDENTITY_ERROR", {"authoritativeSource": "s0"}),
)


@settings(max_examples=examples(8, 60), deadline=None, suppress_health_check=list(HealthCheck))
@given(companies())
def test_sail_gives_the_rows_of_any_company(
    sail_engine: RemoteEngine, company: dict[str, list[dict[str, Any]]]
) -> None:
    with TemporaryDirectory() as folder:
        snapshot = publish(Warehouse(Path(folder) / "warehouse"), **company)
        for report, arguments in COMPANY_REPORTS:
            plan = run_plan(snapshot, report, arguments)
            assert differing_parts(sail_engine, plan, snapshot.root, Path(folder)) == [], report


@pytest.mark.engine
def test_trino_gives_the_rows_of_any_company(trino: Trino) -> None:
    @settings(max_examples=examples(8, 60), deadline=None, suppress_health_check=list(HealthCheck))
    @given(companies())
    def compare_reports(company: dict[str, list[dict[str, Any]]]) -> None:
        with TemporaryDirectory() as folder:
            snapshot = publish(Warehouse(Path(folder) / "warehouse"), **company)
            with open_engine(address(trino.schema_url(Path(folder).name), Path(folder) / "rows")) as engine:
                for report, arguments in COMPANY_REPORTS:
                    plan = run_plan(snapshot, report, arguments, "trino")
                    assert differing_parts(engine, plan, snapshot.root, Path(folder)) == [], report

    compare_reports()


@pytest.mark.engine
def test_spark_gives_the_rows_of_duckdb(spark_engine: RemoteEngine, snapshot: Snapshot, tmp_path: Path) -> None:
    for case in CASES:
        compare(spark_engine, snapshot, case, LACKS["Spark"], tmp_path)


@pytest.mark.engine
def test_trino_gives_the_rows_of_duckdb(trino: Trino, snapshot: Snapshot, tmp_path: Path) -> None:
    with open_engine(address(trino.schema_url("acme"), tmp_path)) as engine:
        for case in CASES:
            compare(engine, snapshot, case, LACKS["Trino"], tmp_path, "trino")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """A snapshot of 3,000 generated identities."""
    folder = tmp_path_factory.mktemp("generated")
    assert whohas(folder / "home", "generate", folder / "data", "--identities", "3000").returncode == 0
    assert whohas(folder / "home", "load", folder / "data").returncode == 0
    return searchable_snapshot(Warehouse(folder / "home" / "warehouse"))


GENERATED = ("IDENTITIES", "IDENTITIES_DETAILS", "ORPHAN_IDENTITIES", "UNCORRELATED_ACCOUNTS")


@pytest.mark.engine
def test_engines_give_the_rows_of_generated_identities(
    spark_engine: RemoteEngine, sail_engine: RemoteEngine, generated: Snapshot, tmp_path: Path
) -> None:
    for report in GENERATED:
        plan = run_plan(generated, report, {})
        for engine in (spark_engine, sail_engine):
            assert differing_parts(engine, plan, generated.root, tmp_path) == [], report


@pytest.mark.engine
def test_trino_gives_the_rows_of_generated_identities(trino: Trino, generated: Snapshot, tmp_path: Path) -> None:
    sources = sorted({file.partition or "" for file in generated.files(ACCOUNTS)})
    cases: list[tuple[str, dict[str, str]]] = [(report, {}) for report in GENERATED]
    cases += [("ACCOUNTS", {"application": source}) for source in sources]
    cases += [("SEARCH_EXPORT", {"query": query, "indices": "identities"}) for query in EXAMPLES]
    with open_engine(address(trino.schema_url("generated"), tmp_path)) as engine:
        for report, arguments in cases:
            plan = run_plan(generated, report, arguments, "trino")
            assert differing_parts(engine, plan, generated.root, tmp_path) == [], (report, arguments)


def some_times(folder: Path) -> Snapshot:
    """A snapshot of identities with the oldest and the newest times, and with microseconds."""
    times = [datetime(1, 1, 1, tzinfo=UTC), datetime(1582, 10, 10, tzinfo=UTC), datetime(1890, 1, 1, tzinfo=UTC)]
    times.append(datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC))
    people = [{"id": f"i{n}", "created": time, "modified": time - timedelta(0)} for n, time in enumerate(times)]
    return publish(Warehouse(folder / "warehouse"), [{"id": "s0", "name": "x"}], identities=people)


def test_the_oldest_and_the_newest_times_are_the_same(sail_engine: RemoteEngine, tmp_path: Path) -> None:
    snapshot = some_times(tmp_path)
    plan = run_plan(snapshot, "IDENTITIES", {})
    assert differing_parts(sail_engine, plan, snapshot.root, tmp_path) == []


@pytest.mark.engine
def test_trino_keeps_microseconds_of_times(trino: Trino, tmp_path: Path) -> None:
    snapshot = some_times(tmp_path)
    plan = run_plan(snapshot, "IDENTITIES", {}, "trino")
    with open_engine(address(trino.schema_url("times"), tmp_path / "rows")) as engine:
        assert differing_parts(engine, plan, snapshot.root, tmp_path) == []


@pytest.mark.engine
def test_trino_reads_the_version_of_the_snapshot(trino: Trino, tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path / "warehouse")
    first = publish(warehouse, [{"id": "s0", "name": "x"}], identities=[{"id": "i0", "name": "before"}])
    plan = run_plan(first, "IDENTITIES", {}, "trino")
    publish(warehouse, [{"id": "s0", "name": "x"}], identities=[{"id": "i1", "name": "after"}])
    with open_engine(address(trino.schema_url("versions"), tmp_path / "rows")) as engine:
        assert differing_parts(engine, plan, first.root, tmp_path) == []
    paths = f'SELECT DISTINCT "$path" FROM lake.versions.identities FOR VERSION AS OF {plan.versions["identities"]}'
    assert trino.query(paths) == [[f"local://{first.root / path}"] for path in plan.files["identities"]]
