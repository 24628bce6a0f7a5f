"""Metrics for Prometheus.

Metrics of requests are counted in this process. Metrics of runs, webhooks and the audit log are read from the database
at each scrape, so that every server reports the same values for the whole installation: take those of one server, or
the maximum, never the sum. Labels have few values: routes instead of paths, report types, states, formats.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from whohas.audit.outbox import read_backlog
from whohas.execution.lease import count_alive
from whohas.runs import phase_totals, repository, webhook_messages

if TYPE_CHECKING:
    from whohas.services import Services

# upper limits in seconds
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)

log = structlog.get_logger("whohas.http")


class Metrics:
    """The metrics of this process, and the collector of those in the database.

    Attributes:
        registry: the Prometheus registry of all of them.
        requests: requests by method, route and status.
        seconds: seconds from the request to the begin of its response, by route.
        downloads: downloads by report type and format.
    """

    def __init__(self, services: Services) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter(
            "whohas_http_requests",
            "HTTP requests that were answered; status 499 if the client disconnected before.",
            labels,
            registry=self.registry,
        )
        self.seconds = Histogram(
            "whohas_http_seconds",
            "Seconds from a request to the first byte of its response.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.downloads = Counter(
            "whohas_downloads",
            "Downloads of files that were started.",
            ("report_type", "format"),
            registry=self.registry,
        )
        self.registry.register(_Stored(services))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _Stored(Collector):
    """Reads the metrics of runs, webhooks, audit log, workers and disk at each scrape.

    Without the database only `whohas_database_up` (0) and the free disk space are reported.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def collect(self) -> Iterable[Metric]:
        database_up = GaugeMetricFamily("whohas_database_up", "1 if the database answers, otherwise 0.")
        try:
            stored = list(self._from_database())
        except Exception as error:
            log.warning("metrics without the database", exc_info=error)
            stored = []
            database_up.add_metric([], 0)
        else:
            database_up.add_metric([], 1)
        yield database_up
        yield from stored
        free = shutil.disk_usage(self._services.settings.home).free
        yield GaugeMetricFamily("whohas_disk_free_bytes", "Free bytes on the disk of the home folder.", free)

    def _from_database(self) -> Iterable[Metric]:
        with self._services.database.connect() as connection:
            runs = GaugeMetricFamily("whohas_runs", "Runs in the database.", labels=("state", "report_type"))
            for state, report_type, count in repository.count_by_state(connection):
                runs.add_metric([state.value, report_type], count)
            yield runs
            oldest = repository.oldest_queued(connection)
            age = max(0.0, (datetime.now(UTC) - oldest).total_seconds()) if oldest else 0.0
            yield GaugeMetricFamily("whohas_queue_age_seconds", "Seconds that the oldest queued run has waited.", age)
            seconds = CounterMetricFamily(
                "whohas_phase_seconds", "Seconds that phases of runs took, in all.", labels=("report_type", "phase")
            )
            rows = CounterMetricFamily(
                "whohas_phase_rows", "Rows that phases of runs processed, in all.", labels=("report_type", "phase")
            )
            times = CounterMetricFamily("whohas_phases", "Phases of runs that ended.", labels=("report_type", "phase"))
            for total in phase_totals.read_totals(connection):
                labels = [total.report_type, total.phase]
                seconds.add_metric(labels, total.seconds)
                rows.add_metric(labels, total.rows)
                times.add_metric(labels, total.count)
            yield from (seconds, rows, times)
            backlog = read_backlog(connection)
            for name, meaning, value in (
                ("events", "Events in the audit log.", backlog.head.sequence),
                ("waiting", "Audit events that are not yet delivered to the audit log and to Kafka.", backlog.waiting),
                (
                    "oldest_seconds",
                    "Seconds that the oldest of the undelivered audit events has waited.",
                    backlog.oldest_seconds,
                ),
                ("refused", "Audit events that Kafka rejected.", backlog.refused),
            ):
                yield GaugeMetricFamily(f"whohas_audit_{name}", meaning, value)
            messages = GaugeMetricFamily(
                "whohas_hook_messages", "Messages to webhooks in the database.", labels=("state",)
            )
            totals: dict[str, int] = {}
            for _, state, count in webhook_messages.count_by_state(connection):
                totals[state] = totals.get(state, 0) + count
            for state, count in totals.items():
                messages.add_metric([state], count)
            yield messages
            overdue_seconds = webhook_messages.read_overdue(connection, datetime.now(UTC)).oldest_seconds
            meaning = "Seconds that the oldest unsent message to a webhook has been due."
            yield GaugeMetricFamily("whohas_hook_oldest_seconds", meaning, overdue_seconds)
        count = count_alive(self._services.database)
        yield GaugeMetricFamily("whohas_workers_alive", "Workers with a recent heartbeat.", count)
