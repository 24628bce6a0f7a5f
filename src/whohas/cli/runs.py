"""`whohas runs`, `show`, `replay` and `cancel`: list, inspect, check and cancel runs of this installation."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from whohas.cli.exits import ExitCode
from whohas.cli.installation import open_installation
from whohas.cli.terminal import is_terminal, print_table, without_control_characters


def runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The number of newest runs.")] = 20,
    filters: Annotated[str, typer.Option(help="A filter as in the API, such as 'completionStatus isnull'.")] = "",
    pending: Annotated[bool, typer.Option("--pending", help="Only active runs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of tasks, as the API has them.")] = False,
) -> None:
    """Print the newest runs."""
    from whohas.runs.listing import ListRequest, list_page

    with open_installation() as services:
        newest = list_page(services.database, ListRequest(filters=filters, only_active=pending, limit=limit))
    if as_json:
        import json

        from whohas.api.routes.tasks import task_status

        print(json.dumps([task_status(run).model_dump(mode="json") for run in newest], ensure_ascii=False))
        return
    if not newest and (filters or pending):
        print("No such run.")
        return
    if not newest:
        print("No run yet. Start one: whohas run ACCOUNTS --arg sourceName=NAME")
        return
    lines: list[tuple[str, ...]] = []
    for run in newest:
        arguments = ", ".join(f"{name}={value}" for name, value in run.arguments.items())
        rows = "" if run.rows is None else f"{run.rows:,}"
        seconds = "" if run.duration is None else f"{run.duration / 1000:.2f}"
        state = run.state.value if run.state.is_over else f"{run.state.value}: {run.progress}"
        created = f"{run.created:%Y-%m-%d %H:%M:%S}"
        lines.append((run.id, run.report_type, arguments, state, rows, seconds, created, run.launcher))
    print_table(("Run", "Report", "Arguments", "State", "Rows", "Seconds", "Created (UTC)", "Launcher"), lines, whole=1)


def show(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")],
    sql: Annotated[bool, typer.Option("--sql", help="Print only its SQL, with all parameters filled in.")] = False,
) -> None:
    """Print a run: its arguments, state, files, digests, and the SQL that produced its rows."""
    import json

    with open_installation() as services:
        run = services.runs.get(services.runs.resolve_id(run_id))
        record = services.runs.record(run)
    if sql:
        print(without_control_characters(record.runnable_sql) if is_terminal() else record.runnable_sql)
        return
    facts: dict[str, str] = {
        "Run": run.id,
        "Report": run.report_type,
        "Arguments": json.dumps(dict(run.arguments), ensure_ascii=False),
        "State": run.state.value if run.state.is_over else f"{run.state.value}: {run.progress}",
        "Snapshot": str(run.snapshot),
        "Launcher": run.launcher,
        "Created": f"{run.created:%Y-%m-%d %H:%M:%S} UTC",
        "Rows": "" if run.rows is None else f"{run.rows:,}",
        "Seconds": "" if run.duration is None else f"{run.duration / 1000:.2f}",
    }
    for name, value in facts.items():
        print(without_control_characters(f"{name + ':':<11}{value}").rstrip())
    for message in run.messages:
        print(without_control_characters(f"{message.level.value}: {message.text}"))
    for artefact in run.artefacts:
        print(f"File:      {artefact.name}, {artefact.bytes:,} bytes, SHA-256 {artefact.sha256}")
    if digest := record.digest:
        for part in digest.parts:
            name = f"{part.name}: " if part.name else ""
            print(without_control_characters(f"Digest:    {name}{part.rows:,} rows, {part.sum} ({digest.engine})"))
    print(f"\n{without_control_characters(record.sql)}")
    for part in record.plan.parts if record.plan else ():
        for name, value in part.statement.parameters.items():
            print(without_control_characters(f"-- ${name} = {json.dumps(value, ensure_ascii=False)}"))


def replay(run_id: Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")]) -> None:
    """Run the SQL of a run again on the same data, and print whether the rows are the same.

    Exit code 1: they are not, or that is unknown. This is a check, not a proof: digests of the rows are compared.
    """
    with open_installation() as services:
        found = services.on_demand.replay(services.runs.get(services.runs.resolve_id(run_id)))
    rows = sum(part.rows for part in found.new_digest.parts)
    if found.is_same:
        print(f"The same {rows:,} rows." if rows != 1 else "The same row.")
        return
    if found.is_same is None:
        print(
            f"{found.why_not_comparable} There are {rows:,} rows now, and {found.run.rows or 0:,} then.",
            file=sys.stderr,
        )
    else:
        print("The rows are not the same.", file=sys.stderr)
        then = {part.name: part for part in found.stored_digest.parts} if found.stored_digest else {}
        for part in found.new_digest.parts:
            if (before := then.get(part.name)) != part:
                name = f"{part.name}: " if part.name else ""
                was = f"{before.rows:,} rows, digest {before.sum}" if before else "not there"
                print(
                    without_control_characters(f"  {name}then {was}; now {part.rows:,} rows, digest {part.sum}"),
                    file=sys.stderr,
                )
    raise typer.Exit(ExitCode.ERROR)


def cancel(run_id: Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")]) -> None:
    """Cancel a run: nothing of it can be downloaded afterwards."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        run_id = services.runs.resolve_id(run_id)
        services.runs.cancel(run_id, by=operator_actor())
        print(f"{run_id} is {services.runs.get(run_id).state.value}.")
