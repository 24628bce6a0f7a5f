"""Limits the length of a request body."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.errors import TooLarge


class BodySizeLimitMiddleware:
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
            "(WHOHAS_MAX_BODY_BYTES). Send a shorter one."
        )
