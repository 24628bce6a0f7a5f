"""`whohas run` (start a report, wait for it and save its file) and `whohas download` (save a file of an earlier run).

Both work through a backend: a remote server over HTTP with `--server`, otherwise this installation.
"""

from __future__ import annotations

import getpass
import os
import shutil
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from whohas import timeouts
from whohas.cli.arguments import check_output_name, parse_arguments, parse_report_type
from whohas.cli.installation import open_installation
from whohas.cli.output import OutputTarget
from whohas.cli.output import parse_output as output_of
from whohas.cli.terminal import console, is_terminal, without_control_characters
from whohas.errors import InvalidArguments, Unavailable, WhohasError
from whohas.plurals import pluralize

if TYPE_CHECKING:
    from whohas.contract import ReportResults
    from whohas.services import Services


_FORMAT = Annotated[
    str | None,
    typer.Option("--format", "-f", help="The file's format; default: from the extension of the output, or else csv."),
]
_OUTPUT = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="PATH", help="The file to save, or a folder; - prints it. A zip ends in .zip."
    ),
]
_SERVER = Annotated[
    str | None, typer.Option(envvar="SAIL_BASE_URL", help="A server's address; without one: this installation.")
]


class _Backend(Protocol):
    """The backend of a command: the operations on runs, of a server or of this installation."""

    def start(self, report_type: str, arguments: dict[str, Any]) -> str: ...
    def result(self, run_id: str) -> ReportResults: ...
    def download(self, run_id: str, format: str, folder: Path, called: str | None) -> tuple[Path, bool]:
        """Save a file of a run into a folder, under the name that the server suggests.

        Return its path and whether it is a zip.

        Args:
            called: the final file name, for the audit log; None for the suggested name.
        """
        ...

    def id_of(self, beginning: str) -> str: ...
    def cancel(self, run_id: str) -> None: ...


def run(
    report_type: Annotated[str, typer.Argument(metavar="REPORT", help="The report's type, such as ACCOUNTS.")],
    arg: Annotated[
        list[str] | None, typer.Option("--arg", "-a", metavar="NAME=VALUE", help="An argument; repeat for more.")
    ] = None,
    output: _OUTPUT = None,
    format: _FORMAT = None,
    server: _SERVER = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
) -> None:
    """Run a report and save its file.

    With --server, the variables SAIL_CLIENT_ID and SAIL_CLIENT_SECRET hold the credentials. Ctrl-C cancels the run.
    """
    report_type = parse_report_type(report_type)
    arguments = parse_arguments(arg or (), report_type)
    to = output_of(output, format)
    check_output_name(report_type, arguments, to)
    with _there(server) if server else _here() as door:
        started = time.monotonic()
        run_id = door.start(report_type, {"selectedFormats": [to.format.upper()], **arguments})
        try:
            result = _watch(door, run_id, quiet)
            if result.status not in ("SUCCESS", "WARNING"):
                raise WhohasError(f"The run {run_id} ended as {result.status}. {_texts(result)}".strip())
            saved = _save(door, run_id, report_type, to)
        except KeyboardInterrupt:
            door.cancel(run_id)
            print("Cancelled.", file=sys.stderr)
            raise
    for message in result.messages:
        print(without_control_characters(f"{message.type}: {message.localizedText}"), file=sys.stderr)
    if (more := (result.messageCount or 0) - len(result.messages)) > 0:
        print(f"And {more:,} more: whohas show {run_id} prints them.", file=sys.stderr)
    if saved is not None:
        print(f"{saved}: {pluralize(result.rows or 0, 'row')} in {time.monotonic() - started:.2f} s (run {run_id})")


def download(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="Its id, or the beginning of it.")],
    output: _OUTPUT = None,
    format: _FORMAT = None,
    server: _SERVER = None,
) -> None:
    """Save a file of a run that has ended. A format that the run did not make is made now, from the same data."""
    to = output_of(output, format)
    with _there(server) if server else _here() as door:
        run_id = door.id_of(run_id)
        saved = _save(door, run_id, f"The run {run_id}", to)
    if saved is not None:
        print(saved)


def _watch(door: _Backend, run_id: str, quiet: bool) -> ReportResults:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    shown = Progress(
        BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn(),
        console=console(stderr=True), transient=True, disable=quiet or not is_terminal(stderr=True),
    )  # fmt: skip
    with shown:
        task = shown.add_task("Queued", total=100)
        while (result := door.result(run_id)).status is None:
            shown.update(task, description=result.progress or "Running", completed=result.percentComplete or 0)
            time.sleep(timeouts.CLI_POLL_SECONDS)
    return result


