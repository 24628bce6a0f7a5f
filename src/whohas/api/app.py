"""The FastAPI application: `create_app` mounts all routes and middlewares on the services of an installation."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse, Response

from whohas import __version__
from whohas.api import openapi
from whohas.api.dependencies import authorize, public_paths
from whohas.api.downloads import SHA256_HEADER
from whohas.api.errors import exception_handler
from whohas.api.metrics import Metrics
from whohas.api.middleware.authentication import AuthenticationMiddleware
from whohas.api.middleware.body_size import BodySizeLimitMiddleware
from whohas.api.middleware.console import ConsoleMiddleware
from whohas.api.middleware.content_coding import ContentCodingMiddleware
from whohas.api.middleware.denied_requests import DeniedRequestAuditMiddleware
from whohas.api.middleware.drain_body import DrainBodyMiddleware
from whohas.api.middleware.exceptions import ExceptionMiddleware
from whohas.api.middleware.framing import MessageFramingMiddleware
from whohas.api.middleware.metrics import MetricsMiddleware
from whohas.api.middleware.normalize_path import NormalizePathMiddleware
from whohas.api.middleware.rate_limit import RateLimitMiddleware
from whohas.api.middleware.request_id import TRACKING_HEADER, RequestIdMiddleware
from whohas.api.middleware.result_fast_path import ResultFastPathMiddleware
from whohas.api.middleware.tracing import TracingMiddleware
from whohas.api.preconditions import PRECONDITION_HEADERS
from whohas.api.routes import events, health, oauth, reports, runs, schedules, sign_in, tasks
from whohas.api.routes import metrics as metrics_routes
from whohas.console.app import create_console
from whohas.db.engine import is_local
from whohas.reports import all_reports as known_reports

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from whohas.services import Services


def create_app(services: Services) -> FastAPI:
    """Return the application for the services of one installation, which the caller opens and closes.

    Raises:
        RuntimeError: a route is not in the table of access.
    """
    known_reports()  # imports the reports now, so that the first run does not wait for that
    app = FastAPI(
        title=openapi.TITLE,
        version=__version__,
        description=openapi.DESCRIPTION,
        openapi_url=None,  # `_describe` serves it
        docs_url=None,  # the pages would be loaded from a CDN
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(authorize)],
        exception_handlers={HTTPException: exception_handler, RequestValidationError: exception_handler},
        generate_unique_id_function=_operation_id,
    )
    app.state.services = services
    app.state.watch = events.RunEvents(services)
    app.state.metrics = Metrics(services)
    for prefix in reports.PREFIXES:
        app.include_router(reports.router, prefix=prefix)
    for prefix in tasks.PREFIXES:
        app.include_router(tasks.router, prefix=prefix)
    app.include_router(schedules.router, prefix=schedules.PREFIX)
    app.include_router(events.router, prefix=events.PREFIX)
    app.include_router(runs.router, prefix=events.PREFIX)
    app.include_router(oauth.router)
    app.include_router(sign_in.router)
    app.include_router(health.router)
    if services.settings.metrics != "off":
        is_open = services.settings.metrics == "open"
        app.include_router(metrics_routes.open_router if is_open else metrics_routes.router)
    _describe(app)
    console = create_console(services, app.state.watch) if services.settings.console else None
    app.user_middleware.extend(_middleware(services, app.state.metrics, public_paths(app), console))
    return app


def _describe(app: FastAPI) -> None:
    """Serve the OpenAPI description at `/openapi.json`.

    It is built at the first request and then kept as bytes: building takes half a second, writing it as JSON 10 ms.
    """
    lock = Lock()
    cached: list[bytes] = []

    @app.get("/openapi.json", name="openapi", include_in_schema=False)
    def get_description() -> Response:  # pyright: ignore[reportUnusedFunction]
        with lock:
            if not cached:
                cached.append(bytes(JSONResponse(openapi.describe(app)).body))
        return Response(cached[0], media_type="application/json")


def _operation_id(route: APIRoute) -> str:
    return f"{route.name}_{route.path.strip('/').replace('/', '_').replace('{', '').replace('}', '')}"


def _middleware(
    services: Services, metrics: Metrics, without_token: frozenset[str], console: ASGIApp | None
) -> list[Middleware]:
    """Return the middlewares, the outermost first; `whohas.api` lists what each does."""
    max_body_bytes = services.settings.max_body_bytes
    guarded = console and ContentCodingMiddleware(BodySizeLimitMiddleware(console, max_bytes=max_body_bytes))
    origins = services.settings.cors_origins
    cors: list[Any] = [
        Middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
            allow_headers=["authorization", "content-type", "accept", "range", *PRECONDITION_HEADERS],
            expose_headers=[
                "Content-Disposition",
                "Retry-After",
                "ETag",
                "Content-Range",
                SHA256_HEADER,
                "X-Total-Count",
                TRACKING_HEADER,
            ],
        )
    ]
    tokens = services.access.tokens
    limit = services.access.rate_limit
    local = is_local(services.database)
    return [
        Middleware(MessageFramingMiddleware),
        Middleware(RequestIdMiddleware),
        *([Middleware(TracingMiddleware, tracing=services.tracing)] if services.tracing.provider else []),
        Middleware(
            MetricsMiddleware,
            metrics=metrics,
            prefixes=(*reports.PREFIXES, *tasks.PREFIXES, schedules.PREFIX, events.PREFIX),
        ),
        Middleware(DeniedRequestAuditMiddleware, denials=services.denial_log),
        Middleware(DrainBodyMiddleware),
        *(cors if origins else []),
        Middleware(ExceptionMiddleware),
        Middleware(NormalizePathMiddleware),
        *([Middleware(ConsoleMiddleware, console=guarded)] if guarded else []),
        Middleware(
            AuthenticationMiddleware,
            verify=tokens.verify,
            open_paths=without_token,
            inline=local and tokens.outside is None,
        ),
        *([Middleware(RateLimitMiddleware, limit=limit, inline=local)] if limit.max_calls else []),
        Middleware(ContentCodingMiddleware),
        Middleware(BodySizeLimitMiddleware, max_bytes=max_body_bytes),
        Middleware(ResultFastPathMiddleware, runs=services.runs, inline=local),
    ]
