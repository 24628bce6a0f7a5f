"""The sans-I/O protocol of both clients: tokens, retries, polling, downloads and parsing, without network access.

Each operation is a generator. It yields the next step, and the client executes the step and sends its result back into
the generator, or throws the error of the step into it. The two clients differ only in how they execute steps.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, RootModel, ValidationError

from whohas_client._arguments import SOURCE_ID, SOURCE_NAME
from whohas_client._download import FileHead, PartialFile
from whohas_client._responses import error_for_response, retry_after
from whohas_client._settings import Credentials
from whohas_client.contract import ReportDetails, ReportResults, TaskResultDetails, TokenResponse
from whohas_client.errors import (
    Forbidden,
    InvalidArguments,
    NotFound,
    TimedOut,
    Unauthorized,
    Unavailable,
    WhohasError,
    ambiguous_id,
)

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

OnProgress: TypeAlias = Callable[[ReportResults], object]
"""A function that is called with each result of a run that differs from the last."""

OnBytes: TypeAlias = Callable[[int, "int | None"], object]
"""A function that is called during a download with the bytes received, and the size of the file if it is known."""

DEFAULT_PREFIX = "/v2025"
_JSON = "application/json"
_MEDIA_TYPES = {"csv": "application/csv", "pdf": "application/pdf"}
TIMEOUT = httpx2.Timeout(60, connect=10)

PAGE = 250
"""Tasks on a page of the task list; the published API allows no more."""

MAX_RATE_LIMIT_RETRIES = 5
"""How often a call is retried after status 429, or 503 with `Retry-After`."""

RETRY_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each retry of a GET request that the server did not answer, or of a download that brought nothing."""

MAX_RESTARTS = 5
"""How often a download begins again from its first byte, where the server cannot resume it."""

FIRST_POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 2.0
"""First and longest interval between two polls of a run, in seconds; most runs are short, so it begins small."""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """A step: send an HTTP request, and resume the generator with the response.

    Attributes:
        method: such as `GET`.
        path: appended to the base URL; percent-encoded.
        query: the query parameters.
        json: the JSON body, if any.
        form: the form fields of the body, if any; not shown in the `repr`, because they contain the secret.
        headers: further headers.
        token: for the Authorization header; not shown in the `repr`.
        stream: do not read the body of a successful response.
    """

    method: str
    path: str
    query: Mapping[str, str] | None = None
    json: Any = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    token: str | None = field(default=None, repr=False)
    stream: bool = False

    def request_arguments(self, base_url: str) -> dict[str, Any]:
        """Return the keyword arguments of httpx's `build_request`."""
        headers = {**self.headers, **({"Authorization": f"Bearer {self.token}"} if self.token else {})}
        if self.stream:
            headers["Accept-Encoding"] = "identity"  # no compression: length and hash of the body are verified
        return {
            "method": self.method,
            "url": base_url + self.path,
            "params": self.query,
            "json": self.json,
            "data": self.form,
            "headers": headers,
        }


