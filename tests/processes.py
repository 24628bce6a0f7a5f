"""Python processes for tests, forked where the libraries are imported already.

To import the libraries and whohas takes seconds of processor time, the same for each of a thousand processes that tests
start. So one process imports them once, and forks. The command line is imported by each process anew: it looks at its
streams. A process has arguments, environment, folder and streams of its own, dies of signals and is as real as any other,
but for its last moment: it does not take apart what was imported, which would take a second more; see `_end`.
Where coverage is measured it follows processes that are started as usual, so then they are; and where `TESTS_FORK` is 0,
for a script that starts but one.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

LIBRARIES = (
    "alembic.command", "deltalake", "duckdb", "fastapi", "httpx2", "isal.igzip", "jinja2", "joserfc.jwt", "pandas",
    "prometheus_client", "psycopg", "pyarrow.compute", "pyarrow.dataset", "pyarrow.parquet", "pydantic_settings",
    "rich.progress", "rich.table", "sqlalchemy.orm", "sqlglot", "structlog", "typer", "uvicorn.protocols.http.h11_impl",
)  # fmt: skip
_FORKER = "import sys; sys.path.insert(0, sys.argv[1]); import processes; processes.fork_for(int(sys.argv[2]))"
_LONGEST = 1 << 20


class Process:
    """A process as `subprocess.Popen` has it, as far as tests ask."""

    def __init__(self, told: IO[str]) -> None:
        """Args:
        told: where its keeper tells its process id and, once it is over, its exit code.
        """
        self._told = told
        first = told.readline()
        assert first, "the process that forks has ended"
        self.pid = int(first)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            with self._told:
                self.returncode = int(self._told.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def python(
    *arguments: str,
    env: Mapping[str, str],
    stdout: IO[Any],
    stderr: IO[Any],
    stdin: IO[Any] | None = None,
    cwd: Path | None = None,
) -> Process | subprocess.Popen[bytes]:
    """Starts `python -m MODULE ...` or `python -c CODE ...`, which reads nothing where nothing is given."""
    if os.environ.get("TESTS_FORK") == "0" or any(name.startswith("COVERAGE_") for name in os.environ):
        read = stdin or subprocess.DEVNULL
        return subprocess.Popen(
            [sys.executable, *arguments], env=env, stdin=read, stdout=stdout, stderr=stderr, cwd=cwd
        )
    asked = json.dumps({"arguments": arguments, "env": dict(env), "cwd": str(cwd or Path.cwd())}).encode()
    assert len(asked) < _LONGEST
    told, tell = os.pipe()
    with Path(os.devnull).open() as nothing:
        streams = [one.fileno() for one in (stdin or nothing, stdout, stderr)]
        socket.send_fds(_forker(), [asked], [*streams, tell])
    os.close(tell)
    return Process(os.fdopen(told))


@cache
def _forker() -> socket.socket:
    """The connection to the process that forks; it ends with ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in (ours, theirs):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    command = [sys.executable, "-c", _FORKER, str(Path(__file__).parent), str(theirs.fileno())]
    with theirs:
        subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    return ours


def fork_for(descriptor: int) -> None:
    """Forks for whoever holds the other end of a socket, until it is closed."""
    _import()
    del sys.path[0]
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are waited for by nobody
    with socket.socket(fileno=descriptor) as asking:
        while True:
            asked, descriptors, _, _ = socket.recv_fds(asking, _LONGEST, 4)
            if not asked:
                return
            if not os.fork():
                break
            for one in descriptors:
                os.close(one)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, tell = descriptors
    if child := os.fork():
        _keep(child, tell)
    os.close(tell)
    for standard, one in enumerate(streams):
        os.dup2(one, standard)
        os.close(one)
    _become(**json.loads(asked))


def _import() -> None:
    import gc
    import importlib
    import pkgutil

    import whohas

    for name in LIBRARIES:
        importlib.import_module(name)
    for module in pkgutil.walk_packages(whohas.__path__, "whohas."):
        if not {"__main__", "cli", "migrations"}.intersection(module.name.split(".")):
            importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # what was imported stays: no process looks through it again


def _keep(child: int, tell: int) -> None:
    """Tells of a child, and ends with it."""
    os.write(tell, f"{child}\n".encode())
    os.write(tell, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    os._exit(0)


def _become(arguments: list[str], env: dict[str, str], cwd: str) -> None:
    """Goes on as Python does when it is started with these arguments."""
    import runpy

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    option, what, *others = arguments
    sys.path[0] = cwd
    try:
        if option == "-m":
            sys.argv = [what, *others]
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            sys.argv = [option, *others]
            exec(what, {"__name__": "__main__"})  # noqa: S102
    except SystemExit as end:
        if end.code is not None and not isinstance(end.code, int):
            raise  # Python writes what it says
        _end(end.code or 0)
    _end(0)


def _end(code: int) -> NoReturn:
    """End as Python does, but let the system take back what was imported: Python needs a second to take it apart."""
    import atexit
    import threading

    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue] - waits for threads, as Python does first
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except OSError:
        sys.exit(code)  # Python has a way of its own with what cannot be written
    os._exit(code)
