"""What the audit trail is told of requests: who made them, and those that were denied."""

from __future__ import annotations

from typing import cast

import anyio.to_thread
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.audit import Who
from whohas.audit.denials import Denial, Denials
from whohas.auth import Caller

DENIED = (401, 403)


def who(request: Request) -> Who:
    """Who makes a request, and from where."""
    return _who(request.scope)


def claim(request: Request, tried: str) -> None:
    """Keeps whom somebody claims to be before it is known, for the event of a denial."""
    request.state.tried = tried


class Denied:
    """Sees to it that a request which is denied has its event before its answer goes out."""

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
