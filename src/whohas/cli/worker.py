"""`whohas worker`: carries out runs, serves nobody."""

from __future__ import annotations

import os
import signal
import socket
import threading

from whohas.cli.installation import installation


def worker() -> None:
    """Carry out runs, until stopped; any number on PostgreSQL."""
    stopped = threading.Event()

    def stop(_signal: int, _frame: object) -> None:
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with installation(serving=True) as services, services.relay.going_on(), services.worker():
        print(
            f"whohas works on {services.settings.home} (process {os.getpid()} of {socket.gethostname()})",
            flush=True,
        )
        stopped.wait()
