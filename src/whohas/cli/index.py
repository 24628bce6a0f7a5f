"""The search index from the command line: `whohas index`, and the end of every load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.terminal import console, is_terminal

if TYPE_CHECKING:
    from whohas.warehouse.store import Warehouse


def index(quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False) -> None:
    """Make the search index of the newest data, should a load have been stopped before it had."""
    from whohas.settings import load_settings
    from whohas.warehouse.store import Warehouse

    settings = load_settings()
    settings.make_home()
    make_index(Warehouse(settings.warehouse_path), quiet)


def make_index(warehouse: Warehouse, quiet: bool) -> None:
    """Makes the index of the newest snapshot with its progress on the terminal, and says what it did.

    Raises:
        Unavailable: it cannot be made.
    """
    from rich.progress import BarColumn, Progress, TextColumn

    from whohas.search.index import build

    snapshot = warehouse.snapshot()
    started = time.monotonic()
    columns = (TextColumn("Indexing"), BarColumn(), TextColumn("{task.completed:,} rows"))
    hidden = quiet or not is_terminal(stderr=True)
    with Progress(*columns, console=console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=None)
        build(warehouse, snapshot, lambda done, of: bar.update(task, completed=done, total=max(done, of)))
    if not quiet:
        print(f"Search index of snapshot {snapshot.number} made in {time.monotonic() - started:.1f} s.")
