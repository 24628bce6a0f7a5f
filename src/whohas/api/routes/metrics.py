"""The route `/metrics`, for Prometheus; the setting `metrics` says which of the two routers is served, or none."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.responses import Response

from whohas.api import openapi
from whohas.api.metrics import Metrics

_SUMMARY = "Metrics for Prometheus"

router = APIRouter(tags=["Health"])
"""The route for callers with a token."""
open_router = APIRouter(tags=["Health"])
"""The route for everybody."""


@router.get(
    "/metrics",
    name="metricsWithToken",
    summary=_SUMMARY,
    dependencies=openapi.security_dependencies("metricsWithToken"),
)
@open_router.get("/metrics", name="metrics", summary=_SUMMARY)
def get_metrics(request: Request) -> Response:
    """Return all metrics in Prometheus' text format."""
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.render(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})
