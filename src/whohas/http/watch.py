"""Runs as they go, as server-sent events, at paths of our own.

However many clients watch, one poller a server asks the database, and only while somebody watches. A client that is
slow is sent the newest state of each run rather than every one, so it costs no more memory than there are runs.

An event's id is the state that it tells. A client that comes back with `Last-Event-ID` is told what is so now, unless
that is what it knew; where its run was over by then the answer is 204, at which a browser stops coming back.
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
from whohas.auth import Caller, check_access
from whohas.errors import Forbidden, NotFound, QuotaExceeded, Unauthorized, Unavailable
from whohas.http import description
from whohas.http.access import caller_of
from whohas.http.middleware import bearer_token
from whohas.http.requests import run_id
from whohas.http.wire import report_results
from whohas.runs import launches, repository, tables
from whohas.runs.model import Run
from whohas.runs.repository import ACTIVE_RUNS

if TYPE_CHECKING:
    from whohas.services import Services

PREFIX = "/whohas/runs"

POLL_SECONDS = timeouts.WATCH_POLL_SECONDS
LONGEST_SECONDS = timeouts.WATCH_LONGEST_SECONDS
RIGHTS_SECONDS = timeouts.WATCH_RIGHTS_SECONDS
MOST = 1000
"""Clients that watch one server at once."""
_LOOK_BACK = timedelta(seconds=timeouts.WATCH_LOOK_BACK_SECONDS)
_MOST_KEPT = 10_000

log = structlog.get_logger("whohas.http")


@dataclass(eq=False)
class _Watcher:
    """A client.

    Attributes:
        caller: who it is; it is told of the runs that they may see.
        rights: gives the caller with the rights of now, or raises where the token is good no more.
        run_id: what it watches; None for all runs.
        told: the id of the last event of each run that it had.
        pending: what it is still to be told: the newest state of each run.
    """

    caller: Caller
    rights: Callable[[], Caller]
    run_id: str | None
    told: dict[str, str]
    pending: dict[str, Run] = field(default_factory=dict[str, Run])
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, run: Run, launched: launches.Launches) -> None:
        if self.run_id in (None, run.id) and launches.sees(self.caller, launched):
            _keep(self.pending, run.id, run)
            self.woken.set()

    def news(self) -> Run | None:
        """What it is to be told next; None where it knows everything."""
        while self.pending:
            run = self.pending.pop(next(iter(self.pending)))
            if self.told.get(run.id) != event_id(run):
                _keep(self.told, run.id, event_id(run))
                return run
        return None


class Watch:
    """The watchers of one server, and the poller that serves them all."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._watchers: set[_Watcher] = set()
        self._poller: asyncio.Task[None] | None = None
        self._closing = False

    def close(self) -> None:
        """Ends every stream within a poll, so that a server that stops need not wait for them. From any thread."""
        self._closing = True

    def admit(self) -> None:
        """Refuses a client where too many watch.

        Raises:
            QuotaExceeded: they do.
        """
        if len(self._watchers) >= MOST:
            raise QuotaExceeded(f"{MOST:,} clients watch this server already.", retry_after=30)

    @asynccontextmanager
    async def watching(self, request: Request, run_id: str | None, known: str) -> AsyncGenerator[_Watcher]:
        """Register the client of a request for as long as its response lasts.

        Args:
            run_id: the run that it watches; None for all that the caller sees.
            known: the id of the last event that the client had; empty where it had none.
        """
        rights = partial(self._rights, bearer_token(request.headers), request.scope["route"].name)
        watcher = _Watcher(caller_of(request), rights, run_id, {known.partition("-")[0]: known})
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def events(self, watcher: _Watcher) -> AsyncGenerator[ServerSentEvent]:
        """Yield the events of one run until it is over, or of all that the caller sees until the client goes.

        FastAPI puts a comment between them where there was nothing for 15 seconds.
        """
        for run, launched in await anyio.to_thread.run_sync(self._now, watcher.run_id):
            watcher.tell(run, launched)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        yield ServerSentEvent(retry=2000)
        ends, look = time.monotonic() + LONGEST_SECONDS, time.monotonic() + RIGHTS_SECONDS
        while not self._closing and time.monotonic() < ends:
            if time.monotonic() > look:
                if not await anyio.to_thread.run_sync(self._still_may, watcher):
                    return
                look = time.monotonic() + RIGHTS_SECONDS
            while (run := watcher.news()) is not None:
                yield ServerSentEvent(id=event_id(run), event="run", data=report_results(run))
                if watcher.run_id is not None and run.state.over:
                    return
            watcher.woken.clear()
            with suppress(TimeoutError):  # to look whether the server stops
                await asyncio.wait_for(watcher.woken.wait(), timeouts.WATCH_WAIT_SECONDS)

    def _rights(self, token: str, route: str) -> Caller:
        caller = self._services.access.tokens.verify(token)
        check_access(caller, route)
        return caller

    def _still_may(self, watcher: _Watcher) -> bool:
        """Whether a client may go on; its rights are those of now from here on."""
        try:
            watcher.caller = watcher.rights()
            if watcher.run_id is not None:
                self._services.runs.get(watcher.run_id, watcher.caller)
        except (Unauthorized, Forbidden, NotFound):
            return False
        except (Unavailable, SQLAlchemyError):  # the database or the issuer is away: the next look tells
            pass
        return True

    async def _poll(self) -> None:
        known: dict[str, str] = {}
        since = repository.now()
        while self._watchers and not self._closing:
            at = repository.now()
            try:
                runs = await anyio.to_thread.run_sync(self._changed, since - _LOOK_BACK)
            except Exception as error:  # the database is away: the next look tells what was missed
                log.warning("watch waits", exc_info=error)
                await asyncio.sleep(timeouts.WATCH_WAIT_SECONDS)
                continue
            since = at
            before, known = known, {str(run.id): event_id(run) for run, _ in runs}
            for run, launched in runs:
                if before.get(run.id) != known[run.id]:
                    for watcher in self._watchers:
                        watcher.tell(run, launched)
            await asyncio.sleep(POLL_SECONDS)

    def _changed(self, since: datetime) -> list[tuple[Run, launches.Launches]]:
        """Runs that are not over, or that ended since then."""
        return self._runs(sa.or_(ACTIVE_RUNS, tables.run.c.completed >= since))

    def _now(self, run_id: str | None) -> list[tuple[Run, launches.Launches]]:
        return self._runs(ACTIVE_RUNS if run_id is None else tables.run.c.id == run_id)

    def _runs(self, asked: sa.ColumnElement[bool]) -> list[tuple[Run, launches.Launches]]:
        with self._services.database.connect() as connection:
            runs = repository.listed(connection, asked)
            launched = repository.launches_of(connection, asked)
        return [(run, launched.get(run.id, set())) for run in runs]


