"""The sans-I/O protocol of both clients: tokens, retries, polling and parsing, without any network access.

Each operation is a generator. It yields the next step, `SendRequest` (a request) or `Sleep`; the client executes the
step and sends the response back into the generator (None after a `Sleep`). The two clients differ only in how they
execute steps.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, RootModel, ValidationError

from whohas.client._errors import error_for_response, retry_after
from whohas.contract import ReportDetails, ReportResults, TaskResultDetails, TokenResponse
from whohas.errors import InvalidArguments, NotFound, Unauthorized, Unavailable
from whohas.hints import ambiguous_id

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

OnProgress: TypeAlias = Callable[[ReportResults], object]
"""A function that is called with each result of a run that differs from the last."""

DEFAULT_PREFIX = "/v2025"
TIMEOUT = httpx2.Timeout(60, connect=10)
VARIABLES = ("SAIL_BASE_URL", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET")

PAGE = 250
"""Tasks on a page of the task list; the published API allows no more."""

MAX_RATE_LIMIT_RETRIES = 5
"""How often a call is retried after status 429."""

RETRY_PAUSES = (0.5, 1.0, 2.0)
"""Seconds before each retry of a GET request that the server did not answer."""

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
        token: for the Authorization header; not shown in the `repr`.
        stream: do not read the body of a successful response.
    """

    method: str
    path: str
    query: Mapping[str, str] | None = None
    json: Any = None
    form: Mapping[str, str] | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    stream: bool = False

    def request_arguments(self, base_url: str) -> dict[str, Any]:
        """Return the keyword arguments of httpx's `build_request`."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
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
    """A step: wait for this many seconds, and resume the generator with None."""

    seconds: float


Steps: TypeAlias = Generator[SendRequest | Sleep, httpx2.Response | None, T]


class _Task(BaseModel):
    """The fields of a task that the client reads."""

    id: str
    uniqueName: str | None = None
    created: str | None = None


class _Tasks(RootModel[list[_Task]]):
    """A page of tasks."""


class ReportsProtocol:
    """The operations of one API client on one server, as generators of steps; holds the access token.

    Args: as for `Client`, whose methods describe the operations.

    Raises:
        InvalidArguments: the base URL is not an HTTP URL.
    """

    def __init__(self, base_url: str, client_id: str, client_secret: str, prefix: str = DEFAULT_PREFIX) -> None:
        if not base_url.startswith(("http://", "https://")):
            raise InvalidArguments(f"base_url is {base_url!r}; it must begin with http:// or https://.")
        self.base_url = base_url.rstrip("/")
        self._reports = "/reports/v1" if prefix.strip("/") == "reports/v1" else f"/{prefix.strip('/')}/reports"
        self._tasks = "/task-status/v1" if self._reports == "/reports/v1" else f"/{prefix.strip('/')}/task-status"
        self._credentials = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        self._token: str | None = None

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
                raise Unavailable(
                    f"The run {run_id} is not over after {timeout:g} seconds "
                    f"({result.progress or 'no progress reported'}). It is still active: wait longer or cancel it."
                )
            yield Sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)

    def file(self, run_id: str, format: str, name: str | None) -> Steps[httpx2.Response]:
        """Request a file of a run; return the response with its body unread."""
        query = {"fileFormat": format.lower(), **({"name": name} if name else {})}
        return (yield from self._call(SendRequest("GET", self._run(run_id), query, stream=True)))

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
            response = yield from self._call(SendRequest("GET", self._tasks, query))
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

    def _call(self, send: SendRequest) -> Steps[httpx2.Response]:
        """Send a request with the access token, and return its successful response.

        Retries once with a new token after 401, up to `MAX_RATE_LIMIT_RETRIES` times after 429 (waiting as the server
        asks), and GET requests without an answer after the `RETRY_PAUSES`.

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
            if response.is_success:
                return response
            if response.status_code == 401 and not renewed:
                self._token, renewed = None, True
            elif response.status_code == 429 and refused < MAX_RATE_LIMIT_RETRIES:
                refused += 1
                yield Sleep(retry_after(response))
            else:
                raise error_for_response(response)

    def _fetch_token(self) -> Steps[str]:
        response = _received((yield SendRequest("POST", "/oauth/token", form=self._credentials)))
        if response.status_code in (400, 401):
            raise Unauthorized(f"{self.base_url} gives no token: {error_for_response(response).message}")
        if not response.is_success:
            raise error_for_response(response)
        return _read(response, TokenResponse).access_token


def read_environment(environ: Mapping[str, str] | None) -> tuple[str, str, str]:
    """Return base URL, client id and secret from the environment variables that the official SDKs use too.

    Args:
        environ: the variables; None for the environment of the process.

    Raises:
        InvalidArguments: a variable is missing; the message names it.
    """
    environ = os.environ if environ is None else environ
    missing = [name for name in VARIABLES if not environ.get(name)]
    if missing:
        raise InvalidArguments(
            f"{', '.join(missing)} must be set in the environment. "
            "`whohas serve --dev` writes a file dev.env to source."
        )
    url, client_id, secret = (environ[name] for name in VARIABLES)
    return url, client_id, secret


def unreachable_error(base_url: str, error: Exception) -> Unavailable:
    """Return the error for a server that could not be reached."""
    return Unavailable(f"{base_url} does not answer: {str(error) or type(error).__name__}. Is the server running?")


def _received(response: httpx2.Response | None) -> httpx2.Response:
    assert response is not None, "a Send is answered with a response"
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
