"""`whohas search`: print the first hits of a query as a table, or explain how the query is interpreted."""

from __future__ import annotations

import csv
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.installation import read_settings
from whohas.cli.terminal import print_table, without_control_characters

if TYPE_CHECKING:
    from whohas.engine.statement import Statement
    from whohas.search.service import SearchPlan
    from whohas.settings import Settings

_COLUMNS = 6


def search(
    query: Annotated[str, typer.Argument(help="The query, such as 'attributes.city:London'.")],
    index: Annotated[str, typer.Option("--index", "-i", help="The index to search.")] = "identities",
    columns: Annotated[str, typer.Option("--columns", "-c", help="Columns to show, separated by commas.")] = "",
    sort: Annotated[str, typer.Option("--sort", "-s", help="Fields to sort by, - before one for descending.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Rows to show.")] = 20,
    explain: Annotated[bool, typer.Option("--explain", help="Show how the query is interpreted, and its SQL.")] = False,
    phrases: Annotated[
        bool | None,
        typer.Option("--phrases/--words", help="Whether the words of an unquoted value must follow each other."),
    ] = None,
    zone: Annotated[str, typer.Option("--time-zone", help="The time zone of dates that name none.")] = "UTC",
) -> None:
    """Search the newest data and show the first hits."""
    from datetime import UTC, datetime

    from whohas.errors import InvalidArguments
    from whohas.search.fields import INDICES
    from whohas.search.index import locked_index, open_index, searchable_snapshot
    from whohas.search.limits import SearchLimits
    from whohas.search.service import SearchRequest, plan_search
    from whohas.warehouse.store import Warehouse

    if index not in INDICES:
        raise InvalidArguments(f"There is no index {index!r}. The indices are: {', '.join(INDICES)}.")
    settings = read_settings()
    settings.make_home()
    shown = tuple(name.strip() for name in columns.split(",") if name.strip())
    asked = SearchRequest(
        query,
        (index,),
        shown or tuple(name for name in INDICES[index].default_columns if name != "id")[:_COLUMNS],
        tuple(name.strip() for name in sort.split(",") if name.strip()),
        zone=zone,
        words_as_phrase=settings.search_phrases if phrases is None else phrases,
        limits=SearchLimits.from_settings(settings),
    )
    warehouse = Warehouse(settings.warehouse_path, shared=settings.is_warehouse_shared)
    snapshot = searchable_snapshot(warehouse)
    if snapshot.number == 0:
        typer.echo("Note: no data has been loaded yet: see `whohas load --help`.", err=True)
    with locked_index(warehouse, snapshot):  # a load that ends meanwhile may remove old indexes
        answer = plan_search(asked, open_index(snapshot), datetime.now(UTC))
        for note in answer.notes:
            typer.echo(without_control_characters(f"Note: {note.text}"), err=True)
        if explain:
            _explain(answer, index)
        else:
            _show(answer.statements[index], settings, limit)


def _explain(answer: SearchPlan, index: str) -> None:
    from whohas.search.explain import explain

    for node in answer.trees:
        typer.echo(without_control_characters(explain(node)))
    findings = answer.diagnostics[index]
    if findings.known_fields or findings.unknown_fields:
        typer.echo("\nFields")
    for name, what in findings.known_fields.items():
        typer.echo(without_control_characters(f"  {name}: {what}"))
    for name in findings.unknown_fields:
        typer.echo(without_control_characters(f"  {name}: not in {index}"))
    typer.echo(f"\nSQL\n{without_control_characters(answer.statements[index].sql)}")


def _show(statement: Statement, settings: Settings, limit: int) -> None:
    rows, total = _first(statement, settings, limit)
    if rows:
        print_table((without_control_characters(column.name) for column in statement.columns), rows)
    print(f"{total:,} found" + (f", the first {len(rows):,} shown" if len(rows) < total else ""))


def _first(statement: Statement, settings: Settings, limit: int) -> tuple[list[list[str]], int]:
    """Return the first `limit` rows, with cells as in a CSV file, and the total number of rows."""
    from whohas.engine.duckdb import open_duckdb
    from whohas.engine.statement import FileLayout, TableFiles
    from whohas.formats.base import RowsQuery
    from whohas.formats.csv import copy_statement

    tables = [TableFiles(name, (), (FileLayout(files),)) for name, files in statement.files.items()]
    with (
        TemporaryDirectory() as folder,
        open_duckdb(tables, settings.run_memory, settings.run_threads, Path(folder) / "spill") as engine,
    ):
        path = Path(folder) / "rows.csv"
        some = f"SELECT * FROM (\n{statement.sql}\n) LIMIT {limit}"
        engine.copy(copy_statement(RowsQuery(some, statement.columns), path), statement.parameters)
        total = engine.count(statement.sql, statement.parameters)
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))[1:], total
