"""The synchronous client; its asyncio twin is in `_async.py`, and the protocol that both share in `_protocol.py`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from whohas_client._operations import Operations
from whohas_client._protocol import (
    DEFAULT_PREFIX,
    TIMEOUT,
    BrokenConnection,
    CloseResponse,
    OnProgress,
    ReceiveBody,
    ReportsProtocol,
    RunBlocking,
    SendRequest,
    Sleep,
    Step,
    Steps,
    T,
    unreachable_error,
)
from whohas_client._runs import Run, RunSteps
from whohas_client._settings import find_credentials, read_environment
from whohas_client.contract import ReportDetails, ReportResults, TaskResultDetails


class Client:
    """A client for the reports of one server. Close it after use, or use it as a context manager.

    Without arguments, the server and the credentials come from the environment variables SAIL_BASE_URL,
    SAIL_CLIENT_ID and SAIL_CLIENT_SECRET, or else from the active profile of `~/.sailpoint/config.yaml`. The access
    token is fetched at the first call and renewed when the server rejects it. Calls that the server rejects for their
    number (429), or because it is busy (503 with `Retry-After`), are repeated after the time that it asks for.

    Args:
        base_url: the URL of the server, such as `http://127.0.0.1:8437` or `https://acme.api.identitynow.com`.
        client_id: the id of the API client.
        client_secret: its secret.
        profile: the name of a profile of `~/.sailpoint/config.yaml`, instead of the first three arguments.
        prefix: the version of the API in the path, such as `/v2025`; `/reports/v1` for the version without a year.
        progress: show the progress of runs and downloads on stderr, if it is a terminal.

    Raises (every method):
        InvalidArguments, Unauthorized, Forbidden, NotFound, QuotaExceeded: the server refused the request; the message
            is the server's.
        Unavailable: the server does not answer, fails, or its response does not match the published API.
    """

    def __init__(
        self,
        base_url: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        *,
        profile: str | None = None,
        prefix: str = DEFAULT_PREFIX,
        progress: bool = True,
    ) -> None:
        self._protocol = ReportsProtocol(find_credentials(base_url, client_id, client_secret, profile), prefix)
        self._operations = Operations(self._protocol)
        self._progress = progress
        self._http = httpx2.Client(timeout=TIMEOUT, follow_redirects=True)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, prefix: str = DEFAULT_PREFIX) -> Client:
        """Create a client from the variables SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET alone.

        Args:
            environ: the variables; None for the environment of the process.

        Raises:
            InvalidArguments: a variable is missing.
        """
        found = read_environment(environ)
        return cls(found.base_url, found.client_id, found.client_secret, prefix=prefix)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def run(
        self,
        report_type: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        source: str | None = None,
        formats: str | Iterable[str] | None = None,
        **more: Any,
    ) -> Run:
        """Start a run, or join an identical run that is already active, and return it without waiting.

        Args:
            report_type: the type of the report, such as `ACCOUNTS`.
            arguments: arguments of the report under names that are sent as they are.
            source: the name of the source, for reports on one source. It is looked up in the published list of
                sources, whose id the report needs; whohas takes the name.
            formats: the formats of the files to make, such as `csv`. Default: those of the server. Other formats of
                whohas are made when they are downloaded.
            more: further arguments of the report in snake_case or as published: `correlated_only=True` is sent as
                `correlatedOnly`. Unknown names are sent too: the server refuses or ignores them, and whohas says which
                it ignores, as a `ReportWarning`. A list of `columns` is sent as one text.

        Raises:
            NotFound: there is no source with that name, or the client may not see it.
            InvalidArguments: the report takes no source, or an argument is given twice or is wrong, or its name is
                almost that of an option, such as `sorce`.
        """
        run_id = self._perform(self._operations.run(report_type, arguments, source, formats, more))
        return Run(RunSteps(self._protocol, run_id, report_type, self._progress), self._perform)

    def open_run(self, run_id: str) -> Run:
        """Return a run by its id, without a call to the server; `find` finds an id by its beginning."""
        return Run(RunSteps(self._protocol, run_id, f"Run {run_id[:8]}", self._progress), self._perform)

    def start(self, report_type: str, arguments: Mapping[str, Any] | None = None) -> TaskResultDetails:
        """Start a run, or join an identical run that is already active.

        Return its description; pass its `id` to the other methods.
        """
        return self._perform(self._protocol.start(report_type, arguments))

    def result(self, run_id: str, *, completed: bool = False) -> ReportResults:
        """Return the state of a run; until the run has ended, its `status` is empty (None).

        Args:
            completed: send `completed=true`, as the published API defines it.
        """
        return self._perform(self._protocol.result(run_id, completed))

    def wait(self, run_id: str, on_progress: OnProgress | None = None, timeout: float | None = None) -> ReportResults:
        """Wait until a run has ended, successfully or not, and return its result.

        Args:
            on_progress: called with each result that differs from the last.
            timeout: the longest wait in seconds; None for no limit.

        Raises:
            TimedOut: the run has not ended after `timeout` seconds; it stays active.
        """
        return self._perform(self._protocol.wait(run_id, on_progress, timeout))

    def download(self, run_id: str, format: str, to: str | PathLike[str], *, name: str | None = None) -> Path:
        """Download a file of a run as the server sends it, and return the path where it was saved.

        The file appears at `to` only when it is complete and its length and SHA-256 match the server's. A download
        whose connection breaks is resumed.

        Args:
            format: `csv`, `pdf` or another format of the server, such as `xlsx`.
            to: the path of the file, or an existing folder, in which the file gets the name that the server suggests.
            name: a name to request from the server.
        """
        return self._perform(self._operations.download(run_id, format, Path(to), name))

    def find(self, beginning: str) -> str:
        """Return the id of the only run whose id has this prefix; a complete id is returned unchanged.

        Raises:
            NotFound: no run that the client may see has this prefix.
            InvalidArguments: several runs have it; the message lists them.
        """
        return self._perform(self._protocol.find_run(beginning))

    def cancel(self, run_id: str) -> None:
        """Cancel a run; no effect if it has ended."""
        self._perform(self._protocol.cancel(run_id))

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        accept: str | None = None,
    ) -> httpx2.Response:
        """Send a request that has no separate method, with the access token, and return its successful response.

        Args:
            method: such as `GET`.
            path: the path below the base URL, percent-encoded, such as `/whohas/schedules`.
            query: the query parameters.
            json: the JSON body, if any.
            accept: the media type that the response should have; None for any.
        """
        return self._perform(self._protocol.request(method, path, query, json, accept))

    def start_report(self, report_details: ReportDetails | Mapping[str, Any]) -> TaskResultDetails:
        """Start a run: `startReport` of the published API, as the official SDK for Python has it.

        Args:
            report_details: `reportType` and `arguments`; a dict, a model of this package or of the official SDK.
        """
        return self._perform(self._operations.start_report(report_details))

    def get_report_result(self, task_result_id: str, completed: bool | None = None) -> ReportResults:
        """Return the state of a run: `getReportResult` of the published API.

        Args:
            task_result_id: the id of the run.
            completed: send `completed=true`, as the published API defines it.
        """
        return self._perform(self._protocol.result(task_result_id, bool(completed)))

    def get_report(
        self, task_result_id: str, file_format: str, name: str | None = None, auditable: bool | None = None
    ) -> str:
        """Save a file of a run in the current folder, and return its path: `getReport` of the published API.

        Args:
            task_result_id: the id of the run.
            file_format: `csv`, `pdf` or another format of the server.
            name: the preferred name of the file; the server may change it.
            auditable: record the download in the audit log of the server.
        """
        return self._perform(self._operations.get_report(task_result_id, file_format, name, auditable))

    def cancel_report(self, id: str) -> None:
        """Cancel a run: `cancelReport` of the published API.

        Args:
            id: the id of the run.
        """
        self._perform(self._protocol.cancel(id))

    def _perform(self, steps: Steps[T]) -> T:
        """Execute the steps of a generator, and return its result; see `_protocol.py`."""
        value: Any = None
        error: Exception | None = None
        try:
            while True:
                step = steps.send(value) if error is None else steps.throw(error)
                value = error = None
                try:
                    value = self._execute(step)
                except Exception as fault:  # the generator decides what it means
                    error = fault
        except StopIteration as end:
            return end.value
        finally:
            steps.close()

    def _execute(self, step: Step) -> Any:
        match step:
            case SendRequest():
                return self._send(step)
            case Sleep(seconds):
                return time.sleep(seconds)
            case ReceiveBody(response, write):
                try:
                    for chunk in response.iter_bytes():
                        write(chunk)
                except httpx2.RequestError as fault:
                    raise BrokenConnection(str(fault) or type(fault).__name__) from fault
                finally:
                    response.close()
            case CloseResponse(response):
                return response.close()
            case RunBlocking(function):
                return function()

    def _send(self, step: SendRequest) -> httpx2.Response:
        try:
            request = self._http.build_request(**step.request_arguments(self._protocol.base_url))
            response = self._http.send(request, stream=step.stream)
            if step.stream and not response.is_success:
                response.read()
                response.close()
        except (httpx2.RequestError, httpx2.InvalidURL) as fault:
            raise unreachable_error(self._protocol.base_url, fault) from fault
        return response
