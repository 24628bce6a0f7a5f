"""`whohas hold`, `release`, `holds` (legal holds of runs) and `sweep` (retention)."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from whohas.cli.installation import open_installation
from whohas.cli.terminal import print_table, single_line, without_control_characters
from whohas.plurals import pluralize

Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")]


def hold(run_id: Run, reason: Annotated[str, typer.Option(help="The reason, recorded with the hold.")] = "") -> None:
    """Put a run under legal hold: it and its files are not deleted until it is released."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        placed = services.retention.place_hold(
            services.runs.resolve_id(run_id), getpass.getuser(), reason, operator_actor()
        )
    print(without_control_characters(f"{placed.run_id} is held by {placed.holder}."))


def release(run_id: Run) -> None:
    """End the legal hold of a run: retention may delete it again."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        run_id = services.runs.resolve_id(run_id)
        services.retention.release_hold(run_id, operator_actor())
    print(without_control_characters(f"{run_id} is no longer held."))


def holds() -> None:
    """Print the runs under legal hold."""
    with open_installation() as services:
        current = services.retention.list_holds()
    if not current:
        print("No run is held.")
        return
    rows = [(hold.run_id, hold.holder, f"{hold.held:%Y-%m-%d %H:%M:%S}", hold.reason) for hold in current]
    print_table(("Run", "Held by", "Since (UTC)", "Reason"), rows, whole=1)


def sweep(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be removed.")] = False,
) -> None:
    """Remove runs and files that the retention settings no longer keep; servers do so periodically."""
    from whohas.audit.events import operator_actor

    with open_installation() as services:
        removed = services.retention.sweep(dry=dry_run, by=operator_actor())
    for item in removed:
        print(
            single_line(
                f"{item.kind.value:<6} {item.run_id} {item.bytes:>15,} bytes  {', '.join(item.names)}  {item.reason}"
            )
        )
    word = "would be removed" if dry_run else "removed"
    print(f"{len(removed):,} {word}, {pluralize(sum(item.bytes for item in removed), 'byte')}.")