@dataclass(frozen=True, slots=True)
class Sleep:
    """A step: wait for this many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ReceiveBody:
    """A step: pass each chunk of the body of a response to `write`, then close the response.

    The step fails with `BrokenConnection`, or with the error of `write`.
    """

    response: httpx2.Response
    write: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class CloseResponse:
    """A step: close a response whose body is not needed."""

    response: httpx2.Response


@dataclass(frozen=True, slots=True)
class RunBlocking:
    """A step: call a function that reads or writes files, and resume the generator with its result.

    The asynchronous client calls it in a thread.
    """

    function: Callable[[], Any]


class BrokenConnection(Unavailable):
    """The connection broke while a body was received."""


Step: TypeAlias = SendRequest | Sleep | ReceiveBody | CloseResponse | RunBlocking
Steps: TypeAlias = Generator[Step, Any, T]


class Perform(Protocol):
    """A function of the synchronous client that executes steps, and returns their result."""

    def __call__(self, steps: Steps[T]) -> T: ...


class AsyncPerform(Protocol):
    """A function of the asynchronous client that executes steps, and returns their result."""

    async def __call__(self, steps: Steps[T]) -> T: ...


class _Task(BaseModel):
    """The fields of a task that the client reads."""

    id: str
    uniqueName: str | None = None
    created: str | None = None


class _Tasks(RootModel[list[_Task]]):
    """A page of tasks."""


class _Source(BaseModel):
    """The fields of a source that the client reads."""

    id: str
    name: str


class _Sources(RootModel[list[_Source]]):
    """A page of sources."""


class _Column(BaseModel):
    """A column of a report: its name in typed files, and its type."""

    name: str
    type: str


class _Statement(BaseModel):
    """The fields of a statement that the client reads; runs of an older server have no `columns`."""

    name: str = ""
    columns: list[_Column] | None = None


class _Statements(BaseModel):
    """The statements of a run."""

    statements: list[_Statement]


class ReportsProtocol:
    """The operations of one API client on one server, as generators of steps; holds the access token.

    The methods of `Client` describe the operations.
    """

    def __init__(self, credentials: Credentials, prefix: str = DEFAULT_PREFIX) -> None:
        self.base_url = credentials.base_url.rstrip("/")
        self._prefix = prefix.strip("/")
        self._reports = self._path("reports")
        self._credentials = {
            "grant_type": "client_credentials",
            "client_id": credentials.client_id,
            "client_secret": credentials.client_secret,
        }
        self._token: str | None = None
        self._has_sources: bool | None = None

    def _path(self, collection: str) -> str:
        """Return the path of a collection: `/v2025/reports`, or `/reports/v1` for the version without a year."""
        return f"/{collection}/v1" if self._prefix == "reports/v1" else f"/{self._prefix}/{collection}"

    def start(self, report_type: str, arguments: Mapping[str, Any] | None) -> Steps[TaskResultDetails]:
        """Start a run; see `Client.start`."""
        details = ReportDetails(reportType=report_type, arguments=dict(arguments or {}))
        response = yield from self._call(SendRequest("POST", f"{self._reports}/run", json=details.model_dump()))
        run = _read(response, TaskResultDetails)
        if not run.id:
            raise Unavailable(f"{self.base_url} answered without a run's id. Is it a server of reports?")
        return run

    def result(self, run_id: str, completed: bool) -> Steps[ReportResults]:
        """Get the state of a run; see `Client.result`."""
        query = {"completed": "true"} if completed else None
        response = yield from self._call(SendRequest("GET", f"{self._run(run_id)}/result", query))
        return _read(response, ReportResults)

    def wait(self, run_id: str, on_progress: OnProgress | None, timeout: float | None) -> Steps[ReportResults]:
        """Poll a run until it has ended; see `Client.wait`."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pause, last = FIRST_POLL_SECONDS, None
        while True:
            result = yield from self.result(run_id, completed=False)
            if result.id is None and result.reportType is None:
                raise NotFound(f"The server has no result for the run {run_id}: its report was switched off.")
            if on_progress is not None and result != last:
                on_progress(result)
            last = result
            if result.status is not None:
                return result
            if deadline is not None and time.monotonic() + pause > deadline:
                raise TimedOut(
                    f"The run {run_id} is not over after {timeout:g} seconds "
                    f"({result.progress or 'no progress reported'}). It is still active: wait longer or cancel it."
                )
            yield Sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    def fetch(
        self,
        run_id: str,
        query: Mapping[str, str],
        part: PartialFile,
        on_bytes: OnBytes | None = None,
        check: Callable[[FileHead], None] | None = None,
    ) -> Steps[FileHead]:
        """Download a file of a run into a partial file, and verify it; return what its headers say.

        Where the connection breaks, the rest is requested with `Range` and `If-Range`, so that the two halves are of
        the same file. If the server sends the whole file instead (it changed, or ranges are not supported), the
        download begins again.

        Args:
            query: the query parameters, among them `fileFormat`.
            on_bytes: called after each chunk.
            check: called with the headers before the body is read; it may raise an error.

        Raises:
            DamagedDownload: the length or the SHA-256 is not the one that the server announced.
            Unavailable: the connection broke too often, or the disk is full or fails.
        """
        # the published service sends a file only if this header names its type; whohas ignores it
        media_type = _MEDIA_TYPES.get(query["fileFormat"], "*/*")
        send = SendRequest("GET", self._run(run_id), query, stream=True, headers={"Accept": media_type})
        response = yield from self._call(send)
        head = FileHead.of(response)
        if check is not None:
            try:
                check(head)
            except WhohasError:
                yield CloseResponse(response)
                raise

        def write(chunk: bytes) -> None:
            part.write(chunk)
            if on_bytes is not None:
                on_bytes(part.length, head.size)

        longest, without_progress, restarts = 0, 0, 0
        while True:
            try:
                yield ReceiveBody(response, write)
                if head.size is None or part.length >= head.size:
                    break
                reason = f"{part.length:,} of {head.size:,} bytes"
            except BrokenConnection as error:
                reason = error.message
            without_progress = 0 if part.length > longest else without_progress + 1
            longest = max(longest, part.length)
            if without_progress > len(RETRY_PAUSES) or restarts > MAX_RESTARTS:
                raise Unavailable(f"The download was cut short: {reason}. Repeat it.")
            yield Sleep(RETRY_PAUSES[max(0, without_progress - 1)])
            try:
                response = yield from self._continue(send, head, part.length)
            except Unavailable as error:
                raise Unavailable(f"The download was cut short: {reason}. Then: {error.message}") from error
            if response.status_code == 206:
                continue
            restarts += 1
            head = FileHead.of(response)
            yield RunBlocking(part.restart)
        yield RunBlocking(lambda: part.verify(head))
        return head

    def _continue(self, send: SendRequest, head: FileHead, offset: int) -> Steps[httpx2.Response]:
        """Request a file from an offset on; return a response with its rest (206) or with the whole file (200)."""
        if head.etag is not None and offset > 0:
            # If-Range: a server whose file has changed since sends the whole new file, never a part of it
            ranged = {**send.headers, "Range": f"bytes={offset}-", "If-Range": head.etag}
            response = yield from self._call(replace(send, headers=ranged), allowed={416})
            if response.status_code == 200 or (response.status_code == 206 and head.continues(response, offset)):
                return response
            if response.status_code == 206:
                yield CloseResponse(response)
        return (yield from self._call(send))

    def resolve_source(self, report_type: str, name: str) -> Steps[dict[str, Any]]:
        """Return the arguments that limit a report to the source with a name.

        The published list of sources gives the id, which the published reports need. A server without that list is
        whohas, which takes the name.

        Raises:
            NotFound: there is no such source, or the client may not see it.
            Forbidden: the client may not list sources.
        """
        by_name: dict[str, Any] = {SOURCE_NAME: name}
        if self._has_sources is False:
            return by_name
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        send = SendRequest("GET", self._path("sources"), {"filters": f'name eq "{escaped}"', "limit": str(PAGE)})
        try:
            response = yield from self._call(send, allowed={404, 405})
        except Forbidden as error:
            id_argument = SOURCE_ID.get(report_type, SOURCE_ID["ACCOUNTS"])
            raise Forbidden(
                f"{error.message} The name of a source is looked up in the list of sources, which needs the scope "
                f"idn:sources:read. Without it, pass {id_argument}= with the id of the source."
            ) from error
        self._has_sources = response.is_success
        if not response.is_success:
            return by_name
        found = [source for source in _read(response, _Sources).root if source.name == name]
        if not found:
            raise NotFound(f"{self.base_url} has no source named {name!r}, or none that you may see.")
        if len(found) > 1:
            ids = ", ".join(source.id for source in found)
            raise InvalidArguments(f"Several sources are named {name!r}. Pass the id of one of them: {ids}.")
        if report_type in SOURCE_ID and report_type != "ACCOUNTS":
            return {SOURCE_ID[report_type]: found[0].id}
        # ACCOUNTS requires both; reports of a server's own are like it
        return {SOURCE_ID["ACCOUNTS"]: found[0].id, **by_name}

    def columns(self, run_id: str) -> Steps[Mapping[str, Mapping[str, str]] | None]:
        """Return the parts of a run by their names, each with the types of its columns by their names.

        A report of one file has one part, whose name is empty. Return None for a server that is not whohas.
        """
        send = SendRequest("GET", f"/whohas/runs/{quote(run_id, safe='')}/statement", headers={"Accept": _JSON})
        response = yield from self._call(send, allowed={401, 403, 404, 405, 406})
        if not response.is_success:
            return None
        return {
            statement.name: {column.name: column.type for column in statement.columns or ()}
            for statement in _read(response, _Statements).statements
        }

    def request(
        self, method: str, path: str, query: Mapping[str, str] | None, json: Any, accept: str | None
    ) -> Steps[httpx2.Response]:
        """Send any request of the server's API; see `Client.request`."""
        headers = {"Accept": accept} if accept else {}
        return (yield from self._call(SendRequest(method, path, query, json, headers=headers)))

    def cancel(self, run_id: str) -> Steps[None]:
        """Cancel a run; see `Client.cancel`."""
        yield from self._call(SendRequest("POST", f"{self._run(run_id)}/cancel"))

    def find_run(self, beginning: str) -> Steps[str]:
        """Find a run by a prefix of its id, by paging through the task list; see `Client.find`."""
        text = beginning.strip().lower()
        if re.fullmatch("[0-9a-f]{32}", text):
            return text
        found: list[str] = []
        offset = 0
        while True:
            query = {"limit": str(PAGE), "offset": str(offset)}
            response = yield from self._call(SendRequest("GET", self._path("task-status"), query))
            page = _read(response, _Tasks).root
            found += [
                f"{task.id}  {task.uniqueName or ''}  {task.created or ''}".rstrip()
                for task in page
                if task.id.startswith(text)
            ]
            if len(page) < PAGE:
                break
            # Tasks that start between two requests push others onto the next page, so that one may appear twice:
            # page 1 has tasks 250 … 1 of 300; a task starts; page 2 begins with task 1 of page 1 again.
            offset += PAGE
        matches = list(dict.fromkeys(found))
        if not text or not matches:
            raise NotFound(f"{self.base_url} has no run whose id begins with {beginning!r}, or none that you may see.")
        if len(matches) > 1:
            raise ambiguous_id(text, matches)
        return matches[0].partition(" ")[0]

    def _run(self, run_id: str) -> str:
        return f"{self._reports}/{quote(run_id, safe='')}"

    def _call(self, send: SendRequest, allowed: Collection[int] = ()) -> Steps[httpx2.Response]:
        """Send a request with the access token, and return its successful response.

        Retries once with a new token after 401, up to `MAX_RATE_LIMIT_RETRIES` times after 429 and, for GET, after 503
        with `Retry-After` (waiting as the server asks), and GET requests without an answer after the `RETRY_PAUSES`.

        Args:
            allowed: statuses of unsuccessful responses that are returned too.

        Raises:
            WhohasError: the server refused, or did not answer.
        """
        renewed, refused, unanswered = False, 0, 0
        while True:
            try:
                if self._token is None:
                    self._token = yield from self._fetch_token()
                response = _received((yield replace(send, token=self._token)))
            except Unavailable:
                # only GET is retried: repeating the start of a run might start a second one
                if send.method != "GET" or unanswered == len(RETRY_PAUSES):
                    raise
                yield Sleep(RETRY_PAUSES[unanswered])
                unanswered += 1
                continue
            if response.status_code == 401 and not renewed:
                self._token, renewed = None, True
                continue
            if response.is_success or response.status_code in allowed:
                return response
            is_busy = response.status_code == 503 and send.method == "GET" and "retry-after" in response.headers
            if (response.status_code == 429 or is_busy) and refused < MAX_RATE_LIMIT_RETRIES:
                refused += 1
                yield Sleep(retry_after(response))
            else:
                raise error_for_response(response)

    def _fetch_token(self) -> Steps[str]:
        refused = 0
        while True:
            response = _received((yield SendRequest("POST", "/oauth/token", form=self._credentials)))
            is_busy = response.status_code in (429, 503) and "retry-after" in response.headers
            if not is_busy or refused == MAX_RATE_LIMIT_RETRIES:
                break
            refused += 1
            yield Sleep(retry_after(response))
        if response.status_code in (400, 401):
            raise Unauthorized(f"{self.base_url} gives no token: {error_for_response(response).message}")
        if not response.is_success:
            raise error_for_response(response)
        return _read(response, TokenResponse).access_token


def unreachable_error(base_url: str, error: Exception) -> Unavailable:
    """Return the error for a server that could not be reached."""
    return Unavailable(f"{base_url} does not answer: {str(error) or type(error).__name__}. Is the server running?")


def _received(response: Any) -> httpx2.Response:
    assert isinstance(response, httpx2.Response), "a SendRequest is answered with a response"
    return response


def _read(response: httpx2.Response, model: type[Model]) -> Model:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the body"
        raise Unavailable(
            f"{response.url.host} answered with something else than {model.__name__}: {where}: {fault['msg']}"
        ) from None
