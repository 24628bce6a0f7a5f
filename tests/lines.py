"""A connection to a server that can be cut: everything that comes over it goes on to a port, until it is severed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress


class Line:
    """A port of the loopback address that stands for another one."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._door = socket.create_server(("127.0.0.1", 0))
        self._whole = True
        self._open: set[socket.socket] = set()
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._answer, daemon=True).start()

    def sever(self) -> None:
        """Ends what is connected, and whoever comes is turned away."""
        self._whole = False
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self._whole = True

    def close(self) -> None:
        self.sever()
        self._door.close()

    def _answer(self) -> None:
        while True:
            try:
                caller, _ = self._door.accept()
            except OSError:
                return
            if not self._whole:
                caller.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._to))
            for one, other in ((caller, there), (there, caller)):
                self._open.add(one)
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)
        one.close()
        self._open.discard(one)


@contextmanager
def severable(port: int) -> Generator[Line]:
    """A line to a port."""
    line = Line(port)
    try:
        yield line
    finally:
        line.close()
