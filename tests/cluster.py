"""Several servers and workers on one PostgreSQL and one home folder, as real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import psutil

import asking
import support
from patience import PATIENCE_SECONDS, until
from ports import free_ports
from processes import Process, python
from support import environment, whohas


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended. A zombie has: its parent has only not asked for its exit code yet."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass
class Node:
    """A `whohas serve --no-worker` or a `whohas worker`, that can die and come back."""

    name: str
    home: Path
    command: tuple[str, ...]
    extra: dict[str, str]
    process: Process | subprocess.Popen[bytes] | None = None
    url: str = ""

    @property
    def log(self) -> Path:
        return self.home / f"{self.name}.log"

    def start(self) -> Node:
        """Starts it without waiting; `ready` waits."""
        said = self.home / f"{self.name}.out"
        with self.log.open("ab") as log, said.open("wb") as out:
            self.process = python(
                *support.WHOHAS, *self.command, env=environment(self.home, **self.extra), stdout=out, stderr=log
            )
        return self

    def ready(self) -> Node:
        said = self.home / f"{self.name}.out"
        until(lambda: said.read_text().endswith("\n") or not self.alive, self.log.read_text)
        text = said.read_text()
        assert text.endswith("\n"), f"{self.name} does not start: {self.log.read_text()[-3000:]}"
        if found := re.search(r"http://\S+?(?=;)", text):
            self.url = found[0]
        return self

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, number: int) -> None:
        assert self.process is not None
        if self.alive:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def children(self) -> list[psutil.Process]:
        """The processes in which it has the files of runs made."""
        assert self.process is not None
        return support.children(self.process.pid)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.send(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)


@dataclass
class Cluster:
    """All of them, and a client of theirs."""

    home: Path
    database_url: str
    servers: list[Node] = field(default_factory=list[Node])
    workers: list[Node] = field(default_factory=list[Node])
    client_id: str = ""
    secret: str = ""

    def http(self, server: Node) -> httpx2.Client:
        """An HTTP client of a server, with a valid token."""
        headers = {"Authorization": f"Bearer {self.token(server)}"}
        return asking.Client(base_url=server.url, headers=headers)

    def token(self, server: Node) -> str:
        form = {"grant_type": "client_credentials", "client_id": self.client_id, "client_secret": self.secret}
        answer = asking.post(f"{server.url}/oauth/token", data=form)
        return answer.raise_for_status().json()["access_token"]

    def nodes(self) -> Iterator[Node]:
        yield from self.servers
        yield from self.workers


def new_cluster(home: Path, database_url: str, **extra: str) -> Cluster:
    """A client for processes that are not there yet. It is a person's, for only people cancel."""
    person = whohas(home, "user", "create", "tester", "--level", "ORG_ADMIN", **extra)
    assert person.returncode == 0, person.stderr
    made = whohas(home, "client", "create", "tester", "--user", "tester", "--scope", "sp:scopes:all", **extra)
    assert made.returncode == 0, made.stderr
    client_id, secret = re.findall(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b", made.stdout)[:2]
    return Cluster(home, database_url, client_id=client_id, secret=secret)


@contextmanager
def running_cluster(
    home: Path, database_url: str, servers: int = 2, workers: int | None = 2, **settings: str
) -> Generator[Cluster]:
    """Servers and workers; whatever is left of them is killed at the end.

    Args:
        database_url: of PostgreSQL; empty for SQLite in the home folder.
        workers: None for servers that carry out runs themselves.
    """
    # tests poll more often than clients may
    extra = {"WHOHAS_RATE_LIMIT": "0", **settings}
    if database_url:
        extra["WHOHAS_DATABASE_URL"] = database_url
    cluster = new_cluster(home, database_url, **extra)
    with ExitStack() as stack:
        for kind, count, nodes in (("serve", servers, cluster.servers), ("worker", workers or 0, cluster.workers)):
            for number in range(count):
                # a port of its own, so that it is found again where it comes back
                port = ("--port", str(free_ports(1)[0]))
                serve = ("serve", *(() if workers is None else ("--no-worker",)), *port)
                command = serve if kind == "serve" else ("worker",)
                node = Node(f"{kind}{number}", home, command, extra).start()
                stack.callback(_end, node)
                nodes.append(node)
        for node in cluster.nodes():
            node.ready()
        yield cluster


def _end(node: Node) -> None:
    if node.process is not None and node.process.poll() is None:
        os.kill(node.process.pid, signal.SIGCONT)
        node.process.kill()
        node.process.wait()
