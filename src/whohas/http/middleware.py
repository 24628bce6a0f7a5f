"""What every request passes, as plain ASGI: nothing here holds a body or a file in memory."""

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
from whohas.auth import Caller, RateLimit
from whohas.errors import TooLarge, Unauthorized
from whohas.http.errors import answer
from whohas.tracing import Tracing

TRACKING_HEADER = "SLPT-Request-ID"
"""The header of every response that carries its tracking id; the name is the published service's."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every response; a page that needs more sets its own policy."""

HTTPS_ONLY = "max-age=31536000"
"""A year, told to browsers over HTTPS."""

_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
"""What machines ask for every few seconds."""

UNREAD_BYTES = 1 << 30
"""How much of an unread body is taken before the connection is closed on it; for how long: `timeouts`."""

log = structlog.get_logger("whohas.http")

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


async def called(act: Callable[[*Ts], T], *arguments: *Ts, at_once: bool) -> T:
    """What a call gives: on the spot where it waits for nothing, else from a thread, so that nobody waits for it."""
    return act(*arguments) if at_once else await anyio.to_thread.run_sync(act, *arguments)


class Framing:
    """Closes the connection after the answer to a request with two lengths: `Transfer-Encoding` and `Content-Length`.

    Such a request may be an attempt to smuggle a second one past a proxy that believes the other length. RFC 9112
    (6.1) lets it be answered, by `Transfer-Encoding` alone, if nothing else is read from its connection.
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

        # the length that does not count is seen by nothing below either
        kept = [pair for pair in scope["headers"] if pair[0] != b"content-length"]
        await self.app({**scope, "headers": kept}, receive, closing)


class Tracking:
    """Gives a request its tracking id, and logs one line for it: never its query, headers or body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        tracking_id = uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["tracking_id"] = tracking_id
        status = 499  # the caller went before there was an answer
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
    """Makes a span of each request but the probes, within the caller's trace where it names one."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self.app(scope, receive, send)
            return
        with self.tracing.span("request", Headers(scope=scope).get("traceparent", ""), server=True) as piece:
            scope["state"]["traceparent"] = piece.traceparent
            piece.tell(tracking_id=scope["state"]["tracking_id"])

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    piece.tell(status=message["status"])
                    if message["status"] >= 500:
                        piece.fail(f"HTTP {message['status']}")
                await send(message)

            try:
                await self.app(scope, receive, watched)
            finally:
                piece.rename(f"{scope['method']} {getattr(scope.get('route'), 'name', 'nothing')}")


class UnreadBody:
    """Takes what is left of a body once the answer is under way.

    A server that answers early and closes the connection resets it under the caller's hands while that is still
    sending, and the answer is lost. So the answer goes out first, then the rest is read and dropped, within limits.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self.app(scope, receive, send)
            return
        waits_for_leave = "expect" in Headers(scope=scope)
        asked = over = False

        async def watched() -> Message:
            nonlocal asked, over
            asked = True
            message = await receive()
            over = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        async def finishing(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not last or over or (waits_for_leave and not asked):
                await send(message)
                return
            await send({**message, "more_body": True})
            taken = 0
            with anyio.move_on_after(timeouts.HTTP_UNREAD_SECONDS):
                while not over and taken < UNREAD_BYTES:
                    taken += len((await watched()).get("body", b""))
            await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self.app(scope, watched, finishing)


class Refusals:
    """Turns whatever is raised below into the contract's bodies."""

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
    """Reads several slashes as one: a base URL with a slash at its end makes clients send `//oauth/token`. One at the
    end counts for nothing: `/oauth/token/` is answered at once, for a redirect would lose the body of a POST."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("//" in scope["path"] or scope["path"].endswith("/")):
            scope["path"] = re.sub("/{2,}", "/", scope["path"]).rstrip("/") or "/"
        await self.app(scope, receive, send)


class Guard:
    """Lets nobody in without a token; puts the caller into the request's state.

    What a caller may do is decided where the route is known (`whohas.http.access`).

    Args:
        at_once: whether tokens are verified without waiting for anything, so that no other thread need do it.
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
    """Counts each call of a caller under an API version, and refuses it where there are too many.

    Args:
        at_once: whether it is counted without waiting for anything.
    """

    def __init__(self, app: ASGIApp, limit: RateLimit, at_once: bool) -> None:
        self.app = app
        self.limit = limit
        self.at_once = at_once

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get("state", {}).get("caller")
        if caller is not None:
            version = VERSION.match(scope["path"])
            of = version[1] if version else "v1"
            await called(self.limit.check, caller.client, of, at_once=self.at_once)
        await self.app(scope, receive, send)


VERSION = re.compile(r"/(v3|v\d{4}|beta|latest)/")
"""The API version of a path, where it stands first; all else is counted together."""


def bearer_token(headers: Headers) -> str:
    """The token of an Authorization header, perhaps empty.

    Raises:
        Unauthorized: there is no such header, more than one, or another scheme.
    """
    given = headers.getlist("authorization")
    if not given:
        raise Unauthorized("The Authorization header is missing. Send `Authorization: Bearer <token>`.")
    scheme, _, token = given[0].strip().partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise Unauthorized("The Authorization header must be one, of the form `Bearer <token>`.")
    return token.strip()


class BodyLimit:
    """Refuses a body beyond a limit: by its announced length where there is one, else as soon as it is exceeded."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdecimal() and int(announced) > self.max_bytes:
            raise self._too_large()
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.max_bytes:
                raise self._too_large()
            return message

        await self.app(scope, counted, send)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The body is longer than {self.max_bytes:,} bytes, which is the limit of this server "
            "(WHOHAS_MAX_BODY_BYTES)."
        )
