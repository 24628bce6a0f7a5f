"""Maps exceptions to error responses."""

from __future__ import annotations

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.api.errors import error_response

log = structlog.get_logger("whohas.http")


class ExceptionMiddleware:
    """Middleware that maps exceptions to error responses (`whohas.api.errors.error_response`).

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
            await error_response(error, scope)(scope, receive, send)
