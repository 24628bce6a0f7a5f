"""Child processes of runs: forked, given their work, followed, ended."""

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
from whohas.errors import WhohasError
from whohas.logs import are_json, log_output
from whohas.runs.memory import MemoryWatch
from whohas.runs.model import Level, Message
from whohas.runs.plans import Digest
from whohas.runs.work import ALONE, Work

_NICE = 10
"""How much more a child gives way than its worker, from its first moment on."""

_ENVIRONMENT = {
    # Arrow's allocator takes a gibibyte of address space at once, of which a child's limit would count every byte
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
    # one thread alone, of which every child is a whole copy
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "OPENBLAS_NUM_THREADS": "1",
}
"""What libraries are told in the process that children are forked from."""


class ChildKilled(WhohasError):
    """A child was killed from outside: the work itself is not at fault."""


@dataclass(frozen=True, slots=True)
class Done:
    """The last word of a child that has made its files.

    Attributes:
        files: of each `format`, `path`, `bytes`, `rows` and `sha256`.
        notes: what a reader of the run should know of them.
        phases: how long each took; see `Progress.phases`.
        digest: of the rows of its statements; None where it had none to run.
    """

    files: list[dict[str, Any]]
    notes: list[str]
    phases: list[dict[str, Any]]
    digest: Digest | None

    @property
    def messages(self) -> tuple[Message, ...]:
        """The notes, as a run keeps them."""
        return tuple(Message(Level.WARN, "file.note", text) for text in self.notes)


class Child:
    """A child process, with the streams to it and from it. Made by `ForkServer.fork`."""

    def __init__(self, stdin: BinaryIO, stdout: BinaryIO, told: socket.socket) -> None:
        """Args:
            told: where the fork server tells of it.

        Raises:
            OSError: it was not forked; a ConnectionError where the fork server has ended, a TimeoutError where it
                hangs.
        """
        self.stdin = stdin
        self.stdout = stdout
        self._told = told
        self._lock = threading.Lock()
        self._code: int | None = None
        self._ended = False
        told.settimeout(timeouts.CHILD_FORK_SECONDS)
        first, descriptors, _, _ = socket.recv_fds(told, 32, 1)
        if not first:
            raise ConnectionResetError("The process that forks children has ended.")
        self.pid = int(first)
        if self.pid < 0:
            raise OSError(-self.pid, os.strerror(-self.pid))
        (self._process,) = descriptors

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, which is waited for as long."""
        with self._lock:
            return self._gone(seconds)

    @property
    def code(self) -> int | None:
        """The exit code of a child that has ended, negative for a signal; None where the fork server has ended too."""
        with self._lock:
            return self._code

    def stop(self) -> None:
        """Ends it, if it has not ended, and returns when it is gone."""
        with self._lock:
            if not self._gone(0.0):
                self._signal(signal.SIGTERM)
                if not self._gone(timeouts.CHILD_TERM_SECONDS):
                    self._signal(signal.SIGKILL)
                    self._gone(None)

    def close(self) -> None:
        """Lets go of a child that has ended."""
        with self._lock, suppress(BrokenPipeError):
            self.stdout.close()
            self._told.close()
            os.close(self._process)
            self.stdin.close()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, number)

    def _gone(self, seconds: float | None) -> bool:
        if not self._ended and _readable(self._process, seconds):
            self._ended = True
            if _readable(self._told.fileno(), timeouts.CHILD_EXIT_CODE_SECONDS) and (code := self._told.recv(32)):
                self._code = int(code)
        return self._ended


def _readable(descriptor: int, seconds: float | None) -> bool:
    events = select.poll()
    events.register(descriptor, select.POLLIN)
    return bool(events.poll(None if seconds is None else seconds * 1000))


@dataclass
class ForkServer:
    """The process that children are forked from; see `whohas.runs.forkserver`. It is started when it is needed, and
    ends with its worker.

    Attributes:
        command: by which it is started.
    """

    command: Sequence[str] = (sys.executable, "-m", "whohas.runs.forkserver")
    _asking: socket.socket | None = None
    _process: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Starts it, unless it runs."""
        self._started()

    def fork(self) -> Child:
        """A child that waits for its work.

        Raises:
            OSError: the system refuses it.
        """
        asking = self._started()
        try:
            return _forked(asking)
        except (ConnectionError, TimeoutError):  # it was killed, or the system refused it memory, or it hangs
            return _forked(self._started(instead_of=asking))

    def close(self) -> None:
        """Ends it. Its children have ended before."""
        with self._lock:
            self._end()

    def _started(self, instead_of: socket.socket | None = None) -> socket.socket:
        with self._lock:
            if self._asking is not None and self._asking is not instead_of:
                return self._asking
            self._end()
            self._asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                # a process group of its own keeps a terminal's Ctrl-C from it: its worker decides. Not a session: Linux
                # shares the processors out among sessions first, and being niced would count for nothing against the
                # server
                self._process = subprocess.Popen(
                    self.command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE if are_json() else None,
                    process_group=0,
                    env={**os.environ, **_ENVIRONMENT},
                )
            if (stream := self._process.stderr) is not None:
                threading.Thread(target=log_output, args=(stream,), name="output of children", daemon=True).start()
            nice = min(os.getpriority(os.PRIO_PROCESS, 0) + _NICE, 19)
            os.setpriority(os.PRIO_PROCESS, self._process.pid, nice)
            return self._asking

    def _end(self) -> None:
        if self._asking is not None:
            self._asking.close()
        if self._process is not None:
            self._process.kill()  # it has nothing to lose, and may be loading still
            self._process.wait()
        self._asking = self._process = None


