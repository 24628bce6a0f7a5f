"""Limits the calls of a client."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from whohas.api.concurrency import call_maybe_in_thread
from whohas.auth import Caller, RateLimit

VERSION = re.compile(r"/(v3|v\d{4}|beta|latest)/")
"""The API version at the begin of a path; paths without one are counted together, as `v1`."""


class RateLimitMiddleware:
    """Middleware with the rate limit: a number of calls for each client and API version in ten seconds.

    Args:
        app: the next application.
        limit: the rate limit.
        inline: whether counting does not block, so that it needs no thread.

    Raises:
        QuotaExceeded: the client has used up its calls.
    """

    def __init__(self, app: ASGIApp, limit: RateLimit, inline: bool) -> None:
        self.app = app
        self.limit = limit
        self.inline = inline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get("state", {}).get("caller")
        if caller is not None:
            version = VERSION.match(scope["path"])
            name = version[1] if version else "v1"
            await call_maybe_in_thread(self.limit.count_call, caller.client_id, name, inline=self.inline)
        await self.app(scope, receive, send)
