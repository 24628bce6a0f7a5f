"""Maps exceptions to HTTP responses: the status, the body of the contract, and the headers of each error."""

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

from whohas.contract import ErrorMessage, ErrorResponse, TokenError, TooManyRequests
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

STATUS_OF_ERROR: tuple[tuple[type[WhohasError], int], ...] = (
    (TooLarge, 413),
    (InvalidArguments, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 503),
)

_RESOURCE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE)
"""Errors of the system that may go away: disk or quota full, read-only disk, too many open files."""

log = structlog.get_logger("whohas.http")


class MethodNotAllowed(WhohasError):
    """A method that the path does not support: 405. `allow` is the value of the header Allow."""

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow


class PreconditionFailed(WhohasError):
    """A precondition of a download, such as If-Match, does not hold: 412."""


class UnsupportedContentCoding(WhohasError):
    """A request body in a content coding, such as gzip: 415."""


class RangeNotSatisfiable(WhohasError):
    """A byte range that begins beyond the end of a file of `size` bytes: 416."""

    def __init__(self, message: str, size: int) -> None:
        super().__init__(message)
        self.size = size


def tracking_id(scope: Scope) -> str:
    """Return the tracking id of a request, which its response and all its log lines have."""
    return cast("str", scope["state"]["tracking_id"])


def request_context(scope: Scope) -> dict[str, str]:
    """Return the tracking id and the trace of a request, to be stored with a run that it starts.

    The keys are `trackingId` and `traceparent`; the latter is absent if tracing is off.
    """
    context = {"trackingId": tracking_id(scope), "traceparent": cast("str", scope["state"].get("traceparent", ""))}
    return {name: value for name, value in context.items() if value}


def error_response(error: Exception, scope: Scope) -> Response:
    """Return the response to an exception.

    An unexpected exception is logged with its traceback; the caller gets a 500 with the tracking id and no details.
    """
    match error:
        case Unauthorized():
            remember_denial_reason(scope, error.message)
            return unauthorized_response(error.message)
        case QuotaExceeded():
            body = TooManyRequests(message=error.message)
            return json_response(body, 429, {"Retry-After": str(max(1, error.retry_after))})
        case MethodNotAllowed():
            return contract_error_response(405, error.message, scope, {"Allow": error.allow})
        case PreconditionFailed():
            return contract_error_response(412, error.message, scope)
        case UnsupportedContentCoding():
            remember_denial_reason(scope, error.message)
            return contract_error_response(415, error.message, scope, {"Accept-Encoding": "identity"})
        case RangeNotSatisfiable():
            return contract_error_response(416, error.message, scope, {"Content-Range": f"bytes */{error.size}"})
        case WhohasError():
            status = next((status for kind, status in STATUS_OF_ERROR if isinstance(error, kind)), 500)
            remember_denial_reason(scope, error.message)
            if status >= 500:
                log.error("unavailable", reason=error.message, exc_info=error)
            return contract_error_response(status, error.message, scope)
        case RequestValidationError():
            return contract_error_response(400, " ".join(_fault(fault) for fault in error.errors()), scope)
        case HTTPException(status_code=204):  # raised by a dependency that has nothing to send
            return Response(status_code=204, headers=error.headers)
        case HTTPException():
            headers = dict(error.headers or {})
            return contract_error_response(error.status_code, _routing_text(error, scope), scope, headers)
        case _ if _lacks_memory(error):
            log.error("out of memory", reason=first_line(error))
            text = "This needs more memory than the server may use. Ask for less at once, or try again in a minute."
            return contract_error_response(503, text, scope)
        case _ if _is_unavailable(error):
            log.error("unavailable", exc_info=error)
            text = "The server's database or disk is not available now. Try again in a minute."
            return contract_error_response(503, text, scope)
        case _:
            log.error("internal fault", exc_info=error)
            text = (
                f"An internal fault occurred. The server's log has it under {tracking_id(scope)}. "
                "Send the request again; if that fails too, report it with those lines of the log."
            )
            return contract_error_response(500, text, scope)


def remember_denial_reason(scope: Scope, reason: str) -> None:
    """Remember why a request was refused, for the audit event of a response with the status 401 or 403."""
    scope["state"]["refused"] = reason


async def exception_handler(request: Request, error: Exception) -> Response:
    """Return the response to an exception; `error_response` in the form of a FastAPI exception handler."""
    return error_response(error, request.scope)


def contract_error_response(status: int, text: str, scope: Scope, headers: dict[str, str] | None = None) -> Response:
    """Return an error response with the contract's body, which has the tracking id and one message in English."""
    code = DETAIL_CODES.get(status, f"{status} Refused")
    messages = [ErrorMessage(text=_plain(text))]
    return json_response(
        ErrorResponse(detailCode=code, trackingId=tracking_id(scope), messages=messages), status, headers
    )


def unauthorized_response(text: str) -> Response:
    """Return a 401 with the contract's body and the header WWW-Authenticate."""
    headers = {"WWW-Authenticate": "Bearer"}
    return json_response(TokenError(error=_plain(text)), 401, headers, leave_out_nulls=True)


def json_response(
    body: BaseModel,
    status: int = 200,
    headers: dict[str, str] | None = None,
    *,
    leave_out_nulls: bool = False,
) -> Response:
    """Return a JSON response.

    Args:
        body: the model of the body.
        status: the status code.
        headers: additional headers.
        leave_out_nulls: whether to leave out keys that are null; some clients need the keys.
    """
    content: dict[str, Any] = body.model_dump(mode="json", exclude_none=leave_out_nulls)
    return JSONResponse(content, status, headers)


def _plain(text: str) -> str:
    # a message may quote a single surrogate that the caller sent, which cannot be encoded as UTF-8
    return text.encode("utf-8", "replace").decode("utf-8")


def _fault(fault: Any) -> str:
    name = str(fault["loc"][-1])
    if fault["type"] == "missing":
        hint = " Use csv or pdf, or another format that the run has." if name == "fileFormat" else ""
        return f"The {fault['loc'][0]} parameter {name} is missing.{hint}"
    return f"The {fault['loc'][0]} parameter {name} is wrong: {fault['msg']}"


def _routing_text(error: HTTPException, scope: Scope) -> str:
    where = f"{scope['method']} {scope['path'][:200]!r}"
    match error.status_code:
        case 404:
            return f"There is no operation {where}. /openapi.json lists all operations."
        case 405:
            allowed = (error.headers or {}).get("Allow", "another method")
            return f"{where} is not supported. Use {allowed}."
        case _:
            return str(error.detail)


def _lacks_memory(error: Exception) -> bool:
    # compared by name, so that this module does not import DuckDB
    return isinstance(error, MemoryError) or (
        type(error).__module__.split(".")[0] in ("duckdb", "_duckdb") and type(error).__name__ == "OutOfMemoryException"
    )


def _is_unavailable(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        return type(error).__name__ in ("OperationalError", "InterfaceError")
    return isinstance(error, OSError) and error.errno in _RESOURCE_ERRORS
