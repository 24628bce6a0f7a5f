"""The application of an empty installation, asked without a server."""

from __future__ import annotations

import asyncio
import atexit
import logging
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any

import structlog
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from whohas.api.app import create_app
from whohas.auth import SCOPE_ALL
from whohas.services import Services, open_services
from whohas.settings import Settings

STATUSES = frozenset((200, 202, 204, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415, 416, 429))
"""What a caller's fault may be answered with; never what is the server's own."""

PROXY = "10.0.0.1"
"""The address that is trusted to say who calls, as all of its network are."""

Headers = Sequence[tuple[str, str]]


class Client:
    """Sends requests to the application, which is made at the first one and closed when Python ends.

    Attributes:
        address: from where the last request came, as the application saw it.
    """

    def __init__(self) -> None:
        self.address = ""
        self._sent = 0

    @cached_property
    def services(self) -> Services:
        """The installation."""
        logging.disable(logging.CRITICAL)
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        stack = ExitStack()
        atexit.register(stack.close)
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="whohas-fuzz-"))
        # the counts of calls and of wrong secrets would answer most of what is sent
        settings = Settings(home=Path(home) / "home", rate_limit=0)
        return stack.enter_context(open_services(settings))

    @cached_property
    def token(self) -> str:
        """A token that may do everything."""
        created = self.services.access.clients.create("fuzz", [SCOPE_ALL], levels=["ORG_ADMIN"])
        return self.services.access.tokens.issue(created.client).text

    @cached_property
    def _application(self) -> Any:
        application = create_app(self.services)

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            self.address = scope["client"][0]
            await application(scope, receive, send)

        return ProxyHeadersMiddleware(watched, [PROXY, "10.1.0.0/16"])

    @cached_property
    def _runner(self) -> asyncio.Runner:
        runner = asyncio.Runner()
        atexit.register(runner.close)
        return runner

    def send(
        self, method: str, path: str, headers: Headers = (), body: bytes = b"", query: str = "", peer: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        """Return the status, headers and body of an answer; an exception that leaves the application is raised.

        Args:
            headers: may name one several times; `Host` and the length of the body are added where they are missing.
            query: as it stands behind the question mark.
            peer: the address that the connection comes from; empty for another one each time, for wrong secrets of
                one address are soon not looked at any more.
        """
        self._sent += 1
        peer = peer or f"172.16.{self._sent >> 8 & 255}.{self._sent & 255}"
        lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
        names = {name for name, _ in lines}
        if b"host" not in names:
            lines.append((b"host", b"reports.example"))
        if body and b"content-length" not in names:
            lines.append((b"content-length", str(len(body)).encode()))
        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": query.encode("latin-1", "replace"), "root_path": "", "scheme": "http", "headers": lines,
            "client": (peer, 1), "server": ("127.0.0.1", 8437), "asgi": {"version": "3.0"}, "extensions": {}, "state": {},
        }  # fmt: skip
        return self._runner.run(self._answer(scope, body))

    async def _answer(self, scope: dict[str, Any], body: bytes) -> tuple[int, dict[str, str], bytes]:
        waiting = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[Any] = []

        async def receive() -> Any:
            return waiting.pop() if waiting else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await self._application(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])
