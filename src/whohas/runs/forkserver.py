"""The process that the children of runs are forked from: `python -m whohas.runs.forkserver`.

It has loaded, once, all that any work needs, and has one thread only, so that a child of it is at work a few
milliseconds after it was asked for and shares what is loaded with all others.

Its standard input is a socket. A message brings three descriptors: what the child reads and writes, and a socket that
is told of it: first its process id, with a descriptor of the process; then, once it has ended, its exit code as Python
counts it, negative for a signal. A child that cannot be forked is told as the negative number of the error. When the
other end of the socket is closed, it ends; its children learn from their own streams that their worker is gone.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress
from typing import NoReturn

import structlog

from whohas.logs import configure_logs
from whohas.permissions import restrict_process
from whohas.runs import child

log = structlog.get_logger("whohas.child")

_Told = dict[int, tuple[int, socket.socket]]
"""By the descriptor of a child: its process id, and who is told of its end."""


def main() -> NoReturn:
    restrict_process()
    configure_logs("warning")
    child.get_ready()
    asking = socket.socket(fileno=0)
    told: _Told = {}
    events = select.poll()
    events.register(asking, select.POLLIN)
    while True:
        for descriptor, _ in events.poll():
            if descriptor in told:
                events.unregister(descriptor)
                _tell_end(descriptor, *told.pop(descriptor))
                continue
            message, descriptors, _, _ = socket.recv_fds(asking, 1, 3)
            if not message:
                os._exit(0)  # libraries would take for leaks what is frozen, and say so
            work, words, tell = descriptors
            with suppress(OSError):  # whoever asked is gone, or has been told why not
                process = _fork(asking, told, work, words, socket.socket(fileno=tell))
                events.register(process, select.POLLIN)
            os.close(work)
            os.close(words)


def _fork(asking: socket.socket, told: _Told, work: int, words: int, tell: socket.socket) -> int:
    """A child, of which the descriptor is returned."""
    try:
        pid = os.fork()
    except OSError as error:
        with tell:
            tell.send(b"%d" % -(error.errno or 0))
        raise
    if not pid:
        tell.close()
        asking.detach()
        for descriptor, (_, other) in told.items():
            os.close(descriptor)
            other.close()
        _work(work, words)
    process = os.pidfd_open(pid)
    told[process] = pid, tell
    with suppress(OSError):
        socket.send_fds(tell, [b"%d" % pid], [process])
    return process


def _work(work: int, words: int) -> NoReturn:
    try:
        os.dup2(work, 0)
        os.dup2(words, 1)
        os.close(work)
        os.close(words)
        child.main()
    except BaseException:
        log.exception("internal fault")
    finally:
        os._exit(1)


def _tell_end(process: int, pid: int, tell: socket.socket) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(process)
    with tell, suppress(OSError):
        tell.send(b"%d" % code)


if __name__ == "__main__":
    main()
