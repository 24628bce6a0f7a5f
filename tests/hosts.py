"""Several hosts on one machine: each has an address of its own on one bridge, and a folder that no other host sees.

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
from pathlib import Path

import pytest

import support
from cluster import Node
from support import environment


@dataclass(frozen=True)
class Host:
    """A network namespace, whose programs see one of the folders of the hosts.

    Attributes:
        address: its IPv4 address on the bridge, which the test process reaches too.
        folder: its folder; the folders beside it are not there for its programs.
    """

    namespace: str
    address: str
    cable: str
    folder: Path

    def command(self, *arguments: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
        """The command that runs a program on this host; its process is that of the program."""
        alone = ("unshare", "--mount", "sh", "-ec", _ALONE, str(self.folder.parent), str(self.folder))
        return ["ip", "netns", "exec", self.namespace, *alone, *arguments]

    def run(self, *arguments: str | os.PathLike[str], **extra: str) -> str:
        """Run a program on this host to its end, and return what it prints. The home folder is that of the host."""
        done = subprocess.run(
            self.command(*arguments),
            env=environment(self.folder, **extra), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def whohas(self, *arguments: str, **extra: str) -> str:
        """Run a command of whohas on this host, and return what it prints."""
        return self.run(sys.executable, *support.WHOHAS, *arguments, **extra)

    def cut(self) -> None:
        """Pull the cable."""
        _ip("link", "set", self.cable, "down")

    def join(self) -> None:
        """Put the cable back."""
        _ip("link", "set", self.cable, "up")


_ALONE = """
mount --bind "$1" /mnt
mount -t tmpfs tmpfs "$0"
mkdir "$1"
mount --move /mnt "$1"
shift
exec "$@"
"""
"""Hides a folder, but for one in it: `$0` is the folder, `$1` the one in it, and the rest is the command."""


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
def network(folder: Path, count: int) -> Generator[list[Host]]:
    """So many hosts; they and what still runs on them are gone when the context ends.

    Args:
        folder: where the hosts have their folders.
    """
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
            host = Host(f"whohas-{tag}-{number}", f"{net}.{number}", f"v{tag}-{number}", folder / f"host-{number}")
            host.folder.mkdir(mode=0o700, parents=True)
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
