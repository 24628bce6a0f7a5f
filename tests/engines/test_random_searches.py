"""Drawn queries find the same rows on each engine, or are refused before the run starts."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, event, example, given, settings
from hypothesis import strategies as st

from chance import examples
from conformance import differing_parts, run_plan
from fuzz.query import DOCUMENTS, TREES, text_of
from searching import Corpus
from whohas.engine.dialects import Untranslatable
from whohas.engine.remote import RemoteEngine
from whohas.errors import InvalidArguments, WhohasError
from whohas.search.index import searchable_snapshot
from whohas.warehouse.store import Snapshot

COLUMNS = st.sampled_from(
    (None, "id,name", "id,tags,owner.name,created", "name,entitlements.spread", "id,entitlements.name")
)
SORTS = st.sampled_from((None, ["name"], ["-created", "id"], ["owner.name", "-name"]))
SEARCHES = st.builds(
    lambda tree, columns, sort: {"query": text_of(tree), "columns": columns, "sort": sort}, TREES, COLUMNS, SORTS
)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """Sixty roles, whose few words the queries have."""
    return searchable_snapshot(Corpus(tmp_path_factory.mktemp("roles"), roles=DOCUMENTS).warehouse)


def compare(engine: RemoteEngine, snapshot: Snapshot, search: dict[str, Any], lacks: str = "") -> None:
    """Compare the rows of a search with those of DuckDB, unless whohas refuses it.

    Args:
        lacks: what the error of an engine says that lacks something which some statements need.
    """
    arguments = {name: value for name, value in search.items() if value is not None}
    try:
        plan = run_plan(snapshot, "SEARCH_EXPORT", {**arguments, "indices": "roles"})
    except Untranslatable as error:
        event("refused")
        assert "which whohas does not translate for Spark" in error.message
        return
    except InvalidArguments:  # too large, or its columns and its order do not fit
        assume(False)
        return
    with TemporaryDirectory() as folder:
        try:
            assert differing_parts(engine, plan, snapshot.root, Path(folder)) == [], search
        except WhohasError as error:
            event("the engine's own error")
            assert lacks and lacks in error.message, (search, error.message)


@settings(max_examples=examples(25, 300), deadline=None, suppress_health_check=list(HealthCheck))
@given(SEARCHES)
@example({"query": "tags.exact:/a.*/ OR tags.exact:/[^a]+/", "columns": "id,tags", "sort": ["name"]})
def test_sail_finds_the_rows_of_duckdb(sail_engine: RemoteEngine, snapshot: Snapshot, search: dict[str, Any]) -> None:
    compare(sail_engine, snapshot, search, lacks="No field named")


@pytest.mark.engine
@settings(max_examples=examples(25, 100), deadline=None, suppress_health_check=list(HealthCheck))
@given(SEARCHES)
@example({"query": "tags.exact:/a.*/ OR tags.exact:/[^a]+/", "columns": "id,tags", "sort": ["name"]})
def test_spark_finds_the_rows_of_duckdb(spark_engine: RemoteEngine, snapshot: Snapshot, search: dict[str, Any]) -> None:
    compare(spark_engine, snapshot, search)
