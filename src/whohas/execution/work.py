"""The work of a child process, made from the plan that is stored with a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from whohas.engine.statement import TableFiles
from whohas.engine.summary import EMPTY_SUMMARY
from whohas.execution.protocol import OutputFile, RemotePart, WorkPart
from whohas.filenames import content_disposition
from whohas.formats.registry import media_type_of
from whohas.runs.engines import EngineFiles
from whohas.runs.models import Run
from whohas.runs.plans import RunPlan
from whohas.settings import Settings
from whohas.storage import ZIP_MEDIA_TYPE, FileTarget

NO_EXTRACT = FileTarget("")
"""The extract of a part whose rows are formatted as they come."""


def output_file(target: FileTarget, run: Run, format: str, zipped: bool, settings: Settings) -> OutputFile:
    """Return an output of a work: a file of a run in a format, or a zip of such files.

    An object store gets the headers of downloads with the file, as it may have to serve it itself.
    """
    if not target.key:
        return OutputFile(format, target.path, zipped)
    headers = {
        "Content-Type": ZIP_MEDIA_TYPE if zipped else media_type_of(format, settings.csv_media_type),
        "Content-Disposition": content_disposition(None, run.report_name, "zip" if zipped else format),
    }
    return OutputFile(format, target.path, zipped, target.key, headers)


def parts_of(
    plan: RunPlan, root: Path, extract: Callable[[int], FileTarget], engine_files: EngineFiles | None = None
) -> tuple[tuple[WorkPart, ...], tuple[TableFiles, ...]]:
    """Return the parts of the work that a plan describes, and the tables that their statements read.

    Args:
        root: the folder of the warehouse.
        extract: returns, for the number of a part, the Parquet file that its rows are extracted to before they are
            formatted; `NO_EXTRACT` if they are formatted as they come.
        engine_files: where the engine of the plan finds the tables, for its statements to be executed there; None to
            execute them on DuckDB.
    """
    statements, tables = (
        plan.statements_at(root) if engine_files is None else ([part.statement for part in plan.parts], ())
    )
    targets = [extract(number) for number in range(len(statements))]
    parts = (
        WorkPart(
            name=part.name,
            sql=statement.sql,
            parameters=statement.parameters,
            columns=statement.columns,
            ordered=statement.ordered,
            expected_rows=statement.expected_rows,
            group=statement.group,
            order=statement.order,
            extract=target.path,
            extract_key=target.key,
            # only an extract is summarized
            summary=statement.summary if target.path else EMPTY_SUMMARY,
            remote=None if engine_files is None else _remote(plan, number, engine_files),
        )
        for number, (part, statement, target) in enumerate(zip(plan.parts, statements, targets, strict=True))
    )
    return tuple(parts), tables


def _remote(plan: RunPlan, number: int, files: EngineFiles) -> RemotePart:
    translated = plan.translated[number]
    return RemotePart(translated.sql, plan.remote_tables(number, files.root, files.index), translated.order)
