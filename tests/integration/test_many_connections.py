"""Ten thousand idle connections and two hundred slow ones at a real server, while others poll it."""

from __future__ import annotations

import asyncio
import resource
import statistics
import time
from pathlib import Path

import httpx2
import psutil
import pytest

from patience import until
from support import serving
from whohas import timeouts

pytestmark = pytest.mark.long
IDLE, SLOW, POLLS = 10_000, 200, 300
MEMORY_A_CONNECTION = 40_000


def polled(http: httpx2.Client, path: str) -> tuple[float, float]:
    """The median and the 99th percentile of polls, in milliseconds; each must be answered."""
    times: list[float] = []
    for _ in range(POLLS):
        began = time.perf_counter()
        assert http.get(path).status_code == 200
        times.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


async def open_many(port: int, requests: list[bytes]) -> list[asyncio.StreamWriter]:
    async def one(request: bytes) -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(request)
        return writer

    opened: list[asyncio.StreamWriter] = []
    for begin in range(0, len(requests), 200):
        opened += await asyncio.gather(*(one(request) for request in requests[begin : begin + 200]))
    return opened


def test_requests_are_answered_beside_ten_thousand_idle_connections(home: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < IDLE + SLOW + 1000:
        pytest.skip("this machine allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with serving(home) as server, server.http() as http:
            path = "/whohas/schedules"  # by token and database, and no run that may be slow on a busy machine
            port = int(server.url.rpartition(":")[2])
            process = psutil.Process(server.process.pid)
            polled(http, path)
            before, memory = polled(http, path), process.memory_info().rss
            slow = [
                b"GET / HTTP/1.1\r\nHost: x\r\nX: ",
                b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx",
                b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20,
                b"\x16\x03\x01",
            ]
            requests = [b""] * IDLE + [slow[number % len(slow)] for number in range(SLOW)]
            loop = asyncio.new_event_loop()
            try:
                began = time.monotonic()
                opened = loop.run_until_complete(open_many(port, requests))
                held = len(process.net_connections())
                took = time.monotonic() - began
                during, more = polled(http, path), process.memory_info().rss - memory
                # where opening them took as long as one may be idle, the first are closed by now
                assert held > IDLE or took > timeouts.HTTP_KEEP_ALIVE_SECONDS / 2
                until(lambda: len(process.net_connections()) <= 300)
                for writer in opened:
                    writer.transport.abort()
                loop.run_until_complete(asyncio.sleep(0.1))
            finally:
                loop.close()
            after = polled(http, path)
            print(
                f"{held} connections, {more / 1e6:.0f} MB more; ms of a poll, median and p99: {before} {during} {after}"
            )
            assert more < MEMORY_A_CONNECTION * (IDLE + SLOW)
            assert during[1] < 20 * before[1] + 200
            assert "Traceback" not in server.log.read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
