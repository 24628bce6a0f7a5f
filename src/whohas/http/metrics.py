"""`/metrics`, in Prometheus' text format.

What requests do is counted in this process. What runs do is read from the database when it is asked for, so every
server tells the same of all of them: take one, or the maximum, never the sum. Labels have few values: routes rather
than paths, reports that there are, states, formats.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.audit.outbox import read_backlog
from whohas.http import description
from whohas.runs import outbox, phases, repository
from whohas.runs.lease import alive

if TYPE_CHECKING:
    from whohas.services import Services

_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"})
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

log = structlog.get_logger("whohas.http")


class Metrics:
    """What this process counts, and what it tells."""

    def __init__(self, services: Services) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("whohas_http_requests", "HTTP requests answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "whohas_http_seconds",
            "Seconds until the first byte of an answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.downloads = Counter(
            "whohas_downloads", "Downloads of files begun.", ("report_type", "format"), registry=self.registry
        )
        self.registry.register(_Stored(services))

    def text(self) -> bytes:
        """All of it, in the text format."""
        return generate_latest(self.registry)

    def route(self, open: bool) -> APIRouter:
        """The route that tells it: to anybody, or to who has a token."""
        router = APIRouter(tags=["Health"])

        def metrics() -> Response:
            return Response(self.text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

        name = "metrics" if open else "metricsWithToken"
        router.add_api_route(
            "/metrics",
            metrics,
            methods=["GET"],
            name=name,
            summary="Figures for Prometheus",
            dependencies=description.secured(name),
        )
        return router


class Counted:
    """Counts each request by its route, and downloads by what they are of (`request.state.download`).

    Args:
        prefixes: where routes are mounted: a route itself knows only the rest of its path.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, prefixes: Iterable[str]) -> None:
        self.app = app
        self.metrics = metrics
        self.prefixes = sorted(prefixes, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 499  # the caller went before there was an answer
        answered: float | None = None

        async def watched(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], time.perf_counter()
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = self._route(scope)
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.requests.labels(method, route, str(status)).inc()
            if answered is not None:
                self.metrics.seconds.labels(route).observe(answered - begun)
            download = scope.get("state", {}).get("download")
            if download is not None and answered is not None and str(status) in ("200", "206") and method == "GET":
                self.metrics.downloads.labels(*download).inc()

    def _route(self, scope: Scope) -> str:
        rest: str | None = getattr(scope.get("route"), "path", None)
        if rest is None:
            return "none"
        path: str = scope["path"]
        return next((prefix for prefix in self.prefixes if f"{path}/".startswith(f"{prefix}/")), "") + rest


class _Stored(Collector):
    """What the database and the disk tell at the moment."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        reached = GaugeMetricFamily("whohas_database_up", "Whether the database answers: 1 or 0.")
        try:
            found = list(self._from_database())
        except Exception as error:
            log.warning("metrics without the database", exc_info=error)
            found = []
            reached.add_metric([], 0)
        else:
            reached.add_metric([], 1)
        yield reached
        yield from found
        free = shutil.disk_usage(self._services.settings.home).free
        yield GaugeMetricFamily("whohas_disk_free_bytes", "Bytes free where the home folder is.", free)

    def _from_database(self) -> Iterable[Metric]:
        with self._services.database.connect() as connection:
            runs = GaugeMetricFamily("whohas_runs", "Runs that are kept.", labels=("state", "report_type"))
            for state, report_type, count in repository.count_by_state(connection):
                runs.add_metric([state.value, report_type], count)
            yield runs
            waiting = repository.oldest_queued(connection)
            age = max(0.0, (datetime.now(UTC) - waiting).total_seconds()) if waiting else 0.0
            yield GaugeMetricFamily("whohas_queue_age_seconds", "Seconds that the oldest queued run has waited.", age)
            seconds = CounterMetricFamily("whohas_phase_seconds", "Seconds of runs.", labels=("report_type", "phase"))
            rows = CounterMetricFamily("whohas_phase_rows", "Rows of runs.", labels=("report_type", "phase"))
            times = CounterMetricFamily("whohas_phases", "Phases of runs.", labels=("report_type", "phase"))
            for total in phases.totals(connection):
                labels = [total.report_type, total.phase]
                seconds.add_metric(labels, total.seconds)
                rows.add_metric(labels, total.rows)
                times.add_metric(labels, total.count)
            yield from (seconds, rows, times)
            backlog = read_backlog(connection)
            for name, meaning, value in (
                ("events", "Events of the audit trail, in all.", backlog.head.sequence),
                ("waiting", "Audit events that are not yet everywhere where they belong.", backlog.waiting),
                ("oldest_seconds", "Seconds that the oldest of them has waited.", backlog.oldest_seconds),
                ("refused", "Audit events that Kafka refused.", backlog.refused),
            ):
                yield GaugeMetricFamily(f"whohas_audit_{name}", meaning, value)
            messages = GaugeMetricFamily("whohas_hook_messages", "Messages to hooks that are kept.", labels=("state",))
            totals: dict[str, int] = {}
            for _, state, count in outbox.states(connection):
                totals[state] = totals.get(state, 0) + count
            for state, count in totals.items():
                messages.add_metric([state], count)
            yield messages
            late = outbox.overdue(connection, datetime.now(UTC)).oldest_seconds
            meaning = "Seconds that the oldest message to a hook has been due."
            yield GaugeMetricFamily("whohas_hook_oldest_seconds", meaning, late)
        count = alive(self._services.database)
        yield GaugeMetricFamily("whohas_workers_alive", "Workers that are alive.", count)