def _texts(result: ReportResults) -> str:
    return " ".join(message.localizedText or "" for message in result.messages if message.error)


def _save(door: _Backend, run_id: str, report_type: str, to: OutputTarget) -> Path | None:
    """Download a file of a run and save it; return its path, or None if it was printed.

    Raises:
        Unavailable: the target cannot be written.
    """
    try:
        if to.folder is not None:
            to.folder.mkdir(parents=True, exist_ok=True)
        # a temporary folder on the target's file system, so that the file can be renamed atomically
        with TemporaryDirectory(dir=to.folder, prefix=".whohas-") as folder:
            file, zipped = door.download(run_id, to.format, Path(folder), to.file_name)
            return to.save(file, zipped, report_type)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = to.path or "Standard output"
        raise Unavailable(f"{where} cannot be written: {error.strerror}. The run {run_id} keeps its file.") from None


@contextmanager
def _there(server: str) -> Generator[_Backend]:
    from whohas.client import Client

    client_id, secret = os.environ.get("SAIL_CLIENT_ID"), os.environ.get("SAIL_CLIENT_SECRET")
    if not client_id or not secret:
        raise InvalidArguments(
            "A server needs SAIL_CLIENT_ID and SAIL_CLIENT_SECRET in the environment; on the server "
            "`whohas client create NAME --level REPORT_ADMIN --scope sp:report:manage` makes them."
        )
    with Client(base_url=server, client_id=client_id, client_secret=secret) as client:
        yield _RemoteBackend(client)


class _RemoteBackend:
    """The backend of a remote server, over HTTP."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def start(self, report_type: str, arguments: dict[str, Any]) -> str:
        run_id = self._client.start(report_type, arguments).id
        if not run_id:
            raise WhohasError("The server's answer to the start has no id.")
        return run_id

    def result(self, run_id: str) -> ReportResults:
        return self._client.result(run_id)

    def download(self, run_id: str, format: str, folder: Path, called: str | None) -> tuple[Path, bool]:
        saved = self._client.download(run_id, format, folder)
        return saved, saved.suffix == ".zip"

    def id_of(self, beginning: str) -> str:
        return self._client.find(beginning)

    def cancel(self, run_id: str) -> None:
        self._client.cancel(run_id)


@contextmanager
def _here() -> Generator[_Backend]:
    """Open this installation as the backend, and become its worker unless another process already is."""
    import logging

    import structlog

    from whohas.execution.lease import has_live_worker

    # the command itself reports how the run ended; log lines of the worker would only repeat it
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with ExitStack() as stack:
        services = stack.enter_context(open_installation())
        if not has_live_worker(services.settings, services.database):
            stack.enter_context(services.runs.working())
        yield _LocalBackend(services)


class _LocalBackend:
    """The backend of this installation, without a server."""

    def __init__(self, services: Services) -> None:
        from whohas.audit.events import operator_actor

        self._runs = services.runs
        self._by = operator_actor()
        self._audit_downloads = services.settings.audit_downloads == "all"

    def start(self, report_type: str, arguments: dict[str, Any]) -> str:
        return self._runs.start(report_type, arguments, launcher=getpass.getuser(), by=self._by).id

    def result(self, run_id: str) -> ReportResults:
        from whohas.api.mappers import report_results

        return report_results(self._runs.get(run_id))

    def download(self, run_id: str, format: str, folder: Path, called: str | None) -> tuple[Path, bool]:
        from whohas.api.filenames import safe_file_name

        run, artefact = self._runs.get_artifact(run_id, format)
        ending = "zip" if artefact.zipped else artefact.format
        to = folder / (safe_file_name(run.report_name, ending) or artefact.name)
        if self._audit_downloads:
            self._runs.record_download(run, artefact, self._by, called or to.name)
        shutil.copyfile(self._runs.path(run, artefact), to)
        return to, artefact.zipped

    def id_of(self, beginning: str) -> str:
        return self._runs.resolve_id(beginning)

    def cancel(self, run_id: str) -> None:
        self._runs.cancel(run_id, by=self._by)
        while not self._runs.get(run_id).state.is_over:
            time.sleep(timeouts.CLI_POLL_SECONDS)
