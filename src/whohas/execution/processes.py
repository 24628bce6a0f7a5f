"""The worker's side of child processes: the fork server, the children forked from it, and following their progress.

`ForkServer` starts the fork server process, `ChildPool` keeps account of the children that are at work, `watch_child`
sends a child its work and yields its progress, and `exit_reason` turns an unexpected end into an error message.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from whohas import timeouts
from whohas.engine.summary import RowsSummary
from whohas.errors import WhohasError
from whohas.execution.memory import MemoryWatch
from whohas.execution.protocol import EXIT_WORKER_GONE, FORK, FORK_AHEAD, Work
from whohas.logs import is_logging, log_output
from whohas.runs.models import Message, MessageLevel
from whohas.runs.plans import RowsDigest

_NICE = 10
"""Added to the worker's nice value for the fork server, whose children inherit it."""

_ENVIRONMENT = {
    # without it Arrow's allocator reserves 1 GiB of address space at once, which counts against a child's RLIMIT_DATA
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
    # the fork server must have one thread only: a fork copies no other thread, and locks held by one would stay locked
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "OPENBLAS_NUM_THREADS": "1",
}
"""Environment variables of the fork server, by which libraries are configured when they are loaded."""


class ChildKilled(WhohasError):
    """A child process was killed from outside, or ended for an unknown reason: another attempt may succeed."""


@dataclass(frozen=True, slots=True)
class WorkResult:
    """The result that a child reports once all its files are written and synced to disk.

    Attributes:
        files: for each file its `format`, `path`, `bytes`, `rows` and `sha256`.
        notes: warnings about the files, for readers of the run.
        phases: the duration of each phase; see `RunProgress.end_phases`.
        digest: the digest of the rows of its statements; None where it executed none.
        summary: the summary of each part; None where no rows were extracted.
        engine: the engine that executed the statements, with its version; empty where the rows are those of extracts.
    """

    files: list[dict[str, Any]]
    notes: list[str]
    phases: list[dict[str, Any]]
    digest: RowsDigest | None
    summary: tuple[RowsSummary, ...] | None
    engine: str

    @property
    def messages(self) -> tuple[Message, ...]:
        """The notes as messages of the run, each of level WARN."""
        return tuple(Message(MessageLevel.WARN, "file.note", text) for text in self.notes)


class Child:
    """A child process, with the pipes to its stdin and from its stdout. Created by `ForkServer.fork`.

    Its end is seen by a pidfd; its exit code comes from the fork server, which is its parent, over the status socket.
    """

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO, status: socket.socket) -> None:
        """Wait until the fork server has forked the child.

        Args:
            stdin: the pipe to the child's standard input.
            stdout: the pipe from its standard output.
            status: the socket on which the fork server sends its process id and pidfd, and later its exit code.

        Raises:
            OSError: the fork failed. A ConnectionError where the fork server has ended, a TimeoutError where it does
                not answer within `timeouts.CHILD_FORK_SECONDS`.
        """
        self.stdin = stdin
        self.stdout = stdout
        self._status = status
        self._lock = threading.Lock()
        self._code: int | None = None
        self._ended = False
        status.settimeout(timeouts.CHILD_FORK_SECONDS)
        try:
            first, descriptors, _, _ = socket.recv_fds(status, 32, 1)
        except TimeoutError:
            raise TimeoutError(
                f"The process that forks children did not answer within {timeouts.CHILD_FORK_SECONDS:,.0f} seconds."
            ) from None
        if not first:
            raise ConnectionResetError(
                "The process that forks children ended unexpectedly, perhaps for lack of memory."
            )
        self.pid = int(first)
        if self.pid < 0:
            raise OSError(-self.pid, os.strerror(-self.pid))
        (self._process,) = descriptors

    def wait_ended(self, seconds: float = 0.0) -> bool:
        """Return whether the child has ended, after waiting for `seconds` at most."""
        with self._lock:
            return self._wait(seconds)

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal. None while the child runs, and where the fork server has ended too."""
        with self._lock:
            return self._code

    def stop(self) -> None:
        """End the child by SIGTERM, or by SIGKILL after `timeouts.CHILD_TERM_SECONDS`, and wait until it has ended."""
        with self._lock:
            if not self._wait(0.0):
                self._signal(signal.SIGTERM)
                if not self._wait(timeouts.CHILD_TERM_SECONDS):
                    self._signal(signal.SIGKILL)
                    self._wait(None)

    def close(self) -> None:
        """Close the pipes, the status socket and the pidfd. Call it once the child has ended."""
        with self._lock, suppress(BrokenPipeError):
            self.stdout.close()
            self._status.close()
            os.close(self._process)
            self.stdin.close()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)

    def _wait(self, seconds: float | None) -> bool:
        """Wait for the child's end (None: without a limit), read its exit code, and return whether it has ended."""
        if not self._ended and _readable(self._process, seconds):
            self._ended = True
            if _readable(self._status.fileno(), timeouts.CHILD_EXIT_CODE_SECONDS) and (code := self._status.recv(32)):
                self._code = int(code)
        return self._ended


