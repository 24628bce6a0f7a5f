"""Several hosts on one machine: network namespaces, each with an address of its own, on one bridge.

A host that is cut off has its cable pulled: its packets and those to it are lost without an answer, as if the host, its
switch or its router were gone. Programs on it go on running.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

import support
from cluster import Node
from support import environment


@dataclass(frozen=True)
class Host:
    """A network namespace.

    Attributes:
        address: its IPv4 address on the bridge, which the test process reaches too.
    """

    namespace: str
    address: str
    cable: str

    def command(self, *arguments: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
        """The command that runs a program on this host; its process is that of the program."""
        return ["ip", "netns", "exec", self.namespace, *arguments]

    def cut(self) -> None:
        """Pull the cable."""
        _ip("link", "set", self.cable, "down")

    def join(self) -> None:
        """Put the cable back."""
        _ip("link", "set", self.cable, "up")


@dataclass
class HostNode(Node):
    """A `whohas serve` or `whohas worker` on a host."""

    host: Host | None = None

    def start(self) -> HostNode:
        assert self.host is not None
        self.home.mkdir(exist_ok=True)
        with self.log.open("ab") as log, (self.home / f"{self.name}.out").open("wb") as out:
            self.process = subprocess.Popen(
                self.host.command(sys.executable, *support.WHOHAS, *self.command),
                env=environment(self.home, **self.extra), stdout=out, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        return self


@contextmanager
def network(count: int) -> Generator[list[Host]]:
    """So many hosts; they and what still runs on them are gone when the context ends."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and ip (Debian: iproute2)")
    tag = secrets.token_hex(3)
    bridge, net = f"br{tag}", f"10.{random.randrange(192, 256)}.{random.randrange(256)}"
    with ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "delete", bridge)
        _ip("address", "add", f"{net}.254/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        hosts: list[Host] = []
        for number in range(1, count + 1):
            host = Host(f"whohas-{tag}-{number}", f"{net}.{number}", f"v{tag}-{number}")
            _ip("netns", "add", host.namespace)
            stack.callback(_remove, host)
            _ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", host.namespace)
            _ip("link", "set", host.cable, "master", bridge, "up")
            for command in (
                ("address", "add", f"{host.address}/24", "dev", "eth0"), ("link", "set", "eth0", "up"), ("link", "set", "lo", "up"),
            ):  # fmt: skip
                _ip("-n", host.namespace, *command)
            hosts.append(host)
        yield hosts


def _remove(host: Host) -> None:
    processes = subprocess.run(["ip", "netns", "pids", host.namespace], capture_output=True, text=True).stdout.split()
    if processes:
        subprocess.run(["kill", "-KILL", *processes], check=False)
    _ip("netns", "delete", host.namespace)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