def _forked(asking: socket.socket) -> Child:
    work, stdin = os.pipe()
    stdout, words = os.pipe()
    told, tell = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    to, of = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
    try:
        try:
            socket.send_fds(asking, [b"f"], [work, words, tell.fileno()])
        finally:
            os.close(work)
            os.close(words)
            tell.close()
        return Child(to, of, told)
    except OSError:
        for one in (to, of, told):
            one.close()
        raise


@dataclass
class Children:
    """Child processes that are at work."""

    fork_server: ForkServer = field(default_factory=ForkServer)
    _busy: set[Child] = field(default_factory=set["Child"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Child:
        """A child that waits for its work.

        Raises:
            OSError: the system refuses it.
        """
        child = self.fork_server.fork()
        with self._lock:
            self._busy.add(child)
        return child

    def end(self, child: Child) -> None:
        """Ends a child and returns when it is gone."""
        child.stop()
        with self._lock:
            self._busy.discard(child)
        child.close()

    def end_all(self) -> None:
        """Ends every child; whoever has taken it lets go of it."""
        with self._lock:
            busy = list(self._busy)
        for child in busy:
            child.stop()

    def close(self) -> None:
        """Ends every child, and what they are forked from."""
        self.end_all()
        self.fork_server.close()


def follow(child: Child, work: Work, seconds: float) -> Generator[dict[str, Any] | Done]:
    """Gives a child its work, and tells again and again how far it is: its newest facts, empty before the first;
    `Done` is the last. It ends without `Done` where the child ends without a word: see `died`.

    Args:
        seconds: from one telling to the next, at most.

    Raises:
        WhohasError: the child failed; the message says why.
    """
    try:
        child.stdin.write(work.to_line().encode())
        child.stdin.flush()
    except BrokenPipeError:
        return
    lines = _Lines(child.stdout.fileno())
    facts = dict[str, Any]()
    told = time.monotonic()
    while not lines.ended:
        if time.monotonic() - told > timeouts.CHILD_WORD_SECONDS:
            told = time.monotonic()
            with suppress(BrokenPipeError):
                # past the buffer, which would keep what a dead child does not take and fail with it when it is closed
                os.write(child.stdin.fileno(), b"\n")
        for facts in lines.read(seconds):
            if "files" in facts:
                digest = facts.pop("digest")
                yield Done(**facts, digest=None if digest is None else Digest.from_json(digest))
                return
            if "failed" in facts:
                raise WhohasError(facts["failed"])
        yield facts


def died(child: Child, memory: MemoryWatch) -> WhohasError:
    """Return the error of a child that has ended without a word: `ChildKilled` where another attempt may do better.

    Args:
        memory: looked at while the child was at work.
    """
    child.ended(timeouts.CHILD_EXIT_CODE_SECONDS)  # its streams end before it does
    code = child.code
    if code in (None, -signal.SIGKILL) and memory.was_short():
        return WhohasError(
            "The process of this run was killed by the system: the memory that whohas may use was used up. Give it "
            "more, or let runs take less of it (WHOHAS_RUN_MEMORY, WHOHAS_RUNS_AT_ONCE)."
        )
    if code is None:
        return ChildKilled("The process of this run ended before its work was done, and nobody saw why.")
    if code == ALONE:
        return ChildKilled("The process of this run ended itself, because its worker was silent for too long.")
    if code < 0:
        text = f"The process of this run was killed ({_signal_name(-code)})"
        if -code in _FROM_OUTSIDE:
            return ChildKilled(f"{text} from outside, not by whohas.")
        return WhohasError(f"{text}: it broke. The server's log says more.")
    return WhohasError(
        f"The process of this run ended with code {code} before its work was done. The server's log says more."
    )


_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
"""Signals that nobody gets by a fault of their own."""


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one of the real-time signals
        return f"signal {number}"


class _Lines:
    """JSON lines from a pipe, without ever waiting longer than asked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """The lines that came; none if nothing came in that time."""
        if self.ended or not _readable(self._descriptor, seconds):
            return []
        data = os.read(self._descriptor, 1 << 16)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]
