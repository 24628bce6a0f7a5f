"""Limits of a connection: how long it may be idle, send a request, leave an answer unread; and how many there are.

uvicorn closes what is idle between two requests. What never begins, never ends or never reads is closed here, and where
there are too many connections those that are idle make room for new ones.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import heapq
import resource
import struct
import termios
import time
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
        self._told = -float(timeouts.HTTP_CONNECTIONS_LOG_SECONDS)

    def make_room(self, why: str) -> int:
        """Close those connections that were idle for longest, a hundredth of all; how many."""
        before = time.monotonic() - timeouts.HTTP_IDLE_LEAST_SECONDS  # what came just now may still be read
        idle = [one for one in self.all if one.idle and one.heard < before]
        ended = heapq.nsmallest(max(1, self.most // 100), idle, key=lambda one: one.heard)
        for one in ended:
            one.transport.abort()
            self.all.discard(one)
        now = time.monotonic()
        if now - self._told >= timeouts.HTTP_CONNECTIONS_LOG_SECONDS:
            self._told = now
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


class LimitedConnection(H11Protocol):
    """A connection with the times that its phases began."""

    connections_of_server: Connections
    heard: float
    head_since: float | None = None
    body_since: float | None = None
    body_bytes: int = 0
    stalled_since: float | None = None
    closing_since: float | None = None
    unsent: tuple[int, int] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way on it."""
        cycle = cast("Any", self.cycle)  # None before the first request
        return self.head_since is None and (cycle is None or bool(cycle.response_complete))

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.heard = time.monotonic()
        known = self.connections_of_server
        known.all.add(self)
        if len(known.all) > known.most:
            known.make_room(f"There were more than {known.most:,} connections.")
            if len(known.all) > known.most:  # none was idle
                self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connections_of_server.all.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        now = self.heard = time.monotonic()
        super().data_received(data)
        state = self.conn.their_state
        if state is h11.IDLE:
            self.head_since = self.head_since or now
        else:
            self.head_since = None
        if state is h11.SEND_BODY:
            self.body_since = self.body_since or now
            self.body_bytes += len(data)
        else:
            self.body_since, self.body_bytes = None, 0

    def on_response_complete(self) -> None:
        self.heard = time.monotonic()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self.stalled_since, self.unsent = time.monotonic(), None
        super().pause_writing()

    def resume_writing(self) -> None:
        self.stalled_since = None
        super().resume_writing()

    def look(self, now: float) -> None:
        """Close the connection if it has taken too long."""
        if self.transport.is_closing():
            self.closing_since = self.closing_since or now
            if now - self.closing_since > timeouts.HTTP_LINGER_SECONDS:
                self.transport.abort()
        elif self.stalled_since is not None:
            unsent = self._unsent()
            if unsent != self.unsent:
                self.unsent, self.stalled_since = unsent, now
            elif now - self.stalled_since > timeouts.HTTP_STALLED_SECONDS:
                self._told("answer not read", timeouts.HTTP_STALLED_SECONDS)
                self.transport.abort()
        elif self.head_since is not None:
            if now - self.head_since > timeouts.HTTP_HEAD_SECONDS:
                self._cut("headers", timeouts.HTTP_HEAD_SECONDS)
        elif self.body_since is not None:
            if self.flow.read_paused:  # it is ours to read on
                self.body_since, self.body_bytes = now, 0
            elif now - self.body_since > timeouts.HTTP_BODY_SECONDS + self.body_bytes / BODY_BYTES_A_SECOND:
                self._cut("body", timeouts.HTTP_BODY_SECONDS)
        elif cast("Any", self.cycle) is None and now - self.heard > timeouts.HTTP_KEEP_ALIVE_SECONDS:
            self.transport.close()  # no request ever came

    def _unsent(self) -> tuple[int, int]:
        """Bytes that wait to be sent, here and in the kernel."""
        sock = self.transport.get_extra_info("socket")
        queued = 0
        with suppress(OSError, AttributeError, ValueError):
            queued = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
        return self.transport.get_write_buffer_size(), queued

    def _cut(self, what: str, seconds: float) -> None:
        self._told(f"{what} too slow", seconds)
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            text = f"The {what} of this request took longer than {seconds:.0f} seconds. Send it again, at once."
            headers = [("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close")]
            response = h11.Response(status_code=408, headers=headers, reason=b"Request Timeout")
            for event in (response, h11.Data(data=text.encode()), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        cycle = cast("Any", self.cycle)
        if cycle is not None and not cycle.response_complete:  # its route hears that the client is gone
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _told(self, what: str, seconds: float) -> None:
        client = self.client[0] if self.client else None
        log.info("connection closed", reason=f"{what} within {seconds:.0f} seconds", address=client)


def limited_by(limits: Connections) -> type[LimitedConnection]:
    """Return the kind of connection of one server."""
    return type("LimitedConnection", (LimitedConnection,), {"connections_of_server": limits})


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
