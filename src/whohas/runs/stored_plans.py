"""Prepares the execution of a stored plan: its snapshot is held and checked. Also plans runs of earlier versions, which
stored none."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

from deltalake.exceptions import DeltaError

from whohas import reports
from whohas.engine.sql import string_literal
from whohas.errors import InvalidArguments, NotFound, WhohasError
from whohas.formats.base import ReportMetadata
from whohas.reports.sources import INCOMPLETE_KEY
from whohas.runs.models import Run
from whohas.runs.output_options import earlier_write_options
from whohas.runs.plans import RunPlan
from whohas.search.index import build_index, index_versions, locked_index
from whohas.search.limits import SearchLimits
from whohas.settings import Settings
from whohas.storage import EXTRACT
from whohas.warehouse.catalog import read_catalog
from whohas.warehouse.store import Snapshot, Warehouse, deleted_data_error


@contextmanager
def hold_snapshot(
    run: Run, plan: RunPlan, warehouse: Warehouse, check: Callable[[], None] = lambda: None, *, on_engine: bool = False
) -> Generator[Snapshot]:
    """Yield the snapshot of a run while its plan is executed, after checking that all files that the plan reads exist.

    Only the search indexes of the newest snapshots are kept. If the plan reads one, it is built again where it is
    missing and is protected from removal until the context ends. Data files of tables are not protected: a vacuum may
    remove them at any time. So where the body of the context raises a `WhohasError` (other than `NotFound`) or an
    `OSError`, and a file is missing, `NotFound` or `IndexChanged` is raised instead, with that error as its cause.

    Of a warehouse in an object store, the files are downloaded where they have no local copy, and the copies are
    protected from removal until the context ends.

    Args:
        check: called repeatedly while files are downloaded; what it raises ends the download.
        on_engine: whether the engine of the plan reads the files; it reads those in an object store there.

    Raises:
        NotFound: the snapshot is no longer kept, or some of its data files were removed, before or while the plan was
            executed.
        IndexChanged: the search index was removed, or built again by another version, while the plan was executed.
        Unavailable: the search index is missing and cannot be built now, or the object store failed.
    """
    snapshot = warehouse.snapshot(run.snapshot)
    with ExitStack() as stack:
        if snapshot.remote is not None and on_engine and plan.engine != "duckdb":
            missing = snapshot.remote.missing
        else:
            missing = partial(_missing, snapshot)
            if snapshot.remote is not None:
                stack.enter_context(_held_copies(snapshot, plan, check))

        def require(error: Exception | None = None) -> None:
            wanted = [path for paths in plan.files.values() for path in paths]
            if gone := missing(wanted):
                raise deleted_data_error(snapshot.number, gone) from error

        require()
        if plan.views:
            stack.enter_context(locked_index(warehouse, snapshot))
        before = index_versions(snapshot) if plan.views else None
        try:
            yield snapshot
        except (WhohasError, OSError) as error:
            if not isinstance(error, NotFound):
                require(error)
                if _missing(snapshot, [path for paths in plan.views.values() for path in paths]):
                    raise IndexChanged("The search index of this run was removed while the run read it.") from error
            raise
        if plan.views and index_versions(snapshot) not in (before, None):
            raise IndexChanged(
                "The search index of this run was rebuilt by another version of whohas while the run read it."
            )


@contextmanager
def _held_copies(snapshot: Snapshot, plan: RunPlan, check: Callable[[], None]) -> Generator[None]:
    """Download the data files that a plan reads, and hold their copies until the context ends."""
    assert snapshot.remote is not None
    catalog = read_catalog(snapshot)
    known = {file.name: file.remote for table in plan.files for file in catalog.files(table)}
    wanted = [name for names in plan.files.values() for name in names]
    if gone := [name for name in wanted if name not in known]:
        raise deleted_data_error(snapshot.number, gone)
    cache = snapshot.remote.cache
    with cache.hold(wanted):
        try:
            cache.fetch([known[name] for name in wanted], check)
        except FileNotFoundError as error:
            raise deleted_data_error(snapshot.number, snapshot.remote.missing(wanted) or ["a file"]) from error
        yield


class IndexChanged(WhohasError):
    """The search index of a snapshot was changed while a run read it: another attempt may succeed."""


def _missing(snapshot: Snapshot, paths: Iterable[str]) -> list[str]:
    return [path for path in paths if not (snapshot.root / path).is_file()]


def run_metadata(run: Run, snapshot: Snapshot) -> ReportMetadata:
    """Return the metadata of a run that is written into its files."""
    return ReportMetadata(
        run=run.id,
        report=run.report_type,
        title=run.report_name,
        description=run.description,
        arguments=run.arguments,
        launcher=run.launcher,
        started=run.created.timestamp(),
        snapshot=snapshot.number,
        loaded=snapshot.loaded.timestamp() if snapshot.loaded else 0.0,
        org=str(run.attributes.get("org", "")),
        gaps=next((message.text for message in run.messages if message.key == INCOMPLETE_KEY), ""),
    )


def plan_late(run: Run, warehouse: Warehouse, settings: Settings) -> RunPlan:
    """Return a plan, made by this version, for a run that an earlier version queued without one.

    Raises:
        NotFound: the run's snapshot is no longer kept.
        InvalidArguments: this version does not accept the run's arguments.
    """
    return replace(
        RunPlan.of(*_planned(run, warehouse, settings), earlier_write_options(run.arguments, settings)), late=True
    )


def plan_from_recorded_sql(run: Run, statement: str, format: str, warehouse: Warehouse, settings: Settings) -> RunPlan:
    """Return a plan for a run of an earlier version that ended without one, from the SQL that was recorded with it.

    The run is planned by this version. Where its SQL differs from the recorded SQL, ignoring white space and old
    spellings of columns, the recorded SQL is used, provided that it yields the same columns.

    Args:
        statement: the recorded SQL.
        format: the format that was asked for, for the error message.

    Raises:
        NotFound: the run's snapshot is no longer kept, this version does not accept its arguments, or the recorded SQL
            yields other columns than this version knows.
        Unavailable: the search index that the run read is missing and cannot be built now.
    """
    with errors_as_not_found(run, format):
        plan, snapshot = _planned(run, warehouse, settings)
        recorded = _OLD_ATTRIBUTE.sub(_as_map_lookup, statement)
        if _one_spaced(_OLD_ALIAS.sub("", plan.sql)) != _one_spaced(_OLD_ALIAS.sub("", recorded)):
            if plan.statement is None or _column_names(recorded) != [column.name for column in plan.statement.columns]:
                raise NotFound(
                    "An earlier version of whohas made it with other columns than this one would (`whohas show` prints "
                    "its SQL)."
                )
            plan = replace(plan, statement=replace(plan.statement, sql=recorded))
        return RunPlan.of(plan, snapshot, earlier_write_options(run.arguments, settings))


@contextmanager
def errors_as_not_found(run: Run, format: str) -> Generator[None]:
    """Convert errors that mean that a run's rows cannot be computed again into `NotFound`, with a message that lists
    the formats that the run has.

    Args:
        format: the format that was asked for.
    """
    try:
        yield
    except (InvalidArguments, NotFound) as error:
        raise NotFound(no_file_message(run, format, error.message)) from error
    except (DeltaError, FileNotFoundError) as error:
        gone = f"Data files of its snapshot {run.snapshot} have been removed."
        raise NotFound(no_file_message(run, format, gone)) from error


def no_file_message(run: Run, format: str, why: str) -> str:
    """Return an error message: the run has no file in this format, which formats it has, and what to do.

    Args:
        run: the run.
        format: the format that was asked for.
        why: the reason why it cannot be made now, a sentence.
    """
    made = ", ".join(artefact.format.upper() for artefact in run.artefacts if artefact.format != EXTRACT)
    return (
        f"This run made no {format.upper()} file; it made {made}, and no other can be made of it now. {why} Download "
        "one of those, or start the report again."
    )


_OLD_ATTRIBUTE = re.compile(r'\ba\."attributes\.((?:[^"]|"")*)"')
"""How versions before 0.2 wrote an attribute in SQL: as a column that no documented table has."""


def _as_map_lookup(match: re.Match[str]) -> str:
    """Return the present SQL of an attribute in a statement that a version before 0.2 recorded.

    `a."attributes.city"` becomes `a.attributes['city']`; `match` is a match of `_OLD_ATTRIBUTE`.
    """
    name = match[1].replace('""', '"')
    return f"a.attributes[{string_literal(name)}]"


_OLD_ALIAS = re.compile(r' AS "account\.[^"]*"')
"""Column aliases that the SQL of IDENTITIES_DETAILS did not have in the versions that stored no plans."""


def _one_spaced(sql: str) -> str:
    return " ".join(sql.split())


def _planned(run: Run, warehouse: Warehouse, settings: Settings) -> tuple[reports.Plan, Snapshot]:
    snapshot = warehouse.snapshot(run.snapshot)
    report = reports.find_report(run.report_type, run.arguments)
    if report.needs_search_index:
        build_index(warehouse, snapshot)
    request = reports.ReportRequest(
        run.report_type,
        run.arguments,
        run.created,
        run.launcher,
        settings.search_phrases,
        SearchLimits.from_settings(settings),
    )
    return reports.plan_report(report, request, read_catalog(snapshot)), snapshot


def _column_names(sql: str) -> list[str] | None:
    """Return the names of the columns that a statement yields; None where it cannot be parsed or is no query."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse_one(sql, read="duckdb")
    except SqlglotError:
        return None
    return parsed.named_selects if isinstance(parsed, exp.Query) else None
