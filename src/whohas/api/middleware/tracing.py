"""Records an OpenTelemetry span of each request."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whohas.api.middleware.request_id import PROBES
from whohas.tracing import Tracing


class TracingMiddleware:
    """Middleware that records an OpenTelemetry span of each request except health checks and metrics.

    The span belongs to the trace of the caller if the request has a header `traceparent`.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app = app
        self.tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self.app(scope, receive, send)
            return
        with self.tracing.span("request", Headers(scope=scope).get("traceparent", ""), server=True) as span:
            scope["state"]["traceparent"] = span.traceparent
            span.set_attributes(tracking_id=scope["state"]["tracking_id"])

            async def watched(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attributes(status=message["status"])
                    if message["status"] >= 500:
                        span.fail(f"HTTP {message['status']}")
                await send(message)

            try:
                await self.app(scope, receive, watched)
            finally:
                span.rename(f"{scope['method']} {getattr(scope.get('route'), 'name', 'nothing')}")
