"""HTTP on a connection: uvicorn's, with each short answer written in one piece."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST = 1 << 16
"""So many bytes are written at once, whatever comes after them."""


class Whole(H11Protocol):
    """Writes the head of an answer together with its body, where that is there in the same turn of the event loop.

    In two pieces, the head wakes the client for nothing; and where processors are busy, who waits for the second piece
    may wait for as long as the scheduler lets somebody else go on.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(cast(asyncio.Transport, Together(transport)))


class Together:
    """A transport that holds what is written until the end of an answer, which uvicorn tells by writing nothing; until
    the next turn of the event loop, or until it is much."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if data and not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if not data or self._size >= _MOST:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        data = b"".join(self._held)
        self._held.clear()
        self._size = 0
        if data and not self._transport.is_closing():
            self._transport.write(data)
