"""Live updates of runs as server-sent events, at `/whohas/runs/events` and `/whohas/runs/{id}/events`.

Each server has one poller that queries the database for all its clients, and only while there are clients. A slow
client gets only the newest state of each run instead of every change, so that its queue never has more entries than
there are runs.

The id of an event identifies the state of the run (`event_id`). A client that reconnects with `Last-Event-ID` gets the
present state unless it has the same id. If its run was over then, the response is 204, after which a browser does not
reconnect:

    GET /whohas/runs/5f3c.../events                                  -> id: 5f3c...-0a1b  (running, 40 %)
    (connection lost; reconnect) Last-Event-ID: 5f3c...-0a1b         -> id: 5f3c...-77e2  (succeeded), end of stream
    (reconnect)                  Last-Event-ID: 5f3c...-77e2         -> 204
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
import sqlalchemy as sa
import structlog
from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from whohas import timeouts
from whohas.api import openapi
from whohas.api.dependencies import caller_of, services_of
from whohas.api.mappers import report_results
from whohas.api.middleware.authentication import bearer_token
from whohas.api.requests import validate_run_id
from whohas.auth import Caller, check_access
from whohas.errors import Forbidden, NotFound, QuotaExceeded, Unauthorized, Unavailable
from whohas.runs import repository, tables, visibility
from whohas.runs.models import Run
from whohas.runs.repository import ACTIVE_RUNS

if TYPE_CHECKING:
    from whohas.services import Services

PREFIX = "/whohas/runs"

POLL_SECONDS = timeouts.WATCH_POLL_SECONDS
MAX_STREAM_SECONDS = timeouts.WATCH_MAX_SECONDS
RIGHTS_CHECK_SECONDS = timeouts.WATCH_TOKEN_CHECK_SECONDS
MAX_CLIENTS = 1000
"""The most clients that may watch a server at the same time."""
_LOOK_BACK = timedelta(seconds=timeouts.WATCH_LOOK_BACK_SECONDS)
_MOST_KEPT = 10_000
"""The most runs whose last event, or pending state, is kept for a client."""

log = structlog.get_logger("whohas.http")


@dataclass(eq=False)
class Watcher:
    """A connected client.

    Attributes:
        caller: the caller, updated at each check of rights; the client gets events of the runs that the caller may see.
        rights: verifies the token again and returns the caller with the present rights, or raises `Unauthorized` or
            `Forbidden`.
        run_id: the run that the client watches; None for all runs.
        sent: the id of the last event that the client got, by run.
        pending: the newest state of each run that changed and was not sent yet, by run.
        woken: set when `pending` gets an entry.
    """

    caller: Caller
    rights: Callable[[], Caller]
    run_id: str | None
    sent: dict[str, str]
    pending: dict[str, Run] = field(default_factory=dict[str, Run])
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def enqueue(self, run: Run, launched: visibility.Launches) -> None:
        """Add the state of a run to `pending` if the client watches the run and its caller may see it."""
        if self.run_id in (None, run.id) and visibility.may_see(self.caller, launched):
            _put_last(self.pending, run.id, run)
            self.woken.set()

    def next_run(self) -> Run | None:
        """Return the next state to send and note it as sent; None if the client has all of them."""
        while self.pending:
            run = self.pending.pop(next(iter(self.pending)))
            if self.sent.get(run.id) != event_id(run):
                _put_last(self.sent, run.id, event_id(run))
                return run
        return None


class RunEvents:
    """The connected clients of one server, and the poller that queries the database for all of them."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._watchers: set[Watcher] = set()
        self._poller: asyncio.Task[None] | None = None
        self._closing = False

    def close(self) -> None:
        """End all streams within `WATCH_WAIT_SECONDS`, so that the server can stop; may be called from any thread."""
        self._closing = True

    def check_capacity(self) -> None:
        """Raise if the server has the most clients already.

        Raises:
            QuotaExceeded: `MAX_CLIENTS` clients are connected; `retry_after` is 30 seconds.
        """
        if len(self._watchers) >= MAX_CLIENTS:
            raise QuotaExceeded(
                f"{MAX_CLIENTS:,} clients receive events already. Try again in 30 seconds.", retry_after=30
            )

    @asynccontextmanager
    async def register(
        self, caller: Caller, rights: Callable[[], Caller], run_id: str | None, known: str
    ) -> AsyncGenerator[Watcher]:
        """Register a client until its response ends.

        Args:
            caller: the caller of the request.
            rights: called every `RIGHTS_CHECK_SECONDS`: returns the caller with the present rights, or raises
                `Unauthorized` or `Forbidden`, which ends the stream.
            run_id: the run to watch; None for all runs that the caller may see.
            known: the id of the last event that the client got (`Last-Event-ID`); empty if it got none.
        """
        watcher = Watcher(caller, rights, run_id, {known.partition("-")[0]: known})
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def events(self, watcher: Watcher) -> AsyncGenerator[ServerSentEvent]:
        """Yield the events of one run until it is over, or of all runs until the client disconnects.

        `changes` with each run as JSON.
        """
        yield ServerSentEvent(retry=2000)
        async for run in self.changes(watcher):
            if run is not None:
                yield ServerSentEvent(id=event_id(run), event="run", data=report_results(run))

    async def changes(self, watcher: Watcher) -> AsyncGenerator[Run | None]:
        """Yield the states of one run until it is over, or of all runs until the client disconnects; None where
        nothing changed for `WATCH_WAIT_SECONDS`.

        The first states are the present ones. A stream also ends after `MAX_STREAM_SECONDS`, when the server stops,
        or when the caller loses the right to watch. FastAPI sends a comment after 15 seconds without an event.
        """
        for run, launched in await anyio.to_thread.run_sync(self._now, watcher.run_id):
            watcher.enqueue(run, launched)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        ends, next_check = time.monotonic() + MAX_STREAM_SECONDS, time.monotonic() + RIGHTS_CHECK_SECONDS
        while not self._closing and time.monotonic() < ends:
            if time.monotonic() > next_check:
                if not await anyio.to_thread.run_sync(self._update_rights, watcher):
                    return
                next_check = time.monotonic() + RIGHTS_CHECK_SECONDS
            while (run := watcher.next_run()) is not None:
                yield run
                if watcher.run_id is not None and run.state.is_over:
                    return
            watcher.woken.clear()
            with suppress(TimeoutError):  # to check `_closing` and the rights again
                await asyncio.wait_for(watcher.woken.wait(), timeouts.WATCH_WAIT_SECONDS)
            if not watcher.pending:
                yield None

    def token_rights(self, token: str, route: str) -> Caller:
        """Return the caller of a token with the present rights, if it may call a route.

        Raises:
            Unauthorized: the token is not valid any more.
            Forbidden: the caller may not call the route any more.
        """
        caller = self._services.access.tokens.verify(token)
        check_access(caller, route)
        return caller

    def _update_rights(self, watcher: Watcher) -> bool:
        """Update the rights of a client, and return whether it may continue to watch."""
        try:
            watcher.caller = watcher.rights()
            if watcher.run_id is not None:
                self._services.runs.get(watcher.run_id, watcher.caller)
        except (Unauthorized, Forbidden, NotFound):
            return False
        except (Unavailable, SQLAlchemyError):  # the database or the provider is unavailable: the next check decides
            pass
        return True

    async def _poll(self) -> None:
        """Query changed runs every `POLL_SECONDS` and pass them to the clients; end when there are no clients."""
        known: dict[str, str] = {}
        since = repository.now()
        while self._watchers and not self._closing:
            started = repository.now()
            try:
                runs = await anyio.to_thread.run_sync(self._changed, since - _LOOK_BACK)
            except (
                Exception
            ) as error:  # the database is unavailable: `since` stays, so that the next query finds what was missed
                log.warning("watch waits", exc_info=error)
                await asyncio.sleep(timeouts.WATCH_WAIT_SECONDS)
                continue
            since = started
            previous, known = known, {str(run.id): event_id(run) for run, _ in runs}
            for run, launched in runs:
                if previous.get(run.id) != known[run.id]:
                    for watcher in self._watchers:
                        watcher.enqueue(run, launched)
            await asyncio.sleep(POLL_SECONDS)

    def _changed(self, since: datetime) -> list[tuple[Run, visibility.Launches]]:
        """Return the runs that are not over or ended since a time, each with its starts (who may see it)."""
        return self._runs(sa.or_(ACTIVE_RUNS, tables.run.c.completed >= since))

    def _now(self, run_id: str | None) -> list[tuple[Run, visibility.Launches]]:
        return self._runs(ACTIVE_RUNS if run_id is None else tables.run.c.id == run_id)

    def _runs(self, condition: sa.ColumnElement[bool]) -> list[tuple[Run, visibility.Launches]]:
        with self._services.database.connect() as connection:
            runs = repository.list_runs(connection, condition)
            launched = repository.launches_of(connection, condition)
        return [(run, launched.get(run.id, set())) for run in runs]


