"""`whohas runs`, `show`, `replay` and `cancel`: list, inspect, check and cancel runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from whohas.cli.backend import RunDetails, RunFacts
from whohas.cli.completions import complete_runs
from whohas.cli.exits import ExitCode
from whohas.cli.options import Connection, JsonOption, OutputFormat, OutputOption, on_installation, output_format
from whohas.cli.printing import Column, print_csv, print_json, print_list
from whohas.cli.terminal import is_terminal, without_control_characters
from whohas.cli.values import format_time

RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.", autocompletion=complete_runs)
]

_COLUMNS: tuple[Column[RunFacts], ...] = (
    Column("id", "Run", lambda run: run.id, is_id=True, is_key=True),
    Column("reportType", "Report", lambda run: run.report, is_key=True),
    Column("arguments", "Arguments", lambda run: run.arguments, is_key=True),
    Column("state", "State", lambda run: run.state, lambda run: run.state if run.is_over else _state(run), is_key=True),
    Column("rows", "Rows", lambda run: run.rows),
    Column("created", "Created", lambda run: run.created, is_key=True),
    Column("seconds", "Seconds", lambda run: run.seconds),
    Column("launcher", "Launcher", lambda run: run.launcher),
    Column("progress", "Progress", lambda run: run.progress, is_exact=True),
)

_STATES = {"SUCCESS": "succeeded", "WARNING": "warned", "FAILURE": "failed", "TERMINATED": "cancelled"}
"""The state of a run by the status of its result."""


@on_installation
def runs(
    connection: Connection,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The number of newest runs.")] = 20,
    filters: Annotated[str, typer.Option(help="A filter as in the API, such as 'completionStatus isnull'.")] = "",
    pending: Annotated[bool, typer.Option("--pending", help="Only active runs.")] = False,
    output: OutputOption = OutputFormat.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Print the newest runs. JSON has them as `GET /whohas/runs` does.

    Examples:
        whohas runs
        whohas runs --pending
        whohas runs --filters 'completionStatus eq "ERROR"' -o csv
        whohas runs --server https://reports.example.com -o json
    """
    output = output_format(output, as_json)
    with connection.open() as backend:
        newest = backend.runs(filters, pending, limit)
        empty = "No run yet. Start one: whohas run ACCOUNTS --arg sourceName=NAME"
        print_list(
            output,
            newest,
            _COLUMNS,
            empty="No such run." if filters or pending else empty,
            zone=backend.zone,
            to_api=lambda run: run.to_api(),
        )


