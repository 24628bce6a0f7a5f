"""Errors on the wire: the contract's body for each, and nothing of the inside for what nobody foresaw."""

from __future__ import annotations

import asyncio
import errno
import json
from typing import Any

import httpx2
import pytest
import sqlalchemy.exc
from starlette.types import Receive, Scope, Send

from whohas import errors
from whohas.api.middleware.exceptions import ExceptionMiddleware
from whohas.api.middleware.request_id import RequestIdMiddleware


def answered(error: Exception, *, after_start: bool = False) -> httpx2.Response:
    """What a caller gets when an application raises."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if after_start:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise error

    async def ask() -> httpx2.Response:
        transport = httpx2.ASGITransport(RequestIdMiddleware(ExceptionMiddleware(app)))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get("/anything?secret=hidden")

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.InvalidArguments("x"), 400, "400.1 Bad Request Content"),
        (errors.Forbidden("x"), 403, "403 Forbidden"),
        (errors.NotFound("x"), 404, "404 Not found"),
        (errors.Conflict("x"), 409, "409 Conflict"),
        (errors.TooLarge("x"), 413, "413 Payload Too Large"),
        (errors.Unavailable("x"), 503, "503 Service Unavailable"),
        (errors.WhohasError("x"), 500, "500.0 Internal Fault"),
    ],
)
def test_an_error_has_its_status_and_the_contracts_body(error: Exception, status: int, code: str) -> None:
    response = answered(error)
    tracking_id = response.headers["SLPT-Request-ID"]
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "detailCode": code,
        "trackingId": tracking_id,
        "messages": [{"locale": "en-US", "localeOrigin": "DEFAULT", "text": "x"}],
        "causes": [],
    }
    assert len(tracking_id) == 32
    assert int(tracking_id, 16)


def test_a_401_has_the_key_error_alone() -> None:
    response = answered(errors.Unauthorized("JWT validation failed: JWT is expired"))
    assert (response.status_code, response.json()) == (401, {"error": "JWT validation failed: JWT is expired"})


def test_a_429_says_how_long_to_wait() -> None:
    response = answered(errors.QuotaExceeded("Ten runs are enough.", 7))
    assert (response.status_code, response.json()) == (429, {"message": "Ten runs are enough."})
    assert response.headers["Retry-After"] == "7"


def test_an_unforeseen_error_is_a_500_with_tracking_id() -> None:
    response = answered(KeyError("the password is 1234"))
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["detailCode"]) == (500, "500.0 Internal Fault")
    assert body["trackingId"] in body["messages"][0]["text"]
    assert "1234" not in response.text
    assert "KeyError" not in response.text


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        sqlalchemy.exc.OperationalError("SELECT secret", {}, Exception("database is locked")),
    ],
)
def test_a_full_disk_or_a_lost_database_is_a_503(error: Exception) -> None:
    response = answered(error)
    assert response.status_code == 503
    assert "Try again" in response.json()["messages"][0]["text"]
    assert "secret" not in response.text


def test_a_response_in_progress_is_cut_off_visibly() -> None:
    with pytest.raises(KeyError):
        answered(KeyError("x"), after_start=True)


def test_half_a_surrogate_pair_does_not_break_a_response() -> None:
    response = answered(errors.NotFound("There is no \ud800."))
    assert response.status_code == 404
    assert json.loads(response.content)["messages"][0]["text"] == "There is no ?."
