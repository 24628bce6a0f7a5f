"""Small reports do not wait for giants, and a start beyond the limits is told when to come back."""

from __future__ import annotations

from pathlib import Path

from support import result_when_over, serving

BIG = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}
LARGE = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["NDJSON"]}}
SMALL = {"reportType": "IDENTITIES", "arguments": {"selectedFormats": ["CSV"]}}


def test_a_small_report_overtakes_a_large_one(big_home: Path, mainly_sqlite: str) -> None:
    # IDENTITIES reads the million accounts too, into no row; what is written as NDJSON counts for more
    settings = {
        "WHOHAS_RUNS_AT_ONCE": "1", "WHOHAS_CONCURRENT_REPORTS": "ACCOUNTS", "WHOHAS_SMALL_RUN": "1200000",
    }  # fmt: skip
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite, **settings) as server, server.http() as http:
        large = [http.post("/v2025/reports/run", json=LARGE).raise_for_status().json()["id"] for _ in range(3)]
        small = http.post("/v2025/reports/run", json=SMALL).raise_for_status().json()["id"]
        assert result_when_over(http, small)["status"] == "SUCCESS"
        assert http.get(f"/v2025/reports/{large[-1]}/result").json()["progress"] == "Queued"
        for run_id in large:
            http.post(f"/v2025/reports/{run_id}/cancel").raise_for_status()


def test_a_start_beyond_the_limit_is_told_when_to_retry(big_home: Path, mainly_sqlite: str) -> None:
    settings = {"WHOHAS_RUNS_PER_LAUNCHER": "1"}
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite, **settings) as server, server.http() as http:
        first = http.post("/v2025/reports/run", json=BIG).raise_for_status().json()["id"]
        refused = http.post("/v2025/reports/run", json=SMALL)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["message"].startswith("dev has 1 run that is not over")
        assert http.post("/v2025/reports/run", json=BIG).json()["id"] == first
        http.post(f"/v2025/reports/{first}/cancel").raise_for_status()
        result_when_over(http, first)
        assert http.post("/v2025/reports/run", json=SMALL).status_code == 200


def test_an_argument_with_a_nul_is_never_a_fault(big_home: Path, database_url: str) -> None:
    search = {"query": {"query": 'name:"a\0b"'}, "indices": ["identities"]}
    bodies = [
        {"reportType": "ACCOUNTS", "arguments": {"application": "b\0g"}},
        {"reportType": "ACCOUNTS", "arguments": {"application": "big", "b\0d": 1}},
        {"reportType": "SEARCH_EXPORT", "arguments": {"indices": ["identities"], **search}},
    ]
    with serving(big_home, WHOHAS_DATABASE_URL=database_url) as server, server.http() as http:
        for body in bodies:
            answer = http.post("/v2025/reports/run", json=body)
            assert answer.status_code in (200, 400), answer.text
            if answer.status_code == 200:
                http.post(f"/v2025/reports/{answer.json()['id']}/cancel").raise_for_status()
