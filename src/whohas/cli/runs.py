"""`whohas runs`, `whohas show` and `whohas cancel`: what became of runs in this installation, and stopping one."""

from __future__ import annotations

from typing import Annotated

import typer

from whohas.cli.installation import installation
from whohas.cli.terminal import plain


def runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    filters: Annotated[str, typer.Option(help="Which: as the API's filters, such as 'completionStatus isnull'.")] = "",
    pending: Annotated[bool, typer.Option("--pending", help="Only those that are not over.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array of tasks, as the API has them.")] = False,
) -> None:
    """Print the newest runs."""
    from rich.console import Console
    from rich.table import Table

    from whohas.runs.listing import Listing, page

    with installation() as services:
        newest = page(services.database, Listing(filters=filters, pending=pending, limit=limit))
    if as_json:
        import json

        from whohas.http.tasks import task_status

        print(json.dumps([task_status(run).model_dump(mode="json") for run in newest], ensure_ascii=False))
        return
    if not newest and (filters or pending):
        print("No such run.")
        return
    if not newest:
        print("No run yet. Start one: whohas run ACCOUNTS --arg sourceName=NAME")
        return
    table = Table(
        "Run",
        "Report",
        "Arguments",
        "State",
        "Rows",
        "Seconds",
        "Created (UTC)",
        "Launcher",
        box=None,
        pad_edge=False,
    )
    for run in newest:
        arguments = ", ".join(f"{name}={value}" for name, value in run.arguments.items())
        rows = "" if run.rows is None else f"{run.rows:,}"
        seconds = "" if run.duration is None else f"{run.duration / 1000:.2f}"
        state = run.state.value if run.state.over else f"{run.state.value}: {run.progress}"
        table.add_row(
            run.id,
            run.report_type,
            arguments,
            state,
            rows,
            seconds,
            f"{run.created:%Y-%m-%d %H:%M:%S}",
            run.launcher,
        )
    Console(width=None if Console().is_terminal else 240).print(table)


def show(run_id: Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")]) -> None:
    """Print all that is known of a run: its arguments, its files, the SQL that gave its rows."""
    import json

    with installation() as services:
        run = services.runs.get(services.runs.id_of(run_id))
    facts: dict[str, str] = {
        "Run": run.id,
        "Report": run.report_type,
        "Arguments": json.dumps(dict(run.arguments), ensure_ascii=False),
        "State": run.state.value if run.state.over else f"{run.state.value}: {run.progress}",
        "Snapshot": str(run.snapshot),
        "Launcher": run.launcher,
        "Created": f"{run.created:%Y-%m-%d %H:%M:%S} UTC",
        "Rows": "" if run.rows is None else f"{run.rows:,}",
        "Seconds": "" if run.duration is None else f"{run.duration / 1000:.2f}",
    }
    for name, value in facts.items():
        print(plain(f"{name + ':':<11}{value}").rstrip())
    for message in run.messages:
        print(plain(f"{message.level.value}: {message.text}"))
    for artefact in run.artefacts:
        print(f"File:      {artefact.name}, {artefact.bytes:,} bytes, SHA-256 {artefact.sha256}")
    print(f"\n{plain(run.statement)}")


def cancel(run_id: Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")]) -> None:
    """Cancel a run: nothing of it can be downloaded afterwards."""
    from whohas.audit.events import operator

    with installation() as services:
        run_id = services.runs.id_of(run_id)
        services.runs.cancel(run_id, by=operator())
        print(f"{run_id} is {services.runs.get(run_id).state.value}.")
