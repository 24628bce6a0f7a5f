"""The asyncio client; its synchronous twin is in `_sync.py`, and the protocol that both share in `_protocol.py`."""

from __future__ import annotations

import asyncio
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
from whohas_client._runs import AsyncRun, RunSteps
from whohas_client._settings import find_credentials, read_environment
from whohas_client.contract import ReportDetails, ReportResults, TaskResultDetails


class AsyncClient:
    """The asyncio version of `Client`, with the same arguments and errors; `on_progress` is an ordinary function."""

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
        self._http = httpx2.AsyncClient(timeout=TIMEOUT, follow_redirects=True)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, prefix: str = DEFAULT_PREFIX) -> AsyncClient:
        """Create a client from the environment variables alone; see `Client.from_env`."""
        found = read_environment(environ)
        return cls(found.base_url, found.client_id, found.client_secret, prefix=prefix)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def run(
        self,
        report_type: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        source: str | None = None,
        formats: str | Iterable[str] | None = None,
        **more: Any,
    ) -> AsyncRun:
        """Start a run, and return it without waiting; see `Client.run`."""
        run_id = await self._perform(self._operations.run(report_type, arguments, source, formats, more))
        return AsyncRun(RunSteps(self._protocol, run_id, report_type, self._progress), self._perform)

    def open_run(self, run_id: str) -> AsyncRun:
        """Return a run by its id, without a call to the server; `find` finds an id by its beginning."""
        return AsyncRun(RunSteps(self._protocol, run_id, f"Run {run_id[:8]}", self._progress), self._perform)

    async def start(self, report_type: str, arguments: Mapping[str, Any] | None = None) -> TaskResultDetails:
        """Start a run, and return its description; see `Client.start`."""
        return await self._perform(self._protocol.start(report_type, arguments))

    async def result(self, run_id: str, *, completed: bool = False) -> ReportResults:
        """Return the state of a run; see `Client.result`."""
        return await self._perform(self._protocol.result(run_id, completed))

    async def wait(
        self, run_id: str, on_progress: OnProgress | None = None, timeout: float | None = None
    ) -> ReportResults:
        """Wait until a run has ended, successfully or not, and return its result; see `Client.wait`."""
        return await self._perform(self._protocol.wait(run_id, on_progress, timeout))

    async def download(self, run_id: str, format: str, to: str | PathLike[str], *, name: str | None = None) -> Path:
        """Download a file of a run, and return its path; see `Client.download`."""
        return await self._perform(self._operations.download(run_id, format, Path(to), name))

    async def find(self, beginning: str) -> str:
        """Return the id of the only run whose id has this prefix; see `Client.find`."""
        return await self._perform(self._protocol.find_run(beginning))

    async def cancel(self, run_id: str) -> None:
        """Cancel a run; no effect if it has ended."""
        await self._perform(self._protocol.cancel(run_id))

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: Any = None,
        accept: str | None = None,
    ) -> httpx2.Response:
        """Send a request that has no separate method, and return its response; see `Client.request`."""
        return await self._perform(self._protocol.request(method, path, query, json, accept))

    async def start_report(self, report_details: ReportDetails | Mapping[str, Any]) -> TaskResultDetails:
        """Start a run; see `Client.start_report`."""
        return await self._perform(self._operations.start_report(report_details))

    async def get_report_result(self, task_result_id: str, completed: bool | None = None) -> ReportResults:
        """Return the state of a run; see `Client.get_report_result`."""
        return await self._perform(self._protocol.result(task_result_id, bool(completed)))

    async def get_report(
        self, task_result_id: str, file_format: str, name: str | None = None, auditable: bool | None = None
    ) -> str:
        """Save a file of a run in the current folder, and return its path; see `Client.get_report`."""
        return await self._perform(self._operations.get_report(task_result_id, file_format, name, auditable))

    async def cancel_report(self, id: str) -> None:
        """Cancel a run; see `Client.cancel_report`."""
        await self._perform(self._protocol.cancel(id))

    async def _perform(self, steps: Steps[T]) -> T:
        """Execute the steps of a generator, and return its result; see `_protocol.py`."""
        value: Any = None
        error: Exception | None = None
        try:
            while True:
                step = steps.send(value) if error is None else steps.throw(error)
                value = error = None
                try:
                    value = await self._execute(step)
                except Exception as fault:  # the generator decides what it means
                    error = fault
        except StopIteration as end:
            return end.value
        finally:
            steps.close()

    async def _execute(self, step: Step) -> Any:
        match step:
            case SendRequest():
                return await self._send(step)
            case Sleep(seconds):
                return await asyncio.sleep(seconds)
            case ReceiveBody(response, write):
                try:
                    async for chunk in response.aiter_bytes():
                        await asyncio.to_thread(write, chunk)
                except httpx2.RequestError as fault:
                    raise BrokenConnection(str(fault) or type(fault).__name__) from fault
                finally:
                    await response.aclose()
            case CloseResponse(response):
                return await response.aclose()
            case RunBlocking(function):
                return await asyncio.to_thread(function)

    async def _send(self, step: SendRequest) -> httpx2.Response:
        try:
            request = self._http.build_request(**step.request_arguments(self._protocol.base_url))
            response = await self._http.send(request, stream=step.stream)
            if step.stream and not response.is_success:
                await response.aread()
                await response.aclose()
        except (httpx2.RequestError, httpx2.InvalidURL) as fault:
            raise unreachable_error(self._protocol.base_url, fault) from fault
        return response
