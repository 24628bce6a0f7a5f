"""Bodies of error responses: 401 and 429 have separate ones, all other statuses share `ErrorResponse`."""

from __future__ import annotations

from pydantic import Field

from whohas_client.contract import WireModel


class ErrorMessage(WireModel):
    """The text of an error in one language.

    Attributes:
        locale: the BCP 47 tag of the language; this server always sends `en-US`.
        localeOrigin: DEFAULT if the server chose the language, REQUEST if a header of the request did.
        text: the error in whole sentences.
    """

    locale: str | None = "en-US"
    localeOrigin: str | None = "DEFAULT"
    text: str


class ErrorResponse(WireModel):
    """The body of every error response but 401 and 429: 400, 403, 404, 405, 409, 412, 413, 415, 416, 500 and 503.

    Attributes:
        detailCode: the status and its meaning, such as `400.1 Bad Request Content`.
        trackingId: 32 hex digits that identify the request; the server's log line of the request has them too.
        messages: the error, in one language.
        causes: further errors that led to this one; always empty on this server.
    """

    detailCode: str
    trackingId: str
    messages: list[ErrorMessage] = Field(default_factory=list[ErrorMessage])
    causes: list[ErrorMessage] = Field(default_factory=list[ErrorMessage])


class TokenError(WireModel):
    """The body of 401, and of every error response of `/oauth/token` that has an error code of RFC 6749.

    Attributes:
        error: the error in whole sentences; at `/oauth/token` a code of RFC 6749, such as `invalid_client`.
        error_description: the error in whole sentences if `error` is a code; otherwise the key is left out.
    """

    error: str
    error_description: str | None = None


class TooManyRequests(WireModel):
    """The body of 429. The header `Retry-After` of the response has the number of seconds to wait."""

    message: str
