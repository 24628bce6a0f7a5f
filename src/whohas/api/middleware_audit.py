"""Audit of requests: the actor of a request, and an audit event for each request that was answered with 401 or 403."""

from __future__ import annotations

from typing import cast

import anyio.to_thread
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.audit import Who
from whohas.audit.denials import Denial, Denials
from whohas.auth import Caller

DENIED = (401, 403)
"""The status codes of denied requests."""


def who(request: Request) -> Who:
    """Return the actor of a request for audit events: the caller, `unknown` before authentication, and the address."""
    return _who(request.scope)


def claim(request: Request, tried: str) -> None:
    """Remember the identity that a request claims, for the audit event if the request is denied.

    Args:
        request: a request to sign in or to get a token.
        tried: the name of the user or the id of the client, not yet verified.
    """
    request.state.tried = tried


class Denied:
    """Middleware that records each 401 and 403 in the audit log before the response is sent."""

    def __init__(self, app: ASGIApp, denials: Denials) -> None:
        self.app = app
        self.denials = denials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in DENIED:
                await anyio.to_thread.run_sync(self.denials.note, _denial(scope, message["status"]))
            await send(message)

        await self.app(scope, receive, watched)


def _denial(scope: Scope, status: int) -> Denial:
    state = scope["state"]
    return Denial(
        _who(scope),
        status,
        scope["method"],
        scope["path"],
        str(getattr(scope.get("route"), "name", "")),
        str(state.get("refused", "")),
        str(state.get("tried", "")),
    )


def _who(scope: Scope) -> Who:
    state = scope["state"]
    address = str(scope["client"][0]) if scope.get("client") else ""
    tracking_id = cast("str", state["tracking_id"])
    caller: Caller | None = state.get("caller")
    if caller is None:
        return Who("unknown", address=address, tracking_id=tracking_id)
    kind = "user" if caller.user else "client"
    return Who(kind, caller.name, caller.id, caller.client if caller.user else "", address, tracking_id)
