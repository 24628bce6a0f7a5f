"""The synchronous client; its asyncio twin is in `asynchronous.py`, and the protocol that both share in
`_protocol.py`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from whohas.client._download import CHUNK, Download
from whohas.client._protocol import (
    DEFAULT_PREFIX,
    TIMEOUT,
    OnProgress,
    ReportsProtocol,
    SendRequest,
    Sleep,
    Steps,
    T,
    read_environment,
    unreachable_error,
)
from whohas.contract import ReportResults, TaskResultDetails
from whohas.errors import Unavailable


class Client:
    """A client for the reports of one server. Close it after use, or use it as a context manager.

    The access token is fetched at the first call and renewed when the server rejects it.

    Args:
        base_url: the URL of the server, such as `http://127.0.0.1:8437`.
        client_id: the id of the API client.
        client_secret: its secret.
        prefix: the version of the API in the path, such as `/v2025`; `/reports/v1` for the version without a year.

    Raises (every method):
        InvalidArguments, Unauthorized, Forbidden, NotFound, QuotaExceeded: the server refused the request; the message
            is the server's.
        Unavailable: the server does not answer, fails, or its response does not match the published API.
    """

    def __init__(self, base_url: str, client_id: str, client_secret: str, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._conversation = ReportsProtocol(base_url, client_id, client_secret, prefix)
        self._http = httpx2.Client(timeout=TIMEOUT, follow_redirects=True)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, prefix: str = DEFAULT_PREFIX) -> Client:
        """Create a client from the variables SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET.

        Args:
            environ: the variables; None for the environment of the process.

        Raises:
            InvalidArguments: a variable is missing.
        """
        return cls(*read_environment(environ), prefix=prefix)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def start(self, report_type: str, arguments: Mapping[str, Any] | None = None) -> TaskResultDetails:
        """Start a run, or join an identical run that is already active.

        Return its description; pass its `id` to the other methods.
        """
        return self._do(self._conversation.start(report_type, arguments))

    def result(self, run_id: str, *, completed: bool = False) -> ReportResults:
        """Return the state of a run; until the run has ended, its `status` is empty (None).

        Args:
            completed: send `completed=true`, as the published API defines it.
        """
        return self._do(self._conversation.result(run_id, completed))

    def wait(self, run_id: str, on_progress: OnProgress | None = None, timeout: float | None = None) -> ReportResults:
        """Wait until a run has ended, successfully or not, and return its result.

        Args:
            on_progress: called with each result that differs from the last.
            timeout: the longest wait in seconds; None for no limit.

        Raises:
            Unavailable: the run has not ended after `timeout` seconds; it stays active.
        """
        return self._do(self._conversation.wait(run_id, on_progress, timeout))

    def download(self, run_id: str, format: str, to: str | PathLike[str], *, name: str | None = None) -> Path:
        """Download a file of a run, and return the path where it was saved.

        The file appears at `to` only when it is complete and its length and SHA-256 match the server's.

        Args:
            format: `csv`, `pdf` or another format of the server, such as `xlsx`.
            to: the path of the file, or an existing folder, in which the file gets the name that the server suggests.
            name: a name to request from the server.
        """
        response = self._do(self._conversation.file(run_id, format, name))
        try:
            with Download(response, to) as part:
                for chunk in response.iter_bytes(CHUNK):
                    part.write(chunk)
                return part.finish()
        except httpx2.RequestError as error:
            raise Unavailable(f"The download was cut short: {error}. Repeat it.") from error
        finally:
            response.close()

    def find(self, beginning: str) -> str:
        """Return the id of the only run whose id has this prefix; a complete id is returned unchanged.

        Raises:
            NotFound: no run that the client may see has this prefix.
            InvalidArguments: several runs have it; the message lists them.
        """
        return self._do(self._conversation.find_run(beginning))

    def cancel(self, run_id: str) -> None:
        """Cancel a run; no effect if it has ended."""
        self._do(self._conversation.cancel(run_id))

    def _do(self, steps: Steps[T]) -> T:
        """Execute the steps of a protocol generator, and return its result; see `_protocol.py`."""
        response: httpx2.Response | None = None
        error: Unavailable | None = None
        while True:
            try:
                step = steps.send(response) if error is None else steps.throw(error)
            except StopIteration as end:
                return end.value
            response = error = None
            if isinstance(step, Sleep):
                time.sleep(step.seconds)
                continue
            try:
                response = self._send(step)
            except (httpx2.RequestError, httpx2.InvalidURL) as fault:
                error = unreachable_error(self._conversation.base_url, fault)

    def _send(self, step: SendRequest) -> httpx2.Response:
        request = self._http.build_request(**step.request_arguments(self._conversation.base_url))
        response = self._http.send(request, stream=step.stream)
        if step.stream and not response.is_success:
            response.read()
            response.close()
        return response
