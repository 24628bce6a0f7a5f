"""What the API description at `/openapi.json` says beyond what the routes themselves tell it."""

from __future__ import annotations

from typing import Any

from fastapi import Security
from fastapi.openapi.models import OAuthFlowAuthorizationCode, OAuthFlowClientCredentials
from fastapi.openapi.models import OAuthFlows as Flows
from fastapi.security import OAuth2
from pydantic import BaseModel

from whohas.auth import ROUTES, Level
from whohas.auth.access import EVERYBODY
from whohas.auth.rights import ALL, DEFAULT, MANAGE, READ, TASKS_READ, TASKS_WRITE
from whohas.contract import BadToken, ErrorResponse, TooManyRequests

TITLE = "whohas"
ABOUT = (
    "Identity reports that one can run, watch, cancel, download and prove. The operations on reports are those of "
    "the published Reports Data Extraction API; they are the same under every prefix. Every response carries its "
    "tracking id in the header SLPT-Request-ID."
)

COMPLETED = "While the run is not over, answer with the newest completed run of the same report and arguments."
FILE_FORMAT = "Which file; either case. A search export has its zip under csv."
NAME = "How the file should be called; the extension is added. Default: the report's name."
AUDITABLE = "Whether the download is worth an audit event."

FILTERS = (
    "Which tasks: `id`, `sourceId`, `type`, `launcher` and `state` with eq, ne and in; `completionStatus` also with "
    'isnull and pr; joined by and, or, not and parentheses, such as `completionStatus isnull and launcher eq "ann"`.'
)

REFUSAL_MODELS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorResponse, "description": "Something in the request is wrong; the text says what."},
    401: {"model": BadToken, "description": "No token, or not a valid one."},
    403: {"model": ErrorResponse, "description": "The caller lacks the scope or the level that this needs."},
    404: {"model": ErrorResponse, "description": "No such run, or no such file; the text says what to do."},
    413: {"model": ErrorResponse, "description": "The body is too long."},
    415: {"model": ErrorResponse, "description": "The body is in a content coding, such as gzip."},
    429: {"model": TooManyRequests, "description": "Too much at once; Retry-After has the seconds to wait."},
    500: {"model": ErrorResponse, "description": "A fault of the server; its log has the tracking id."},
    503: {"model": ErrorResponse, "description": "A part of the server does not answer now."},
}


def _ref(*models: type[BaseModel]) -> dict[str, Any]:
    refs = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    return {"application/json": {"schema": refs[0] if len(refs) == 1 else {"anyOf": refs}}}


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"description": refusal["description"], "content": _ref(refusal["model"])}
    for status, refusal in REFUSAL_MODELS.items()
}
"""By reference: a model that each of a hundred routes names is built a hundred times, a tenth of the server's start.
One route has the models themselves."""

FILE: dict[str, Any] = {
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
        "summary": "Who has a role, a row an access item",
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
        "summary": "The accounts of a source, every Monday at six in Berlin",
        "value": {
            "name": "AD weekly",
            "reportType": "ACCOUNTS",
            "arguments": {"sourceName": "Active Directory"},
            "cron": "0 6 * * MON",
            "timeZone": "Europe/Berlin",
        },
    }
}

PATCH: dict[str, Any] = {
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

TOKEN_FORM: dict[str, Any] = {
    "requestBody": {
        "description": "The same fields may be in the query, or partly here and partly there.",
        "content": {
            media_type: {
                "schema": {
                    "type": "object",
                    "required": ["grant_type", "client_id"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": ["client_credentials", "authorization_code"]},
                        "client_id": {"type": "string"},
                        "client_secret": {"type": "string", "format": "password"},
                        "scope": {"type": "string", "description": "Fewer scopes than the client has, if wanted."},
                        "code": {"type": "string", "description": "Of a user who signed in."},
                        "redirect_uri": {"type": "string", "description": "Where that user was sent back to."},
                        "code_verifier": {"type": "string", "description": "Of PKCE (RFC 7636)."},
                    },
                }
            }
            for media_type in ("application/x-www-form-urlencoded", "multipart/form-data")
        },
    },
    "security": [],
}

TOKEN_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {
        "description": "The request or the code is wrong; `error` has the code of RFC 6749.",
        "content": _ref(BadToken, ErrorResponse),
    },
    **{status: REFUSAL_MODELS[status] for status in (401, 413, 415, 429, 500, 503)},
}

SCOPES = {
    ALL: "everything that the caller may do",
    DEFAULT: "everything that the caller may do",
    MANAGE: "start, read, download and cancel",
    READ: "read results and download",
    TASKS_READ: "read what became of tasks",
    TASKS_WRITE: "read tasks and end them",
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
    description="A client that acts in its own right.",
    auto_error=False,
)
# they tell the description which token is needed; the guard and the table of access are what asks for it


def secured(route: str) -> list[Any]:
    """What a route's description says of the tokens that it takes, from the table of access."""
    needs = ROUTES[route]
    if needs is None:
        return []
    schemes = [user_auth] if needs.user else [user_auth, application_auth]
    return [Security(scheme, scopes=list(needs.scopes)) for scheme in schemes]


def levels(route: str) -> dict[str, Any]:
    """The levels that a route needs, where not any will do, as the published description tells them."""
    needs = ROUTES[route]
    if needs is None or needs.levels == EVERYBODY:
        return {}
    return {"x-sailpoint-userLevels": [level.value for level in Level if level in needs.levels]}


def body(model: type[BaseModel], examples: dict[str, Any]) -> dict[str, Any]:
    """The body of an operation that reads it by hand."""
    content = {"schema": model.model_json_schema(), "examples": examples}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}
