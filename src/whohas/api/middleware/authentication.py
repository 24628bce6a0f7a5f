"""Authenticates the caller of a request by its bearer token."""

from __future__ import annotations

from collections.abc import Callable, Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from whohas.api.concurrency import call_maybe_in_thread
from whohas.auth import Caller
from whohas.errors import Unauthorized


class AuthenticationMiddleware:
    """Middleware that authenticates the caller of a request and stores it as `scope["state"]["caller"]`.

    Authorization comes later, when the route is known (`whohas.api.dependencies`).

    Args:
        app: the next application.
        verify: returns the caller that a token authenticates.
        open_paths: the paths that need no token.
        inline: whether `verify` does not block, so that it needs no thread.

    Raises:
        Unauthorized: the token is missing or not valid; for unknown paths too.
    """

    def __init__(
        self, app: ASGIApp, verify: Callable[[str], Caller], open_paths: Collection[str], inline: bool
    ) -> None:
        self.app = app
        self.verify = verify
        self.open_paths = open_paths
        self.inline = inline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in self.open_paths:
            token = bearer_token(Headers(scope=scope))
            scope["state"]["caller"] = await call_maybe_in_thread(self.verify, token, inline=self.inline)
        await self.app(scope, receive, send)


def bearer_token(headers: Headers) -> str:
    """Return the token of the Authorization header; it may be empty.

    Raises:
        Unauthorized: the header is missing, occurs more than once, or has another scheme than Bearer.
    """
    values = headers.getlist("authorization")
    if not values:
        raise Unauthorized("The Authorization header is missing. Send `Authorization: Bearer <token>`.")
    scheme, _, token = values[0].strip().partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer":
        raise Unauthorized("There must be one Authorization header, of the form `Bearer <token>`.")
    return token.strip()
