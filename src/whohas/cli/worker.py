"""`whohas worker`: execute runs without an HTTP server."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING

from whohas.cli.installation import read_server_settings
from whohas.cli.options import Connection, on_this_machine
from whohas.cli.waiting import StopRequest, started_with_database
from whohas.library_pages import release_library_pages

if TYPE_CHECKING:
    from whohas.services import Services


@on_this_machine
def worker(connection: Connection) -> None:
    """Execute runs until stopped; on PostgreSQL any number of workers may run.

    Examples:
        whohas worker
    """
    from whohas.services import open_services

    settings = read_server_settings()
    stopped = StopRequest()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stopped.on_signal)

    def begin(stack: ExitStack) -> Services:
        services = stack.enter_context(open_services(settings, serving=True))
        stack.enter_context(services.relay.running())
        stack.enter_context(services.run_worker())
        return services

    with started_with_database(settings, begin, stopped) as services:
        print(
            f"whohas works on {services.settings.home} (process {os.getpid()} of {socket.gethostname()})",
            flush=True,
        )
        release_library_pages()
        stopped.wait()
