"""The question that is asked more often than all others together: what became of a run.

A client that waits for its run asks several times a second, and many wait at once. A plain GET, without a query, is
answered here, before the application looks through its routes, resolves dependencies and changes threads for each: it
takes a third of the processor's time so, and less where nothing was written since the last one. The answer is the one
that the route of `reports` gives; whatever else is asked, and asked otherwise, goes on to that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from whohas.auth import Caller, check_access
from whohas.cache import Cache, until_commit
from whohas.http.middleware import called
from whohas.http.reports import PREFIXES
from whohas.http.wire import report_results
from whohas.runs.service import Runs

_PATH = re.compile(f"(?:{'|'.join(map(re.escape, PREFIXES))})/([0-9a-f]{{32}})/result")


@dataclass(frozen=True, slots=True)
class _Route:
    """What log, figures and audit trail want to know of a route."""

    name: str = "getReportResult"
    path: str = "/{id:path}/result"


_ROUTE = _Route()


class Polls:
    """Answers plain polls; what stands above it has let the caller in.

    Args:
        at_once: whether the database answers without waiting, so that it can be asked on the spot.
    """

    def __init__(self, app: ASGIApp, runs: Runs, at_once: bool) -> None:
        self.app = app
        self.runs = runs
        self.at_once = at_once
        self._answers: Cache[bytes] = until_commit(runs.database)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = None
        if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]:
            asked = _PATH.fullmatch(scope["path"])
        if asked is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        caller: Caller = scope["state"]["caller"]
        check_access(caller, _ROUTE.name)
        body = await called(self._kept, asked[1], caller, at_once=self.at_once)
        await Response(body, media_type="application/json")(scope, receive, send)

    def _kept(self, run_id: str, caller: Caller) -> bytes:
        return self._answers.get((run_id, caller), lambda: self._answer(run_id, caller))

    def _answer(self, run_id: str, caller: Caller) -> bytes:
        run = self.runs.polled(run_id, caller)
        return b"{}" if run is None else report_results(run).model_dump_json().encode()
