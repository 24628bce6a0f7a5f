"""Mapping of HTTP error responses to the errors of this package, with the server's message and tracking id."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx2

from whohas_client.errors import (
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

ERROR_OF_STATUS: dict[int, type[WhohasError]] = {
    400: InvalidArguments,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
}

DEFAULT_RETRY_AFTER = 5
LONGEST_RETRY_AFTER = 300


def error_for_response(response: httpx2.Response) -> WhohasError:
    """Return the error for a response that is not a success."""
    text, tracking_id = _text_and_id(response)
    if tracking_id:
        text = f"{text} (tracking id {tracking_id})"
    if response.status_code == 429:
        return QuotaExceeded(text, retry_after(response))
    if response.status_code in ERROR_OF_STATUS:
        return ERROR_OF_STATUS[response.status_code](text)
    if response.status_code >= 500:
        return Unavailable(text)
    return WhohasError(text)


def retry_after(response: httpx2.Response) -> int:
    """Return how many seconds to wait, from the header `Retry-After`: at most 300, and 5 if it is missing or malformed.

    The header has a number of seconds or a date.
    """
    header = response.headers.get("retry-after", "")
    if header.isdecimal():
        seconds = int(header)
    else:
        try:
            date = parsedate_to_datetime(header)
        except ValueError:
            return DEFAULT_RETRY_AFTER
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = max(0, math.ceil((date - datetime.now(UTC)).total_seconds()))
    return min(seconds, LONGEST_RETRY_AFTER)


def _text_and_id(response: httpx2.Response) -> tuple[str, str]:
    status = f"{response.status_code} {response.reason_phrase}"
    header = response.headers.get("slpt-request-id", "")
    try:
        parsed: object = json.loads(response.content)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        shown = response.text.strip()[:200]
        return f"The server answered {status}{': ' if shown else ''}{shown}", header
    body = cast("dict[str, Any]", parsed)
    messages = body.get("messages")
    texts: list[str] = []
    if isinstance(messages, list):
        entries = [cast("dict[str, Any]", entry) for entry in cast("list[object]", messages) if isinstance(entry, dict)]
        texts = [str(entry["text"]) for entry in entries if entry.get("text")]
    texts = texts or [str(body[name]) for name in ("error_description", "error", "message") if body.get(name)][:1]
    return " ".join(texts) or f"The server answered {status}", str(body.get("trackingId") or header)
