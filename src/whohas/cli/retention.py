"""`whohas hold`, `release`, `holds` (legal holds of runs) and `sweep` (retention)."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.completions import complete_runs
from whohas.cli.options import Connection, OutputFormat, OutputOption, on_this_machine
from whohas.cli.printing import Column, print_list
from whohas.cli.terminal import single_line, without_control_characters
from whohas.plurals import pluralize

if TYPE_CHECKING:
    from whohas.retention.service import LegalHold, Removed

Run = Annotated[
    str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.", autocompletion=complete_runs)
]


@on_this_machine
def hold(
    connection: Connection,
    run_id: Run,
    reason: Annotated[str, typer.Option(help="The reason, recorded with the hold.")] = "",
) -> None:
    """Put a run under legal hold: it and its files are not deleted until it is released.

    Examples:
        whohas hold 3f2a --reason "Audit 2026"
    """
    from whohas.audit.events import operator_actor

    with connection.open_local() as services:
        placed = services.retention.place_hold(
            services.runs.resolve_id(run_id), getpass.getuser(), reason, operator_actor()
        )
    print(without_control_characters(f"{placed.run_id} is held by {placed.holder}."))


@on_this_machine
def release(connection: Connection, run_id: Run) -> None:
    """End the legal hold of a run: retention may delete it again.

    Examples:
        whohas release 3f2a
    """
    from whohas.audit.events import operator_actor

    with connection.open_local() as services:
        run_id = services.runs.resolve_id(run_id)
        services.retention.release_hold(run_id, operator_actor())
    print(without_control_characters(f"{run_id} is no longer held."))


@on_this_machine
def holds(connection: Connection, output: OutputOption = OutputFormat.TABLE) -> None:
    """Print the runs under legal hold.

    Examples:
        whohas holds
        whohas holds -o csv
    """
    columns: tuple[Column[LegalHold], ...] = (
        Column("run", "Run", lambda hold: hold.run_id, is_id=True, is_key=True),
        Column("holder", "Held by", lambda hold: hold.holder, is_key=True),
        Column("held", "Since", lambda hold: hold.held, is_key=True),
        Column("reason", "Reason", lambda hold: hold.reason, is_key=True),
    )
    with connection.open_local() as services:
        current = services.retention.list_holds()
        print_list(output, current, columns, empty="No run is held.", zone=services.settings.time_zone)


@on_this_machine
def sweep(
    connection: Connection,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Remove runs and files that the retention settings no longer keep; servers do so periodically.

    Examples:
        whohas sweep --dry-run
        whohas sweep -o csv
    """
    from whohas.audit.events import operator_actor

    with connection.open_local() as services:
        removed = services.retention.sweep(dry=dry_run, by=operator_actor())
    if output is not OutputFormat.TABLE:
        columns: tuple[Column[Removed], ...] = (
            Column("kind", "", lambda item: item.kind.value),
            Column("run", "", lambda item: item.run_id),
            Column("bytes", "", lambda item: item.bytes),
            Column("names", "", lambda item: item.names),
            Column("reason", "", lambda item: item.reason),
        )
        print_list(output, removed, columns, empty="")
        return
    for item in removed:
        print(
            single_line(
                f"{item.kind.value:<6} {item.run_id} {item.bytes:>15,} bytes  {', '.join(item.names)}  {item.reason}"
            )
        )
    word = "would be removed" if dry_run else "removed"
    print(f"{len(removed):,} {word}, {pluralize(sum(item.bytes for item in removed), 'byte')}.")
