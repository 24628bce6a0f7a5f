"""What whoever runs whohas can see: health, readiness, figures, and one id from the request to the run's last line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

import asking
from support import Server, result_when_over, serving
from whohas.api.app import create_app
from whohas.services import open_services
from whohas.settings import Settings

BODY = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Nimbus CRM", "selectedFormats": ["CSV", "JSON"]}}


def samples(server: Server, **headers: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All figures, by name and labels; parsed as Prometheus would."""
    answer = asking.get(f"{server.url}/metrics", headers=headers).raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def log_lines(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]


def test_one_tracking_id_follows_a_run_to_its_end(own_home: Path) -> None:
    with serving(own_home) as server, server.http() as http:
        answer = http.post("/v2025/reports/run", json=BODY)
        run_id, tracking_id = answer.json()["id"], answer.headers["SLPT-Request-ID"]
        assert answer.json()["attributes"]["trackingId"] == tracking_id
        result_when_over(http, run_id)
        server.stop()
        lines = [line for line in log_lines(server) if line.get("tracking_id") == tracking_id]
    assert [line["event"] for line in lines] == ["request", "run succeeded"]
    assert lines[1]["run_id"] == run_id


def test_a_complete_server_is_ready_and_reports_metrics(own_home: Path) -> None:
    with serving(own_home) as server, server.http() as http:
        ready = asking.get(f"{server.url}/readyz")
        assert ready.status_code == 200
        parts = {"database": "ok", "warehouse": "ok", "disk": "ok", "worker": "ok"}
        assert ready.json() == {"status": "ready", "parts": parts}
        assert asking.head(f"{server.url}/readyz").status_code == 200
        run_id = http.post("/v2025/reports/run", json=BODY).json()["id"]
        rows = result_when_over(http, run_id)["rows"]
        for format in ("csv", "csv", "json"):
            assert http.get(f"/v2025/reports/{run_id}", params={"fileFormat": format}).status_code == 200
        assert http.head(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).status_code == 200
        assert http.get(f"/v2025/reports/{'0' * 32}/result").status_code == 404
        for number in range(20):
            http.get(f"/nothing/{number}")
            asking.request(f"VERB{number}", f"{server.url}/healthz")
        found = samples(server)
        assert figure(found, "whohas_runs", state="succeeded", report_type="ACCOUNTS") == 1
        assert figure(found, "whohas_workers_alive") == 1
        assert figure(found, "whohas_queue_age_seconds") == 0
        assert figure(found, "whohas_database_up") == 1
        assert figure(found, "whohas_disk_free_bytes") > 0
        assert figure(found, "whohas_phases_total", report_type="ACCOUNTS", phase="Extracting") == 1
        assert figure(found, "whohas_phase_rows_total", report_type="ACCOUNTS", phase="Writing the JSON") == rows
        assert 0 < figure(found, "whohas_phase_seconds_total", report_type="ACCOUNTS", phase="Extracting") < 60
        assert figure(found, "whohas_downloads_total", report_type="ACCOUNTS", format="csv") == 2
        assert figure(found, "whohas_downloads_total", report_type="ACCOUNTS", format="json") == 1
        start = {"method": "POST", "route": "/v2025/reports/run", "status": "200"}
        assert figure(found, "whohas_http_requests_total", **start) == 1
        result = {"method": "GET", "route": "/v2025/reports/{id:path}/result", "status": "404"}
        assert figure(found, "whohas_http_requests_total", **result) == 1
        routes = {dict(labels)["route"] for name, labels in found if name == "whohas_http_requests_total"}
        methods = {dict(labels)["method"] for name, labels in found if name == "whohas_http_requests_total"}
        assert not any(route.startswith("/nothing") for route in routes)
        assert methods <= {"GET", "HEAD", "POST", "other"}
        text = asking.get(f"{server.url}/metrics").text
        assert server.client_secret not in text and server.client_id not in text and "Nimbus" not in text


def test_metrics_need_a_token_or_are_off_by_setting(own_home: Path) -> None:
    with serving(own_home, WHOHAS_METRICS="token") as server:
        assert asking.get(f"{server.url}/metrics").status_code == 401
        assert samples(server, Authorization=f"Bearer {server.token()}")
    with serving(own_home, WHOHAS_METRICS="off") as server, server.http() as http:
        assert asking.get(f"{server.url}/metrics").status_code == 401
        assert http.get("/metrics").status_code == 404


def test_a_full_disk_is_named(own_home: Path) -> None:
    with serving(own_home, WHOHAS_MIN_FREE_BYTES=str(1 << 60)) as server:
        answer = asking.get(f"{server.url}/readyz")
        assert answer.status_code == 503
        assert answer.json()["status"] == "not ready"
        wrong = {name: text for name, text in answer.json()["parts"].items() if text != "ok"}
        assert list(wrong) == ["disk"] and "bytes are free" in wrong["disk"]
        assert asking.get(f"{server.url}/healthz").status_code == 200


@pytest.mark.anyio
async def test_a_missing_thing_is_named_without_details(own_home: Path) -> None:
    with open_services(Settings(home=own_home)) as services:  # and no worker
        transport = httpx2.ASGITransport(create_app(services))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            assert (await http.get("/readyz")).json()["parts"] == {
                "database": "ok", "warehouse": "ok", "disk": "ok", "worker": "no worker is alive: runs wait",
            }  # fmt: skip
            for path in (own_home / "warehouse").rglob("*.json"):
                path.write_text("{")
            services.database.dispose()
            (own_home / "whohas.db").write_bytes(b"no database " * 1000)
            for name in ("whohas.db-wal", "whohas.db-shm"):
                (own_home / name).unlink(missing_ok=True)
            answer = await http.get("/readyz")
            assert answer.status_code == 503
            parts = answer.json()["parts"]
            assert {name for name, text in parts.items() if text != "ok"} == {"database", "warehouse", "worker"}
            assert str(own_home) not in answer.text
            assert "whohas_database_up 0.0" in (await http.get("/metrics")).text


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
