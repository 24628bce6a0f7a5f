"""The ASGI middlewares that every request passes; `whohas.api` lists their order. None buffers a body or a file."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Collection
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas import timeouts
from whohas.api.errors import answer
from whohas.auth import Caller, RateLimit
from whohas.errors import TooLarge, Unauthorized
from whohas.tracing import Tracing

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

_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""Paths that monitoring requests every few seconds: logged at level debug, and not traced."""

UNREAD_BYTES = 1 << 30
"""The most bytes of an unread body that are read and dropped before the connection is closed; the most seconds are
`timeouts.HTTP_UNREAD_SECONDS`."""

log = structlog.get_logger("whohas.http")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def called(act: Callable[[*Ts], T], *arguments: *Ts, at_once: bool) -> T:
    """Call a synchronous function and return its result, without blocking the event loop.

    Args:
        act: the function.
        arguments: its arguments.
        at_once: whether the function does not block, so that it is called directly; otherwise it runs in the thread
            pool.
    """
    return act(*arguments) if at_once else await anyio.to_thread.run_sync(act, *arguments)


class Framing:
    """Middleware against request smuggling: closes the connection after a request with two lengths.

    A request with both `Transfer-Encoding` and `Content-Length` may hide a second request from a proxy that uses the
    other length. RFC 9112 (6.1) allows to process it by `Transfer-Encoding` alone if the connection is closed after the
    response, so that the rest is never parsed as a request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = {name for name, _ in scope["headers"]} if scope["type"] == "http" else set[bytes]()
        if not {b"transfer-encoding", b"content-length"} <= names:
            await self.app(scope, receive, send)
            return

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        # Content-Length is removed, so that no other middleware uses it
        other_headers = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        await self.app({**scope, "headers": other_headers}, receive, closing)


class Tracking:
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
                level = "error" if status >= 500 else "debug" if path in _PROBES else "info"
                getattr(log, level)(
                    "request",
                    method=scope["method"],
                    path=path[:300],
                    status=status,
                    ms=round((time.perf_counter() - begun) * 1000, 1),
                    client=caller.client if caller else None,
                    caller=caller.id if caller else None,
                )


class Traced:
    """Middleware that records an OpenTelemetry span of each request except health checks and metrics.

    The span belongs to the trace of the caller if the request has a header `traceparent`.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self.app(scope, receive, send)
            return
        with self.tracing.span("request", Headers(scope=scope).get("traceparent", ""), server=True) as span:
            scope["state"]["traceparent"] = span.traceparent
            span.tell(tracking_id=scope["state"]["tracking_id"])

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.tell(status=message["status"])
                    if message["status"] >= 500:
                        span.fail(f"HTTP {message['status']}")
                await send(message)

            try:
                await self.app(scope, receive, watched)
            finally:
                span.rename(f"{scope['method']} {getattr(scope.get('route'), 'name', 'nothing')}")


class UnreadBody:
    """Middleware that reads and drops the rest of a request body that the application did not read.

    If a server responds early, for example with 413, and closes the connection while the client is still sending, TCP
    resets the connection and the client loses the response. Therefore all of the response but its last, empty part is
    sent first, then the body is read up to `UNREAD_BYTES` and `HTTP_UNREAD_SECONDS`, then the response ends.

    The body is not read if the client waits for `100 Continue` and the application did not ask for it: it will not be
    sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        expects_continue = "expect" in Headers(scope=scope)
        requested = complete = False

        async def watched() -> Message:
            nonlocal requested, complete
            requested = True
            message = await receive()
            complete = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def finishing(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not last or complete or (expects_continue and not requested):
                await send(message)
                return
            await send({**message, "more_body": True})
            dropped = 0
            with anyio.move_on_after(timeouts.HTTP_UNREAD_SECONDS):
                while not complete and dropped < UNREAD_BYTES:
                    dropped += len((await watched()).get("body", b""))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app(scope, watched, finishing)


class Refusals:
    """Middleware that maps exceptions to error responses (`whohas.api.errors.answer`).

    An exception after the response has begun is logged and raised again, which breaks off the connection.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                log.error("broken off", exc_info=error)
                raise
            await answer(error, scope)(scope, receive, send)


class Slashes:
    """Middleware that normalizes the slashes of a path: `//oauth/token/` becomes `/oauth/token`.

    Clients whose base URL ends with a slash send `//oauth/token`. A slash at the end is removed without a redirect,
    because a redirect would lose the body of a POST.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("//" in scope["path"] or scope["path"].endswith("/")):
            scope["path"] = re.sub("/{2,}", "/", scope["path"]).rstrip("/") or "/"
        await self.app(scope, receive, send)


class Guard:
    """Middleware that authenticates the caller of a request and stores it as `scope["state"]["caller"]`.

    Authorization comes later, when the route is known (`whohas.api.dependencies`).

    Args:
        app: the next application.
        verify: returns the caller that a token authenticates.
        open_paths: the paths that need no token.
        at_once: whether `verify` does not block, so that it needs no thread.

    Raises:
        Unauthorized: the token is missing or not valid; for unknown paths too.
    """

    def __init__(
        self, app: ASGIApp, verify: Callable[[str], Caller], open_paths: Collection[str], at_once: bool
    ) -> None:
        self.app = app
        self.verify = verify
        self.open_paths = open_paths
        self.at_once = at_once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self.open_paths:
            token = bearer_token(Headers(scope=scope))
            scope["state"]["caller"] = await called(self.verify, token, at_once=self.at_once)
        await self.app(scope, receive, send)


class Limited:
    """Middleware with the rate limit: a number of calls for each client and API version in ten seconds.

    Args:
        app: the next application.
        limit: the rate limit.
        at_once: whether counting does not block, so that it needs no thread.

    Raises:
        QuotaExceeded: the client has used up its calls.
    """

    def __init__(self, app: ASGIApp, limit: RateLimit, at_once: bool) -> None:
        self.app = app
        self.limit = limit
        self.at_once = at_once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get("state", {}).get("caller")
        if caller is not None:
            version = VERSION.match(scope["path"])
            name = version[1] if version else "v1"
            await called(self.limit.check, caller.client, name, at_once=self.at_once)
        await self.app(scope, receive, send)


VERSION = re.compile(r"/(v3|v\d{4}|beta|latest)/")
"""The API version at the begin of a path; paths without one are counted together, as `v1`."""


def bearer_token(headers: Headers) -> str:
    """Return the token of the Authorization header; it may be empty.

    Raises:
        Unauthorized: the header is missing, occurs more than once, or has another scheme than Bearer.
    """
    values = headers.getlist("authorization")
    if not values:
        raise Unauthorized("The Authorization header is missing. Send `Authorization: Bearer <token>`.")
    scheme, _, token = values[0].strip().partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer":
        raise Unauthorized("The Authorization header must be one, of the form `Bearer <token>`.")
    return token.strip()


class BodyLimit:
    """Middleware that refuses a body longer than `max_bytes`, by its Content-Length or as soon as more bytes arrive.

    Raises:
        TooLarge: the body is too long.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        content_length = Headers(scope=scope).get("content-length", "")
        if content_length.isdecimal() and int(content_length) > self.max_bytes:
            raise self._too_large()
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, counted, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The body is longer than {self.max_bytes:,} bytes, which is the limit of this server "
            "(WHOHAS_MAX_BODY_BYTES)."
        )
