"""Live updates of runs for pages: server-sent events whose data is HTML, which htmx puts into the page.

A stream ends with an event `end` when none of its runs is active any more; htmx then does not connect again.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection
from datetime import UTC, datetime
from functools import partial

import anyio.to_thread
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from whohas import timeouts
from whohas.api.routes.events import RunEvents, Watcher, event_id
from whohas.auth import Caller, check_access
from whohas.console import session
from whohas.console.view import View
from whohas.errors import NotFound, Unauthorized
from whohas.runs.models import Run, RunState

_SILENT_WAITS = int(timeouts.WATCH_HEARTBEAT_SECONDS / timeouts.WATCH_WAIT_SECONDS)
"""Waits without a change after which a comment is sent, so that no proxy closes the stream."""


def time_left(run: Run) -> float | None:
    """Return the milliseconds that a running run needs at its present speed; None if that cannot be estimated yet."""
    if run.state is not RunState.RUNNING or run.launched is None or not 1 < run.percent < 100:
        return None
    passed = (datetime.now(UTC) - run.launched).total_seconds() * 1000
    return passed * (100 - run.percent) / run.percent if passed > 0 else None


class RunStream(StreamingResponse):
    """The response with the live updates of some runs.

    Args:
        view: the request.
        run_ids: the ids of the runs; runs that the user may not see are left out.
        show: returns the HTML for the state of a run.
    """

    def __init__(self, view: View, run_ids: Collection[str], show: Callable[[Run], str]) -> None:
        super().__init__(
            self._events(),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        self._view = view
        self._watch: RunEvents = view.request.state.watch
        self._ids = frozenset(run_ids)
        self._show = show
        self._watcher: Watcher | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # registered here and not in the generator, which a client that disconnects leaves to the garbage collector
        only = next(iter(self._ids)) if len(self._ids) == 1 else None
        self._watch.check_capacity()
        async with self._watch.register(self._view.caller, self._rights, only, "") as watcher:
            self._watcher = watcher
            await super().__call__(scope, receive, send)

    def _rights(self) -> Caller:
        found = session.find_session(self._view.request, self._view.services, active=False)
        if found is None:
            raise Unauthorized("The session has ended.")
        check_access(found.caller, "watchRuns")
        return found.caller

    def _present(self) -> list[Run]:
        """Return the present states of the runs that the user may see: some may have ended since the page was made."""
        runs: list[Run] = []
        for id in self._ids:
            try:
                runs.append(self._view.services.runs.get(id, self._view.caller))
            except NotFound:
                continue
        return runs

    async def _events(self) -> AsyncGenerator[bytes]:
        assert self._watcher is not None, "the response was begun"
        active: set[str] = set()
        for run in await anyio.to_thread.run_sync(self._present):
            yield await self._event(run)
            if not run.state.is_over:
                active.add(run.id)
        silent = 0
        if active:
            async for run in self._watch.changes(self._watcher):
                if run is None:
                    silent += 1
                    if silent >= _SILENT_WAITS:
                        silent = 0
                        yield KEEPALIVE_COMMENT
                elif run.id in active:
                    yield await self._event(run)
                    if run.state.is_over:
                        active.discard(run.id)
                if not active:
                    break
        yield format_sse_event(event="end", data_str="")

    async def _event(self, run: Run) -> bytes:
        text = await anyio.to_thread.run_sync(partial(self._show, run))
        return format_sse_event(id=event_id(run), data_str=text)
