"""Health checks: `/healthz` (liveness) always answers 200; `/readyz` (readiness) checks each part that a run needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from whohas.errors import Unavailable
from whohas.execution.lease import count_alive

if TYPE_CHECKING:
    from whohas.services import Services

log = structlog.get_logger("whohas.http")


def health_routes(services: Services) -> APIRouter:
    """Return the routes of both health checks, which need no token and disclose nothing sensitive."""
    router = APIRouter(tags=["Health"])
    parts = _parts(services)

    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    def ready() -> Response:
        faults = {name: _fault(name, check) for name, check in parts.items()}
        all_ready = not any(faults.values())
        content = {"status": "ready" if all_ready else "not ready", "parts": {n: f or "ok" for n, f in faults.items()}}
        return JSONResponse(content, 200 if all_ready else 503, {"Cache-Control": "no-store"})

    unready: dict[int | str, dict[str, Any]] = {503: {"description": "Some parts are not ready; `parts` says which."}}
    for path, endpoint, name, summary, answers in (
        ("/healthz", health, "health", "Whether the server is up", None),
        ("/readyz", ready, "ready", "Whether the server is ready to execute runs", unready),
    ):
        router.add_api_route(path, endpoint, methods=["GET"], name=name, summary=summary, responses=answers)
        router.add_api_route(path, endpoint, methods=["HEAD"], name=name, include_in_schema=False)
    return router


def _parts(services: Services) -> dict[str, Callable[[], str]]:
    """Return the check of each part by the part's name. A check returns its fault, or an empty text if all is well."""
    settings = services.settings

    def database() -> str:
        with services.database.connect() as connection:
            connection.execute(sa.select(1))
        return ""

    def warehouse() -> str:
        services.warehouse.snapshot()
        return ""

    def disk() -> str:
        free = shutil.disk_usage(settings.home).free
        if free >= settings.min_free_bytes:
            return ""
        return f"{free:,} bytes are free; {settings.min_free_bytes:,} are needed (WHOHAS_MIN_FREE_BYTES)"

    def worker() -> str:
        return "" if count_alive(services.database) else "no worker is alive: runs wait"

    return {"database": database, "warehouse": warehouse, "disk": disk, "worker": worker}


def _fault(name: str, check: Callable[[], str]) -> str:
    """Run a check; an exception is logged, and its details are kept out of the public response."""
    try:
        return check()
    except Unavailable as error:
        log.warning("not ready", part=name, reason=error.message)
    except Exception as error:
        log.warning("not ready", part=name, exc_info=error)
    return "it does not answer; the server's log says more"
