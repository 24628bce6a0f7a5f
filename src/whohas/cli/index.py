"""`whohas index`: build, rebuild or check the search index; `whohas load` also builds it here."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.exits import ExitCode
from whohas.cli.options import Connection, on_this_machine
from whohas.cli.terminal import console, is_terminal

if TYPE_CHECKING:
    from whohas.search.index import RebuildResult
    from whohas.warehouse.store import Snapshot, Warehouse

_SHOWN = 5


@on_this_machine
def index(
    connection: Connection,
    number: Annotated[
        int | None,
        typer.Option("--snapshot", min=0, metavar="N", help="Rebuild the index of this snapshot from its tables."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only compare the index with a rebuilt one; change nothing."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no result.")] = False,
) -> None:
    """Build the search index of the newest snapshot if it is missing, or rebuild that of any snapshot byte by byte.

    Examples:
        whohas index
        whohas index --snapshot 3 --check
    """
    from whohas.warehouse.opening import open_warehouse

    settings = connection.settings()
    settings.make_home()
    warehouse = open_warehouse(settings)
    if number is None and not check:
        make_index(warehouse, quiet)
    else:
        _rebuild(warehouse, _snapshot(warehouse, number), check, quiet)


def make_index(warehouse: Warehouse, quiet: bool) -> None:
    """Build the search index of the newest snapshot if it is missing, show the progress, and print the result.

    Args:
        quiet: print nothing.

    Raises:
        Unavailable: the index cannot be built.
    """
    from whohas.search.index import build_index, is_built, share_index

    snapshot = warehouse.snapshot()
    there = is_built(snapshot)
    started = time.monotonic()
    with _progress(quiet) as progress:
        build_index(warehouse, snapshot, progress)
        share_index(snapshot)  # if it was built before, and the object store failed then
    if not quiet:
        done = "is there already" if there else f"made in {time.monotonic() - started:.1f} s"
        print(f"Search index of snapshot {snapshot.number} {done}.")


def _snapshot(warehouse: Warehouse, number: int | None) -> Snapshot:
    from whohas.errors import NotFound

    newest = warehouse.snapshot()
    if number is None or number == newest.number:
        return newest
    if not 0 < number < newest.number:
        if not newest.number:
            raise NotFound("Nothing is loaded yet, so there is no snapshot with an index. Run `whohas load` first.")
        raise NotFound(
            f"There is no snapshot {number} with an index: choose one from 1 to {newest.number}, or leave out "
            "--snapshot for the newest."
        )
    return warehouse.snapshot(number)


def _rebuild(warehouse: Warehouse, snapshot: Snapshot, check: bool, quiet: bool) -> None:
    from whohas.search.index import rebuild_index

    started = time.monotonic()
    with _progress(quiet) as progress:
        rebuilt = rebuild_index(warehouse, snapshot, progress, replace=not check)
    begin = f"Search index of snapshot {snapshot.number} made again in {time.monotonic() - started:.1f} s: "
    if check and rebuilt.differing:
        print(f"{begin}{_found(rebuilt)} It stays as it is.", file=sys.stderr)
        raise typer.Exit(ExitCode.ERROR)
    if not quiet:
        print(f"{begin}{_found(rebuilt)}{' The new one is in its place.' if rebuilt.differing else ''}")


def _found(rebuilt: RebuildResult) -> str:
    """Return the result of a comparison, in sentences."""
    from whohas.search.index import BuildVersions

    files = f"{len(rebuilt.files)} files"
    if rebuilt.previous_versions is None:
        return f"{files}; none was there before."
    if not rebuilt.differing:
        return f"its {files} are equal, byte by byte, to those that were there."
    names = ", ".join(rebuilt.differing[:_SHOWN])
    more = f" and {len(rebuilt.differing) - _SHOWN} more" if len(rebuilt.differing) > _SHOWN else ""
    found = f"{len(rebuilt.differing)} of {files} differ from those that were there: {names}{more}."
    now = BuildVersions.current()
    if rebuilt.previous_versions == now:
        return f"{found} Both were made with {now}: the index that was there is damaged, or was changed."
    return f"{found} The index that was there was made with {rebuilt.previous_versions}, this one with {now}."


@contextmanager
def _progress(quiet: bool) -> Generator[Callable[[int, int], None]]:
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("Indexing"), BarColumn(), TextColumn("{task.completed:,} rows"))
    hidden = quiet or not is_terminal(stderr=True)
    with Progress(*columns, console=console(stderr=True), transient=True, disable=hidden) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, of: bar.update(task, completed=done, total=max(done, of))
