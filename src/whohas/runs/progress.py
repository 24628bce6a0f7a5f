"""How far a child is, over all that it has to do, and how long each of its phases took."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from whohas.plurals import counted

_LAST = 99
"""Percent until the files are sealed."""


class Progress:
    """How far the phases of a child's work are, taken together. It never goes back.

    Args:
        say: told `progress`, a sentence; `percent`, 0 to 99; `rows` of the report so far.
        weights: of the phases in their order, each in any unit that they share.
    """

    def __init__(self, say: Callable[..., None], weights: list[float]) -> None:
        self._say = say
        self._weights = [max(weight, 1.0) for weight in weights]
        self._phase = -1
        self._percent = 0
        self._rows = 0
        self._doing = "Starting"
        self._began = 0.0
        self._clock = 0.0
        self._phases: list[dict[str, Any]] = []

    def begin(self, doing: str) -> None:
        """The next phase begins, such as `Extracting`."""
        self._end()
        self._phase += 1
        self._doing = doing
        self._began = time.time()
        self._clock = time.monotonic()
        self.at(0.0, 0)

    def at(self, share: float, rows: int) -> None:
        """The phase is so far: a share of 0 to 1, and rows."""
        done = sum(self._weights[: self._phase]) + self._weights[self._phase] * min(max(share, 0.0), 1.0)
        self._percent = max(self._percent, 1 + int((_LAST - 1) * done / sum(self._weights)))
        self._rows = max(self._rows, rows)
        self._say(progress=f"{self._doing}, {counted(rows, 'row')}", percent=self._percent, rows=self._rows)

    def phases(self) -> list[dict[str, Any]]:
        """The phases up to now, the present one ended: of each `phase`, `began` and `ended` (seconds since 1970),
        and `rows` of the report by its end."""
        self._end()
        return self._phases

    def _end(self) -> None:
        if self._phase >= 0 and self._began:
            ended = self._began + time.monotonic() - self._clock  # whatever becomes of the clock on the wall
            facts = {"phase": self._doing, "began": self._began, "ended": ended, "rows": self._rows}
            self._phases.append(facts)
            self._began = 0.0
