"""Counts requests and downloads."""

from __future__ import annotations

import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.api.metrics import Metrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"})


class MetricsMiddleware:
    """Middleware that counts requests by route, and downloads by report type and format.

    The route of a download stores its report type and format in `request.state.download`.

    Args:
        app: the next application.
        metrics: the metrics to update.
        prefixes: the prefixes under which routers are mounted, because a route knows only the rest of its path.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, prefixes: Iterable[str]) -> None:
        self.app = app
        self.metrics = metrics
        self.prefixes = sorted(prefixes, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 499  # the client disconnected before there was a response
        answered: float | None = None

        async def watched(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = self._route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.requests.labels(method, route, str(status)).inc()
            if answered is not None:
                self.metrics.seconds.labels(route).observe(answered - begun)
            download = scope.get("state", {}).get("download")
            if download is not None and answered is not None and str(status) in ("200", "206") and method == "GET":
                self.metrics.downloads.labels(*download).inc()

    def _route(self, scope: Scope) -> str:
        """Return the path of a request's route with its prefix, such as `/v2025/reports/{id:path}/result`."""
        rest: str | None = getattr(scope.get("route"), "path", None)
        if rest is None:
            return "none"
        path: str = scope["path"]
        return next((prefix for prefix in self.prefixes if f"{path}/".startswith(f"{prefix}/")), "") + rest
