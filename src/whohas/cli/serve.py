"""`whohas serve`: the HTTP server, with a worker in the same process; `--dev` also creates an API client for trying it.

Start: listen, open the services (waiting for PostgreSQL if need be), start relay and worker, serve. SIGTERM and SIGINT
stop it gracefully, a second signal at once; SIGHUP reloads the TLS certificate.
"""

from __future__ import annotations

import errno
import gc
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whohas import atomic, timeouts
from whohas.cli.installation import read_server_settings
from whohas.cli.options import Connection, on_this_machine
from whohas.cli.waiting import StopRequest, started_with_database
from whohas.errors import Conflict, InvalidArguments, Unavailable
from whohas.library_pages import release_library_pages

if TYPE_CHECKING:
    from fastapi import FastAPI

    from whohas.api.connections import LimitedServer
    from whohas.api.tls import ReloadingCertificate
    from whohas.services import Services
    from whohas.settings import Settings

DEV_CLIENT = "dev"
DEV_ENV = "dev.env"
THREAD_SWITCH_SECONDS = 0.0002
"""Python's thread switch interval of the server. The default, 0.005, is as long as a whole poll request."""


@on_this_machine
def serve(
    connection: Connection,
    host: Annotated[str | None, typer.Option(help="The address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="The port; 0 for any free port. [default: 8437]")] = None,
    dev: Annotated[
        bool,
        typer.Option("--dev", help="Create a client, and write the server's address and its credentials to dev.env."),
    ] = False,
    worker: Annotated[
        bool | None,
        typer.Option("--worker/--no-worker", help="Whether to execute runs too, or leave them to `whohas worker`."),
    ] = None,
) -> None:
    """Serve the API and execute runs, until stopped.

    Examples:
        whohas serve
        whohas serve --dev --port 0
        whohas serve --host 0.0.0.0 --no-worker
    """
    gc.disable()  # modules that are loaded now stay: collecting garbage in between takes a tenth of the start
    from whohas.api.app import create_app
    from whohas.services import open_services

    settings = read_server_settings(host=host, port=port, worker=worker)
    with ExitStack() as stack:
        listener = stack.enter_context(open_listener(settings.host, settings.port))
        url = _url(settings, listener)
        certificate = _certificate(settings)

        def begin(start: ExitStack) -> tuple[FastAPI, LimitedServer]:
            services = start.enter_context(open_services(settings, serving=True))
            app = create_app(services)
            server = _server(app, settings, certificate)
            services.warm_up()
            start.enter_context(services.relay.running())
            # the worker starts first: it rejects a second server on this home before the dev client is changed
            if settings.worker:
                start.enter_context(services.run_worker())
            if dev:
                path = write_dev_env(services, url)
                hint = f"`. {shlex.quote(str(path))}` tells SDKs and scripts how to reach it"
            else:
                hint = "`whohas client create NAME --level REPORT_ADMIN --scope sp:report:manage` makes a client for it"
            print(f"whohas serves {url}; {hint}", flush=True)
            return app, server

        stopped = StopRequest()
        if certificate is not None:
            signal.signal(signal.SIGHUP, lambda _signal, _frame: certificate.request_reload())
        with _signals(stopped.on_signal):
            with _waiting(listener, settings, certificate) as on_wait:
                app, server = stack.enter_context(started_with_database(settings, begin, stopped, on_wait))
            gc.freeze()  # exclude loaded modules from later collections, which would delay requests
            gc.enable()
            release_library_pages()
            sys.setswitchinterval(THREAD_SWITCH_SECONDS)

            def stop(_signal: int, _frame: object) -> None:
                server.force_exit = server.should_exit
                server.should_exit = True
                app.state.watch.close()  # ends event streams, which would otherwise last as long as their clients

            with _signals(stop):
                if not stopped.wait(0):  # the signal may have arrived during the start
                    server.run(sockets=[listener])
        gc.unfreeze()  # else libraries report frozen objects as leaks at exit


@contextmanager
def _waiting(
    listener: socket.socket, settings: Settings, certificate: ReloadingCertificate | None
) -> Generator[Callable[[], None]]:
    """Yield a function that starts a temporary server, which answers "not ready" until the context ends.

    The function is called if the start has to wait for the database.
    """
    with ExitStack() as stack:

        def on_wait() -> None:
            from whohas.api.startup import create_waiting_app

            server = _server(create_waiting_app(), settings, certificate)
            # The temporary server closes its socket at the end, so it gets a duplicate. Connections that arrive before
            # the real server starts wait in the queue of the original.
            thread = threading.Thread(target=server.run, args=([listener.dup()],), name="not ready", daemon=True)
            thread.start()

            def end() -> None:
                server.should_exit = True
                thread.join()

            stack.callback(end)

        yield on_wait


@contextmanager
def open_listener(host: str, port: int) -> Generator[socket.socket]:
    """Open a listening socket, and yield it; clients can connect from now on, and wait until they are served.

    Raises:
        Conflict: the port is in use.
        InvalidArguments: the address is not one of this machine, or the port is reserved.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except (socket.gaierror, UnicodeError):
        raise InvalidArguments(f"There is no address {host!r}. `--host 127.0.0.1` serves this machine alone.") from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(socket.SOMAXCONN)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise Conflict(
                    f"Port {port} of {host} is taken. Stop what listens there, or choose another port: "
                    "`--port 0` takes a free one."
                ) from None
            raise InvalidArguments(f"{host} port {port} cannot be listened on: {error.strerror}.") from None
        yield listener


def write_dev_env(services: Services, url: str) -> Path:
    """Create the user `dev` and its personal client, or give the client a new secret, and write its credentials.

    Return the path of the file, `dev.env` in the home folder, which a shell can source.

    Raises:
        Unavailable: the file cannot be written.
    """
    from whohas.audit.events import operator_actor
    from whohas.auth import SCOPE_ALL

    clients, people, by = services.access.clients, services.access.users, operator_actor()
    person = next((one for one in people.list() if one.name == DEV_CLIENT), None)
    person = person or people.create(DEV_CLIENT, ["ORG_ADMIN"], by=by)
    known = next((c for c in clients.list() if c.name == DEV_CLIENT and c.revoked is None and c.user == person), None)
    made = (
        clients.rotate_secret(known.id, by=by)
        if known
        else clients.create(DEV_CLIENT, [SCOPE_ALL], person=person, by=by)
    )
    values = {"SAIL_BASE_URL": url, "SAIL_CLIENT_ID": made.client.id, "SAIL_CLIENT_SECRET": made.secret}
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    path = services.settings.home / DEV_ENV
    try:
        atomic.write(path, text, mode=0o600)
    except OSError as error:
        raise Unavailable(f"{path} cannot be written: {error.strerror}.") from error
    return path


def _url(settings: Settings, listener: socket.socket) -> str:
    # 0.0.0.0 and :: listen on every address of this machine; the URL needs one that clients can connect to
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{f'[{reachable}]' if ':' in reachable else reachable}:{listener.getsockname()[1]}"


def _server(app: Any, settings: Settings, certificate: ReloadingCertificate | None) -> LimitedServer:
    """Return a configured server that is not started yet."""
    import uvicorn

    from whohas.api.connections import (
        BACKLOG,
        Connections,
        LimitedServer,
        limited_protocol,
        max_connections,
        raise_file_limit,
        report_requests,
    )

    class Server(LimitedServer):
        def capture_signals(self) -> Any:
            # uvicorn would re-raise the signal after it has stopped, and end the process before the worker is stopped
            return nullcontext()

    limits = Connections(max_connections(raise_file_limit()))
    config = uvicorn.Config(
        report_requests(app),
        http=limited_protocol(limits),
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=timeouts.HTTP_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=timeouts.HTTP_GRACE_SECONDS,
        # without trusted proxies, ignore headers by which a client could pretend to be another address
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_context_factory=certificate.context if certificate else None,
    )
    config.load()
    return Server(config, limits, certificate)


def _certificate(settings: Settings) -> ReloadingCertificate | None:
    """Load the TLS certificate of the settings; return None if TLS is off.

    Raises:
        InvalidArguments: the certificate or its key cannot be used.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    from whohas.api.tls import ReloadingCertificate

    return ReloadingCertificate(settings.tls_certificate, settings.tls_key)


@contextmanager
def _signals(stop: Callable[[int, Any], None]) -> Generator[None]:
    """Handle SIGTERM and SIGINT by a function until the context ends."""
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
