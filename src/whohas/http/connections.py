"""Limits of a connection: how long it may be idle, send a request, leave an answer unread; and how many there are.

uvicorn closes connections that are idle between two requests. Connections that never begin a request, never end it or
never read the answer are closed here, and where there are too many connections, idle ones make room for new ones.

A `LimitedConnection` stands between the transport and uvicorn's protocol and looks at what passes. Where a request
begins and ends is known to `limited`, which stands between that protocol and the application.
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import resource
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, cast

import h11
import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from whohas import timeouts
from whohas.http.tls import Certificate

MOST_FILES = 65_536
"""Files that a server has open at most, where its hard limit allows as many."""
RESERVED_FILES = 256
BODY_BYTES_A_SECOND = 4_096
"""A body that comes more slowly than this is cut once its first time is over."""
BACKLOG = 2048

_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_AT_LEAST = 16
_STATE_KEY = "whohas.connection"
_TCP_INFO_BYTES = 128
_BYTES_ACKED = slice(120, 128)
"""`tcpi_bytes_acked` of Linux's struct tcp_info."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

log = structlog.get_logger("whohas.http")


def raise_file_limit() -> int:
    """Raise the limit of open files as far as this process may; how many there may be then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems refuse it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft


def most_connections(files: int) -> int:
    """How many connections a server holds: a quarter of its files, and some, stay for downloads and everything else."""
    return max(_AT_LEAST, files - max(files // 4, min(RESERVED_FILES, files // 2)))


class Connections:
    """The connections of one server."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.all: set[LimitedConnection] = set()
        self._logged = -float(timeouts.HTTP_CONNECTIONS_LOG_SECONDS)

    def make_room(self, why: str) -> int:
        """Close those connections that were idle for longest, a hundredth of all; how many."""
        before = time.monotonic() - timeouts.HTTP_IDLE_LEAST_SECONDS  # what came just now may still be read
        idle = [one for one in self.all if one.idle and one.heard < before]
        ended = heapq.nsmallest(max(1, self.most // 100), idle, key=lambda one: one.heard)
        for one in ended:
            one.transport.abort()
            self.all.discard(one)
        now = time.monotonic()
        if now - self._logged >= timeouts.HTTP_CONNECTIONS_LOG_SECONDS:
            self._logged = now
            log.warning(
                "connections closed",
                reason=f"{why} Those that are idle make room. Raise the limit (ulimit -n) if these are real callers.",
                connections=len(self.all),
                most=self.most,
                closed=len(ended),
            )
        return len(ended)

    def look(self) -> None:
        """Close what has taken too long."""
        now = time.monotonic()
        for one in list(self.all):
            one.look(now)


class Request:
    """A request under way, as far as its connection must know."""

    def __init__(self) -> None:
        self.answered = False
        self.has_body = True
        """Whether its body has not ended yet."""
        self.waiting = False
        """Whether the application waits for more of the body."""
        self.body_since: float | None = None
        self.body_bytes = 0
        self.next_came = False
        """Whether bytes came after the body: they begin the next request."""

    async def receive(self, receive: Receive) -> Message:
        if not self.has_body:  # what is waited for now is the end of the connection
            return await receive()
        self.body_since = self.body_since or time.monotonic()
        self.waiting = True
        message = await receive()
        self.waiting = False
        self.body_bytes += len(message.get("body", b""))
        self.has_body = bool(message.get("more_body", False))
        return message


class LimitedConnection(asyncio.Protocol):
    """A connection with the times at which its phases began.

    Args:
        connections: those of the server.
        protocol: the one that speaks HTTP on this connection.
    """

    def __init__(self, connections: Connections) -> None:
        self.protocol: asyncio.Protocol
        self.transport: asyncio.Transport
        self.heard = time.monotonic()
        self._connections = connections
        self._request: Request | None = None
        self._had_requests = False
        self._head_since: float | None = None
        self._stalled_since: float | None = None
        self._closing_since: float | None = None
        self._last_progress: tuple[int, bytes] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way on it."""
        return self._request is None and self._head_since is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.protocol.connection_made(transport)
        known = self._connections
        known.all.add(self)
        if len(known.all) > known.most:
            known.make_room(f"There were more than {known.most:,} connections.")
            if len(known.all) > known.most:  # none was idle
                self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.all.discard(self)
        self.protocol.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        if self._request is None:
            self._head_since = self._head_since or self.heard
        elif not self._request.has_body:
            self._request.next_came = True
        self.protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return self.protocol.eof_received()

    def pause_writing(self) -> None:
        self._stalled_since, self._last_progress = time.monotonic(), None
        self.protocol.pause_writing()

    def resume_writing(self) -> None:
        self._stalled_since = None
        self.protocol.resume_writing()

    def begin(self) -> Request:
        """Note that the head of a request is complete."""
        self._request = Request()
        self._had_requests, self._head_since = True, None
        return self._request

    def end(self, request: Request) -> None:
        """Note that a request is over."""
        if self._request is request:  # the next one may have begun already
            self.heard = time.monotonic()
            self._request = None
            self._head_since = self.heard if request.next_came else None

    def look(self, now: float) -> None:
        """Close the connection if it has taken too long."""
        request = self._request
        if self.transport.is_closing():
            self._closing_since = self._closing_since or now
            if now - self._closing_since > timeouts.HTTP_LINGER_SECONDS:
                self.transport.abort()
        elif self._stalled_since is not None:
            progress = self._progress()
            if progress != self._last_progress:
                self._last_progress, self._stalled_since = progress, now
            elif now - self._stalled_since > timeouts.HTTP_STALLED_SECONDS:
                self._log("answer not read", timeouts.HTTP_STALLED_SECONDS)
                self.transport.abort()
        elif self._head_since is not None:
            if now - self._head_since > timeouts.HTTP_HEAD_SECONDS:
                self._cut("headers", timeouts.HTTP_HEAD_SECONDS)
        elif request is not None:
            if request.body_since is None or not request.has_body:
                return
            if not request.waiting:  # it is the application's turn to read on
                request.body_since, request.body_bytes = now, 0
            elif now - request.body_since > timeouts.HTTP_BODY_SECONDS + request.body_bytes / BODY_BYTES_A_SECOND:
                self._cut("body", timeouts.HTTP_BODY_SECONDS)
        elif not self._had_requests and now - self.heard > timeouts.HTTP_KEEP_ALIVE_SECONDS:
            self.transport.close()  # no request ever came

    def _progress(self) -> tuple[int, bytes]:
        """Bytes that wait here to be sent, and those that the client has acknowledged: one changes while it reads."""
        sock = self.transport.get_extra_info("socket")
        acknowledged = b""
        with suppress(OSError, AttributeError, ValueError):
            acknowledged = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)[_BYTES_ACKED]
        return self.transport.get_write_buffer_size(), acknowledged

    def _cut(self, what: str, seconds: float) -> None:
        self._log(f"{what} too slow", seconds)
        if self._request is None or not self._request.answered:
            text = f"The {what} of this request took longer than {seconds:.0f} seconds. Send it again, at once."
            self.transport.write(_timed_out(text))
        self.transport.close()  # the application hears that the client is gone

    def _log(self, what: str, seconds: float) -> None:
        peer = self.transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) and peer else None
        log.info("connection closed", reason=f"{what} within {seconds:.0f} seconds", address=address)


def _timed_out(text: str) -> bytes:
    """A whole answer of status 408 that ends its connection."""
    body = text.encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    speaker = h11.Connection(h11.SERVER)
    response = h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")
    return b"".join(speaker.send(event) or b"" for event in (response, h11.Data(data=body), h11.EndOfMessage()))


def limited_by(connections: Connections) -> type[asyncio.Protocol]:
    """Return the protocol of a server whose connections are limited; its application is to be `limited` as well."""

    class Connection(LimitedConnection):
        def __init__(self, app_state: dict[str, Any], **given: Any) -> None:
            super().__init__(connections)
            self.protocol = H11Protocol(app_state={**app_state, _STATE_KEY: self}, **given)

    return Connection


def limited(application: Application) -> Application:
    """Return an application that reports the begin and end of each request to its connection."""

    async def serve(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        connection: LimitedConnection | None = scope.get("state", {}).pop(_STATE_KEY, None)
        if connection is None:
            return await application(scope, receive, send)
        request = connection.begin()

        async def sending(message: Message) -> None:
            request.answered = True
            await send(message)

        try:
            await application(scope, lambda: request.receive(receive), sending)
        finally:
            connection.end(request)

    return serve


class LimitedServer(uvicorn.Server):
    """uvicorn's server with these limits, and with a certificate that may change."""

    def __init__(self, config: uvicorn.Config, limits: Connections, certificate: Certificate | None = None) -> None:
        super().__init__(config)
        self.limits = limits
        self.certificate = certificate
        self._looking: asyncio.Task[None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._fault)
        await super().startup(sockets)
        self._looking = asyncio.create_task(self._look())

    async def shutdown(self, sockets: Any = None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        await super().shutdown(sockets)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(timeouts.HTTP_LOOK_SECONDS)
            try:
                self.limits.look()
                if self.certificate is not None:
                    await asyncio.to_thread(self.certificate.look)
            except Exception as error:  # one connection must not keep the others from being looked at
                log.error("connections not looked at", exc_info=error)

    def _fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _OUT_OF_FILES:
            self.limits.make_room(f"No further connection can be accepted: {error.strerror}.")
            return
        loop.default_exception_handler(context)
