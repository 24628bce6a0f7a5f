"""`whohas worker`: execute runs without an HTTP server."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from whohas.cli.installation import read_settings_of_server
from whohas.cli.waiting import StopRequest, begun

if TYPE_CHECKING:
    from whohas.services import Services


def worker() -> None:
    """Execute runs until stopped; on PostgreSQL any number of workers may run."""
    from whohas.services import open_services

    settings = read_settings_of_server()
    stopped = StopRequest()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stopped.handle)

    def begin(stack: ExitStack) -> Services:
        services = stack.enter_context(open_services(settings, serving=True))
        stack.enter_context(services.relay.going_on())
        stack.enter_context(services.worker())
        return services

    with begun(settings, begin, stopped) as services:
        print(
            f"whohas works on {services.settings.home} (process {os.getpid()} of {socket.gethostname()})",
            flush=True,
        )
        stopped.wait()
