"""Traces, at a real receiver of OTLP: one trace from the request to the phases of the child."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest

from receiving import Receiver, receiving
from support import result_when_over, serving, whohas

BODY = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Nimbus CRM", "selectedFormats": ["CSV", "JSON"]}}
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def own_home(acme_home: Path, home: Path) -> Path:
    """A home of its own with examples/acme, and nothing run yet."""
    home.mkdir()
    shutil.copytree(acme_home / "warehouse", home / "warehouse")
    return home


def spans(receiver: Receiver) -> list[Any]:
    """Every span that came, as OpenTelemetry's own types."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found: list[Any] = []
    for path, headers, body in receiver.came:
        assert path == "/v1/traces"
        data = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        for resource in ExportTraceServiceRequest.FromString(data).resource_spans:
            names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            assert names["service.name"] == "whohas"
            for scope in resource.scope_spans:
                found += scope.spans
    return found


def test_a_trace_spans_from_the_caller_to_the_child(own_home: Path) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra whohas[otel] is not installed")
    with receiving() as receiver:
        with serving(own_home, WHOHAS_OTLP_ENDPOINT=receiver.url) as server, server.http() as http:
            headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
            answer = http.post("/v2025/reports/run", json=BODY, headers=headers)
            run_id = answer.json()["id"]
            result_when_over(http, run_id)
            http.get("/v2025/reports/x/result", headers={"traceparent": "nonsense"})
            assert server.stop() == 0
        all_spans = spans(receiver)
    of_trace = [span for span in all_spans if span.trace_id.hex() == TRACE]
    by_name = {span.name: span for span in of_trace}
    assert set(by_name) == {
        "POST startReport", "start", "attempt", "Extracting", "Writing the CSV", "Checking the CSV",
        "Summarizing", "Writing the JSON", "Checking the JSON",
    }  # fmt: skip
    request, attempt = by_name["POST startReport"], by_name["attempt"]
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert by_name["start"].parent_span_id == request.span_id
    assert attempt.parent_span_id == request.span_id
    facts = {attribute.key: attribute.value.string_value for attribute in attempt.attributes}
    assert (facts["whohas.run"], facts["whohas.report"]) == (run_id, "ACCOUNTS")
    tracking = {attribute.key: attribute.value.string_value for attribute in request.attributes}
    assert tracking["whohas.tracking_id"] == answer.headers["SLPT-Request-ID"]
    for name in ("Extracting", "Writing the CSV", "Checking the JSON"):
        phase = by_name[name]
        assert phase.parent_span_id == attempt.span_id
        assert attempt.start_time_unix_nano <= phase.start_time_unix_nano <= phase.end_time_unix_nano
        assert phase.end_time_unix_nano <= attempt.end_time_unix_nano
    others = {span.name for span in all_spans} - set(by_name)
    assert "GET getReportResult" in others and "GET health" not in others


def test_a_collector_that_is_away_holds_nothing_up(own_home: Path) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra whohas[otel] is not installed")
    with serving(own_home, WHOHAS_OTLP_ENDPOINT="http://127.0.0.1:1") as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json=BODY).json()["id"]
        assert result_when_over(http, run_id)["status"] == "SUCCESS"
        assert server.stop() == 0


def test_an_endpoint_that_is_none_is_refused(own_home: Path) -> None:
    refused = whohas(own_home, "runs", WHOHAS_OTLP_ENDPOINT="localhost:4318")
    assert refused.returncode == 1 and "otlp_endpoint" in refused.stderr
