"""The work of a child process, made from the plan that is stored with a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from whohas.engine.statement import TableFiles
from whohas.engine.summary import EMPTY_SUMMARY
from whohas.execution.protocol import WorkPart
from whohas.runs.plans import RunPlan


def parts_of(
    plan: RunPlan, root: Path, extract: Callable[[int], str]
) -> tuple[tuple[WorkPart, ...], tuple[TableFiles, ...]]:
    """Return the parts of the work that a plan describes, and the tables that their statements read.

    Args:
        root: the folder of the warehouse.
        extract: returns, for the number of a part, the Parquet file that its rows are extracted to before they are
            formatted; an empty text if they are formatted as they come.
    """
    statements, tables = plan.statements_at(root)
    parts: list[WorkPart] = []
    for number, (part, statement) in enumerate(zip(plan.parts, statements, strict=True)):
        extracted = extract(number)
        parts.append(
            WorkPart(
                name=part.name,
                sql=statement.sql,
                parameters=statement.parameters,
                columns=statement.columns,
                ordered=statement.ordered,
                expected_rows=statement.expected_rows,
                group=statement.group,
                order=statement.order,
                extract=extracted,
                # only an extract is summarized
                summary=statement.summary if extracted else EMPTY_SUMMARY,
            )
        )
    return tuple(parts), tables
