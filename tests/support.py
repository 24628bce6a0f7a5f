"""What tests share: the command line and the server, as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

import asking
from patience import PATIENCE_SECONDS, until
from processes import Process, python
from ready import ready

ROOT = Path(__file__).parent.parent
ACME = ROOT / "examples" / "acme"
SHARED = ROOT.parent / "shared"
WHOHAS = ("-m", "whohas")
"""What Python is told to be `whohas`."""


GITHUB_MAPPING = """
[source]
column = "organization"
type = "GitHub organization"
authoritative = ["kubernetes"]

[accounts]
file = "{folder}/accounts.csv"
[accounts.columns]
nativeIdentity = "login"
name = "login"

[correlation]
account = "login"
identity = "name"
ignoreCase = true

[entitlements]
file = "{folder}/groups.csv"
attributes = ["parent_group", "privacy"]
[entitlements.columns]
value = "group"
name = "group"
description = "description"

[memberships]
file = "{folder}/memberships.csv"
[memberships.columns]
account = "login"
entitlement = "group"
"""
"""How the real input `real/github-orgs` is read; `folder` is where it lies."""


def environment(home: Path, **extra: str) -> dict[str, str]:
    """This process's environment, with a home folder, and without whatever else could point at a server."""
    foreign = ("SAIL_", "WHOHAS_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    told = {name: value for name, value in extra.items() if value}
    return {**kept, "WHOHAS_HOME": str(home), **told}


def whohas(
    home: Path, *arguments: str | Path, cwd: Path | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    """One command, to its end; whoever calls looks at its exit code."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = python(*WHOHAS, *map(str, arguments), env=environment(home, **extra), stdout=out, stderr=err, cwd=cwd)
        try:
            code = process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
        for stream in (out, err):
            stream.seek(0)
        return subprocess.CompletedProcess(arguments, code, out.read(), err.read())


def fork_servers(process: int) -> list[psutil.Process]:
    """What a server or worker has its children forked from: one process, or none."""
    return [one for one in psutil.Process(process).children() if "whohas.execution.forkserver" in one.cmdline()]


def children(process: int) -> list[psutil.Process]:
    """The processes in which a server or worker has the files of runs made."""
    return [child for one in fork_servers(process) for child in one.children()]


@dataclass
class Server:
    """A running `whohas serve --dev`."""

    process: Process | subprocess.Popen[bytes]
    home: Path
    url: str
    client_id: str
    client_secret: str
    log: Path
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its environment has beyond the usual."""

    @property
    def sail(self) -> dict[str, str]:
        """What an SDK or a script needs to know."""
        return {
            "SAIL_BASE_URL": self.url,
            "SAIL_CLIENT_ID": self.client_id,
            "SAIL_CLIENT_SECRET": self.client_secret,
        }

    def token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
        }
        return asking.post(f"{self.url}/oauth/token", data=form).raise_for_status().json()["access_token"]

    def http(self, prefix: str = "") -> httpx2.Client:
        """An HTTP client with a valid token."""
        return asking.Client(base_url=f"{self.url}{prefix}", headers={"Authorization": f"Bearer {self.token()}"})

    def kill(self) -> None:
        """kill -9, as a crash or the system would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE_SECONDS)


@contextmanager
def serving(home: Path, port: int = 0, **extra: str) -> Iterator[Server]:
    """A server on a loopback port, any free one unless it is given; stopped at the end if it still runs."""
    ready(home)
    dev_env = home / "dev.env"
    dev_env.unlink(missing_ok=True)
    log = home / "server.log"
    with log.open("ab") as output:
        process = python(
            *(*WHOHAS, "serve", "--dev", "--port", str(port)),
            # tests ask more often than users do; those of the limit itself set it
            env=environment(home, **{"WHOHAS_RATE_LIMIT": "0", **extra}),
            stdout=output,
            stderr=output,
        )
    try:
        values = _wait_for(dev_env, process, log)
        server = Server(
            process,
            home,
            values["SAIL_BASE_URL"],
            values["SAIL_CLIENT_ID"],
            values["SAIL_CLIENT_SECRET"],
            log,
            extra,
        )
        _until_healthy(server)
        yield server
        server.stop()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _wait_for(dev_env: Path, process: Process | subprocess.Popen[bytes], log: Path) -> Mapping[str, str]:
    until(lambda: dev_env.exists() or process.poll() is not None, log.read_text)
    if not dev_env.exists():
        raise AssertionError(f"the server did not start:\n{log.read_text()}")
    pairs = (line.removeprefix("export ").partition("=") for line in dev_env.read_text().splitlines() if "=" in line)
    return {name: value.strip("'\"") for name, _, value in pairs}


def _until_healthy(server: Server) -> None:
    def healthy() -> bool:
        with suppress(httpx2.TransportError):
            return asking.get(f"{server.url}/healthz").status_code == 200
        return False

    until(healthy, server.log.read_text)


def result_when_over(http: httpx2.Client, run_id: str, prefix: str = "/v2025") -> dict[str, object]:
    """The result of a run once it has a status."""

    def result() -> dict[str, object]:
        return http.get(f"{prefix}/reports/{run_id}/result").raise_for_status().json()

    return until(lambda: found if (found := result()).get("status") is not None else None, result) or {}
