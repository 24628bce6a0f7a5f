"""`whohas hold`, `release`, `holds` and `sweep`: what is kept, and what goes."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from whohas.cli.installation import installation
from whohas.cli.terminal import one_line, plain, print_table
from whohas.plurals import counted

Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")]


def hold(run_id: Run, reason: Annotated[str, typer.Option(help="The reason, for later questions.")] = "") -> None:
    """Keep a run and its files, whatever the settings say, until it is released."""
    from whohas.audit.events import operator

    with installation() as services:
        held = services.retention.hold(services.runs.id_of(run_id), getpass.getuser(), reason, operator())
    print(plain(f"{held.run_id} is held by {held.holder}."))


def release(run_id: Run) -> None:
    """Let a held run be swept again."""
    from whohas.audit.events import operator

    with installation() as services:
        run_id = services.runs.id_of(run_id)
        services.retention.release(run_id, operator())
    print(plain(f"{run_id} is no longer held."))


def holds() -> None:
    """Print the runs that are held."""
    with installation() as services:
        held = services.retention.held()
    if not held:
        print("No run is held.")
        return
    rows = [(one.run_id, one.holder, f"{one.held:%Y-%m-%d %H:%M:%S}", one.reason) for one in held]
    print_table(("Run", "Held by", "Since (UTC)", "Reason"), rows, whole=1)


def sweep(dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False) -> None:
    """Remove what the settings say is not to be kept; the server does so by itself."""
    from whohas.audit.events import operator

    with installation() as services:
        gone = services.retention.sweep(dry=dry_run, by=operator())
    for one in gone:
        print(one_line(f"{one.kind.value:<6} {one.run_id} {one.bytes:>15,} bytes  {', '.join(one.names)}  {one.why}"))
    word = "would be removed" if dry_run else "removed"
    print(f"{len(gone):,} {word}, {counted(sum(one.bytes for one in gone), 'byte')}.")