@on_installation
def show(
    connection: Connection,
    run_id: RunArgument,
    sql: Annotated[bool, typer.Option("--sql", help="Print only its SQL, with all parameters filled in.")] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Print a run: its arguments, state, files, digests, and the SQL that produced its rows.

    JSON has the run as `GET /whohas/runs/{id}` does, and its `statement`. CSV has one line for each file.

    Examples:
        whohas show 3f2a
        whohas show 3f2a --sql
        whohas show 3f2a -o json
    """
    with connection.open() as backend:
        run_id = backend.id_of(run_id)
        if sql:
            text = backend.sql(run_id)
            print(without_control_characters(text) if is_terminal() else text)
            return
        details = backend.details(run_id)
        if output is OutputFormat.JSON:
            print_json(_to_json(details))
        elif output is OutputFormat.CSV:
            _print_files(details)
        else:
            for line in _lines(details, backend.zone):
                print(without_control_characters(line).rstrip())


@on_installation
def replay(connection: Connection, run_id: RunArgument, output: OutputOption = OutputFormat.TABLE) -> None:
    """Run the SQL of a run again on the same data, and print whether the rows are the same.

    Exit code 1: they are not, or that is unknown. This is a check, not a proof: digests of the rows are compared.

    Examples:
        whohas replay 3f2a
        whohas replay 3f2a -o json
    """
    with connection.open() as backend:
        run_id = backend.id_of(run_id)
        found = backend.replay(run_id)
        before = backend.details(run_id).facts.rows or 0
    if output is OutputFormat.JSON:
        print_json(found)
    elif output is OutputFormat.CSV:
        _print_parts(found)
    else:
        _print_replay(found, before)
    if not found["same"]:
        raise typer.Exit(ExitCode.ERROR)


@on_installation
def cancel(connection: Connection, run_id: RunArgument) -> None:
    """Cancel a run: nothing of it can be downloaded afterwards.

    Examples:
        whohas cancel 3f2a
    """
    with connection.open() as backend:
        run_id = backend.id_of(run_id)
        backend.cancel(run_id)
        # not read as a task: a client that may cancel runs need not have the scope of tasks
        status = backend.result(run_id).status
        print(f"{run_id} is {_STATES[status] if status else 'cancelling'}.")


def _state(run: RunFacts) -> str:
    return f"{run.state}: {run.progress}" if run.progress else run.state


def _to_json(details: RunDetails) -> dict[str, Any]:
    files = [{"name": file.name, "bytes": file.bytes, "sha256": file.sha256 or None} for file in details.files]
    more = {"snapshot": details.snapshot, "rows": details.facts.rows, "files": files, "statement": details.statement}
    return {**more, **details.facts.to_api()}


def _print_files(details: RunDetails) -> None:
    facts = details.facts
    rows = [
        (facts.id, facts.report, facts.state, file.name, "" if file.bytes is None else str(file.bytes), file.sha256)
        for file in details.files
    ]
    print_csv(("id", "reportType", "state", "file", "bytes", "sha256"), rows)


def _lines(details: RunDetails, zone: str) -> Iterator[str]:
    facts = details.facts
    values = {
        "Run": facts.id,
        "Report": facts.report,
        "Arguments": facts.arguments,
        "State": facts.state if facts.is_over else _state(facts),
        "Snapshot": "" if details.snapshot is None else str(details.snapshot),
        "Engine": _engine(details),
        "Launcher": facts.launcher,
        "Created": f"{format_time(facts.created, zone)} {zone}",
        "Rows": "" if facts.rows is None else f"{facts.rows:,}",
        "Seconds": "" if facts.seconds is None else f"{facts.seconds:.2f}",
    }
    for name, value in values.items():
        yield f"{name + ':':<11}{value}"
    for level, text in details.messages:
        yield f"{level}: {text}"
    for file in details.files:
        size = "" if file.bytes is None else f", {file.bytes:,} bytes, SHA-256 {file.sha256}"
        yield f"File:      {file.name}{size}"
    digest: Mapping[str, Any] = details.statement.get("digest") or {}
    for part in digest.get("parts", ()):
        name = f"{part['name']}: " if part["name"] else ""
        yield f"Digest:    {name}{part['rows']:,} rows, {part['sum']} ({digest['engine']})"
    statements = details.statement.get("statements") or []
    if statements:
        from whohas.runs.plans import join_statements

        yield f"\n{join_statements([(one['name'], one['sql']) for one in statements])}"
    for one in statements:
        for name, value in (one["parameters"] or {}).items():
            yield f"-- ${name} = {json.dumps(value, ensure_ascii=False)}"
    translated = [(one["name"], one["translated"]) for one in statements if one.get("translated")]
    if translated:
        from whohas.runs.plans import join_statements

        yield f"\n-- As {_engine(details)} executed it:\n{join_statements(translated)}"


def _engine(details: RunDetails) -> str:
    """Return the engine that executes a run, for people, with its version once the run has rows."""
    from whohas.engine.remote import ENGINE_TITLES

    if version := details.statement.get("engineVersion"):
        return version
    name = details.statement.get("engine") or "duckdb"  # a server of an earlier version does not say
    return ENGINE_TITLES.get(name, name)


def _print_replay(found: Mapping[str, Any], before: int) -> None:
    rows = sum(part["rows"] for part in found["now"]["parts"])
    if found["same"]:
        then, now = found.get("engineThen"), found.get("engineNow")
        engines = f" {now} gives those of {then}." if then and now and then != now else ""
        print(f"{f'The same {rows:,} rows.' if rows != 1 else 'The same row.'}{engines}")
        return
    if found["same"] is None:
        print(f"{found['reason']} There are {rows:,} rows now, and {before:,} then.", file=sys.stderr)
        return
    print("The rows are not the same.", file=sys.stderr)
    then = _parts(found["then"])
    for part in found["now"]["parts"]:
        old = then.get(part["name"])
        if old != part:
            name = f"{part['name']}: " if part["name"] else ""
            was = f"{old['rows']:,} rows, digest {old['sum']}" if old else "not there"
            text = f"  {name}then {was}; now {part['rows']:,} rows, digest {part['sum']}"
            print(without_control_characters(text), file=sys.stderr)


def _print_parts(found: Mapping[str, Any]) -> None:
    then = _parts(found["then"])
    rows = [
        (part["name"], *_numbers(old), *_numbers(part), "" if old is None else str(old == part).lower())
        for part in found["now"]["parts"]
        for old in [then.get(part["name"])]
    ]
    print_csv(("part", "rowsThen", "digestThen", "rowsNow", "digestNow", "same"), rows)


def _parts(digest: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    return {part["name"]: part for part in digest["parts"]} if digest else {}


def _numbers(part: Mapping[str, Any] | None) -> tuple[str, str]:
    return (str(part["rows"]), str(part["sum"])) if part else ("", "")
