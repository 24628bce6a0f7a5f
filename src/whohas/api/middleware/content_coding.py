"""The middleware that refuses request bodies in a content coding, which would otherwise be parsed as plain text."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from whohas.api.errors import UnsupportedContentCoding

_PLAIN = frozenset({"", "identity", "utf-8", "utf8", "iso-8859-1", "us-ascii"})
"""Values of Content-Encoding that leave the body unchanged. Some scripts send the name of a charset, by mistake."""


class ContentCodingMiddleware:
    """Middleware that refuses a request body in a content coding (`Content-Encoding: gzip`) with 415, as RFC 9110
    (15.5.16) describes. A request without a body passes.

    Raises:
        UnsupportedContentCoding: the body has a content coding.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            if _has_body(headers):
                codings = [name.strip() for value in headers.getlist("content-encoding") for name in value.split(",")]
                if unknown := [name for name in codings if name.lower() not in _PLAIN]:
                    raise UnsupportedContentCoding(
                        f"The body is in the content coding {', '.join(unknown)[:100]!r}, which this server does not "
                        "accept. Send it uncompressed, without Content-Encoding."
                    )
        await self.app(scope, receive, send)


def _has_body(headers: Headers) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip("0") != ""
