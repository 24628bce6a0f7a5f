"""`whohas serve`: how it starts, says where it is, and stops."""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import asking
from factories import many_accounts
from patience import PATIENCE_SECONDS
from ports import free_ports
from support import WHOHAS, environment, result_when_over, serving, whohas


@pytest.mark.parametrize("source", [". {}", "set -a; . {}; set +a"])
def test_sourcing_dev_env_is_all_that_a_script_needs(home: Path, source: str) -> None:
    with serving(home) as server:
        assert (home / "dev.env").stat().st_mode & 0o777 == 0o600
        script = f"{source.format(shlex.quote(str(home / 'dev.env')))}; printenv SAIL_BASE_URL SAIL_CLIENT_ID SAIL_CLIENT_SECRET"
        done = subprocess.run(["sh", "-c", script], env=environment(home), capture_output=True, text=True)
        assert done.stdout.splitlines() == list(server.sail.values())


def test_a_second_start_gives_the_dev_client_a_new_secret(home: Path) -> None:
    with serving(home) as first:
        pass
    with serving(home) as second:
        assert second.client_id == first.client_id
        assert second.client_secret != first.client_secret
        form = {"grant_type": "client_credentials", **_credentials(first.client_id, first.client_secret)}
        assert asking.post(f"{second.url}/oauth/token", data=form).status_code == 401
        assert second.token()


def test_a_second_server_on_a_home_is_refused_without_changes(home: Path) -> None:
    with serving(home) as server:
        before = (home / "dev.env").read_text()
        done = whohas(home, "serve", "--dev", "--port", "0")
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert (home / "dev.env").read_text() == before
        assert server.token()


def test_a_taken_port_is_a_clear_error(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = whohas(home, "serve", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"Port {port} of 127.0.0.1 is taken" in done.stderr
    assert "--port 0" in done.stderr


def test_an_address_that_is_none_is_a_clear_error(home: Path) -> None:
    done = whohas(home, "serve", "--host", "no.such.host.invalid")
    assert done.returncode == 1
    assert "There is no address 'no.such.host.invalid'" in done.stderr


def test_without_dev_no_client_is_made(home: Path) -> None:
    port = free_ports(1)[0]
    process = subprocess.Popen(
        [sys.executable, *WHOHAS, "serve", "--port", str(port)], env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert f"http://127.0.0.1:{port}" in line
        assert "whohas client create" in line
        assert asking.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        assert not (home / "dev.env").exists()
    finally:
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
    assert "No client yet" in whohas(home, "client", "list").stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_in_order(home: Path, number: signal.Signals) -> None:
    with serving(home) as server, server.http() as http:
        assert http.get("/oauth/info").status_code == 200
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE_SECONDS) == 0


def test_a_client_that_does_not_read_cannot_delay_the_stop(home: Path) -> None:
    many_accounts(home / "warehouse", 200_000)
    with serving(home) as server, server.http() as http:
        run = http.post(
            "/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": {"application": "big"}}
        ).json()
        assert result_when_over(http, run["id"])["status"] == "SUCCESS"
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as reader:
            path = f"/v2025/reports/{run['id']}?fileFormat=csv"
            authorization = http.headers["Authorization"]
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
            assert reader.recv(12) == b"HTTP/1.1 200"
            server.process.terminate()
            assert server.process.wait(PATIENCE_SECONDS) == 0


def test_the_log_is_one_json_object_a_line(home: Path) -> None:
    with serving(home) as server, server.http() as http:
        http.get("/oauth/info")
    lines = [line for line in server.log.read_text().splitlines() if not line.startswith("whohas serves")]
    assert lines
    assert all({"event", "level", "timestamp"} <= set(json.loads(line)) for line in lines)


def _credentials(client_id: str, secret: str) -> dict[str, str]:
    return {"client_id": client_id, "client_secret": secret}
