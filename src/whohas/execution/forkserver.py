"""The fork server: the process from which the child processes of runs are forked.

Started by `processes.ForkServer` as `python -m whohas.execution.forkserver`. It imports all modules once and has a
single thread, so forking is safe, a child starts within a few milliseconds, and all children share the memory of the
loaded modules.

Protocol: standard input is a SOCK_SEQPACKET socket. Each request is one byte, `FORK` or `FORK_AHEAD`, with three
descriptors: the child's stdin, its stdout, and a status socket. The status socket gets

1. the child's process id as decimal text, with a pidfd; or the negative `errno` where the fork failed;
2. once the child has ended, its exit code as decimal text, negative for a signal (as in `subprocess`).

Example: `b"4711"` with a pidfd, later `b"0"`, or `b"-9"` after a SIGKILL; `b"-11"` alone where fork failed with EAGAIN.

When the other end of standard input is closed, the fork server exits. Its children notice by their own stdin that their
worker has ended.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NoReturn

import duckdb
import structlog

from whohas.engine.duckdb import warm_up
from whohas.execution import child
from whohas.execution.protocol import FORK_AHEAD
from whohas.file_modes import restrict_process
from whohas.library_pages import release_library_pages
from whohas.logs import configure_logs

log = structlog.get_logger("whohas.child")

_Running = dict[int, tuple[int, socket.socket]]
"""The children that have not ended: pidfd to process id and status socket."""


def main() -> NoReturn:
    """Serve requests for children until standard input is closed, then exit the process."""
    restrict_process()
    configure_logs("warning")
    connection = child.preload()
    release_library_pages()
    requests = socket.socket(fileno=0)
    running: _Running = {}
    events = select.poll()
    events.register(requests, select.POLLIN)
    while True:
        for descriptor, _ in events.poll():
            if descriptor in running:
                events.unregister(descriptor)
                _report_exit(descriptor, *running.pop(descriptor))
                continue
            message, descriptors, _, _ = socket.recv_fds(requests, 1, 3)
            if not message:
                os._exit(0)  # an ordinary exit would make libraries report the objects frozen by `gc.freeze` as leaks
            stdin, stdout, status = descriptors
            with suppress(OSError):  # the worker has ended, or has been sent the errno of the failed fork
                start = partial(_run_child, stdin, stdout, connection, ahead=message == FORK_AHEAD)
                process = _fork(requests, running, socket.socket(fileno=status), start)
                events.register(process, select.POLLIN)
            os.close(stdin)
            os.close(stdout)


def _fork(requests: socket.socket, running: _Running, status: socket.socket, start: Callable[[], NoReturn]) -> int:
    """Fork a child, add it to `running`, send its process id to the status socket, and return its pidfd.

    In the child this does not return: the child carries out its work and exits.

    Args:
        start: called in the child.

    Raises:
        OSError: the fork failed; the status socket has got the negative errno.
    """
    try:
        pid = os.fork()
    except OSError as error:
        with status:
            status.send(b"%d" % -(error.errno or 0))
        raise
    if not pid:
        # a child must not keep the sockets of others open: their ends are detected by these being closed
        status.close()
        requests.detach()
        for descriptor, (_, other) in running.items():
            os.close(descriptor)
            other.close()
        start()
    process = os.pidfd_open(pid)
    running[process] = pid, status
    with suppress(OSError):
        socket.send_fds(status, [b"%d" % pid], [process])
    return process


def _run_child(stdin: int, stdout: int, connection: duckdb.DuckDBPyConnection, *, ahead: bool) -> NoReturn:
    try:
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.close(stdin)
        os.close(stdout)
        if ahead:
            warm_up(connection, threads=2)
        child.main(connection)
    except BaseException:
        log.exception("internal fault")
    finally:
        os._exit(1)


def _report_exit(process: int, pid: int, status: socket.socket) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(process)
    with status, suppress(OSError):
        status.send(b"%d" % code)


if __name__ == "__main__":
    main()
