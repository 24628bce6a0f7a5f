"""The temporary ASGI application of a server that waits for its database at startup."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from whohas import timeouts
from whohas.api.errors import contract_error_response
from whohas.api.middleware.drain_body import DrainBodyMiddleware
from whohas.api.middleware.request_id import RequestIdMiddleware

_REASON = "it does not answer; this server waits for it before it serves, and its log says more"


def create_waiting_app() -> ASGIApp:
    """Return an application that answers `/healthz` with 200 and `/readyz` and all other requests with 503."""
    return RequestIdMiddleware(DrainBodyMiddleware(_answer))


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    await _response(scope)(scope, receive, send)


def _response(scope: Scope) -> Response:
    headers = {"Retry-After": str(timeouts.DATABASE_RETRY_AFTER_SECONDS), "Cache-Control": "no-store"}
    if scope["method"] in ("GET", "HEAD"):
        match scope["path"]:
            case "/healthz":
                return JSONResponse({"status": "ok"})
            case "/readyz":
                return JSONResponse({"status": "not ready", "parts": {"database": _REASON}}, 503, headers)
            case _:
                pass
    return contract_error_response(
        503, "The server has started and waits for its database. Try again in a minute.", scope, headers
    )
