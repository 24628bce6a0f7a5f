"""Rules of tests/unit: a test that starts a process or a server fails, and belongs to tests/integration."""

from __future__ import annotations

import multiprocessing.util
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

STARTS: tuple[tuple[Any, str, str], ...] = (
    (subprocess.Popen, "__init__", "subprocess.Popen"),
    (os, "fork", "os.fork"),
    (os, "forkpty", "os.forkpty"),
    (os, "posix_spawn", "os.posix_spawn"),
    (os, "posix_spawnp", "os.posix_spawnp"),
    (os, "system", "os.system"),
    (multiprocessing.util, "spawnv_passfds", "multiprocessing"),
    (socket.socket, "listen", "socket.listen"),
)
"""Each way to start a process or a server: where the function is, its name there, and its name in messages."""
IN_THREADS = pytest.StashKey[list[str]]()
"""Names of the functions of `STARTS` that a test called outside its main thread, where an exception fails no test."""


def _refuse(name: str, in_threads: list[str]) -> Callable[..., None]:
    """Return a function that fails the test which calls it."""

    def refuse(*_: object, **__: object) -> None:
        if threading.current_thread() is not threading.main_thread():
            in_threads.append(name)
        pytest.fail(_message(name))

    return refuse


def _message(name: str) -> str:
    return f"This test calls {name}, and tests/unit starts no process and no server. Move it to tests/integration."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Replace the functions of `STARTS` for one test of this folder and for all fixtures that are set up for it."""
    if Path(__file__).parent not in item.path.parents:  # pytest calls this hook for the tests of other folders too
        return (yield)
    in_threads = item.stash[IN_THREADS] = []
    with pytest.MonkeyPatch.context() as patch:
        for owner, attribute, name in STARTS:
            patch.setattr(owner, attribute, _refuse(name, in_threads))
        return (yield)


@pytest.fixture(autouse=True)
def refused_in_threads(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Fail the test at its end if one of its threads called a function of `STARTS`."""
    names = request.node.stash[IN_THREADS]
    yield names
    if names:
        pytest.fail(_message(names[0]))
