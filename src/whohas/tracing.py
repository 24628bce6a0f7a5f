"""OpenTelemetry traces: where the time of a run goes, from the request that started it to the phases of its child.

Off unless `WHOHAS_OTLP_ENDPOINT` names a collector; then the extra `whohas[otel]` must be installed. Contexts go from
one part to the next as W3C `traceparent` texts: from a caller's header, with the run's row, to whoever carries it out.
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
class Piece:
    """A span that is open; nothing happens where there are no traces."""

    span: Span | None = None

    @property
    def traceparent(self) -> str:
        """What a part that comes later says to belong to it; empty where there are no traces."""
        if self.span is None:
            return ""
        context = self.span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def tell(self, **facts: str | int | bool) -> None:
        """Keeps facts with the span."""
        if self.span is not None:
            self.span.set_attributes({f"whohas.{name}": value for name, value in facts.items()})

    def rename(self, name: str) -> None:
        if self.span is not None:
            self.span.update_name(name)

    def fail(self, why: str) -> None:
        """What the span is of went wrong."""
        if self.span is not None:
            from opentelemetry.trace import Status, StatusCode

            self.span.set_status(Status(StatusCode.ERROR, why))


@dataclass(frozen=True)
class Tracing:
    """Makes spans; without a provider, none."""

    provider: TracerProvider | None = None

    @contextmanager
    def span(self, name: str, parent: str = "", *, server: bool = False) -> Generator[Piece]:
        """A span for as long as the context lasts.

        Args:
            parent: the `traceparent` that it belongs to; one that is none begins a trace of its own.
            server: whether it answers somebody's request.
        """
        tracer = self._tracer
        if tracer is None:
            yield Piece()
            return
        from opentelemetry.trace import SpanKind

        kind = SpanKind.SERVER if server else SpanKind.INTERNAL
        with tracer.start_as_current_span(name, _context(parent), kind) as span:
            yield Piece(span)

    def phases(self, parent: Piece, phases: Sequence[Mapping[str, Any]]) -> None:
        """The phases of a child, which it timed itself: loading OpenTelemetry would cost it more than a small run."""
        tracer = self._tracer
        if tracer is None:
            return
        for phase in phases:
            began, ended = (int(phase[name] * _NANOSECONDS) for name in ("began", "ended"))
            span = tracer.start_span(phase["phase"], _context(parent.traceparent), start_time=began)
            span.set_attribute("whohas.rows", phase["rows"])
            span.end(end_time=ended)

    def close(self) -> None:
        """Sends what is not sent yet; a collector that does not answer is waited for briefly."""
        if self.provider is not None:
            self.provider.force_flush(3000)
            self.provider.shutdown()

    @property
    def _tracer(self) -> Tracer | None:
        return None if self.provider is None else self.provider.get_tracer("whohas", __version__)


def open_tracing(endpoint: str | None, org: str) -> Tracing:
    """Traces to a collector that speaks OTLP over HTTP; none where no endpoint is named.

    Args:
        endpoint: the collector's address, such as `http://127.0.0.1:4318`.

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
    """The context that a text names; None, which is the present one, where it names none."""
    if not traceparent:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})
