"""Bodies in a content coding: refused, so that nobody's compressed bytes are read as text."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from whohas.http.errors import UnsupportedCoding

_PLAIN = frozenset({"", "identity", "utf-8", "utf8", "iso-8859-1", "us-ascii"})
"""No coding. Scripts write the name of a charset here, which is no coding either and changes no byte."""


class Codings:
    """Refuses a request body in any content coding (`Content-Encoding: gzip`) with 415, as RFC 9110 section 15.5.16
    has it. A request without a body passes."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if _has_body(headers):
                given = [one.strip() for value in headers.getlist("content-encoding") for one in value.split(",")]
                if unknown := [one for one in given if one.lower() not in _PLAIN]:
                    raise UnsupportedCoding(
                        f"The body is in the content coding {', '.join(unknown)[:100]!r}, which this server does not "
                        "take. Send it as it is, without Content-Encoding."
                    )
        await self.app(scope, receive, send)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""
