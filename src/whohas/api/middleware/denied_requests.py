"""Records each request that was answered with 401 or 403 in the audit log."""

from __future__ import annotations

import anyio.to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.api.actors import actor_of
from whohas.audit.denials import Denial, DenialLog

DENIED = (401, 403)
"""The status codes of denied requests."""


class DeniedRequestAuditMiddleware:
    """Middleware that records each 401 and 403 in the audit log before the response is sent."""

    def __init__(self, app: ASGIApp, denials: DenialLog) -> None:
        self.app = app
        self.denials = denials

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in DENIED:
                await anyio.to_thread.run_sync(self.denials.record, _denial(scope, message["status"]))
            await send(message)

        await self.app(scope, receive, watched)


def _denial(scope: Scope, status: int) -> Denial:
    state = scope["state"]
    return Denial(
        actor_of(scope),
        status,
        scope["method"],
        scope["path"],
        str(getattr(scope.get("route"), "name", "")),
        str(state.get("refused", "")),
        str(state.get("tried", "")),
    )
