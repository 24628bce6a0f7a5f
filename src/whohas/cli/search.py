"""`whohas search`: print the first hits of a query, or explain how the query is interpreted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.backend import SearchHits, SearchQuestion
from whohas.cli.completions import complete_fields, complete_indices
from whohas.cli.options import Connection, OutputFormat, OutputOption, on_installation
from whohas.cli.printing import Column, print_csv, print_json, print_list
from whohas.cli.target import ServerTarget
from whohas.cli.terminal import without_control_characters
from whohas.errors import InvalidArguments, WrongUsage

if TYPE_CHECKING:
    from whohas.settings import Settings

_COLUMNS = 6


@on_installation
def search(
    connection: Connection,
    query: Annotated[str, typer.Argument(help="The query, such as 'attributes.city:London'.")],
    index: Annotated[
        str, typer.Option("--index", "-i", help="The index to search.", autocompletion=complete_indices)
    ] = "identities",
    columns: Annotated[
        str,
        typer.Option("--columns", "-c", help="Columns to show, separated by commas.", autocompletion=complete_fields),
    ] = "",
    sort: Annotated[str, typer.Option("--sort", "-s", help="Fields to sort by, - before one for descending.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="Rows to show.")] = 20,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show how the query is interpreted, and its SQL; on this machine only.")
    ] = False,
    phrases: Annotated[
        bool | None,
        typer.Option("--phrases/--words", help="Whether the words of an unquoted value must follow each other."),
    ] = None,
    zone: Annotated[str, typer.Option("--time-zone", help="The time zone of dates that name none.")] = "UTC",
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Search the newest data and show the first hits.

    On a server it starts a run of SEARCH_EXPORT, which is listed and audited like any other.

    Examples:
        whohas search 'attributes.city:London'
        whohas search '@access(name:ledger_post) AND @access(name:ledger_approve)'
        whohas search '*' --index roles --columns name,owner.name --limit 50 -o csv
        whohas search 'name:a* AND NOT attributes.department:Sales' --explain
    """
    from whohas.search.fields import INDICES

    if index not in INDICES:
        raise InvalidArguments(f"There is no index {index!r}. The indices are: {', '.join(INDICES)}.")
    shown = tuple(name.strip() for name in columns.split(",") if name.strip())
    question = SearchQuestion(
        query=query,
        index=index,
        columns=shown or tuple(name for name in INDICES[index].default_columns if name != "id")[:_COLUMNS],
        sort=tuple(name.strip() for name in sort.split(",") if name.strip()),
        zone=zone,
        phrases=phrases,
        limit=limit,
        as_objects=output is OutputFormat.JSON,
    )
    if isinstance(connection.target, ServerTarget):
        if explain:
            raise WrongUsage("--explain works on this machine only; give --local with it.")
        with connection.open() as backend:
            _show(backend.search(question), question, output, bool(shown))
        return
    # searched without the services: this needs no database, and works in a home folder that is read-only
    from whohas.cli.local import search_locally

    settings = connection.settings()
    settings.make_home()
    if explain:
        _explain(question, settings)
    else:
        _show(search_locally(question, settings), question, output, bool(shown))


def _show(hits: SearchHits, question: SearchQuestion, output: OutputFormat, are_columns_named: bool) -> None:
    """Print the hits; columns that the user did not name are left out where they do not fit the terminal."""
    _print_notes(hits.notes)
    if output is OutputFormat.JSON:
        print_json(list(hits.objects))
    elif output is OutputFormat.CSV:
        print_csv(hits.columns, hits.rows)
    else:
        if hits.rows:
            columns: list[Column[Sequence[str]]] = [
                Column(name, without_control_characters(name), itemgetter(n), is_key=are_columns_named or n == 0)
                for n, name in enumerate(hits.columns)
            ]
            print_list(OutputFormat.TABLE, hits.rows, columns, empty="")
        shown = len(hits.rows)
        print(f"{hits.total:,} found" + (f", the first {shown:,} shown" if shown < hits.total else ""))
    if hits.total == 0:
        from whohas.search.hints import no_hit_hints

        _print_notes(no_hit_hints(question.query, question.index))


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        print(without_control_characters(f"Note: {note}"), file=sys.stderr)


def _explain(question: SearchQuestion, settings: Settings) -> None:
    from whohas.cli.local import planned_search
    from whohas.search.explain import explain

    with planned_search(question, settings) as (plan, notes):
        _print_notes(notes)
        for node in plan.trees:
            print(without_control_characters(explain(node)))
        findings = plan.diagnostics[question.index]
        if findings.known_fields or findings.unknown_fields:
            print("\nFields")
        for name, what in findings.known_fields.items():
            print(without_control_characters(f"  {name}: {what}"))
        for name in findings.unknown_fields:
            print(without_control_characters(f"  {name}: not in {question.index}"))
        print(f"\nSQL\n{without_control_characters(plan.statements[question.index].sql)}")