Known = Annotated[str, Header(alias="Last-Event-ID", description="The id of the last event that the client received.")]


router = APIRouter(tags=["Watching"])

_EVENTS: openapi.Responses = {200: {"description": "Events named `run`."}}

# A watcher is registered by a dependency, which FastAPI ends with the response. If the generator of events did it, the
# watcher would stay until the garbage collector closes the generator of a client that disconnected. Errors are raised
# in the dependency too, because the status is already sent when the generator runs.


async def watch_all(request: Request, response: Response, known: Known = "") -> AsyncGenerator[Watcher]:
    """Register the client of a request as a watcher of all runs, until its response ends."""
    run_events = _run_events(request)
    run_events.check_capacity()
    response.headers["Cache-Control"] = "no-store"  # FastAPI's default, no-cache, lets caches store it
    async with run_events.register(caller_of(request), _rights(request), None, known) as watcher:
        yield watcher


async def watch_one(request: Request, response: Response, id: str, known: Known = "") -> AsyncGenerator[Watcher]:
    """Register the client of a request as a watcher of one run, until its response ends.

    Raises:
        HTTPException: 204, if the run is over and the client has its last event.
    """
    runs, run_events = services_of(request).runs, _run_events(request)
    run = await anyio.to_thread.run_sync(runs.get, validate_run_id(id), caller_of(request))
    if run.state.is_over and known == event_id(run):
        raise HTTPException(204)
    run_events.check_capacity()
    response.headers["Cache-Control"] = "no-store"
    async with run_events.register(caller_of(request), _rights(request), run.id, known) as watcher:
        yield watcher


