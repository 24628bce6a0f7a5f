"""A signal that asks a server or worker to stop."""

from __future__ import annotations

import signal
import threading
import time

from chance import chance
from patience import PATIENCE_SECONDS
from whohas.cli.waiting import StopRequest


def test_a_signal_is_told_to_whoever_asks_again() -> None:
    stop = StopRequest()
    assert not stop.wait(0)
    stop.on_signal(signal.SIGTERM, None)
    assert [stop.wait(0), stop.wait(), stop.wait(0.1)] == [True, True, True]


def test_a_signal_at_any_moment_of_a_wait_ends_it() -> None:
    draw = chance(3)
    before = signal.getsignal(signal.SIGUSR1)
    try:
        for _ in range(300):
            stop = StopRequest()
            signal.signal(signal.SIGUSR1, stop.on_signal)
            pause = draw.random() / 5000

            def ask(pause: float = pause) -> None:
                time.sleep(pause)
                # a signal from outside goes to the main thread, one from a thread of this process may go to that
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

            thread = threading.Thread(target=ask)
            thread.start()
            assert stop.wait(PATIENCE_SECONDS)
            thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
