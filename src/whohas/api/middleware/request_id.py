"""Assigns the id of a request, sets the security headers, and logs one line a request."""

from __future__ import annotations

import time
import uuid

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.auth import Caller

TRACKING_HEADER = "SLPT-Request-ID"
"""The response header with the tracking id of the request; the name is that of the published service."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every response, unless the route has set another value, as the sign-in page does."""

HTTPS_ONLY = "max-age=31536000"
"""The value of Strict-Transport-Security over HTTPS: one year."""

PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that monitoring requests every few seconds: logged at level debug, and not traced."""

UNREAD_BYTES = 1 << 30
"""The most bytes of an unread body that are read and dropped before the connection is closed; the most seconds are
`timeouts.HTTP_UNREAD_SECONDS`."""

log = structlog.get_logger("whohas.http")


class RequestIdMiddleware:
    """Middleware that assigns the tracking id of a request, sets the security headers, and logs one line.

    The id is 32 random hex digits in `scope["state"]["tracking_id"]`, in the response header `SLPT-Request-ID` and in
    each log line of the request. Query, headers and body are never logged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        tracking_id = uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["tracking_id"] = tracking_id
        status = 499  # the client disconnected before there was a response
        begun = time.perf_counter()

        async def tracked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[TRACKING_HEADER] = tracking_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = HTTPS_ONLY
            await send(message)

        with structlog.contextvars.bound_contextvars(tracking_id=tracking_id):
            path = scope["path"]
            try:
                await self.app(scope, receive, tracked)
            finally:
                caller: Caller | None = state.get("caller")
                level = "error" if status >= 500 else "debug" if path in PROBES else "info"
                getattr(log, level)(
                    "request",
                    method=scope["method"],
                    path=path[:300],
                    status=status,
                    ms=round((time.perf_counter() - begun) * 1000, 1),
                    client=caller.client_id if caller else None,
                    caller=caller.id if caller else None,
                )
