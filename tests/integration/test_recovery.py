"""Servers die; accepted runs do not."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from cluster import has_ended
from factories import MILLION as ROWS
from patience import PATIENCE_SECONDS, until
from support import children, result_when_over, serving, whohas

BODY: dict[str, Any] = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}


def start_and_wait_until_extracting(http: httpx2.Client) -> str:
    return start_and_wait_until(http, "CSV", "Extracting")


def start_and_wait_until(http: httpx2.Client, format: str, progress: str) -> str:
    body = {**BODY, "arguments": {**BODY["arguments"], "selectedFormats": [format]}}
    run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]

    def is_there() -> bool:
        result = http.get(f"/v2025/reports/{run_id}/result").raise_for_status().json()
        assert result["status"] is None, f"over before it could be interrupted: {result}"
        return str(result["progress"]).startswith(progress)

    until(is_there)
    return run_id


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
    assert not alive


def test_a_million_row_run_survives_kill_9_of_the_server(big_home: Path, mainly_sqlite: str) -> None:
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        run_id = start_and_wait_until_extracting(http)
        workers = children(server.process.pid)
        assert workers
        server.kill()
        wait_until_gone(workers)
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        result = result_when_over(http, run_id)
        assert (result["status"], result["rows"]) == ("SUCCESS", ROWS)
        with http.stream("GET", f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}) as answer:
            data = b"".join(answer.iter_bytes())
        assert len(data) == int(answer.headers["content-length"])
        lines = data.split(b"\n")
        assert len(lines) == ROWS + 2 and lines[-1] == b""
        assert {line[:9] for line in lines[1:-1]} == {b"%09d" % number for number in range(ROWS)}
        assert sorted(path.name for path in (big_home / "artefacts" / run_id).iterdir()) == ["2-accounts.csv"]


def test_a_stopped_server_hands_its_run_back(big_home: Path, mainly_sqlite: str) -> None:
    with (
        serving(
            big_home, WHOHAS_DATABASE_URL=mainly_sqlite, WHOHAS_DRAIN_SECONDS="0", WHOHAS_RUN_ATTEMPTS="1"
        ) as server,
        server.http() as http,
    ):
        run_id = start_and_wait_until_extracting(http)
        workers = children(server.process.pid)
        assert server.stop() == 0
        assert all(has_ended(one) for one in workers)
    with (
        serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite, WHOHAS_RUN_ATTEMPTS="1") as server,
        server.http() as http,
    ):
        result = result_when_over(http, run_id)
        assert (result["status"], result["rows"]) == ("SUCCESS", ROWS)
        assert [path.name for path in (big_home / "artefacts" / run_id).iterdir()] == ["2-accounts.csv"]


def test_a_stopped_server_lets_a_short_run_end(big_home: Path, mainly_sqlite: str) -> None:
    with (
        serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite, WHOHAS_DRAIN_SECONDS="60") as server,
        server.http() as http,
    ):
        run_id = start_and_wait_until_extracting(http)
        assert server.stop() == 0
    assert [path.name for path in (big_home / "artefacts" / run_id).iterdir()] == ["1-accounts.csv"]
    assert "succeeded" in whohas(big_home, "show", run_id, WHOHAS_DATABASE_URL=mainly_sqlite).stdout


@pytest.mark.long
def test_a_run_fails_after_its_server_was_killed_each_time(big_home: Path, mainly_sqlite: str) -> None:
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        run_id = start_and_wait_until_extracting(http)
        server.kill()
    for attempt in (2, 3):
        with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server:
            until((big_home / "artefacts" / run_id / f"{attempt}-accounts.csv.part").exists)
            server.kill()
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        result = result_when_over(http, run_id)
        assert result["status"] == "FAILURE"
        answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"})
        assert answer.status_code == 404
        assert "tried 3 times" in answer.json()["messages"][0]["text"]
        assert not (big_home / "artefacts" / run_id).exists()


def kill_busiest(server: int) -> None:
    busy = max(children(server), key=lambda child: sum(child.cpu_times()[:2]))
    os.kill(busy.pid, 9)


def test_a_run_whose_child_is_killed_is_tried_again(big_home: Path, mainly_sqlite: str) -> None:
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        run_id = start_and_wait_until_extracting(http)
        kill_busiest(server.process.pid)
        result = result_when_over(http, run_id)
        assert (result["status"], result["rows"]) == ("SUCCESS", ROWS)
        assert [path.name.partition("-")[0] for path in (big_home / "artefacts" / run_id).iterdir()] == ["2"]
        assert "attempt lost" in server.log.read_text()
        assert "Traceback" not in server.log.read_text()


def test_a_run_fails_after_its_child_was_killed_each_time(big_home: Path, mainly_sqlite: str) -> None:
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        run_id = start_and_wait_until_extracting(http)
        for attempt in (1, 2, 3):
            until((big_home / "artefacts" / run_id / f"{attempt}-accounts.csv.part").exists)
            kill_busiest(server.process.pid)
        result = result_when_over(http, run_id)
        assert result["status"] == "FAILURE"
        text = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).json()["messages"][0]["text"]
        assert "tried 3 times" in text
        again = http.post("/v2025/reports/run", json=BODY).json()["id"]
        assert again != run_id
        assert result_when_over(http, again)["status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("format", "progress"), [("CSV", "Extracting"), ("PDF", "Writing the PDF")], ids=["extracting", "rendering"]
)
def test_cancel_frees_the_processor_and_leaves_nothing_to_download(
    big_home: Path, mainly_sqlite: str, format: str, progress: str
) -> None:
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        run_id = start_and_wait_until(http, format, progress)
        busy = max(children(server.process.pid), key=lambda child: sum(child.cpu_times()[:2]))
        cancelled = http.post(f"/v2025/reports/{run_id}/cancel")
        assert (cancelled.status_code, cancelled.content) == (204, b"")
        result = result_when_over(http, run_id)
        assert result["status"] == "TERMINATED"
        assert has_ended(busy)
        assert http.get(f"/v2025/reports/{run_id}", params={"fileFormat": format.lower()}).status_code == 404
        assert not (big_home / "artefacts" / run_id).exists()
        assert http.post(f"/v2025/reports/{run_id}/cancel").status_code == 204
        assert http.get(f"/v2025/reports/{run_id}/result").json()["status"] == "TERMINATED"


def test_a_queued_run_is_cancelled_at_once(big_home: Path, mainly_sqlite: str) -> None:
    with (
        serving(
            big_home, WHOHAS_DATABASE_URL=mainly_sqlite, WHOHAS_RUNS_AT_ONCE="1", WHOHAS_CONCURRENT_REPORTS="ACCOUNTS"
        ) as server,
        server.http() as http,
    ):
        first = start_and_wait_until_extracting(http)
        second = http.post("/v2025/reports/run", json=BODY).json()["id"]
        assert http.get(f"/v2025/reports/{second}/result").json()["progress"] == "Queued"
        http.post(f"/v2025/reports/{second}/cancel").raise_for_status()
        assert http.get(f"/v2025/reports/{second}/result").json()["status"] == "TERMINATED"
        assert result_when_over(http, first)["status"] == "SUCCESS"


def test_the_next_server_completes_the_cancel_of_a_dying_one(big_home: Path, mainly_sqlite: str) -> None:
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        run_id = start_and_wait_until_extracting(http)
        server.process.send_signal(signal.SIGSTOP)
        assert (
            whohas(big_home, "cancel", run_id, WHOHAS_DATABASE_URL=mainly_sqlite).stdout == f"{run_id} is cancelling.\n"
        )
        server.kill()
    assert any((big_home / "artefacts" / run_id).iterdir())
    with serving(big_home, WHOHAS_DATABASE_URL=mainly_sqlite) as server, server.http() as http:
        assert result_when_over(http, run_id)["status"] == "TERMINATED"
        assert not (big_home / "artefacts" / run_id).exists()
        assert not list((big_home / "spill").glob("*/*"))


def test_sqlite_refuses_a_second_server_on_the_same_home(big_home: Path) -> None:
    with serving(big_home), pytest.raises(AssertionError, match="Another whohas already works on"), serving(big_home):
        pass
