"""A test of tests/unit that starts a process or a server fails, and is told where it belongs."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import threading
from collections.abc import Callable

import pytest


def listen() -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (lambda: subprocess.run(["true"]), "subprocess.Popen"),
        (lambda: os.fork(), "os.fork"),  # noqa: PLW0108 - looked up when it is called
        (lambda: os.posix_spawn("/bin/true", ["true"], {}), "os.posix_spawn"),
        (lambda: os.system("true"), "os.system"),  # noqa: S605
        (lambda: multiprocessing.get_context("fork").Process().start(), "os.fork"),
        (lambda: multiprocessing.get_context("spawn").Process().start(), "multiprocessing"),
        (listen, "socket.listen"),
    ],
)
def test_a_start_fails_the_test(start: Callable[[], object], name: str) -> None:
    with pytest.raises(pytest.fail.Exception, match=rf"calls {name}, .* Move it to tests/integration\."):
        start()


def test_a_start_in_a_thread_is_noted(refused_in_threads: list[str]) -> None:
    def start() -> None:
        with pytest.raises(pytest.fail.Exception):
            subprocess.run(["true"])

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert refused_in_threads == ["subprocess.Popen"]
    refused_in_threads.clear()  # what fails the test at its end


def test_a_thread_may_start() -> None:
    seen: list[int] = []
    thread = threading.Thread(target=seen.append, args=(1,))
    thread.start()
    thread.join()
    assert seen == [1]
