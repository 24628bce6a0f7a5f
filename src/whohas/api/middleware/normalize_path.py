"""Normalizes the slashes of a path."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send


class NormalizePathMiddleware:
    """Middleware that normalizes the slashes of a path: `//oauth/token/` becomes `/oauth/token`.

    Clients whose base URL ends with a slash send `//oauth/token`. A slash at the end is removed without a redirect,
    because a redirect would lose the body of a POST.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("//" in scope["path"] or scope["path"].endswith("/")):
            scope["path"] = re.sub("/{2,}", "/", scope["path"]).rstrip("/") or "/"
        await self.app(scope, receive, send)