Known = Annotated[str, Header(alias="Last-Event-ID", description="The id of the last event that came.")]


def watch_routes(services: Services, watch: Watch) -> APIRouter:
    """The routes, to be mounted under `PREFIX`."""
    router = APIRouter(tags=["Watching"])

    # A generator that is not resumed is closed whenever the interpreter gets to it, so a watcher is registered by a
    # dependency, which FastAPI ends with the response. Errors belong here too: once a generator is asked for its first
    # event, the status is sent.
    async def every(request: Request, response: Response, known: Known = "") -> AsyncGenerator[_Watcher]:
        watch.admit()
        response.headers["Cache-Control"] = "no-store"  # FastAPI's own no-cache allows a cache to keep it
        async with watch.watching(request, None, known) as watcher:
            yield watcher

    async def single(request: Request, response: Response, id: str, known: Known = "") -> AsyncGenerator[_Watcher]:
        run = await anyio.to_thread.run_sync(services.runs.get, run_id(id), caller_of(request))
        if run.state.over and known == event_id(run):
            raise HTTPException(204)
        watch.admit()
        response.headers["Cache-Control"] = "no-store"
        async with watch.watching(request, run.id, known) as watcher:
            yield watcher

    of_all, of_one = Depends(every), Depends(single)

    async def watch_runs(watcher: _Watcher = of_all) -> AsyncGenerator[ServerSentEvent]:
        async for event in watch.events(watcher):
            yield event

    async def watch_run(watcher: _Watcher = of_one) -> AsyncGenerator[ServerSentEvent]:
        async for event in watch.events(watcher):
            yield event

    for path, endpoint, name, summary in (
        ("/events", watch_runs, "watchRuns", "All runs as they go, as server-sent events"),
        ("/{id}/events", watch_run, "watchRun", "A run as it goes, as server-sent events; ends when it is over"),
    ):
        router.add_api_route(
            path,
            endpoint,
            methods=["GET"],
            name=name,
            dependencies=description.secured(name),
            summary=summary,
            response_class=EventSourceResponse,
            responses={200: {"description": "Events named `run`."}, **description.REFUSALS},
        )
    return router


def _keep(kept: dict[str, Any], id: str, value: object) -> None:
    """Puts something last; of very many the first is forgotten."""
    kept.pop(id, None)
    kept[id] = value
    if len(kept) > _MOST_KEPT:
        del kept[next(iter(kept))]


def event_id(run: Run) -> str:
    """Names the state of a run: the same as long as there is nothing new to tell."""
    told = [run.state.value, run.attempt, run.progress, run.percent, len(run.messages), len(run.artefacts)]
    return f"{run.id}-{hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]}"
