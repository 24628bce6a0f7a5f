"""What is raised becomes what is answered: the one place that knows which error has which status and body."""

from __future__ import annotations

import errno
from typing import Any, cast

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from whohas.contract import BadToken, ErrorMessage, ErrorResponse, TooManyRequests
from whohas.errors import (
    Conflict,
    Forbidden,
    InvalidArguments,
    NotFound,
    QuotaExceeded,
    TooLarge,
    Unauthorized,
    Unavailable,
    WhohasError,
)
from whohas.faults import first_line

DETAIL_CODES = {
    400: "400.1 Bad Request Content",
    403: "403 Forbidden",
    404: "404 Not found",
    405: "405 Method Not Allowed",
    409: "409 Conflict",
    412: "412 Precondition Failed",
    413: "413 Payload Too Large",
    415: "415 Unsupported Media Type",
    416: "416 Range Not Satisfiable",
    500: "500.0 Internal Fault",
    503: "503 Service Unavailable",
}

STATUSES: tuple[tuple[type[WhohasError], int], ...] = (
    (TooLarge, 413),
    (InvalidArguments, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 503),
)

_REFUSING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""What a disk or the system refuses for a while: no room, no writing, no further open file."""

log = structlog.get_logger("whohas.http")


class NotAllowed(WhohasError):
    """A path that exists, with a method that it does not have; `allow` are those that it has."""

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class PreconditionFailed(WhohasError):
    """A file that is not the one that the request is about, by its own conditions."""


class UnsupportedCoding(WhohasError):
    """A body in a content coding, of which none is taken."""


class RangeNotSatisfiable(WhohasError):
    """A byte range beyond the end of a file of `size` bytes."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


def tracking_id(scope: Scope) -> str:
    """The id under which this request stands in the log."""
    return cast("str", scope["state"]["tracking_id"])


def origin(scope: Scope) -> dict[str, str]:
    """What a run that this request starts says of where it came from."""
    facts = {"trackingId": tracking_id(scope), "traceparent": cast("str", scope["state"].get("traceparent", ""))}
    return {name: value for name, value in facts.items() if value}


def answer(error: Exception, scope: Scope) -> Response:
    """The response to an error. What nobody foresaw is logged, and the caller learns its tracking id only."""
    match error:
        case Unauthorized():
            note_refusal(scope, error.message)
            return refuse_token(error.message)
        case QuotaExceeded():
            body = TooManyRequests(message=error.message)
            return json_response(body, 429, {"Retry-After": str(max(1, error.retry_after))})
        case NotAllowed():
            return refusal(405, error.message, scope, {"Allow": error.allow})
        case PreconditionFailed():
            return refusal(412, error.message, scope)
        case UnsupportedCoding():
            note_refusal(scope, error.message)
            return refusal(415, error.message, scope, {"Accept-Encoding": "identity"})
        case RangeNotSatisfiable():
            return refusal(416, error.message, scope, {"Content-Range": f"bytes */{error.size}"})
        case WhohasError():
            status = next((status for kind, status in STATUSES if isinstance(error, kind)), 500)
            note_refusal(scope, error.message)
            if status >= 500:
                log.error("unavailable", reason=error.message, exc_info=error)
            return refusal(status, error.message, scope)
        case RequestValidationError():
            return refusal(400, " ".join(_fault(fault) for fault in error.errors()), scope)
        case HTTPException(status_code=204):  # no error: a dependency has nothing to answer
            return Response(status_code=204, headers=error.headers)
        case HTTPException():
            headers = dict(error.headers or {})
            return refusal(error.status_code, _routing_text(error, scope), scope, headers)
        case _ if _lacks_memory(error):
            log.error("out of memory", reason=first_line(error))
            text = "This needs more memory than the server may use. Ask for less at once, or try again in a minute."
            return refusal(503, text, scope)
        case _ if _lacks_a_part(error):
            log.error("unavailable", exc_info=error)
            text = "The server's database or disk does not take this now. Try again in a minute."
            return refusal(503, text, scope)
        case _:
            log.error("internal fault", exc_info=error)
            text = f"An internal fault occurred. The server's log has it under {tracking_id(scope)}."
            return refusal(500, text, scope)


def note_refusal(scope: Scope, reason: str) -> None:
    """Keeps why a request was refused, for the audit trail."""
    scope["state"]["refused"] = reason


async def handle(request: Request, error: Exception) -> Response:
    """The same, as an exception handler of the application."""
    return answer(error, request.scope)


def refusal(status: int, text: str, scope: Scope, headers: dict[str, str] | None = None) -> Response:
    """The contract's error body under a status."""
    code = DETAIL_CODES.get(status, f"{status} Refused")
    messages = [ErrorMessage(text=_plain(text))]
    return json_response(
        ErrorResponse(detailCode=code, trackingId=tracking_id(scope), messages=messages), status, headers
    )


def refuse_token(text: str) -> Response:
    """The contract's body of a 401."""
    headers = {"WWW-Authenticate": "Bearer"}
    return json_response(BadToken(error=_plain(text)), 401, headers, leave_out_nulls=True)


def json_response(
    body: BaseModel,
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    leave_out_nulls: bool = False,
) -> Response:
    """A body as the wire has it; nulls stay unless told otherwise, for some clients want the key."""
    content: dict[str, Any] = body.model_dump(mode="json", exclude_none=leave_out_nulls)
    return JSONResponse(content, status, headers)


def _plain(text: str) -> str:
    # what a caller sent may be quoted in a text and hold half a character: it must not break the answer
    return text.encode("utf-8", "replace").decode("utf-8")


def _fault(fault: Any) -> str:
    name = str(fault["loc"][-1])
    if fault["type"] == "missing":
        hint = " Use csv or pdf, or another that the run made." if name == "fileFormat" else ""
        return f"The {fault['loc'][0]} parameter {name} is missing.{hint}"
    return f"The {fault['loc'][0]} parameter {name} is wrong: {fault['msg']}"


def _routing_text(error: HTTPException, scope: Scope) -> str:
    where = f"{scope['method']} {scope['path'][:200]!r}"
    match error.status_code:
        case 404:
            return f"There is nothing at {where}. /openapi.json lists what there is."
        case 405:
            return f"{where} is not offered; {(error.headers or {}).get('Allow', 'another method')} is."
        case _:
            return str(error.detail)


def _lacks_memory(error: Exception) -> bool:
    # by its name: the engine is loaded where it is used alone
    return isinstance(error, MemoryError) or (
        type(error).__module__.split(".")[0] in ("duckdb", "_duckdb") and type(error).__name__ == "OutOfMemoryException"
    )


def _lacks_a_part(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return type(error).__name__ in ("OperationalError", "InterfaceError")
    return isinstance(error, OSError) and error.errno in _REFUSING
