"""`/healthz`: the process answers. `/readyz`: each part that a run needs is there, or which one is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from whohas.errors import Unavailable
from whohas.runs.lease import alive

if TYPE_CHECKING:
    from whohas.services import Services

log = structlog.get_logger("whohas.http")


def health_routes(services: Services) -> APIRouter:
    """The two routes; both answer without a token, and tell nothing that is anybody's business."""
    router = APIRouter(tags=["Health"])
    parts = _parts(services)

    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    def ready() -> Response:
        found = {name: _fault(name, check) for name, check in parts.items()}
        fine = not any(found.values())
        content = {"status": "ready" if fine else "not ready", "parts": {n: f or "ok" for n, f in found.items()}}
        return JSONResponse(content, 200 if fine else 503, {"Cache-Control": "no-store"})

    unready: dict[int | str, dict[str, Any]] = {503: {"description": "The parts that are not."}}
    for path, endpoint, name, summary, answers in (
        ("/healthz", health, "health", "Whether the server is up", None),
        ("/readyz", ready, "ready", "Whether every part is there", unready),
    ):
        router.add_api_route(path, endpoint, methods=["GET"], name=name, summary=summary, responses=answers)
        router.add_api_route(path, endpoint, methods=["HEAD"], name=name, include_in_schema=False)
    return router


def _parts(services: Services) -> dict[str, Callable[[], str]]:
    """Checks by the part's name; each returns what is wrong, or nothing."""
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
        return "" if alive(services.database) else "no worker is alive: runs wait"

    return {"database": database, "warehouse": warehouse, "disk": disk, "worker": worker}


def _fault(name: str, check: Callable[[], str]) -> str:
    try:
        return check()
    except Unavailable as error:
        log.warning("not ready", part=name, reason=error.message)
    except Exception as error:
        log.warning("not ready", part=name, exc_info=error)
    return "it does not answer; the server's log says more"
