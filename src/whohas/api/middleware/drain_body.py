"""Reads and drops the rest of a body that the application did not read."""

from __future__ import annotations

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas import timeouts

UNREAD_BYTES = 1 << 30
"""The most bytes of an unread body that are read and dropped before the connection is closed; the most seconds are
`timeouts.HTTP_UNREAD_SECONDS`."""


class DrainBodyMiddleware:
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
