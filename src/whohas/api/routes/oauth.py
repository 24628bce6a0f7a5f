"""Routes of the OAuth endpoints `/oauth/token` and `/oauth/info`, and of the key set `/.well-known/jwks.json`.

Clients send the fields of a token request in the query, as a urlencoded form, as multipart, as JSON, or mixed, and id
and secret also by HTTP Basic. All are accepted; of a field in both the query and the body, the body's value is used.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from whohas import addresses
from whohas.api import openapi
from whohas.api.actors import remember_claim
from whohas.api.dependencies import services_of
from whohas.api.errors import json_response, remember_denial_reason
from whohas.api.requests import parse_object
from whohas.auth import (
    CONSOLE_CLIENT_ID,
    SCOPE_ALL,
    SCOPE_DEFAULT,
    AccessToken,
    ApiClient,
    AuthServices,
    Caller,
    known_scopes,
    public_key_set,
)
from whohas.contract import OAuthEndpoints, TokenError, TokenResponse
from whohas.errors import Forbidden, InvalidArguments, Unauthorized

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
POD = "whohas"
"""The value of the published field `pod`, the cluster of a tenant; it has no meaning here."""


async def token_fields(request: Request) -> dict[str, str]:
    """Return the fields of a token or sign-in request from query, body and Authorization header.

    Raises:
        InvalidArguments: the body cannot be parsed, or a value has a single surrogate.
        TooLarge: the body is longer than the limit of the server.
    """
    fields = dict(request.query_params)
    fields.update(await _body_fields(request))
    if "client_id" not in fields:
        fields.update(_basic(request.headers.get("authorization", "")))
    for name, value in fields.items():
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise InvalidArguments(f"The field {name[:60]!r} has half of a surrogate pair. Send whole characters.")
    return fields


async def _body_fields(request: Request) -> dict[str, str]:
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data" and body:
        _check_charset(request.headers["content-type"])
        try:
            async with request.form(max_fields=50, max_files=0) as form:
                return {name: value for name, value in form.items() if isinstance(value, str)}
        except (HTTPException, ValueError, KeyError) as error:
            reason = error.detail if isinstance(error, HTTPException) else error
            raise InvalidArguments(
                f"The multipart body cannot be read: {str(reason).rstrip('.')}. {_SEND_A_FORM}"
            ) from None
    if body.lstrip()[:1] == b"{":
        return {name: value for name, value in parse_object(body).items() if isinstance(value, str)}
    try:
        return dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise InvalidArguments(f"The body cannot be read as a form: {error}. {_SEND_A_FORM}") from None


_SEND_A_FORM = "Send the fields as application/x-www-form-urlencoded, such as grant_type=client_credentials."
_CHARSET = re.compile(r"""charset\s*=\s*["']?([^"';\s]*)""", re.IGNORECASE)
_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252")


def _check_charset(content_type: str) -> None:
    # the form parser passes the charset to Python's codecs, which include escapes and compressions; some of them take
    # a time that grows with the square of the length
    for name in _CHARSET.findall(content_type):
        if name.lower() not in _CHARSETS:
            raise InvalidArguments(f"The form has the charset {name[:40]!r}, which is not supported. Send UTF-8.")


def _basic(authorization: str) -> dict[str, str]:
    # RFC 6749, 2.3.1: the default of general OAuth libraries
    if _scheme(authorization) != "basic":
        return {}
    encoded = authorization.partition(" ")[2]
    try:
        client_id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}


def _scheme(authorization: str) -> str:
    """Return the scheme of the header Authorization in lower case, such as `basic`; empty without the header."""
    return authorization.partition(" ")[0].lower()


TokenFields = Annotated[dict[str, str], Depends(token_fields)]


router = APIRouter(tags=["Token"])


@router.post(
    "/oauth/token",
    name="token",
    summary="Get a token for a client's id and secret, or for the code of a user who signed in",
    openapi_extra=openapi.TOKEN_BODY,
    responses={200: {"model": TokenResponse, "description": "The token."}, **openapi.TOKEN_ERROR_RESPONSES},
)
def issue_token(request: Request, fields: TokenFields) -> Response:
    """Issue an access token by one of `GRANTS`; errors have the form of RFC 6749."""
    services = services_of(request)
    access = services.access
    grant = fields.get("grant_type", "").strip().lower()
    if not grant:
        return token_error_response(400, "invalid_request", "grant_type is missing. Use client_credentials.")
    if grant not in GRANTS:
        text = f"grant_type is {grant[:60]!r}. Use {' or '.join(GRANTS)}."
        return token_error_response(400, "unsupported_grant_type", text)
    client_id, address = fields.get("client_id", ""), client_address(request)
    remember_claim(request, client_id)
    access.login_throttle.check(client_id, address)
    try:
        issued, caller = GRANTS[grant](access, fields)
    except Unauthorized as error:
        access.login_throttle.count_wrong_secret(
            client_id, address, fields.get("code", "") + fields.get("client_secret", "")
        )
        if grant == AUTHORIZATION_CODE:
            return token_error_response(400, "invalid_grant", error.message)
        remember_denial_reason(request.scope, error.message)
        basic = _scheme(request.headers.get("authorization", "")) == "basic"
        return token_error_response(401, "invalid_client", error.message, _BASIC_CHALLENGE if basic else {})
    except Forbidden as error:
        return token_error_response(400, "invalid_scope", error.message)
    return json_response(_token_response(issued, caller, services.settings.org), 200, NO_STORE)


