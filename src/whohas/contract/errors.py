"""The bodies of refusals: 401 and 429 have their own, all others share one."""

from __future__ import annotations

from pydantic import Field

from whohas.contract.reports import WireModel


class ErrorMessage(WireModel):
    """A reason in one language.

    Attributes:
        locale: a BCP 47 tag.
        localeOrigin: DEFAULT where the server chose it, REQUEST where the caller's headers did.
    """

    locale: str | None = "en-US"
    localeOrigin: str | None = "DEFAULT"
    text: str


class ErrorResponse(WireModel):
    """The body of 400, 403, 404, 405, 409, 413, 416, 500 and 503.

    Attributes:
        detailCode: the status with what it means, such as `400.1 Bad Request Content`.
        trackingId: 32 hex digits that the server's log has too.
    """

    detailCode: str
    trackingId: str
    messages: list[ErrorMessage] = Field(default_factory=list[ErrorMessage])
    causes: list[ErrorMessage] = Field(default_factory=list[ErrorMessage])


class BadToken(WireModel):
    """The body of 401. `error_description` is added only where RFC 6749 wants a code in `error`."""

    error: str
    error_description: str | None = None


class TooManyRequests(WireModel):
    """The body of 429; the header `Retry-After` has the whole seconds to wait."""

    message: str
