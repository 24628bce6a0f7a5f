"""The work of a child process, made from the plan that is stored with a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from whohas.engine.statement import TableFiles
from whohas.execution.protocol import RemotePart, WorkPart
from whohas.runs.plans import RunPlan


def parts_of(
    plan: RunPlan, root: Path, extract: Callable[[int], str], *, on_engine: bool = False
) -> tuple[tuple[WorkPart, ...], tuple[TableFiles, ...]]:
    """Return the parts of the work that a plan describes, and the tables that their statements read.

    Args:
        root: the folder of the warehouse.
        extract: returns, for the number of a part, the Parquet file that its rows are extracted to before they are
            formatted; an empty text if they are formatted as they come.
        on_engine: whether the statements are executed on the engine of the plan, as the run's are; otherwise on DuckDB.
    """
    statements, tables = plan.statements_at(root)
    parts = (
        WorkPart(
            name=part.name,
            sql=statement.sql,
            parameters=statement.parameters,
            columns=statement.columns,
            ordered=statement.ordered,
            expected_rows=statement.expected_rows,
            group=statement.group,
            extract=extract(number),
            summary=statement.summary,
            remote=_remote(plan, number, root) if on_engine and plan.translated else None,
        )
        for number, (part, statement) in enumerate(zip(plan.parts, statements, strict=True))
    )
    return tuple(parts), tables


def _remote(plan: RunPlan, number: int, root: Path) -> RemotePart:
    translated = plan.translated[number]
    return RemotePart(translated.sql, plan.remote_tables(number, root), translated.order)
