"""HTTP/1.1 off the wire: uvicorn's protocol on httptools (the parser of Node.js), with the bounds that it lacks."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST = 65_536
"""Bytes of a request's head, and of what else comes without being part of a body: extensions of chunks, trailers."""


class Protocol(HttpToolsProtocol):
    """One connection. The parser keeps a header until it is whole, so its bytes are counted before they get there; one
    that goes on for too long is a 400, and the connection is closed."""

    _idle = 0
    """Bytes since the head or the body last went on."""
    _head = 0
    _in_head = True

    def data_received(self, data: bytes) -> None:
        self._idle += len(data)
        super().data_received(data)
        if self._idle > MOST and not self.transport.is_closing():
            self.send_400_response(f"The head of a request may have {MOST:,} bytes.")

    def on_message_begin(self) -> None:
        self._in_head, self._head = True, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name, value)
        if self._in_head:  # a trailer comes after the caller was let in, and must not change what it said
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._idle = False, 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._idle = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._idle = 0
        super().on_message_complete()

    def _count(self, *parts: bytes) -> None:
        self._head += sum(map(len, parts))
        if self._head > MOST:
            raise ValueError("too long a head")  # the parser gives up, and the answer is a 400
