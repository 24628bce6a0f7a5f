"""The conformance suite of engines: what is run on each, and how its rows are compared with those of DuckDB."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from factories import report_plan
from support import ROOT
from whohas.engine.duckdb import connect_duckdb, create_statement
from whohas.engine.remote import EngineAddress, RemoteEngine, RemoteName, rows_statement
from whohas.formats.base import WriteOptions
from whohas.runs.plans import RunPlan
from whohas.warehouse.store import Snapshot

HR, LEDGER = "f5b3ed1f1c701670e79ca8d8b9427d4f", "7c8377bb1b7dc98a3bdf0eede5d2041f"
EXAMPLES = [
    query.replace(r"\|", "|")
    for query in re.findall(
        r"^\| `(.+?)` \| [\d,]+ identities \|", (ROOT / "docs/reference/search.md").read_text(), re.M
    )
]
"""The queries on the page of the search language."""


@dataclass(frozen=True)
class Case:
    """A report with arguments, over examples/acme."""

    group: str
    report: str
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        return " ".join((self.report, *(f"{name}={value}" for name, value in self.arguments.items())))


def _search(group: str, query: str, indices: str = "identities", **more: Any) -> Case:
    return Case(group, "SEARCH_EXPORT", {"query": query, "indices": indices, **more})


REPORTS = "reports"
SEARCHES = "examples of the search language"
WORDS = "phrases with `~`, and ranges of words"
LISTS = "long lists of words, values, ranges and conditions"
COLUMNS = "columns of lists, spread lists, sorted exports"
PARTS = "searches of several indices"

CASES = (
    Case(REPORTS, "IDENTITIES", {}),
    Case(REPORTS, "IDENTITIES", {"correlatedOnly": True}),
    Case(REPORTS, "IDENTITIES_DETAILS", {}),
    Case(REPORTS, "IDENTITIES_DETAILS", {"correlatedOnly": True, "columns": "id,name,account.entitlements,nosuch"}),
    Case(REPORTS, "IDENTITY_PROFILE_IDENTITY_ERROR", {"authoritativeSource": HR}),
    Case(REPORTS, "ORPHAN_IDENTITIES", {}),
    Case(REPORTS, "UNCORRELATED_ACCOUNTS", {}),
    Case(REPORTS, "ACCOUNTS", {"application": LEDGER}),
    Case(REPORTS, "ACCOUNTS", {"application": HR}),
    Case(REPORTS, "ACCOUNTS", {"application": HR, "columns": "name,department,id"}),
    *(_search(WORDS if re.search(r'"~\d| TO .*[a-z]\]', query) else SEARCHES, query) for query in EXAMPLES),
    _search(WORDS, '"a b c"~3'),
    _search(WORDS, '"a a b"~3'),
    _search(WORDS, "@access(name:[a TO b])"),
    _search(LISTS, " OR ".join(f"name:oak{number}~1" for number in range(6))),
    _search(LISTS, " OR ".join(f"name:[a{number} TO c{number}]" for number in range(6))),
    _search(LISTS, " OR ".join(f"id:x{number}" for number in range(300))),
    _search(LISTS, " AND ".join(f"@access(name:a* OR type:x{number})" for number in range(10))),
    _search(COLUMNS, "*", columns="name,displayName,attributes.department,access.spread,accounts.name", sort=["-displayName"]),
    _search(COLUMNS, "*", "roles", columns="id,dimensions.entitlements.spread,dimensions.name,accessProfiles.spread,tags"),
    _search(COLUMNS, "@dimensions(name:* AND @entitlements(name:*))", "roles", sort=["-name", "created"]),
    _search(COLUMNS, "name.exact:/[a-c].+/ OR id:A* OR email:*@acme.example", sort=["-email"]),
    _search(COLUMNS, "created:[2017 TO now-1d] AND accountCount:>2 AND NOT inactive:true"),
    Case(PARTS, "SEARCH_EXPORT", {"query": "oakenshaw"}),
    Case(PARTS, "SEARCH_EXPORT", {"query": "*"}),
)  # fmt: skip

LACKS: Mapping[str, frozenset[str]] = {"Sail": frozenset({WORDS}), "Spark": frozenset(), "Trino": frozenset()}
"""For each engine the groups that it refuses with an error of its own, because it lacks something that they need."""


def address(url: str, folder: Path, token: str = "", lost: str = "") -> EngineAddress:
    """How Spark, or Trino by an address of HTTP, is reached."""
    engine: RemoteName = "trino" if url.startswith("http") else "spark"
    return EngineAddress(engine, url, token, str(uuid.uuid4()), lost, str(folder), files="local://")


def run_plan(snapshot: Snapshot, report: str, arguments: Mapping[str, Any], engine: RemoteName = "spark") -> RunPlan:
    """The plan of a run on another engine."""
    return RunPlan.of(report_plan(snapshot, report, arguments), snapshot, WriteOptions(), engine)


def differing_parts(engine: RemoteEngine, plan: RunPlan, root: Path, folder: Path) -> list[str]:
    """Compare each part of a plan, cell by cell, on an engine and on DuckDB; return a text for each that differs."""
    statements, tables = plan.statements_at(root)
    found: list[str] = []
    for number, (part, statement) in enumerate(zip(plan.parts, statements, strict=True)):
        rows = folder / f"rows-{uuid.uuid4()}"
        engine.write_rows(plan.translated[number].sql, plan.remote_tables(number, root), rows, lambda _: None)
        with connect_duckdb(1 << 30, 2, folder / "spill") as connection:
            for table in tables:
                connection.execute(create_statement(table))
            places = [f"c{place}" for place in range(1, len(statement.columns) + 1)]
            cells = ", ".join(
                f"epoch_us({place})" if column.type == "time" else column.value_sql(place)
                for place, column in zip(places, statement.columns, strict=True)
            )
            wanted = connection.execute(
                f"SELECT {cells} FROM (\n{statement.sql}\n) AS report({', '.join(places)})",
                dict(statement.parameters) or None,
            ).fetchall()
            sql = rows_statement(rows, part.statement.columns, plan.translated[number].order)
            cells = ", ".join(
                f"epoch_us({place})" if column.type == "time" else place
                for place, column in zip(places, statement.columns, strict=True)
            )
            given = connection.execute(f"SELECT {cells} FROM ({sql})").fetchall()
        if not statement.ordered:
            wanted.sort(key=repr)
            given.sort(key=repr)
        if wanted != given:
            pair = next(((one, other) for one, other in zip(wanted, given, strict=False) if one != other), None)
            found.append(f"{part.name}: {len(wanted)} rows, and {len(given)} on the engine; the first pair: {pair}")
    return found


def conformance_table() -> str:
    """The table of the page on engines: for each group, how many cases each engine runs with the same rows."""
    lines = ["| what | cases | DuckDB | Sail 0.7 | Spark 4.2 | Trino 476 |", "| --- | --- | --- | --- | --- | --- |"]
    for group in dict.fromkeys(case.group for case in CASES):
        cases = sum(case.group == group for case in CASES)
        cells = ["an error" if group in LACKS[engine] else "same rows" for engine in ("Sail", "Spark", "Trino")]
        lines.append(f"| {group} | {cases} | reference | {' | '.join(cells)} |")
    return "\n".join(lines)
