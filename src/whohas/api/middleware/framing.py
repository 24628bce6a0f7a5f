"""Closes the connection after a request whose length is ambiguous."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class MessageFramingMiddleware:
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
