"""`whohas run` (start a report, wait for it, save its file) and `whohas download` (save a file of an earlier run)."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from whohas import timeouts
from whohas.cli.arguments import (
    ArgumentsOption,
    ReportArgument,
    check_output_name,
    check_required,
    parse_arguments,
    parse_report_type,
)
from whohas.cli.completions import complete_formats, complete_runs
from whohas.cli.options import Connection, on_installation
from whohas.cli.output import OutputTarget
from whohas.cli.output import parse_output as output_of
from whohas.cli.terminal import console, is_terminal, without_control_characters
from whohas.errors import Unavailable, WhohasError
from whohas.plurals import pluralize

if TYPE_CHECKING:
    from whohas.cli.backend import Backend
    from whohas.contract import ReportResults

_FORMAT = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        help="The file's format; default: from the extension of the output, or else csv.",
        autocompletion=complete_formats,
    ),
]
_OUTPUT = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PATH",
        help="The file to save, which is replaced if it exists, or a folder; - prints it. A zip ends in .zip.",
    ),
]


@on_installation
def run(
    connection: Connection,
    report_type: ReportArgument,
    arg: ArgumentsOption = None,
    output: _OUTPUT = None,
    format: _FORMAT = None,
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="duckdb|spark|trino",
            help="The engine that executes the run; default: WHOHAS_ENGINE, duckdb.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress, and do not say which installation is meant.")
    ] = False,
) -> None:
    """Run a report and save its file. Ctrl-C cancels the run.

    `whohas reports` lists the reports, and `whohas reports ACCOUNTS` the arguments of one. Only you can read a new
    file; a file that is replaced keeps its permissions.

    Examples:
        whohas run ACCOUNTS --arg sourceName="Active Directory" -o accounts.csv
        whohas run IDENTITIES --format pdf
        whohas run SEARCH_EXPORT -a query='@access(name:admin)' -a indices=identities -o admins.xlsx
        whohas run ORPHAN_IDENTITIES -o - --server https://reports.example.com
        whohas run IDENTITIES_DETAILS --engine spark
    """
    report_type = parse_report_type(report_type)
    arguments = parse_arguments(arg or (), report_type)
    to = output_of(output, format)
    check_output_name(report_type, arguments, to)
    check_required(report_type, arguments)
    to.check_writable()
    if engine is not None:
        arguments = {**arguments, "engine": engine}
    with connection.open() as backend, backend.working():
        started = time.monotonic()
        run_id = backend.start(report_type, {"selectedFormats": [to.format.upper()], **arguments})
        try:
            result = _watch(backend, run_id, quiet)
        except KeyboardInterrupt:
            _cancel(backend, run_id)
            print(f"The run {run_id} is cancelled.", file=sys.stderr)
            raise
        if result.status not in ("SUCCESS", "WARNING"):
            raise WhohasError(f"The run {run_id} ended as {result.status}. {_texts(result)}".strip())
        saved = _save(backend, run_id, report_type, to)
    for message in result.messages:
        print(without_control_characters(f"{message.type}: {message.localizedText}"), file=sys.stderr)
    if (more := (result.messageCount or 0) - len(result.messages)) > 0:
        print(f"And {more:,} more: whohas show {run_id} prints them.", file=sys.stderr)
    if saved is not None:
        print(f"{saved}: {pluralize(result.rows or 0, 'row')} in {time.monotonic() - started:.2f} s (run {run_id})")


@on_installation
def download(
    connection: Connection,
    run_id: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Its id, or the beginning of it.", autocompletion=complete_runs),
    ],
    output: _OUTPUT = None,
    format: _FORMAT = None,
) -> None:
    """Save a file of a run that has ended. A format that the run did not make is made now, from the same data.

    Examples:
        whohas download 3f2a -o accounts.pdf
        whohas download 3f2a --format xlsx -o reports/
    """
    to = output_of(output, format)
    to.check_writable()
    with connection.open() as backend:
        run_id = backend.id_of(run_id)
        saved = _save(backend, run_id, f"The run {run_id}", to)
    if saved is not None:
        print(saved)


def _cancel(backend: Backend, run_id: str) -> None:
    """Cancel a run, and wait until it has ended, so that nothing of it is left."""
    backend.cancel(run_id)
    while backend.result(run_id).status is None:
        time.sleep(timeouts.CLI_POLL_SECONDS)


def _watch(backend: Backend, run_id: str, quiet: bool) -> ReportResults:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    shown = Progress(
        BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
        console=console(stderr=True), transient=True, disable=quiet or not is_terminal(stderr=True),
    )  # fmt: skip
    with shown:
        task = shown.add_task("Queued", total=100)
        while (result := backend.result(run_id)).status is None:
            shown.update(task, description=result.progress or "Running", completed=result.percentComplete or 0)
            time.sleep(timeouts.CLI_POLL_SECONDS)
    return result


def _texts(result: ReportResults) -> str:
    return " ".join(message.localizedText or "" for message in result.messages if message.error)


def _save(backend: Backend, run_id: str, report_type: str, to: OutputTarget) -> Path | None:
    """Download a file of a run and save it; return its path, or None if it was printed.

    Raises:
        Unavailable: the target cannot be written.
    """
    try:
        if to.is_new_folder and to.folder is not None:
            to.folder.mkdir(exist_ok=True)
        # a temporary folder on the target's file system, so that the file can be renamed atomically
        with TemporaryDirectory(dir=to.folder, prefix=".whohas-") as folder:
            file, zipped = backend.download(run_id, to.format, Path(folder), to.file_name)
            return to.save(file, zipped, report_type)
    except KeyboardInterrupt:
        print(f"Nothing was saved. The run {run_id} keeps its file: whohas download {run_id}", file=sys.stderr)
        raise
    except BrokenPipeError:
        raise
    except OSError as error:
        where = to.path or "Standard output"
        raise Unavailable(f"{where} cannot be written: {error.strerror}. The run {run_id} keeps its file.") from None
