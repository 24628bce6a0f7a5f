"""Health checks: `/healthz` (liveness) always answers 200; `/readyz` (readiness) checks each part that a run needs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from whohas.api.dependencies import services_of
from whohas.errors import Unavailable
from whohas.execution.lease import count_alive

if TYPE_CHECKING:
    from whohas.services import Services

log = structlog.get_logger("whohas.http")


router = APIRouter(tags=["Health"])


@router.head("/healthz", name="health", include_in_schema=False)
@router.get("/healthz", name="health", summary="Whether the server is up")
async def get_health() -> Response:
    """Answer 200 as long as the server runs, even if it is not ready."""
    return JSONResponse({"status": "ok"})


@router.head("/readyz", name="ready", include_in_schema=False)
@router.get(
    "/readyz",
    name="ready",
    summary="Whether the server is ready to execute runs",
    responses={503: {"description": "Some parts are not ready; `parts` says which."}},
)
def get_readiness(request: Request) -> Response:
    """Check each part that a run needs; answer 200 if all are ready, otherwise 503 with the fault of each part.

    Faults contain nothing sensitive, because the route needs no token.
    """
    services = services_of(request)
    faults = {name: _fault(name, check, services) for name, check in CHECKS.items()}
    all_ready = not any(faults.values())
    content = {"status": "ready" if all_ready else "not ready", "parts": {n: f or "ok" for n, f in faults.items()}}
    return JSONResponse(content, 200 if all_ready else 503, {"Cache-Control": "no-store"})


def _check_database(services: Services) -> str:
    with services.database.connect() as connection:
        connection.execute(sa.select(1))
    return ""


def _check_warehouse(services: Services) -> str:
    services.warehouse.snapshot()
    return ""


def _check_disk(services: Services) -> str:
    settings = services.settings
    free = shutil.disk_usage(settings.home).free
    if free >= settings.min_free_bytes:
        return ""
    return f"{free:,} bytes are free; {settings.min_free_bytes:,} are needed (WHOHAS_MIN_FREE_BYTES)"


def _check_worker(services: Services) -> str:
    return "" if count_alive(services.database) else "no worker is alive: runs wait"


CHECKS: dict[str, Callable[[Services], str]] = {
    "database": _check_database,
    "warehouse": _check_warehouse,
    "disk": _check_disk,
    "worker": _check_worker,
}
"""The check of each part by the part's name. A check returns its fault, or an empty text if all is well."""


def _fault(name: str, check: Callable[[Services], str], services: Services) -> str:
    """Run a check; an exception is logged, and its details are kept out of the public response."""
    try:
        return check(services)
    except Unavailable as error:
        log.warning("not ready", part=name, reason=error.message)
    except Exception as error:
        log.warning("not ready", part=name, exc_info=error)
    return "it does not answer; the server's log says more"