def system_error_message(error: OSError) -> str:
    """Return an error of the operating system, or of the fork server (see `Child`), as a whole sentence."""
    if error.strerror is None:
        return str(error)
    return f"The system refused a file or a process: {error.strerror}."


def _readable(descriptor: int, seconds: float | None) -> bool:
    events = select.poll()
    events.register(descriptor, select.POLLIN)
    return bool(events.poll(None if seconds is None else seconds * 1000))


@dataclass
class ForkServer:
    """A handle on the fork server process (see `whohas.execution.forkserver`), which is started on first use.

    It exits when its worker does, because the socket to it is closed then.

    Attributes:
        command: the command line that starts it.
    """

    command: Sequence[str] = (sys.executable, "-m", "whohas.execution.forkserver")
    _requests: socket.socket | None = None
    _process: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start the fork server, unless it has been started."""
        self._started()

    def fork(self) -> Child:
        """Fork a child, which then waits for its work. Start a new fork server where the present one has ended or
        hangs.

        Raises:
            OSError: the operating system refused the process. A ConnectionError or a TimeoutError where the new fork
                server has ended or hangs too.
        """
        requests = self._started()
        try:
            return _fork(requests)
        except (ConnectionError, TimeoutError):  # it was killed, was refused memory, or hangs
            return _fork(self._started(instead_of=requests))

    def fork_if_started(self) -> Child | None:
        """Fork a spare child, which warms up; return None where the fork server is not running or the fork fails."""
        with self._lock:
            requests = self._requests
        try:
            return None if requests is None else _fork(requests, FORK_AHEAD)
        except OSError:
            return None  # `fork` reports the reason when a child is needed

    def close(self) -> None:
        """Kill the fork server. Call it once all children have ended."""
        with self._lock:
            self._end()

    def _started(self, instead_of: socket.socket | None = None) -> socket.socket:
        """Return the socket to a running fork server, starting one if need be.

        Args:
            instead_of: the socket to a fork server that failed. It is replaced unless another thread has done so.
        """
        with self._lock:
            if self._requests is not None and self._requests is not instead_of:
                return self._requests
            self._end()
            self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                # In a separate process group, Ctrl-C in a terminal does not end children: the worker does when it shuts
                # down. Not in a separate session: Linux's autogroup scheduler divides processor time between sessions
                # first, so the nice value would have no effect against the server.
                self._process = subprocess.Popen(
                    self.command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE if is_logging() else None,
                    process_group=0,
                    env={**os.environ, **_ENVIRONMENT},
                )
            if (stream := self._process.stderr) is not None:
                threading.Thread(target=log_output, args=(stream,), name="output of children", daemon=True).start()
            nice = min(os.getpriority(os.PRIO_PROCESS, 0) + _NICE, 19)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)
            return self._requests

    def _end(self) -> None:
        if self._requests is not None:
            self._requests.close()
        if self._process is not None:
            self._process.kill()  # it keeps no state, and may still be importing modules
            self._process.wait()
        self._requests = self._process = None


def _fork(requests: socket.socket, request: bytes = FORK) -> Child:
    """Ask the fork server for a child, and return it once it is forked; see `forkserver` for the protocol."""
    child_stdin, stdin_end = os.pipe()
    stdout_end, child_stdout = os.pipe()
    status, child_status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    stdin, stdout = os.fdopen(stdin_end, "wb"), os.fdopen(stdout_end, "rb")
    try:
        try:
            socket.send_fds(requests, [request], [child_stdin, child_stdout, child_status.fileno()])
        finally:
            os.close(child_stdin)
            os.close(child_stdout)
            child_status.close()
        return Child(stdin, stdout, status)
    except OSError:
        for stream in (stdin, stdout, status):
            stream.close()
        raise


@dataclass
class ChildPool:
    """The child processes of this worker, so that all can be ended at shutdown: those that are at work, and at most one
    spare child, which was forked before its work was known."""

    fork_server: ForkServer = field(default_factory=ForkServer)
    _busy: set[Child] = field(default_factory=set["Child"])
    _spare: Child | None = None
    _has_spare_thread: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def has_spare(self) -> bool:
        """Whether a spare child waits for work."""
        return self._spare is not None

    @property
    def expects_work(self) -> bool:
        """Whether a spare child waits for work or is being forked."""
        return self._has_spare_thread

    def fork_ahead(self) -> None:
        """Have a spare child ready for the next `fork`, unless there is one. It is ended where it gets no work within
        `timeouts.CHILD_SPARE_SECONDS`.

        Returns at once: a thread forks the child and ends it.
        """
        with self._changed:
            if self._has_spare_thread:
                return
            self._has_spare_thread = True
        try:
            threading.Thread(target=self._keep_spare, name="spare child", daemon=True).start()
        except RuntimeError:  # the operating system refused another thread
            self._has_spare_thread = False

    def _keep_spare(self) -> None:
        """Fork the spare child, wait until it is taken, and end it where it is not taken in time."""
        spare = self.fork_server.fork_if_started()
        with self._changed:
            self._spare = spare
            self._changed.wait_for(lambda: self._spare is None, timeouts.CHILD_SPARE_SECONDS)
            unused, self._spare = self._spare, None
            self._has_spare_thread = False
        if unused is not None:
            unused.stop()
            unused.close()

    def _take_spare(self) -> Child | None:
        with self._changed:
            spare, self._spare = self._spare, None
            self._changed.notify_all()
        return spare

    def fork(self) -> Child:
        """Return a child that waits for its work: the spare one, or a new one. Give it back with `end`.

        Raises:
            OSError: as in `ForkServer.fork`.
        """
        child = self._take_spare()
        if child is not None and child.wait_ended():  # it was killed from outside
            child.close()
            child = None
        child = child or self.fork_server.fork()
        with self._changed:
            self._busy.add(child)
        return child

    def end(self, child: Child) -> None:
        """End a child, wait until it has ended, and close its streams."""
        child.stop()
        with self._changed:
            self._busy.discard(child)
        child.close()

    def end_all(self) -> None:
        """End every child. The thread that took a child still has to call `end`."""
        if (spare := self._take_spare()) is not None:
            spare.stop()
            spare.close()
        with self._changed:
            busy = list(self._busy)
        for child in busy:
            child.stop()

    def close(self) -> None:
        """End every child and the fork server."""
        self.end_all()
        self.fork_server.close()


def watch_child(child: Child, work: Work, seconds: float) -> Generator[dict[str, Any] | WorkResult]:
    """Send a child its work, and yield its progress until it ends; send it heartbeats in the meantime.

    Yields at least every `seconds`: the newest progress (`progress`, `percent`, `rows`; an empty dict before the
    first), and last `WorkResult`. The generator ends without `WorkResult` where the child ended without reporting a
    result: see `exit_reason`. The heartbeats depend on the caller, who must keep iterating.

    Args:
        seconds: the longest time between two yields.

    Raises:
        WhohasError: the child reported a failure; the message says why.
    """
    try:
        child.stdin.write(work.to_line().encode())
        child.stdin.flush()
    except BrokenPipeError:
        return
    lines = _JsonLineReader(child.stdout.fileno())
    facts = dict[str, Any]()
    last_heartbeat = time.monotonic()
    while not lines.ended:
        if time.monotonic() - last_heartbeat > timeouts.CHILD_KEEPALIVE_SECONDS:
            last_heartbeat = time.monotonic()
            with suppress(BrokenPipeError):
                # unbuffered: bytes that a dead child does not read would stay in the buffer, and closing it would fail
                os.write(child.stdin.fileno(), b"\n")
        for facts in lines.read(seconds):
            if "files" in facts:
                digest, summary = facts.pop("digest"), facts.pop("summary")
                yield WorkResult(
                    **facts,
                    digest=None if digest is None else RowsDigest.from_json(digest),
                    summary=None if summary is None else tuple(map(RowsSummary.from_json, summary)),
                )
                return
            if "failed" in facts:
                raise WhohasError(facts["failed"])
        yield facts


def exit_reason(child: Child, memory: MemoryWatch) -> WhohasError:
    """Return the error for a child that ended without reporting a result: `ChildKilled` where a retry may succeed.

    A SIGKILL while memory was used up is not retried, because the same work would probably be killed again.

    Args:
        memory: a watch whose `sample` was called regularly while the child was at work.
    """
    child.wait_ended(timeouts.CHILD_EXIT_CODE_SECONDS)  # its stdout is closed shortly before the process ends
    code = child.exit_code
    if code in (None, -signal.SIGKILL) and memory.was_short():
        return WhohasError(
            "The process of this run was killed by the system: the memory that whohas may use was used up. Give it "
            "more, or let runs take less of it (WHOHAS_RUN_MEMORY, WHOHAS_RUNS_AT_ONCE)."
        )
    if code is None:
        return ChildKilled("The process of this run ended before its work was done, and nobody saw why.")
    if code == EXIT_WORKER_GONE:
        return ChildKilled("The process of this run ended itself, because its worker was silent for too long.")
    if code < 0:
        text = f"The process of this run was killed ({_signal_name(-code)})"
        if -code in _FROM_OUTSIDE:
            return ChildKilled(f"{text} from outside, not by whohas.")
        return WhohasError(f"{text}: it crashed. {_SEE_LOG}")
    return WhohasError(f"The process of this run ended with code {code} before its work was done. {_SEE_LOG}")


_SEE_LOG = "The server's log says more. Start the report again; if that fails too, report it together with the log."
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that come from another process, not from a fault of the child such as SIGSEGV or SIGABRT."""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals
        return f"signal {number}"


class _JsonLineReader:
    """Reads JSON lines from a pipe with a time limit. `ended` is set once the other end has been closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """Return the complete lines that arrive; an empty list if nothing arrives within `seconds`."""
        if self.ended or not _readable(self._descriptor, seconds):
            return []
        data = os.read(self._descriptor, 1 << 16)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]
