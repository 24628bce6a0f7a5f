"""One run at a time of the same report, whoever starts it and from wherever."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from factories import many_accounts
from patience import PATIENCE_SECONDS, until
from processes import Process, python
from support import environment, result_when_over, serving

PROCESSES = 4
STARTS = 50

STARTER = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from whohas.services import open_services
from whohas.settings import load_settings

with open_services(load_settings()) as services:
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(10) as pool:
        starts = [pool.submit(services.runs.start, "ACCOUNTS", {"application": "big"}, "starter") for _ in range(%d)]
        print("ids", *{start.result().id for start in starts})
"""


def test_two_hundred_identical_starts_from_four_processes_are_one_run(home: Path, database_url: str) -> None:
    many_accounts(home / "warehouse", 1_000)
    env = environment(home, WHOHAS_DATABASE_URL=database_url)
    said = [home / f"starter{number}.out" for number in range(PROCESSES)]
    read, begin = os.pipe()
    starters: list[Process | subprocess.Popen[bytes]] = []
    with os.fdopen(read) as stdin, (home / "starters.log").open("w") as log:
        for path in said:
            with path.open("w") as out:
                starters.append(python("-c", STARTER % STARTS, env=env, stdin=stdin, stdout=out, stderr=log))
    # a start may say more, such as that it tightened permissions
    until(lambda: all("ready\n" in path.read_text() for path in said) or any(one.poll() for one in starters))
    assert not any(starter.poll() for starter in starters), (home / "starters.log").read_text()
    os.close(begin)  # all of them see the end of their input at once
    assert [starter.wait(PATIENCE_SECONDS) for starter in starters] == [0] * PROCESSES
    lines = [line.split() for path in said for line in path.read_text().splitlines()]
    ids = {run_id for line in lines if line[:1] == ["ids"] for run_id in line[1:]}
    assert len(ids) == 1
    with serving(home, WHOHAS_DATABASE_URL=database_url) as server, server.http() as http:
        assert result_when_over(http, ids.pop())["rows"] == 1_000


def test_only_identical_starts_over_http_share_a_run(home: Path) -> None:
    many_accounts(home / "warehouse", 400_000)
    body = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "sourceName": "Big Directory"}}
    with serving(home) as server, server.http() as http:

        def start(prefix: str) -> str:
            return http.post(f"{prefix}/reports/run", json=body).raise_for_status().json()["id"]

        with ThreadPoolExecutor(16) as pool:
            ids = set(pool.map(start, ["/v3", "/v2024", "/v2025", "/v2026", "/latest"] * 20))
        assert len(ids) == 1
        first = ids.pop()
        assert result_when_over(http, first)["rows"] == 400_000
        assert start("/v2025") != first


def test_a_concurrent_report_starts_as_often_as_it_is_asked(home: Path) -> None:
    many_accounts(home / "warehouse", 200_000)
    body = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}
    with serving(home, WHOHAS_CONCURRENT_REPORTS="ACCOUNTS") as server, server.http() as http:
        ids = {http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"] for _ in range(3)}
        assert len(ids) == 3
        assert {result_when_over(http, run_id)["rows"] for run_id in ids} == {200_000}
