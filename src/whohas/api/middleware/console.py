"""Passes the requests of the web console to it."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from whohas.api.negotiation import prefers_media_type

PREFIX: Final = "/console"


class ConsoleMiddleware:
    """Middleware that passes requests below `/console` to the web console, which authenticates them by its sessions.

    A GET of `/` by a browser, whose `Accept` prefers HTML, is redirected to the console. Every other request gets the
    response that it would get without a console.

    Args:
        app: the next application.
        console: the console.
    """

    def __init__(self, app: ASGIApp, console: ASGIApp) -> None:
        self.app = app
        self.console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http":
            path: str = scope["path"]
            if path == PREFIX or path.startswith(f"{PREFIX}/"):
                app = self.console
            elif path == "/" and scope["method"] in ("GET", "HEAD"):
                accept = ", ".join(Headers(scope=scope).getlist("accept"))
                if prefers_media_type(accept, wanted="text/html", usual="application/json"):
                    app = RedirectResponse(PREFIX, 303, {"Cache-Control": "no-store", "Vary": "Accept"})
        await app(scope, receive, send)
