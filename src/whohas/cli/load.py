"""`whohas load`: ingest files into the warehouse, and build the search index."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whohas.cli.exits import ExitCode
from whohas.cli.index import make_index
from whohas.cli.load_report import load_counts, load_facts, print_load
from whohas.cli.options import Connection, OutputFormat, OutputOption, on_this_machine
from whohas.cli.printing import print_csv, print_json

if TYPE_CHECKING:
    import sqlalchemy as sa

    from whohas.ingest import GuardLimits, LoadProgress, LoadReport
    from whohas.settings import Settings
    from whohas.warehouse.store import Warehouse


@on_this_machine
def load(
    connection: Connection,
    paths: Annotated[
        list[Path], typer.Argument(help="Files and folders: data files named after their table, and TOML mappings.")
    ],
    check: Annotated[bool, typer.Option("--check", help="Print what would happen, and write nothing.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad row or cell; nothing is loaded then.")
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Publish even if more data is lost than the limits allow.")
    ] = False,
    allow_rejects: Annotated[
        bool, typer.Option("--allow-rejects", help="Exit with 0 although rows were rejected or cells emptied.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors and losses.")] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Load identity data: CSV, XLSX, Parquet, JSON, NDJSON. Loads are atomic.

    Exits with 3 if the load was stopped to protect data, and with 4 if it was published but rows were rejected or
    cells emptied. With --check the exit code is the one that the load would have. CSV has the counts by source and
    table, JSON everything. `whohas docs load` describes files and mappings.

    Examples:
        whohas load exports/
        whohas load payroll.toml --check
        whohas load accounts.csv --strict -o json
    """
    from whohas.audit.events import operator_actor
    from whohas.cli.load_record import write_load_record
    from whohas.errors import WhohasError
    from whohas.ingest import LoadStopped
    from whohas.ingest import load as load_files
    from whohas.warehouse.audit_events import emit_stopped_load_event, tell_loads
    from whohas.warehouse.opening import open_warehouse

    settings = connection.settings()
    # opened before anything is read: a load must not begin if its audit event could not be written
    database = None if check else _database(settings)
    who = operator_actor()

    warehouse: Warehouse | None = None
    options = tuple(name for name, given in (("--strict", strict), ("--accept-loss", accept_loss)) if given)

    def record(report: LoadReport | None, error: str = "") -> None:
        write_load_record(settings, warehouse, who, paths, options, report, error)

    def on_wait() -> None:
        if not quiet:
            print("Another load is in progress; this one starts when it has ended.", file=sys.stderr)

    try:
        warehouse = open_warehouse(settings)
        with _progress(shown=not quiet and sys.stderr.isatty()) as on_progress:
            report = load_files(
                warehouse,
                paths,
                check=check,
                strict=strict,
                accept_loss=accept_loss,
                limits=_limits(settings),
                on_progress=on_progress,
                on_wait=on_wait,
                rejects=settings.home / "rejects",
                by={"user": who.name, "host": who.address},
            )
    except LoadStopped as stop:
        if database is not None:
            emit_stopped_load_event(database, stop.report, who)
            record(stop.report)
        _print(stop.report, check, quiet, True, output)
        raise typer.Exit(ExitCode.STOPPED) from None
    except WhohasError as error:
        if database is not None:
            record(None, error.message)
        raise
    if database is not None:
        record(report)
        tell_loads(warehouse, database)
    stopped = check and bool(report.losses) and not accept_loss
    _print(report, check, quiet, stopped, output)
    if not check:
        silent = quiet or output is not OutputFormat.TABLE
        make_index(warehouse, silent)
    if stopped:
        raise typer.Exit(ExitCode.STOPPED)
    if (report.rejected or report.emptied) and not allow_rejects:
        raise typer.Exit(ExitCode.INCOMPLETE)


def _print(report: LoadReport, check: bool, quiet: bool, stopped: bool, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(load_facts(report, check, stopped))
    elif output is OutputFormat.CSV:
        print_csv(*load_counts(report))
    else:
        print_load(report, check, quiet, stopped)


def _limits(settings: Settings) -> GuardLimits:
    from whohas.ingest import GuardLimits

    return GuardLimits(
        rejected=settings.load_rejected_percent,
        unreadable=settings.load_unreadable_percent,
        tolerated=settings.load_few,
        removed=settings.load_removed_percent,
        small_table_rows=settings.load_small_table,
        small_removed=settings.load_small_removed,
    )


def _database(settings: Settings) -> sa.Engine:
    """Create the home folder and the database if they are missing, migrate the database, and return its engine.

    Raises:
        Unavailable: the folder or the database cannot be created or opened.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from whohas.db.engine import create_engine
    from whohas.db.migrations import upgrade_schema
    from whohas.errors import Unavailable
    from whohas.faults import describe_unusable

    try:
        settings.make_home()
        database = create_engine(settings.sqlalchemy_url)
        upgrade_schema(database)
    except (OSError, SQLAlchemyError) as error:
        text = describe_unusable(error, settings.sqlalchemy_url, str(settings.home))
        raise Unavailable(f"{text} Nothing was loaded.") from error
    return database


@contextmanager
def _progress(shown: bool) -> Generator[Callable[[LoadProgress], None]]:
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

        def show(at: LoadProgress) -> None:
            bar.update(
                task,
                description=f"{at.phase.capitalize()} {at.file}".strip(),
                completed=at.bytes_done,
                total=at.bytes_total or None,
                rows=at.rows,
            )

        yield show
