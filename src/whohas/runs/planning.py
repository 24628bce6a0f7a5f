"""The plan of a run that is over, once more: its statement over its snapshot, for a file that is made later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from deltalake.exceptions import DeltaError

from whohas import reports
from whohas.engine.statement import Statement, TableFiles
from whohas.errors import InvalidArguments, NotFound
from whohas.render.definition import About
from whohas.runs.model import Run
from whohas.runs.supervise import about_of, located, part_of
from whohas.runs.work import EXTRACT, Part
from whohas.search.index import build
from whohas.warehouse.catalogue import catalogue
from whohas.warehouse.store import Warehouse


@dataclass(frozen=True, slots=True)
class Again:
    """What a run did: its statements by the names of their files in a zip, and the tables that they read."""

    names: tuple[str, ...]
    statements: tuple[Statement, ...]
    tables: tuple[TableFiles, ...]
    about: About

    def parts(self, extract: Callable[[int], str]) -> tuple[Part, ...]:
        """The parts of a work.

        Args:
            extract: where the rows of a part go on their way, by its number; empty where they go straight.
        """
        named = enumerate(zip(self.names, self.statements, strict=True))
        return tuple(part_of(name, statement, extract(number)) for number, (name, statement) in named)


def planned_again(run: Run, format: str, warehouse: Warehouse, org: str) -> Again:
    """What a run that is over did.

    Args:
        format: what is wanted, for the message.

    Raises:
        NotFound: its snapshot is gone, or this version of whohas cannot run its statement.
        Unavailable: the search index that it read is gone and cannot be made again now.
    """
    try:
        snapshot = warehouse.snapshot(run.snapshot)
        report = reports.find(run.report_type, run.arguments)
        if report.searches:
            build(warehouse, snapshot)  # only the indexes of the newest snapshots are kept
        request = reports.Request(run.report_type, run.arguments, run.created, run.launcher)
        plan = report.plan(request, catalogue(snapshot))
        statements, tables = located(_as_stored(run, plan), snapshot)
    except (InvalidArguments, NotFound) as error:
        raise NotFound(f"{none_now(run, format)} {error.message}") from error
    except (DeltaError, FileNotFoundError) as error:
        raise NotFound(f"{none_now(run, format)} The data of its snapshot {run.snapshot} is gone.") from error
    names = tuple(part.name for part in plan.parts) or ("",)
    return Again(names, statements, tables, about_of(run, snapshot, org))


def none_now(run: Run, format: str) -> str:
    """The begin of a message: there is no such file, and what there is."""
    made = ", ".join(one.format.upper() for one in run.artefacts if one.format != EXTRACT)
    return f"This run made no {format.upper()} file; it made {made}, and no other can be made of it now."


def _as_stored(run: Run, plan: reports.Plan) -> tuple[Statement, ...]:
    """The statements with the SQL that the run stored, by whichever version of whohas.

    Raises:
        NotFound: its result would have other columns than this version knows.
    """
    if plan.text == run.statement:
        return plan.statements
    if plan.statement is not None and _names(run.statement) == [column.name for column in plan.statement.columns]:
        return (replace(plan.statement, sql=run.statement),)
    raise NotFound("Another version of whohas chose its rows (`whohas show` prints its SQL). Start the report again.")


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
