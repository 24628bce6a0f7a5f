"""Timeouts of slow connections, and a limit on their number, on top of uvicorn.

uvicorn itself closes connections that are idle between two requests. This module also closes connections that never
send a request, send its headers or body too slowly (408), or do not read the response. If there are too many
connections, those that were idle for longest are closed to make room for new ones.

A `LimitedConnection` is a protocol between the transport and uvicorn's protocol. It sees bytes but no requests, so
`report_requests`, an ASGI wrapper between uvicorn and the application, reports the begin and end of each request to it.
Once a second `LimitedServer` checks all connections for timeouts.
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
from whohas.api.tls import ReloadingCertificate

MAX_OPEN_FILES = 65_536
"""The limit of open files that a server sets for itself, if its hard limit allows it."""
RESERVED_FILES = 256
"""The files that are reserved for everything but connections, unless the limit is below twice as many."""
MIN_BODY_BYTES_PER_SECOND = 4_096
"""The rate in bytes per second at which a body must arrive after its first `HTTP_BODY_SECONDS`."""
BACKLOG = 2048
"""The length of the listening socket's queue of connections that are not accepted yet."""

_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LEAST_CONNECTIONS = 16
_STATE_KEY = "whohas.connection"
_TCP_INFO_BYTES = 128
_BYTES_ACKED = slice(120, 128)
"""The position of `tcpi_bytes_acked` in Linux's struct tcp_info."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

log = structlog.get_logger("whohas.http")


def raise_file_limit() -> int:
    """Raise this process's soft limit of open files to `MAX_OPEN_FILES`, or to its hard limit if that is lower.

    Returns:
        The limit in force: the old one if the system refuses, or if it is higher already; `MAX_OPEN_FILES` if there is
        no limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # some systems refuse it
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def max_connections(files: int) -> int:
    """Return the most connections that a server with this limit of open files accepts, at least 16.

    A quarter of the files, and at least 256 (or half, if there are fewer than 512), is reserved for downloads and
    everything else: 1,024 files allow 768 connections, 400 files 200.
    """
    return max(_LEAST_CONNECTIONS, files - max(files // 4, min(RESERVED_FILES, files // 2)))


class Connections:
    """The open connections of one server.

    Attributes:
        most: the most connections; above it idle ones are closed, or the new one if none is idle.
        all: the open connections.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.all: set[LimitedConnection] = set()
        self._logged = -float(timeouts.HTTP_CONNECTIONS_LOG_SECONDS)

    def close_idle(self, why: str) -> int:
        """Close the connections that were idle for longest, at most one percent of `most`; return how many.

        Writes a log line, at most every `HTTP_CONNECTIONS_LOG_SECONDS`.

        Args:
            why: a sentence on why room is needed, for the log.
        """
        # a connection that received bytes just now may be about to begin a request
        before = time.monotonic() - timeouts.HTTP_MIN_IDLE_SECONDS
        idle = [connection for connection in self.all if connection.idle and connection.heard < before]
        closed = heapq.nsmallest(max(1, self.most // 100), idle, key=lambda connection: connection.heard)
        for connection in closed:
            connection.transport.abort()
            self.all.discard(connection)
        now = time.monotonic()
        if now - self._logged >= timeouts.HTTP_CONNECTIONS_LOG_SECONDS:
            self._logged = now
            log.warning(
                "connections closed",
                reason=f"{why} Idle ones are closed. Raise the limit (ulimit -n) if these are real callers.",
                connections=len(self.all),
                most=self.most,
                closed=len(closed),
            )
        return len(closed)

    def close_timed_out(self) -> None:
        """Close the connections that exceeded a timeout."""
        now = time.monotonic()
        for connection in list(self.all):
            connection.check_timeouts(now)


class RequestProgress:
    """The progress of the request that a connection is serving.

    Attributes:
        answered: whether the application has begun to send the response.
        has_body: whether the end of the body has not been received yet.
        waiting: whether the application waits for more of the body.
        body_since: when the present wait for the body began, in monotonic seconds; None until the body is read.
        body_bytes: bytes of the body since then.
        next_came: whether bytes arrived after the body: they belong to the next request (pipelining).
    """

    def __init__(self) -> None:
        self.answered = False
        self.has_body = True
        self.waiting = False
        self.body_since: float | None = None
        self.body_bytes = 0
        self.next_came = False

    async def receive(self, receive: Receive) -> Message:
        """Return the next ASGI message, and note how much of the body has arrived."""
        if not self.has_body:  # the application waits for the client to disconnect
            return await receive()
        self.body_since = self.body_since or time.monotonic()
        self.waiting = True
        message = await receive()
        self.waiting = False
        self.body_bytes += len(message.get("body", b""))
        self.has_body = bool(message.get("more_body", False))
        return message


class LimitedConnection(asyncio.Protocol):
    """A connection that knows since when it is in its present phase: idle, headers, body, response, closing.

    Args:
        connections: the connections of the server.

    Attributes:
        protocol: uvicorn's protocol, which parses HTTP on this connection; set by the subclass.
        transport: the transport of the connection.
        heard: when bytes arrived last, or the last request ended, in monotonic seconds.
    """

    def __init__(self, connections: Connections) -> None:
        self.protocol: asyncio.Protocol
        self.transport: asyncio.Transport
        self.heard = time.monotonic()
        self._connections = connections
        self._request: RequestProgress | None = None
        self._had_requests = False
        self._head_since: float | None = None
        self._stalled_since: float | None = None
        self._closing_since: float | None = None
        self._last_progress: tuple[int, bytes] | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is being received or served."""
        return self._request is None and self._head_since is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.protocol.connection_made(transport)
        connections = self._connections
        connections.all.add(self)
        if len(connections.all) > connections.most:
            connections.close_idle(f"There were more than {connections.most:,} connections.")
            if len(connections.all) > connections.most:  # no connection was idle
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

    def request_started(self) -> RequestProgress:
        """Note that the headers of a request are complete; return its progress."""
        self._request = RequestProgress()
        self._had_requests, self._head_since = True, None
        return self._request

    def request_finished(self, request: RequestProgress) -> None:
        """Note that the application has finished a request."""
        if self._request is request:  # else the next request has begun already
            self.heard = time.monotonic()
            self._request = None
            self._head_since = self.heard if request.next_came else None

    def check_timeouts(self, now: float) -> None:
        """Close the connection if it exceeded the timeout of its phase.

        Args:
            now: monotonic time in seconds.
        """
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
            if not request.waiting:  # the client is not slow: the application has not asked for more
                request.body_since, request.body_bytes = now, 0
            elif now - request.body_since > timeouts.HTTP_BODY_SECONDS + request.body_bytes / MIN_BODY_BYTES_PER_SECOND:
                self._cut("body", timeouts.HTTP_BODY_SECONDS)
        elif not self._had_requests and now - self.heard > timeouts.HTTP_KEEP_ALIVE_SECONDS:
            self.transport.close()  # no request was ever sent

    def _progress(self) -> tuple[int, bytes]:
        """Return the bytes not yet sent and the bytes that the client has acknowledged.

        At least one of them changes as long as the client reads. The first alone would not do: while a slow client
        reads what the kernel has buffered, nothing leaves our own buffer.
        """
        sock = self.transport.get_extra_info("socket")
        acknowledged = b""
        with suppress(OSError, AttributeError, ValueError):
            acknowledged = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)[_BYTES_ACKED]
        return self.transport.get_write_buffer_size(), acknowledged

    def _cut(self, what: str, seconds: float) -> None:
        """Answer 408 unless a response has begun, and close the connection; `what` is `headers` or `body`."""
        self._log(f"{what} too slow", seconds)
        if self._request is None or not self._request.answered:
            text = f"The {what} of this request took longer than {seconds:.0f} seconds. Send it again without pauses."
            self.transport.write(_timed_out(text))
        self.transport.close()  # the application then receives http.disconnect

    def _log(self, what: str, seconds: float) -> None:
        peer = self.transport.get_extra_info("peername")
        address = peer[0] if isinstance(peer, tuple) and peer else None
        log.info("connection closed", reason=f"{what} within {seconds:.0f} seconds", address=address)


def _timed_out(text: str) -> bytes:
    """Return a complete HTTP/1.1 response of status 408 with `Connection: close`, as bytes."""
    body = text.encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    encoder = h11.Connection(h11.SERVER)
    response = h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")
    return b"".join(encoder.send(event) or b"" for event in (response, h11.Data(data=body), h11.EndOfMessage()))


def limited_protocol(connections: Connections) -> type[asyncio.Protocol]:
    """Return the protocol class for uvicorn's setting `http`; wrap the application by `report_requests` as well."""

    class Connection(LimitedConnection):
        def __init__(self, app_state: dict[str, Any], **options: Any) -> None:
            super().__init__(connections)
            self.protocol = H11Protocol(app_state={**app_state, _STATE_KEY: self}, **options)

    return Connection


def report_requests(application: Application) -> Application:
    """Wrap an ASGI application so that the begin and end of each request are reported to its `LimitedConnection`."""

    async def serve(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        connection: LimitedConnection | None = scope.get("state", {}).pop(_STATE_KEY, None)
        if connection is None:
            return await application(scope, receive, send)
        request = connection.request_started()

        async def sending(message: Message) -> None:
            request.answered = True
            await send(message)

        try:
            await application(scope, lambda: request.receive(receive), sending)
        finally:
            connection.request_finished(request)

    return serve


class LimitedServer(uvicorn.Server):
    """uvicorn's server, which checks its connections and its TLS certificate every `HTTP_POLL_SECONDS`.

    Args:
        config: uvicorn's configuration.
        limits: the connections of this server.
        certificate: the certificate, whose files may be replaced; None without TLS.
    """

    def __init__(
        self, config: uvicorn.Config, limits: Connections, certificate: ReloadingCertificate | None = None
    ) -> None:
        super().__init__(config)
        self.limits = limits
        self.certificate = certificate
        self._looking: asyncio.Task[None] | None = None

    async def startup(self, sockets: Any = None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._handle_exception)
        await super().startup(sockets)
        self._looking = asyncio.create_task(self._look())

    async def shutdown(self, sockets: Any = None) -> None:
        if self._looking is not None:
            self._looking.cancel()
        await super().shutdown(sockets)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(timeouts.HTTP_POLL_SECONDS)
            try:
                self.limits.close_timed_out()
                if self.certificate is not None:
                    await asyncio.to_thread(self.certificate.reload_if_changed)
            except Exception as error:  # an error in one connection must not end the checks of all
                log.error("connections not looked at", exc_info=error)

    def _handle_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # asyncio reports here that accept() failed because the process has no file left for another connection
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _OUT_OF_FILES:
            self.limits.close_idle(f"No further connection can be accepted: {error.strerror}.")
            return
        loop.default_exception_handler(context)
