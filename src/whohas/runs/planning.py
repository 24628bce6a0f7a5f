"""Making ready to carry out a plan, and plans of runs that an earlier version kept without one."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from deltalake.exceptions import DeltaError

from whohas import reports
from whohas.engine.sql import literal
from whohas.errors import InvalidArguments, NotFound, WhohasError
from whohas.render.definition import About
from whohas.reports.sources import INCOMPLETE
from whohas.runs.files import options
from whohas.runs.model import Run
from whohas.runs.plans import RunPlan
from whohas.runs.work import EXTRACT
from whohas.search.index import build, held_index, index_versions
from whohas.search.limits import Limits
from whohas.settings import Settings
from whohas.warehouse.catalogue import catalogue
from whohas.warehouse.store import Snapshot, Warehouse, no_longer_kept


@contextmanager
def held_snapshot(run: Run, plan: RunPlan, warehouse: Warehouse) -> Generator[Snapshot]:
    """Yield the snapshot of a run whose plan is about to be carried out: all files that the plan reads are there.

    The search index that it reads is made again if need be, for only those of the newest snapshots are kept, and stays
    until the context ends. Files of tables do not: a vacuum takes no account of runs. So an error that comes out of
    the context is told as what it is where it comes from that.

    Raises:
        NotFound: the snapshot is gone, or some of its data is, then or before the context ended.
        IndexChanged: the search index was made again by another version, or removed, before the context ended.
        Unavailable: the index is gone and cannot be made again now.
    """
    snapshot = warehouse.snapshot(run.snapshot)
    _require(snapshot, plan.files)
    with held_index(warehouse, snapshot) if plan.views else nullcontext():
        before = index_versions(snapshot) if plan.views else None
        try:
            yield snapshot
        except (WhohasError, OSError) as error:
            if not isinstance(error, NotFound):
                _require(snapshot, plan.files, error)
                if _missing(snapshot, plan.views):
                    raise IndexChanged("The search index that this run reads was removed meanwhile.") from error
            raise
        if plan.views and index_versions(snapshot) not in (before, None):
            raise IndexChanged("The search index that this run reads was made again by another version meanwhile.")


class IndexChanged(WhohasError):
    """The search index of a snapshot changed under a run that read it: another attempt may do better."""


def _require(snapshot: Snapshot, files: Mapping[str, Sequence[str]], error: Exception | None = None) -> None:
    if gone := _missing(snapshot, files):
        raise no_longer_kept(snapshot.number, gone) from error


def _missing(snapshot: Snapshot, files: Mapping[str, Sequence[str]]) -> list[str]:
    return [path for paths in files.values() for path in paths if not (snapshot.root / path).is_file()]


def about_of(run: Run, snapshot: Snapshot) -> About:
    """Return what the files of a run say of it."""
    return About(
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
        gaps=next((message.text for message in run.messages if message.key == INCOMPLETE), ""),
    )


def planned_now(run: Run, warehouse: Warehouse, settings: Settings) -> RunPlan:
    """Return the plan that this version makes of a run that was queued without one.

    Raises:
        NotFound: its snapshot is gone.
        InvalidArguments: this version does not take its arguments.
    """
    return replace(RunPlan.of(*_planned(run, warehouse, settings), options(run.arguments, settings)), late=True)


def planned_as_recorded(run: Run, statement: str, format: str, warehouse: Warehouse, settings: Settings) -> RunPlan:
    """Return the plan of a run that ended without one, by the SQL that was recorded.

    Args:
        format: what is wanted, for the message.

    Raises:
        NotFound: its snapshot is gone, or its result would have other columns than this version knows.
        Unavailable: the search index that it read is gone and cannot be made again now.
    """
    with refused_as_not_found(run, format):
        plan, snapshot = _planned(run, warehouse, settings)
        recorded = _ATTRIBUTE.sub(_in_the_map, statement)
        if _spaced(_ALIAS.sub("", plan.text)) != _spaced(_ALIAS.sub("", recorded)):
            if plan.statement is None or _names(recorded) != [column.name for column in plan.statement.columns]:
                raise NotFound(
                    "Another version of whohas chose its rows (`whohas show` prints its SQL). Start the report again."
                )
            plan = replace(plan, statement=replace(plan.statement, sql=recorded))
        return RunPlan.of(plan, snapshot, options(run.arguments, settings))


@contextmanager
def refused_as_not_found(run: Run, format: str) -> Generator[None]:
    """Turn what keeps a run's rows from being had again into a `NotFound` that says what there is instead."""
    try:
        yield
    except (InvalidArguments, NotFound) as error:
        raise NotFound(f"{none_now(run, format)} {error.message}") from error
    except (DeltaError, FileNotFoundError) as error:
        raise NotFound(f"{none_now(run, format)} The data of its snapshot {run.snapshot} is gone.") from error


def none_now(run: Run, format: str) -> str:
    """Return the beginning of a message: there is no such file, and which there are."""
    made = ", ".join(one.format.upper() for one in run.artefacts if one.format != EXTRACT)
    return f"This run made no {format.upper()} file; it made {made}, and no other can be made of it now."


_ATTRIBUTE = re.compile(r'\ba\."attributes\.((?:[^"]|"")*)"')
"""How versions before 0.2 named an attribute, by a column that no documented table has."""


def _in_the_map(found: re.Match[str]) -> str:
    name = found[1].replace('""', '"')
    return f"a.attributes[{literal(name)}]"


_ALIAS = re.compile(r' AS "account\.[^"]*"')
"""Names that IDENTITIES_DETAILS did not give its columns before plans were kept."""


def _spaced(sql: str) -> str:
    return " ".join(sql.split())


def _planned(run: Run, warehouse: Warehouse, settings: Settings) -> tuple[reports.Plan, Snapshot]:
    snapshot = warehouse.snapshot(run.snapshot)
    report = reports.find(run.report_type, run.arguments)
    if report.searches:
        build(warehouse, snapshot)
    request = reports.Request(
        run.report_type, run.arguments, run.created, run.launcher, settings.search_phrases, Limits.of(settings)
    )
    return report.plan(request, catalogue(snapshot)), snapshot


def _names(sql: str) -> list[str] | None:
    """The names of a statement's columns; None where they cannot be told."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        parsed = sqlglot.parse_one(sql, read="duckdb")
    except SqlglotError:
        return None
    return parsed.named_selects if isinstance(parsed, exp.Query) else None