@router.get(
    "/events",
    response_class=EventSourceResponse,
    **openapi.operation("watchRuns", summary="Live updates of all runs, as server-sent events", responses=_EVENTS),
)
async def stream_events(
    request: Request, watcher: Annotated[Watcher, Depends(watch_all)]
) -> AsyncGenerator[ServerSentEvent]:
    """Send the events of all runs that the caller may see."""
    async for event in _run_events(request).events(watcher):
        yield event


@router.get(
    "/{id}/events",
    response_class=EventSourceResponse,
    **openapi.operation(
        "watchRun",
        summary="Live updates of a run, as server-sent events; ends when the run is over",
        responses=_EVENTS,
    ),
)
async def stream_run_events(
    request: Request, watcher: Annotated[Watcher, Depends(watch_one)]
) -> AsyncGenerator[ServerSentEvent]:
    """Send the events of one run until it is over."""
    async for event in _run_events(request).events(watcher):
        yield event


def _rights(request: Request) -> Callable[[], Caller]:
    return partial(_run_events(request).token_rights, bearer_token(request.headers), request.scope["route"].name)


def _run_events(request: Request) -> RunEvents:
    """Return the connected clients of the server, which `create_app` has stored in the state of the application."""
    run_events: RunEvents = request.app.state.watch
    return run_events


def _put_last(entries: dict[str, Any], id: str, value: object) -> None:
    """Set an entry and move it to the end; beyond `_MOST_KEPT` entries, remove the oldest one."""
    entries.pop(id, None)
    entries[id] = value
    if len(entries) > _MOST_KEPT:
        del entries[next(iter(entries))]


def event_id(run: Run) -> str:
    """Return the id of the event for the state of a run: the run's id and a hash of the fields that clients see.

    Two states with the same state, attempt, progress, percent and numbers of messages and files have the same id.
    """
    fields = [run.state.value, run.attempt, run.progress, run.percent, len(run.messages), len(run.artefacts)]
    return f"{run.id}-{hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:12]}"
