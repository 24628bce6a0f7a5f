"""Texts, examples, error responses and security schemes of the OpenAPI description at `/openapi.json`.

FastAPI derives the rest of the description from the routes.
"""

from __future__ import annotations

from typing import Any, TypedDict

from fastapi import FastAPI, Security
from fastapi.openapi.models import OAuthFlowAuthorizationCode, OAuthFlowClientCredentials
from fastapi.openapi.models import OAuthFlows as Flows
from fastapi.security import OAuth2
from pydantic import BaseModel

from whohas.auth import ROUTES, UserLevel
from whohas.auth.callers import SCOPE_ALL, SCOPE_DEFAULT, SCOPE_MANAGE, SCOPE_READ, TASKS_READ, TASKS_WRITE
from whohas.auth.permissions import ALL_LEVELS
from whohas.contract import ErrorResponse, TokenError, TooManyRequests

Responses = dict[int | str, dict[str, Any]]
"""Descriptions of the responses of a route by status code."""

TITLE = "whohas"
DESCRIPTION = (
    "Identity reports that can be run, watched, cancelled, downloaded and verified. The operations on reports are "
    "those of the published Reports Data Extraction API; they are the same under every prefix. Every response has its "
    "tracking id in the header SLPT-Request-ID."
)

COMPLETED = "If the run is not over, return the newest completed run of the same report and arguments instead."
FILE_FORMAT = "The format of the file, in upper or lower case. The zip file of a search export has the format csv."
NAME = "The file name to download under; the extension is added. Default: the report's name."
AUDITABLE = "Whether to record the download in the audit log."

FILTERS = (
    "A filter on the tasks: `id`, `sourceId`, `type`, `launcher` and `state` with eq, ne and in; `completionStatus` "
    "also with isnull and pr; joined by and, or, not and parentheses, such as `completionStatus isnull and launcher eq "
    '"ann"`.'
)

ERROR_RESPONSE_MODELS: Responses = {
    400: {"model": ErrorResponse, "description": "A part of the request is wrong; the message names it."},
    401: {"model": TokenError, "description": "The token is missing or not valid."},
    403: {
        "model": ErrorResponse,
        "description": "The caller lacks the scope or the user level that the operation needs.",
    },
    404: {"model": ErrorResponse, "description": "The run or the file does not exist; the message says what to do."},
    413: {"model": ErrorResponse, "description": "The body is too long."},
    415: {"model": ErrorResponse, "description": "The body is in a content coding, such as gzip."},
    429: {
        "model": TooManyRequests,
        "description": "Too many requests; the header Retry-After has the number of seconds to wait.",
    },
    500: {
        "model": ErrorResponse,
        "description": "An internal error; the server's log has its details under the tracking id.",
    },
    503: {"model": ErrorResponse, "description": "A part of the server, such as its database, is not available now."},
}


def _ref(*models: type[BaseModel]) -> dict[str, Any]:
    refs = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    return {"application/json": {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}}


ERROR_RESPONSES: Responses = {
    status: {"description": refusal["description"], "content": _ref(refusal["model"])}
    for status, refusal in ERROR_RESPONSE_MODELS.items()
}
"""The error responses of a route, with references to the schemas.

FastAPI would build the schema of a model once for each of a hundred routes that name it, a tenth of the server's start.
One route (`/oauth/token`) names the models themselves, so that the schemas are in the description."""

FILE_RESPONSE: dict[str, Any] = {
    "description": "The file, with Content-Length, ETag (its SHA-256) and byte ranges.",
    "content": {
        media_type: {"schema": {"type": "string", "format": "binary"}}
        for media_type in ("application/csv", "application/pdf", "application/zip")
    },
}

START_EXAMPLES: dict[str, Any] = {
    "accounts": {
        "summary": "The accounts of a source",
        "value": {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Active Directory"}},
    },
    "identities": {"summary": "All identities", "value": {"reportType": "IDENTITIES"}},
    "search": {
        "summary": "Identities that have a role, with one row for each access item",
        "value": {
            "reportType": "SEARCH_EXPORT",
            "arguments": {
                "query": "@access(type:ROLE)",
                "indices": ["identities"],
                "columns": "displayName,email,access.spread",
                "sort": ["displayName"],
            },
        },
    },
}

SCHEDULE_EXAMPLES: dict[str, Any] = {
    "weekly": {
        "summary": "The accounts of a source, every Monday at 6:00 in Berlin",
        "value": {
            "name": "AD weekly",
            "reportType": "ACCOUNTS",
            "arguments": {"sourceName": "Active Directory"},
            "cron": "0 6 * * MON",
            "timeZone": "Europe/Berlin",
        },
    }
}

PATCH_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json-patch+json": {
                "schema": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["op", "path", "value"],
                        "properties": {
                            "op": {"type": "string", "enum": ["replace", "add"]},
                            "path": {"type": "string", "enum": ["/completionStatus", "/completed"]},
                            "value": {"type": "string"},
                        },
                    },
                },
                "example": [{"op": "replace", "path": "/completionStatus", "value": "TERMINATED"}],
            }
        },
    }
}

