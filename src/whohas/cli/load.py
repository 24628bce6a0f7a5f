"""`whohas load`: files into the warehouse."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.index import make_index

if TYPE_CHECKING:
    import sqlalchemy as sa

    from whohas.settings import Settings
    from whohas.warehouse.intake import LoadReport, Progress


def load(
    paths: Annotated[
        list[Path], typer.Argument(help="Files and folders: data named after what it holds, TOML mappings.")
    ],
    check: Annotated[bool, typer.Option("--check", help="Say what would happen, and write nothing.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad row; nothing is loaded then.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Load identity data: CSV, Parquet, JSON, NDJSON. All of it or none is seen by reports."""
    from whohas.audit.events import operator
    from whohas.settings import load_settings
    from whohas.warehouse.audited import tell_loads
    from whohas.warehouse.intake import load as load_files
    from whohas.warehouse.store import Warehouse

    settings = load_settings()
    # before anything is read: a load whose event could not be written does not begin
    database = None if check else _database(settings)
    who = operator()

    def on_wait() -> None:
        if not quiet:
            print("Another load is under way; this one waits for it.", file=sys.stderr)

    with _progress(shown=not quiet and sys.stderr.isatty()) as on_progress:
        report = load_files(
            Warehouse(settings.warehouse_path),
            paths,
            check=check,
            strict=strict,
            on_progress=on_progress,
            on_wait=on_wait,
            rejects=settings.home / "rejects",
            by={"user": who.name, "host": who.address},
        )
    if database is not None:
        tell_loads(Warehouse(settings.warehouse_path), database)
    if not quiet:
        _print(report, check)
    if not check:
        make_index(Warehouse(settings.warehouse_path), quiet)


def _database(settings: Settings) -> sa.Engine:
    """The database of an installation, which is made if need be.

    Raises:
        Unavailable: it does not answer, or cannot be made.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from whohas.database import connect
    from whohas.errors import Unavailable
    from whohas.migrations import upgrade

    try:
        settings.make_home()
        database = connect(settings.sqlalchemy_url)
        upgrade(database)
    except (OSError, SQLAlchemyError) as error:
        raise Unavailable(f"The database of {settings.home} cannot be used: {error}. Nothing was loaded.") from error
    return database


@contextmanager
def _progress(shown: bool) -> Generator[Callable[[Progress], None]]:
    if not shown:
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from whohas.cli.terminal import console as opened

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=opened(stderr=True), transient=True) as bar:
        task = bar.add_task("Reading", total=None, rows=0)

        def show(at: Progress) -> None:
            bar.update(
                task,
                description=f"{at.phase.capitalize()} {at.file}".strip(),
                completed=at.bytes_done,
                total=at.bytes_total or None,
                rows=at.rows,
            )

        yield show


def _print(report: LoadReport, check: bool) -> None:
    from rich.markup import escape
    from rich.table import Table

    from whohas.cli.terminal import console as opened
    from whohas.cli.terminal import one_line

    console = opened()
    if report.sources:
        table = Table(title="Accounts by source", title_justify="left", box=None, pad_edge=False)
        table.add_column("Source")
        for name in ("before", "would be" if check else "now", "correlated", "uncorrelated"):
            table.add_column(name, justify="right")
        for source in report.sources:
            name = f"{source.name} (authoritative)" if source.authoritative else source.name
            counts = (source.before, source.after, source.correlated, source.uncorrelated)
            table.add_row(escape(one_line(name)), *(f"{count:,}" for count in counts))
        console.print(table)
        console.print()
    others = Table(title="Rows by table", title_justify="left", box=None, pad_edge=False)
    others.add_column("Table")
    for name in ("before", "would be" if check else "now", "in this load"):
        others.add_column(name, justify="right")
    for count in report.tables:
        others.add_row(count.name, f"{count.before:,}", f"{count.after:,}", f"{count.loaded:,}")
    console.print(others)
    console.print()
    for file, names in report.unknown.items():
        console.print(f"{file}: columns that become attributes: {', '.join(names)}", markup=False)
    for warning in report.warnings:
        console.print(f"Note: {warning}", markup=False, soft_wrap=True)
    if report.rejected:
        verb = "would be rejected" if check else "were rejected; the others are loaded"
        console.print(f"{report.rejected:,} rows {verb}:", markup=False)
        for rejection in report.rejections:
            console.print(f"  {rejection}", markup=False, soft_wrap=True)
        if report.rejected > len(report.rejections):
            console.print(f"  and {report.rejected - len(report.rejections):,} more")
        if report.rejects is not None:
            console.print(f"All of them, with their rows: {report.rejects}", markup=False, soft_wrap=True)
    read = sum(file.read for file in report.files)
    rate = f"{read:,} rows read in {report.seconds:.1f} s"
    if check:
        console.print(f"{rate}. Nothing was written, for this was a check.")
    else:
        console.print(f"{rate}. Published as snapshot {report.snapshot}.")
