"""A storm of identical starts: how long a start takes, and that all of them are one run.

`python -m bench.starts`: 500 starts from 8 processes on two servers and one PostgreSQL, at the same moment. Prints the
figures; needs PostgreSQL's programs (Debian: postgresql).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from cluster import Cluster, running_cluster
from factories import many_accounts
from postgres import postgres_server

BODY = {"reportType": "ACCOUNTS", "arguments": {"application": "big", "selectedFormats": ["CSV"]}}


def main() -> None:
    parser = argparse.ArgumentParser(description="A storm of identical starts.")
    parser.add_argument("--starts", type=int, default=500)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=3, metavar=("URL", "TOKEN", "STARTS"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        url, token, starts = given.one
        storm(url, token, int(starts))
        return
    with tempfile.TemporaryDirectory() as folder, postgres_server(fsync=True) as postgres:
        home = Path(folder)
        many_accounts(home / "warehouse", given.accounts)
        with running_cluster(home, postgres.new_database(), servers=2, workers=1) as cluster:
            measure(cluster, given.processes, given.starts)


def measure(cluster: Cluster, processes: int, starts: int) -> None:
    """Has processes start at once, and prints what they saw."""
    shares = [starts // processes + (number < starts % processes) for number in range(processes)]
    commands = [
        [sys.executable, "-m", "bench.starts", "--one", server.url, cluster.token(server), str(share)]
        for share, server in zip(shares, cluster.servers * processes, strict=False)
    ]
    storms = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for command in commands
    ]
    for one in storms:
        assert one.stdout is not None and one.stdout.readline() == "ready\n"
    began = time.monotonic()
    for one in storms:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    seen = [tuple(pair) for one in storms for pair in json.loads(one.communicate()[0])]
    seconds = time.monotonic() - began
    times = sorted(took * 1000 for _, took in seen)
    ids = {run_id for run_id, _ in seen}
    print(f"{len(seen)} identical starts from {processes} processes on two servers: {len(ids)} run, {seconds:.2f} s")
    print(
        f"a start: p50 {statistics.median(times):.0f} ms, p99 {times[int(len(times) * 0.99)]:.0f} ms, most {times[-1]:.0f} ms"
    )


def storm(url: str, token: str, starts: int) -> None:
    """One process: as many starts as told, one after another; prints the id and the seconds of each.

    With the standard library's client: a comfortable one costs its share of the two cores, which are the servers' and the
    database's too.
    """
    http = HTTPConnection(urlsplit(url).hostname or "", urlsplit(url).port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    http.connect()
    print("ready", flush=True)
    sys.stdin.readline()
    seen: list[tuple[str, float]] = []
    for _ in range(starts):
        began = time.perf_counter()
        http.request("POST", "/v2025/reports/run", json.dumps(BODY), headers)
        answer = http.getresponse()
        body = answer.read()
        seen.append((json.loads(body)["id"], time.perf_counter() - began))
        assert answer.status == 200, body
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