TOKEN_BODY: dict[str, Any] = {
    "requestBody": {
        "description": "Each field may be in the query instead; the body has precedence.",
        "content": {
            media_type: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type", "client_id"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials", "authorization_code"]},
                        "client_id": {"type": "string"},
                        "client_secret": {"type": "string", "format": "password"},
                        "scope": {
                            "type": "string",
                            "description": "Some of the client's scopes, separated by spaces. Default: all of them.",
                        },
                        "code": {
                            "type": "string",
                            "description": "The authorization code that the client got after its user signed in.",
                        },
                        "redirect_uri": {
                            "type": "string",
                            "description": "The address that the authorization code was sent to.",
                        },
                        "code_verifier": {"type": "string", "description": "The PKCE code verifier (RFC 7636)."},
                    },
                }
            }
            for media_type in ("application/x-www-form-urlencoded", "multipart/form-data")
        },
    },
    "security": [],
}

TOKEN_ERROR_RESPONSES: Responses = {
    400: {
        "description": "The request or the authorization code is wrong; `error` has the error code of RFC 6749.",
        "content": _ref(TokenError, ErrorResponse),
    },
    **{status: ERROR_RESPONSE_MODELS[status] for status in (401, 413, 415, 429, 500, 503)},
}

SCOPES = {
    SCOPE_ALL: "everything that the caller may do",
    SCOPE_DEFAULT: "everything that the caller may do",
    SCOPE_MANAGE: "start, read, download and cancel",
    SCOPE_READ: "read results and download",
    TASKS_READ: "read the status of tasks",
    TASKS_WRITE: "read the status of tasks and cancel them",
}

user_auth = OAuth2(
    flows=Flows(
        clientCredentials=OAuthFlowClientCredentials(tokenUrl="/oauth/token", scopes=SCOPES),
        authorizationCode=OAuthFlowAuthorizationCode(
            authorizationUrl="/oauth/authorize", tokenUrl="/oauth/token", scopes=SCOPES
        ),
    ),
    scheme_name="userAuth",
    description="A user's personal client, or a user who signed in.",
    auto_error=False,
)
application_auth = OAuth2(
    flows=Flows(clientCredentials=OAuthFlowClientCredentials(tokenUrl="/oauth/token", scopes=SCOPES)),
    scheme_name="applicationAuth",
    description="An application, a client that does not act for a user.",
    auto_error=False,
)
# Both only appear in the description, and check nothing: `AuthenticationMiddleware` authenticates,
# the dependency `authorize` authorizes.


class Operation(TypedDict):
    """Arguments of the decorator of a route; `operation` returns them."""

    name: str
    summary: str
    dependencies: list[Any]
    responses: Responses
    openapi_extra: dict[str, Any]


def operation(
    name: str,
    *,
    summary: str,
    responses: Responses | None = None,
    openapi_extra: dict[str, Any] | None = None,
) -> Operation:
    """Return the arguments of a route's decorator that name and describe an operation of the table of access.

    They are the same for most operations: the security schemes and scopes, the error responses, and the user levels::

        @router.get("/{id}", **openapi.operation("getTaskStatus", summary="Get the status of a task"))

    Args:
        name: the name of the route, a key of the table of access.
        summary: what the operation does, in a few words.
        responses: the responses other than `ERROR_RESPONSES`.
        openapi_extra: further keys of the description, such as `requestBody`.
    """
    return {
        "name": name,
        "summary": summary,
        "dependencies": security_dependencies(name),
        "responses": {**ERROR_RESPONSES, **(responses or {})},
        "openapi_extra": {**(openapi_extra or {}), **user_levels(name)},
    }


def security_dependencies(route: str) -> list[Any]:
    """Return the dependencies that list the security schemes and scopes of a route in its description.

    Args:
        route: the name of the route, a key of the table of access.
    """
    needs = ROUTES[route]
    if needs is None:
        return []
    schemes = [user_auth] if needs.users_only else [user_auth, application_auth]
    return [Security(scheme, scopes=list(needs.scopes)) for scheme in schemes]


def user_levels(route: str) -> dict[str, Any]:
    """Return the user levels of a route as the extension of the published description; empty if any level will do."""
    needs = ROUTES[route]
    if needs is None or needs.levels == ALL_LEVELS:
        return {}
    return {"x-sailpoint-userLevels": [level.value for level in UserLevel if level in needs.levels]}


def request_body(model: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """Return the description of a request body for an operation that parses its body itself.

    Args:
        model: the model of the body.
        examples: OpenAPI examples by name.
    """
    content = {"schema": model.model_json_schema(), "examples": examples}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of an application.

    Docstrings of endpoints, which FastAPI adds as descriptions of operations, are left out: they are for developers.
    """
    description = app.openapi()
    for operations in description["paths"].values():
        for described in operations.values():
            described.pop("description", None)
    return description
