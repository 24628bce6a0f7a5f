"""The certificate and the keys of tokens are replaced while clients poll and download: nobody is refused meanwhile."""

from __future__ import annotations

import os
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx2
import pytest

import asking
from certificates import pair, written
from patience import until
from support import Server, result_when_over, serving, whohas

pytestmark = pytest.mark.long
ROTATIONS = 10


@dataclass
class Load:
    """Clients that poll and download until they are stopped; what they saw."""

    statuses: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def saw(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1


@contextmanager
def loaded(server: Server, run: str, verify: ssl.SSLContext | bool, clients: int = 6) -> Iterator[Load]:
    """Half of the clients keep a connection and a token, half of them fetch both anew for each call."""
    load = Load()
    form = {
        "grant_type": "client_credentials",
        "client_id": server.client_id,
        "client_secret": server.client_secret,
    }

    def work(anew: bool, path: str) -> None:
        token = ""
        http = asking.Client(base_url=server.url, verify=verify)
        while not load.stopping.is_set():
            try:
                if anew or not token:
                    http.close()
                    http = asking.Client(base_url=server.url, verify=verify)
                    answer = http.post("/oauth/token", data=form)
                    load.saw(answer.status_code)
                    token = answer.json()["access_token"]
                answer = http.get(path, headers={"Authorization": f"Bearer {token}"})
                load.saw(answer.status_code)
            except (httpx2.HTTPError, KeyError, ValueError) as error:
                load.faults.append(repr(error))
        http.close()

    paths = (f"/v2025/reports/{run}/result", f"/v2025/reports/{run}?fileFormat=csv")
    threads = [threading.Thread(target=work, args=(n % 2 == 0, paths[n // 2 % 2])) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stopping.set()
        for thread in threads:
            thread.join()


def run_of(server: Server) -> str:
    with server.http() as http:
        asked = {"reportType": "IDENTITIES", "arguments": {"selectedFormats": ["CSV"]}}
        run = http.post("/v2025/reports/run", json=asked).json()["id"]
        assert result_when_over(http, run)["status"] in ("SUCCESS", "WARNING")
        return run


def shown(server: Server) -> str:
    host, port = server.url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)))


def shows(server: Server, certificate: bytes) -> bool:
    return shown(server).encode() == certificate


def failed_renewals(log: Path, number: int) -> Callable[[], bool]:
    return lambda: log.read_text().count("certificate not renewed") >= number


def test_the_certificate_is_replaced_under_load(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = [pair(f"number {number}") for number in range(ROTATIONS)]
    together = tmp_path / "all.pem"
    together.write_bytes(b"".join(certificate for certificate, _ in certificates))
    monkeypatch.setenv("SSL_CERT_FILE", str(together))
    trusted = ssl.create_default_context(cafile=together)
    certificate, key = written(tmp_path, certificates[0])
    settings = {"WHOHAS_TLS_CERTIFICATE": str(certificate), "WHOHAS_TLS_KEY": str(key)}
    with serving(own_home, **settings) as server:
        run = run_of(server)
        with loaded(server, run, trusted) as load:
            for number, made in enumerate(certificates[1:], start=1):
                if number % 3 == 0:  # a failed renewal in between
                    certificate.write_bytes(b"no certificate")
                    os.kill(server.process.pid, signal.SIGHUP)
                    until(failed_renewals(server.log, number // 3), server.log.read_text)
                    assert shown(server).encode() == certificates[number - 1][0]
                written(tmp_path, made)
                until(partial(shows, server, made[0]), server.log.read_text)
        assert load.faults == []
        assert set(load.statuses) == {200}, load.statuses
        print(f"{ROTATIONS - 1} certificates, {sum(load.statuses.values())} requests")
        assert "The one from before stays in use" in server.log.read_text()


def test_keys_of_tokens_are_rotated_under_load(own_home: Path) -> None:
    with serving(own_home) as server:
        run = run_of(server)
        old = server.token()
        with loaded(server, run, True) as load:
            for _ in range(ROTATIONS):
                done = whohas(own_home, "keys", "rotate")
                assert done.returncode == 0, done.stderr
        assert load.faults == []
        assert set(load.statuses) == {200}, load.statuses
        first = asking.get(f"{server.url}/v2025/reports/{run}/result", headers={"Authorization": f"Bearer {old}"})
        assert first.status_code == 200, "a token of the first key is good until it ends"
        print(f"{ROTATIONS} keys, {sum(load.statuses.values())} requests")
