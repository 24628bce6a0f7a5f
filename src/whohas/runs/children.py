"""Child processes of runs: started, warm, given their work, followed, ended."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from whohas.errors import WhohasError
from whohas.runs.model import Level, Message
from whohas.runs.work import Work

_TERM_SECONDS = 0.5
"""How long a child has after SIGTERM before SIGKILL."""

_WORD_SECONDS = 1.0
"""How often a child is told that its worker is there; see `child.LONELY_SECONDS`."""

_NICE = 10
"""How much more a child gives way than its worker, from its first moment on: it gets ready, too, while the server
answers."""

_ENVIRONMENT = {"MIMALLOC_ARENA_EAGER_COMMIT": "0"}
"""Arrow's allocator takes a gibibyte of address space at once, of which the child's limit would count every byte."""

Child = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Done:
    """The last word of a child that has made its files.

    Attributes:
        files: of each `format`, `path`, `bytes`, `rows` and `sha256`.
        notes: what a reader of the run should know of them.
        phases: how long each took; see `Progress.phases`.
    """

    files: list[dict[str, Any]]
    notes: list[str]
    phases: list[dict[str, Any]]

    @property
    def messages(self) -> tuple[Message, ...]:
        """The notes, as a run keeps them."""
        return tuple(Message(Level.WARN, "file.note", text) for text in self.notes)


@dataclass
class Children:
    """Child processes: one waits, warm, so that the next run starts without delay."""

    _waiting: Child | None = None
    _busy: set[Child] = field(default_factory=set["Child"])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Child:
        """A child that waits for its work; `warm` has another wait in its stead."""
        with self._lock:
            child = self._waiting if self._waiting is not None and self._waiting.poll() is None else _spawn()
            self._waiting = None
            self._busy.add(child)
            return child

    def warm(self) -> None:
        """Starts the child that waits, if none does."""
        with self._lock:
            if self._waiting is None or self._waiting.poll() is not None:
                self._waiting = _spawn()

    def end(self, child: Child) -> None:
        """Ends a child and returns when it is gone."""
        _stop(child)
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                pipe.close()
        with self._lock:
            self._busy.discard(child)

    def close(self) -> None:
        """Ends every child, working or waiting."""
        with self._lock:
            busy = list(self._busy)
            waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self.end(waiting)
        for child in busy:
            _stop(child)  # its pipes are read by the attempt that has it


def _stop(child: Child) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_TERM_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _spawn() -> Child:
    # a process group of its own keeps a terminal's Ctrl-C from it: its worker decides. Not a session: Linux shares the
    # processors out among sessions first, and being niced would count for nothing against the server
    child = subprocess.Popen(
        [sys.executable, "-m", "whohas.runs.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        process_group=0,
        env={**os.environ, **_ENVIRONMENT},
    )
    os.setpriority(os.PRIO_PROCESS, child.pid, min(os.getpriority(os.PRIO_PROCESS, 0) + _NICE, 19))
    return child


def follow(child: Child, work: Work, seconds: float) -> Generator[dict[str, Any] | Done]:
    """Gives a child its work, and tells again and again how far it is: its newest facts, empty before the first;
    `Done` is the last. It ends without `Done` where the child ends without a word: see `died`.

    Args:
        seconds: from one telling to the next, at most.

    Raises:
        WhohasError: the child failed; the message says why.
    """
    assert child.stdin is not None and child.stdout is not None
    try:
        child.stdin.write(work.to_line().encode())
        child.stdin.flush()
    except BrokenPipeError:
        return
    lines = _Lines(child.stdout.fileno())
    facts = dict[str, Any]()
    told = time.monotonic()
    while not lines.ended:
        if time.monotonic() - told > _WORD_SECONDS:
            told = time.monotonic()
            with suppress(BrokenPipeError):
                # past the buffer, which would keep what a dead child does not take and fail with it when it is closed
                os.write(child.stdin.fileno(), b"\n")
        for facts in lines.read(seconds):
            if "files" in facts:
                yield Done(**facts)
                return
            if "failed" in facts:
                raise WhohasError(facts["failed"])
        yield facts


def died(child: Child) -> str:
    """Why a child has ended without a word, as a sentence."""
    code = child.wait()
    if code < 0:
        name = signal.Signals(-code).name
        return f"The process of this run was killed ({name}), most likely because the machine ran out of memory."
    return f"The process of this run ended with code {code} before its work was done. The server's log says more."


class _Lines:
    """JSON lines from a pipe, without ever waiting longer than asked."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        self.ended = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(descriptor, selectors.EVENT_READ)

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """The lines that came; none if nothing came in that time."""
        if self.ended or not self._selector.select(seconds):
            return []
        data = os.read(self._descriptor, 1 << 16)
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]
