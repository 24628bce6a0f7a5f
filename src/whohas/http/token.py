"""`/oauth/token` and `/oauth/info`: clients trade id and secret for a token.

Clients send the same three fields in four ways: in the query, urlencoded, as multipart, and mixed. All are read
alike; where a field is in both the query and the body, the body's counts.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from whohas.contract import BadToken, OAuthInfo, TokenResponse
from whohas.errors import InvalidArguments, Unauthorized
from whohas.http import description
from whohas.http.errors import json_response
from whohas.http.requests import parse_object

if TYPE_CHECKING:
    from whohas.services import Services

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
POD = "whohas"


async def token_fields(request: Request) -> dict[str, str]:
    """The fields of a token request, wherever they are.

    Raises:
        InvalidArguments: a body that cannot be read.
        TooLarge: one beyond the limit.
    """
    fields = dict(request.query_params)
    fields.update(await _body_fields(request))
    if "client_id" not in fields:
        fields.update(_basic(request.headers.get("authorization", "")))
    return fields


async def _body_fields(request: Request) -> dict[str, str]:
    body = await request.body()
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data" and body:
        try:
            async with request.form(max_fields=50, max_files=0) as form:
                return {name: value for name, value in form.items() if isinstance(value, str)}
        except (HTTPException, ValueError, KeyError) as error:
            reason = error.detail if isinstance(error, HTTPException) else error
            raise InvalidArguments(f"The multipart body cannot be read: {reason}") from None
    if body.lstrip()[:1] == b"{":
        return {name: value for name, value in parse_object(body).items() if isinstance(value, str)}
    try:
        return dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise InvalidArguments(f"The body cannot be read as a form: {error}.") from None


def _basic(authorization: str) -> dict[str, str]:
    # RFC 6749, 2.3.1: general OAuth libraries send id and secret this way unless told otherwise
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}


Fields = Annotated[dict[str, str], Depends(token_fields)]


def token_routes(services: Services) -> APIRouter:
    """The routes of the token endpoint and of what there is to know about it."""
    router = APIRouter(tags=["Token"])

    def token(fields: Fields) -> Response:
        grant = fields.get("grant_type", "").strip()
        if not grant:
            return _refuse(400, "invalid_request", "grant_type is missing. Use client_credentials.")
        if grant.lower() != "client_credentials":
            return _refuse(400, "unsupported_grant_type", "This server grants client_credentials only.")
        try:
            client = services.clients.verify(fields.get("client_id", ""), fields.get("client_secret", ""))
        except Unauthorized as error:
            return _refuse(401, "invalid_client", error.message)
        issued = services.tokens.issue(client)
        org = services.settings.org
        body = TokenResponse(
            access_token=issued.text,
            expires_in=issued.expires_in,
            scope=" ".join(client.scopes),
            tenant_id=org,
            pod=POD,
            org=org,
            user_id=client.id,
            identity_id=client.id,
            user_name=client.name,
            jti=issued.id,
        )
        return json_response(body, 200, NO_STORE)

    def info(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        org = services.settings.org
        body = OAuthInfo(
            tenantId=org,
            tenantName=org,
            authorizeEndpoint="",
            tokenEndpoint=f"{base}/oauth/token",
            cloudDomainUrl=base,
            logoutUrl="",
            pod=POD,
        )
        return json_response(body)

    router.add_api_route(
        "/oauth/token",
        token,
        methods=["POST"],
        summary="Get a token for a client's id and secret",
        openapi_extra=description.TOKEN_FORM,
        responses={200: {"model": TokenResponse, "description": "The token."}, 401: {"model": BadToken}},
    )
    router.add_api_route(
        "/oauth/info",
        info,
        methods=["GET"],
        summary="Where the endpoints of this installation are",
        responses={200: {"model": OAuthInfo, "description": "Empty texts: this server has no such endpoint."}},
    )
    return router


def _refuse(status: int, code: str, text: str) -> Response:
    return json_response(BadToken(error=code, error_description=text), status, NO_STORE)
