"""How long tests wait, in one place: no test depends on how fast the machine is.

- A test waits for what must come about with `until`, which returns at once when it has. `PATIENCE_SECONDS` only says
  after how long a test that hangs fails: longer than a machine needs that is busy with thirty other programs.
- A test shows that something does not come about by an event after which it could not come any more, where there is one.
- A test asserts no time from above. That something is quick is shown by what it does: rows read, calls made, and times
  of `timeouts` that are set so long that a test which waited for them would fail.

`test_patience.py` holds tests to this.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 600
"""How long anything may take: an answer, a command, the start of a server, a run of a million rows in a child of low
priority. Never a time that an ordinary test takes."""
NEVER_SECONDS = 100 * PATIENCE_SECONDS
"""A time of whohas that a test sets so long that it does not come: a test which waited for it would fail."""
_LONGEST_PAUSE_SECONDS = 0.1
"""From one look to the next, where nothing came about for a while: looking is work, which what is waited for lacks."""

T = TypeVar("T")


def until(what: Callable[[], T], log: Callable[[], object] | None = None) -> T:
    """Return what a function returns, as soon as that is true.

    Args:
        log: what is shown where it does not come about.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = 0.002
    while not (found := what()):
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come about; {log() if log else found}")
        time.sleep(pause)
        pause = min(1.3 * pause, _LONGEST_PAUSE_SECONDS)
    return found
