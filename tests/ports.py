"""Ports for servers that tests start, stop and start again."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

# where the kernel takes ports for connections, and for servers that ask for any: none of these is asked for by name,
# for between two starts of its server it may be given away
_GIVEN_AWAY = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Different ports of the loopback address that nobody listens on and that the kernel gives to nobody else."""
    end = int(_GIVEN_AWAY.read_text().split()[0]) if _GIVEN_AWAY.exists() else 32768
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randrange(10_000, end)
            try:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            ports.append(port)
        return ports
