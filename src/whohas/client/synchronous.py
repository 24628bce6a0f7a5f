"""The client for ordinary code; `asynchronous.py` has its twin."""

from __future__ import annotations

import time
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from whohas.client.conversation import (
    DEFAULT_PREFIX,
    TIMEOUT,
    Conversation,
    OnProgress,
    Send,
    Sleep,
    Steps,
    T,
    unreachable,
    variables,
)
from whohas.client.saving import CHUNK, PartFile
from whohas.contract import ReportResults, TaskResultDetails
from whohas.errors import Unavailable


class Client:
    """A client of one server. Fetches its token at the first call; close it, or use it as a context.

    Args:
        base_url: where the server is, such as `http://127.0.0.1:8437`.
        prefix: the version of the API; `/reports/v1` for the one without a year.

    Raises (every method):
        InvalidArguments, Unauthorized, Forbidden, NotFound, QuotaExceeded: the server refuses; its text says why.
        Unavailable: it does not answer, or not as the contract says.
    """

    def __init__(self, base_url: str, client_id: str, client_secret: str, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._conversation = Conversation(base_url, client_id, client_secret, prefix)
        self._http = httpx2.Client(timeout=TIMEOUT, follow_redirects=True)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, prefix: str = DEFAULT_PREFIX) -> Client:
        """A client as SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET say."""
        return cls(*variables(environ), prefix=prefix)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def start(self, report_type: str, arguments: Mapping[str, Any] | None = None) -> TaskResultDetails:
        """Starts a run, or gets the one that already makes the same; its `id` is what the other methods take."""
        return self._do(self._conversation.start(report_type, arguments))

    def result(self, run_id: str, *, completed: bool = False) -> ReportResults:
        """What became of a run; its `status` is None until it is over."""
        return self._do(self._conversation.result(run_id, completed))

    def wait(self, run_id: str, on_progress: OnProgress | None = None, timeout: float | None = None) -> ReportResults:
        """The result once the run is over, however it ended.

        Raises:
            Unavailable: it is not over after `timeout` seconds; the run goes on.
        """
        return self._do(self._conversation.wait(run_id, on_progress, timeout))

    def download(self, run_id: str, format: str, to: str | PathLike[str], *, name: str | None = None) -> Path:
        """Saves a file of a run, and returns where. Nothing is left at `to` unless the whole file arrived.

        Args:
            format: csv, pdf or another that the server makes, such as xlsx.
            to: the file, a text or a path; or a folder, in which the file gets the name that the server gives it.
            name: the name to ask the server for.
        """
        response = self._do(self._conversation.file(run_id, format, name))
        try:
            with PartFile(response, to) as part:
                for chunk in response.iter_bytes(CHUNK):
                    part.write(chunk)
                return part.finish()
        except httpx2.RequestError as error:
            raise Unavailable(f"The download was cut short: {error}. Repeat it.") from error
        finally:
            response.close()

    def find(self, beginning: str) -> str:
        """The id of the only run whose id begins so; a whole id is returned as it is.

        Raises:
            NotFound: there is none that the client may see.
            InvalidArguments: there are several; the message lists them.
        """
        return self._do(self._conversation.find(beginning))

    def cancel(self, run_id: str) -> None:
        """Cancels a run; no effect on one that is over."""
        self._do(self._conversation.cancel(run_id))

    def _do(self, steps: Steps[T]) -> T:
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
                error = unreachable(self._conversation.base_url, fault)

    def _send(self, step: Send) -> httpx2.Response:
        request = self._http.build_request(**step.parts(self._conversation.base_url))
        response = self._http.send(request, stream=step.stream)
        if step.stream and not response.is_success:
            response.read()
            response.close()
        return response
