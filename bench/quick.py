"""Small reports, status polls and cancels: how quick they are, embedded and beside a large run.

`python -m bench.quick` prints the figures: from start to SUCCESS of a report of 300 rows, alone and beside a running
extract of millions of rows; a status poll at 200 a second beside that extract; and how long after a cancel its child is
gone.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from factories import many_accounts
from support import Server, children, serving

_STAMPED = 35
"""SO_TIMESTAMPNS of Linux: what is received says when it came."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Small reports, polls and cancels.")
    parser.add_argument("--accounts", type=int, default=5_000_000, help="of the large run")
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--polls", type=int, default=4_000)
    parser.add_argument("--cancels", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small")
        many_accounts(small / "warehouse", 300)
        with serving(small) as server, server.http() as http:
            tell("300 rows, start to SUCCESS", [finished(http, index) for index in range(given.runs)][5:])
        large = Path(folder, "large")
        many_accounts(large / "warehouse", given.accounts)
        with serving(large) as server, server.http() as http:
            tell(f"status poll at 200 a second beside {given.accounts:,} rows", polls(server, http, given.polls))
            tell(f"cancel of {given.accounts:,} rows, until its child is gone", cancels(server, http, given.cancels))


def tell(what: str, seconds: list[float]) -> None:
    times = sorted(one * 1000 for one in seconds)
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(f"{what}: p50 {statistics.median(times):.1f} ms, p99 {p99:.1f} ms, most {times[-1]:.1f} ms ({len(times)})")


def start(http: httpx2.Client, hour: int = 0) -> str:
    arguments = {"application": "big", "selectedFormats": ["CSV"], "timeZone": f"+{hour % 14:02}:00"}
    body = {"reportType": "ACCOUNTS", "arguments": arguments}
    return http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]


def result(http: httpx2.Client, run_id: str) -> dict[str, object]:
    return http.get(f"/v2025/reports/{run_id}/result").raise_for_status().json()


def finished(http: httpx2.Client, hour: int) -> float:
    began = time.perf_counter()
    run_id = start(http, hour)
    while (status := result(http, run_id)["status"]) is None:
        time.sleep(0.005)
    assert status == "SUCCESS", status
    took = time.perf_counter() - began
    # now sooner, now later, or each start would come as long before a look at the queue
    time.sleep(0.3 + hour * 37 % 50 / 200)
    return took


def busy(server: Server) -> list[psutil.Process]:
    """The child that works, once it has for a while."""
    return [child for child in children(server.process.pid) if sum(child.cpu_times()[:2]) > 1.0]


def until_extracting(http: httpx2.Client, run_id: str) -> None:
    while not str((now := result(http, run_id))["progress"]).startswith("Extracting"):
        assert now["status"] is None, "the run is over too soon to be measured: take more accounts"
        time.sleep(0.02)


def polls(server: Server, http: httpx2.Client, count: int) -> list[float]:
    """The seconds of each poll until the end of its answer is there; a large run goes on.

    A poll begins when it is sent, or when it was due where the one before it was not answered by then, so that it counts
    as long as its client would wait. It ends when the kernel has the answer for its client, by the kernel's own clock:
    four connections ask on the same cores that the run has busy, and how long they wait for a processor themselves is
    not the server's doing.
    """
    run_id = start(http)
    until_extracting(http, run_id)
    over = threading.Event()
    took: list[float] = []
    address = urlsplit(server.url)
    token = http.headers["authorization"]

    def some(first: int) -> None:
        with socket.create_connection((address.hostname or "", address.port or 80), timeout=60) as own:
            own.setsockopt(socket.SOL_SOCKET, _STAMPED, 1)
            for number in range(first, count, 4):
                asked = f"GET /v2025/reports/{run_id}/result HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: {token}\r\n\r\n"
                due = began + number * 5_000_000
                if (early := due - time.time_ns()) > 0:
                    time.sleep(early / 1e9)
                    due = time.time_ns()
                own.sendall(asked.encode())
                head, body, there = _answer(own)
                took.append((there - due) / 1e9)
                assert head.startswith(b"HTTP/1.1 200"), head + body

    def go_on() -> None:
        nonlocal run_id
        while not over.wait(0.1):
            if result(http, run_id)["status"] is not None:
                run_id = start(http)

    began = time.time_ns() + 500_000_000
    large = threading.Thread(target=go_on)
    threads = [threading.Thread(target=some, args=(first,)) for first in range(4)]
    for thread in (large, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    large.join()
    http.post(f"/v2025/reports/{run_id}/cancel")
    while result(http, run_id)["status"] is None:  # whoever starts the same now would be given this one
        time.sleep(0.02)
    return took


def _answer(connection: socket.socket) -> tuple[bytes, bytes, int]:
    """The next answer on a connection: its head, its body, which has the length that the head tells, and when its end
    came, in nanoseconds since 1970."""
    received = head = found = body = b""
    length = there = 0
    while not found or len(body) < length:
        piece, told, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(16))
        assert piece, "the server has closed the connection"
        received += piece
        seconds, nanoseconds = struct.unpack("qq", told[0][2][:16])
        there = seconds * 1_000_000_000 + nanoseconds
        head, found, body = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    return head, body, there


def cancels(server: Server, http: httpx2.Client, count: int) -> list[float]:
    """From each cancel until the child that worked is gone."""
    took: list[float] = []
    for _ in range(count):
        run_id = start(http)
        until_extracting(http, run_id)
        while not (there := busy(server)):
            assert result(http, run_id)["status"] is None, "the run is over too soon to be measured: take more accounts"
            time.sleep(0.02)
        began = time.perf_counter()
        http.post(f"/v2025/reports/{run_id}/cancel").raise_for_status()
        psutil.wait_procs(there, timeout=10)
        took.append(time.perf_counter() - began)
        while result(http, run_id)["status"] is None:
            time.sleep(0.02)
    return took


if __name__ == "__main__":
    main()