@router.get(
    "/oauth/info",
    **openapi.operation(
        "oauthInfo",
        summary="The URLs of the OAuth endpoints",
        responses={
            200: {
                "model": OAuthEndpoints,
                "description": "The URLs; an endpoint that this server does not have is an empty string.",
            }
        },
    ),
)
def get_oauth_info(request: Request) -> Response:
    """Return the URLs of the OAuth endpoints, at the address that the caller used."""
    org, base = services_of(request).settings.org, base_url(request)
    body = OAuthEndpoints(
        tenantId=org,
        tenantName=org,
        authorizeEndpoint=f"{base}/oauth/authorize",
        tokenEndpoint=f"{base}/oauth/token",
        cloudDomainUrl=base,
        logoutUrl="",
        pod=POD,
    )
    return json_response(body)


@router.get(
    "/.well-known/jwks.json",
    name="keySet",
    summary="The public keys of access tokens, as a JSON Web Key Set",
)
def get_key_set(request: Request) -> Response:
    """Return the public keys that access tokens are verified with."""
    keys = public_key_set(services_of(request).access.keys)
    return JSONResponse(keys, headers={"Cache-Control": "public, max-age=300"})


def _token_response(issued: AccessToken, caller: Caller, org: str) -> TokenResponse:
    return TokenResponse(
        access_token=issued.text,
        expires_in=issued.expires_in,
        scope=" ".join(issued.scopes),
        tenant_id=org,
        pod=POD,
        org=org,
        user_id=caller.id,
        identity_id=caller.id,
        user_name=caller.name,
        jti=issued.id,
    )


def base_url(request: Request) -> str:
    """Return the base URL of this server as the caller addressed it: the scheme and the header Host.

    Raises:
        InvalidArguments: the header Host is missing or malformed.
    """
    address = addresses.try_parse(f"{request.scope['scheme']}://{request.headers.get('host', '')}", services=True)
    if address is None or address.path or address.query or address.fragment:
        raise InvalidArguments("The header Host must have the form HOST:PORT, such as reports.example:8437.")
    return address.origin


def _of_client(access: AuthServices, fields: Mapping[str, str]) -> tuple[AccessToken, Caller]:
    """Issue a token for the id and secret of a client (RFC 6749, 4.4)."""
    client = access.clients.verify(fields.get("client_id", ""), fields.get("client_secret", ""))
    scopes = token_scopes(client, fields.get("scope", ""))
    return access.tokens.issue(client, scopes=scopes), client.caller(scopes=scopes)


def _of_code(access: AuthServices, fields: Mapping[str, str]) -> tuple[AccessToken, Caller]:
    """Issue a token for an authorization code (RFC 6749, 4.1.3). A secret is optional, but verified if it is sent."""
    client_id, secret = fields.get("client_id", ""), fields.get("client_secret", "")
    if client_id == CONSOLE_CLIENT_ID:
        # the console redeems its codes itself, for a session: nobody else may have tokens of it
        raise Unauthorized("The web console's client gets no tokens here. Sign in at /console, or create a client.")
    if secret:
        access.clients.verify(client_id, secret)
    grant = access.codes.redeem(
        fields.get("code", ""), client_id, fields.get("redirect_uri", ""), fields.get("code_verifier", "")
    )
    issued = access.tokens.issue(grant.client, grant.user, grant.scopes)
    return issued, grant.client.caller(grant.user, grant.scopes)


AUTHORIZATION_CODE = "authorization_code"
GRANTS = {"client_credentials": _of_client, AUTHORIZATION_CODE: _of_code}
"""The grant types of `/oauth/token`, each with the function that verifies the request and issues the token."""


def token_scopes(client: ApiClient, asked: str) -> tuple[str, ...]:
    """Return the scopes of a new token: those that the request names, or all scopes of the client if it names none.

    A client with `sp:scopes:all` or `sp:scopes:default` may request any scope.

    Args:
        client: the client that gets the token.
        asked: the parameter `scope` of the request: scopes separated by spaces, or empty.

    Raises:
        Forbidden: the client does not have a requested scope, or it does not exist.
    """
    requested = tuple(dict.fromkeys(asked.split()))
    excess = [scope for scope in requested if scope not in client.scopes]
    if excess and not {SCOPE_ALL, SCOPE_DEFAULT} & {*client.scopes}:
        raise Forbidden(
            f"The client does not have the scope {' '.join(excess)[:200]}. Leave `scope` out to get all scopes that it "
            "has, or create a client with that scope."
        )
    unknown = [scope for scope in excess if scope not in known_scopes]
    if unknown:
        raise Forbidden(f"There is no scope {' '.join(unknown)[:200]}. Choose from {', '.join(sorted(known_scopes))}.")
    return requested or client.scopes


def client_address(request: Request) -> str:
    """Return the IP address of the client of a request, behind a trusted proxy the one that the proxy reports."""
    return request.client.host if request.client else ""


_BASIC_CHALLENGE: Mapping[str, str] = {"WWW-Authenticate": 'Basic realm="whohas", charset="UTF-8"'}
"""Required by RFC 6749, 5.2, on a 401 for a client that sent its id and secret by HTTP Basic."""


def token_error_response(status: int, code: str, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error response of the token endpoint (RFC 6749, 5.2).

    Args:
        status: 400 or 401.
        code: an error code of RFC 6749, such as `invalid_grant`.
        text: the error in whole sentences.
        headers: headers in addition to those that forbid caching.
    """
    return json_response(TokenError(error=code, error_description=text), status, {**NO_STORE, **(headers or {})})
