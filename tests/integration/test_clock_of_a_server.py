"""A server whose clock jumps both ways while it works; the clock is set by libfaketime, as one sets a machine's."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from patience import until
from support import WHOHAS, Server, environment, result_when_over

JUMPS = ("+0", "+1h", "+0", "+1d", "+0", "+1y", "+0", "-1h", "-1d", "-1y", "+1y", "+0")


@contextmanager
def serving_by(clock: Path, home: Path) -> Iterator[Server]:
    """A server whose time of day is as far from the real one as a file says."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed (Debian: faketime)")
    env = environment(home, WHOHAS_RATE_LIMIT="0", WHOHAS_SWEEP_SECONDS="1")
    faked = {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }
    dev_env, log = home / "dev.env", home / "server.log"
    with log.open("ab") as output:
        command = [sys.executable, *WHOHAS, "serve", "--dev", "--port", "0"]
        process = subprocess.Popen(command, env={**env, **faked}, stdout=output, stderr=output)
    try:
        until(
            lambda: process.poll() is not None or (dev_env.exists() and "Started server process" in log.read_text()),
            log.read_text,
        )
        assert process.poll() is None, log.read_text()
        pairs = (line.removeprefix("export ").partition("=") for line in dev_env.read_text().splitlines())
        told = {name: value.strip("'") for name, _, value in pairs}
        yield Server(process, home, told["SAIL_BASE_URL"], told["SAIL_CLIENT_ID"], told["SAIL_CLIENT_SECRET"], log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def set_clock(clock: Path, ahead: str) -> None:
    part = clock.with_suffix(".part")
    part.write_text(f"{ahead}\n")
    part.replace(clock)


def one_run(http: httpx2.Client) -> str:
    body = {"reportType": "IDENTITIES", "arguments": {"selectedFormats": ["CSV"]}}
    return http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]


@pytest.mark.long
def test_a_server_keeps_working_and_data_while_its_clock_jumps(own_home: Path, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    set_clock(clock, "+0")
    runs: list[str] = []
    with serving_by(clock, own_home) as server:
        for ahead in JUMPS:
            with server.http() as http:
                begun = one_run(http)
                began = time.monotonic()
            set_clock(clock, ahead)  # under the run
            with server.http() as http:  # clients fetch a new token where theirs is refused
                result = result_when_over(http, begun)
                assert result["status"] in ("SUCCESS", "WARNING"), (
                    ahead,
                    result,
                )  # data of a year ago is worth a warning
                assert 0 <= int(str(result["duration"])) <= (time.monotonic() - began + 5) * 1000, (ahead, result)
                runs.append(begun)
        time.sleep(3)  # sweeps
        with server.http() as http:
            for run in runs:
                assert http.get(f"/v2025/reports/{run}", params={"fileFormat": "csv"}).status_code == 200
        log = server.log.read_text()
        assert "nothing is removed for its age for a day" in log
        assert "Traceback" not in log and "exc_info" not in log
