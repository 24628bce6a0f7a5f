"""The page that teaches the query language: each of its examples is run."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from support import ROOT, whohas
from whohas.errors import InvalidArguments
from whohas.search.explain import explain
from whohas.search.fields import INDICES
from whohas.search.index import SearchIndex, open_index, searchable_snapshot
from whohas.search.parser import parse
from whohas.search.service import SearchPlan, SearchRequest, plan_search
from whohas.warehouse.store import Warehouse

PAGE = (ROOT / "docs" / "reference" / "search.md").read_text()


def rows(last: str) -> list[tuple[str, ...]]:
    """The rows of tables whose first cell is a query and whose second looks like this."""
    found = re.findall(rf"^\| `(.+?)` \| ({last}) \|(?: *(.*?) *\|)?$", PAGE, re.MULTILINE)
    return [(query.replace(r"\|", "|"), *rest) for query, *rest in found]


FOUND = rows(r"[\d,]+ identities")
BROKEN = rows(r"\d+")
COUNTS = rows(r"a (?:may|must).*?")


@pytest.fixture(scope="module")
def index(acme_home: Path) -> SearchIndex:
    return open_index(searchable_snapshot(Warehouse(acme_home / "warehouse")))


def understood(index: SearchIndex, query: str) -> SearchPlan:
    return plan_search(SearchRequest(query, ("identities",)), index, datetime.now(UTC))


def test_the_page_has_the_examples_that_are_run() -> None:
    queries = re.findall(r"^\| `[^\n]*?` \| (?:\d|a m)", PAGE, re.MULTILINE)
    assert (len(FOUND), len(BROKEN), len(COUNTS)) == (58, 7, 8)
    assert len(FOUND) + len(BROKEN) + len(COUNTS) == len(queries)


@pytest.mark.parametrize(("query", "count", "_"), FOUND)
def test_an_example_finds_what_the_page_says(index: SearchIndex, query: str, count: str, _: str) -> None:
    statement = understood(index, query).statements["identities"]
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, (file,) in statement.files.items():
        connection.execute(f"CREATE VIEW \"{name}\" AS SELECT * FROM read_parquet('{file}')")
    ((found,),) = connection.execute(f"SELECT count(*) FROM ({statement.sql})").fetchall()
    assert f"{found:,} identities" == count


@pytest.mark.parametrize(("query", "column", "why"), BROKEN)
def test_an_example_breaks_where_the_page_says(index: SearchIndex, query: str, column: str, why: str) -> None:
    with pytest.raises(InvalidArguments) as error:
        understood(index, query)
    assert f"column {column}: " in error.value.message
    assert why.strip("'") in error.value.message


@pytest.mark.parametrize(("query", "counts", "_"), COUNTS)
def test_clauses_count_as_the_page_says(query: str, counts: str, _: str) -> None:
    lines = explain(parse(query)).split("\n")[1:]
    told = [re.fullmatch(r"  (must not|must|may)(?: \(changes nothing\))? any text has '(.)'", line) for line in lines]
    assert ", ".join(f"{one[2]} {one[1]}" for one in told if one) == counts


def test_the_message_on_the_page_is_real(acme_home: Path) -> None:
    ((command, said),) = re.findall(r"```text\n\$ whohas search '(.*)'\n(.*?)```", PAGE, re.DOTALL)
    done = whohas(acme_home, "search", command, "-q")
    assert done.stderr == said


def test_the_lists_of_each_index_are_on_the_page() -> None:
    told = dict(re.findall(r"^\| (\w+) \| ([\w., ]+) \|$", PAGE, re.MULTILINE))
    lists = {name: ", ".join(path for path in index.elements if path) for name, index in INDICES.items()}
    assert {name: told[name] for name in lists if lists[name]} == {name: one for name, one in lists.items() if one}


@pytest.mark.parametrize("option", ["--explain", "--phrases", "--time-zone"])
def test_the_options_on_the_page_are_there(acme_home: Path, option: str) -> None:
    assert option in PAGE
    assert option in whohas(acme_home, "search", "--help", COLUMNS="200", NO_COLOR="1").stdout
