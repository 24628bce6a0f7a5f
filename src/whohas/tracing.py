"""OpenTelemetry traces of runs, from the request that starts a run to the phases of its child process.

Off unless `WHOHAS_OTLP_ENDPOINT` names a collector; the extra `whohas[otel]` must then be installed. The trace context
travels as a W3C `traceparent` text: from the caller's header to the row of the run, and from there to the worker.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whohas import __version__, timeouts
from whohas.errors import InvalidArguments

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

_NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """An open span; all its methods do nothing if tracing is off.

    Attributes:
        span: None if tracing is off.
    """

    span: Span | None = None

    @property
    def traceparent(self) -> str:
        """The W3C `traceparent` of this span, by which later spans become its children; empty if tracing is off."""
        if self.span is None:
            return ""
        context = self.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def set_attributes(self, **facts: str | int | bool) -> None:
        """Set attributes of the span; each name gets the prefix `whohas.`."""
        if self.span is not None:
            self.span.set_attributes({f"whohas.{name}": value for name, value in facts.items()})

    def rename(self, name: str) -> None:
        """Change the name of the span."""
        if self.span is not None:
            self.span.update_name(name)

    def fail(self, why: str) -> None:
        """Set the status of the span to ERROR, with a description."""
        if self.span is not None:
            from opentelemetry.trace import Status, StatusCode

            self.span.set_status(Status(StatusCode.ERROR, why))


@dataclass(frozen=True)
class Tracing:
    """The tracer of a process; it creates no spans if it has no provider."""

    provider: TracerProvider | None = None

    @contextmanager
    def span(self, name: str, parent: str = "", *, server: bool = False) -> Generator[TraceSpan]:
        """Open a span for the duration of the context, and yield it.

        Args:
            parent: the `traceparent` of the parent span. If empty, the parent is the current span; if invalid, a new
                trace begins.
            server: whether the span covers an incoming request (span kind SERVER).
        """
        tracer = self._tracer
        if tracer is None:
            yield TraceSpan()
            return
        from opentelemetry.trace import SpanKind

        kind = SpanKind.SERVER if server else SpanKind.INTERNAL
        with tracer.start_as_current_span(name, _context(parent), kind) as span:
            yield TraceSpan(span)

    def record_phases(self, parent: TraceSpan, phases: Sequence[Mapping[str, Any]]) -> None:
        """Create the spans of a child process's phases after the fact, as children of a span.

        The child process only measures times: importing OpenTelemetry there would take longer than a small run.

        Args:
            phases: each with `phase` (its name), `began` and `ended` (Unix times in seconds), and `rows`.
        """
        tracer = self._tracer
        if tracer is None:
            return
        for phase in phases:
            began, ended = (int(phase[name] * _NANOSECONDS) for name in ("began", "ended"))
            span = tracer.start_span(phase["phase"], _context(parent.traceparent), start_time=began)
            span.set_attribute("whohas.rows", phase["rows"])
            span.end(end_time=ended)

    def close(self) -> None:
        """Send the remaining spans, waiting up to 3 seconds for the collector, and stop."""
        if self.provider is not None:
            self.provider.force_flush(3000)
            self.provider.shutdown()

    @property
    def _tracer(self) -> Tracer | None:
        return None if self.provider is None else self.provider.get_tracer("whohas", __version__)


def open_tracing(endpoint: str | None, org: str) -> Tracing:
    """Set up tracing to a collector that accepts OTLP over HTTP.

    Args:
        endpoint: the URL of the collector, such as `http://127.0.0.1:4318`; None or empty turns tracing off.
        org: the organization's name, set as the resource attribute `whohas.org`.

    Raises:
        InvalidArguments: OpenTelemetry is not installed.
    """
    if not endpoint:
        return Tracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise InvalidArguments(
            "WHOHAS_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: pip install 'whohas[otel]'."
        ) from None
    resource = Resource.create({"service.name": "whohas", "service.version": __version__, "whohas.org": org})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=timeouts.TRACES_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    return Tracing(provider)


def _context(traceparent: str) -> Context | None:
    """Return the context of a `traceparent`; None, which OpenTelemetry reads as the current context, if it is empty."""
    if not traceparent:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})
