"""A real PostgreSQL for tests: a server of its own in a private folder, and as many databases on it as are wanted."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from tools.postgresql import programs

from patience import PATIENCE_SECONDS, until
from ports import free_ports
from ready import make_tables
from whohas.settings import Settings

if TYPE_CHECKING:
    from hosts import Host

__all__ = ["Postgres", "postgres_server", "programs"]


class Postgres:
    """A server that can be stopped hard and started again, always on the same port of one address."""

    def __init__(self, programs: Path, folder: Path, owner: dict[str, Any], fsync: bool, host: Host | None) -> None:
        self._programs, self._folder, self._owner, self._host = programs, folder, owner, host
        self.address = host.address if host else "127.0.0.1"
        self._fsync = "on" if fsync else "off"
        self.port = free_ports(1)[0]
        self._server: subprocess.Popen[bytes] | None = None
        command = ["initdb", "-D", "data", "-U", "whohas", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        command[0] = str(programs / "initdb")
        subprocess.run(command, cwd=folder, check=True, capture_output=True, **owner)
        if host:
            with (folder / "data" / "pg_hba.conf").open("a") as access:
                access.write("host all whohas samenet trust\n")

    def start(self) -> None:
        """Starts the server, and returns when it answers."""
        settings = {
            "listen_addresses": self.address, "port": str(self.port), "fsync": self._fsync, "max_connections": "400",
            "unix_socket_directories": "", "shared_buffers": "32MB", "logging_collector": "off",
            "log_min_messages": "warning", "wal_level": "minimal", "max_wal_senders": "0",
        }  # fmt: skip
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            command = [self._programs / "postgres", "-D", self._folder / "data", *options]
            owner = self._owner
            if self._host:  # only root can enter a namespace
                user = ("setpriv", f"--reuid={owner['user']}", f"--regid={owner['group']}", "--clear-groups")
                command, owner = self._host.command(*user, *command), {}
            self._server = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, start_new_session=True, **owner
            )
        until(lambda: self.answers() or self._over, (self._folder / "log").read_text)
        assert not self._over, (self._folder / "log").read_text()[-2000:]

    @property
    def _over(self) -> bool:
        return self._server is None or self._server.poll() is not None

    def answers(self) -> bool:
        """Whether it takes connections."""
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=PATIENCE_SECONDS).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop_hard(self) -> None:
        """SIGQUIT, PostgreSQL's immediate shutdown: no checkpoint, every session cut off, as after a crash."""
        assert self._server is not None
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(PATIENCE_SECONDS)

    def url(self, database: str) -> str:
        return f"postgresql://whohas@{self.address}:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        return self._new_database("template1")

    def ready_database(self) -> str:
        """The URL of a database that has its tables, and nothing in them; see `ready`."""
        return self._new_database(self._ready)

    @cached_property
    def _ready(self) -> str:
        url = self.new_database()
        with tempfile.TemporaryDirectory() as home:
            make_tables(Settings(home=Path(home), database_url=url))
        return url.rpartition("/")[2]

    def _new_database(self, template: str) -> str:
        name = f"test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')  # pyright: ignore[reportArgumentType, reportCallIssue]
        return self.url(name)


@contextmanager
def postgres_server(*, fsync: bool = False, host: Host | None = None) -> Generator[Postgres]:
    """A running server; gone with all that is in it when the context ends.

    Args:
        host: where it runs; None for the loopback address of this machine.
    """
    place = programs()
    assert place is not None, "PostgreSQL is not installed (Debian: postgresql)"
    folder = Path(tempfile.mkdtemp(prefix="whohas-pg-"))
    try:
        server = Postgres(place, folder, _unprivileged(folder), fsync, host)
        server.start()
        try:
            yield server
        finally:
            server.stop_hard()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(folder: Path) -> dict[str, Any]:
    """How to start a server that refuses to run as root: as a user who has the folder."""
    if os.geteuid() != 0:
        return {}
    users = {user.pw_name: user for user in pwd.getpwall()}
    user = users.get("postgres") or users["nobody"]
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
