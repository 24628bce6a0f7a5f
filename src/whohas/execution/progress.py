"""The progress of a child's work as one percentage over all its phases, and the duration of each phase."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from whohas.plurals import pluralize

_LAST = 99
"""The highest percentage that is reported; 100 is written with the end of the run."""


class RunProgress:
    """Reports the progress of a child's work. The percentage and the number of rows never decrease.

    Example: with the weights 3 and 1, a second phase that is half done has done 3.5 of 4: 1 + int(98 * 3.5 / 4) = 86 %.

    Args:
        say: called with `progress` (a sentence such as "Extracting, 1,200,000 rows"), `percent` (1 to 99) and `rows`
            (of the report so far).
        weights: the expected effort of each phase, in order, in a unit that all share.
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

    def begin_phase(self, doing: str) -> None:
        """End the present phase and begin the next, with a name such as `Extracting`."""
        self._end()
        self._phase += 1
        self._doing = doing
        self._began = time.time()
        self._clock = time.monotonic()
        self.update(0.0, 0)

    def update(self, share: float, rows: int) -> None:
        """Report that a share (0 to 1) of the present phase is done, and how many rows it has processed."""
        done = sum(self._weights[: self._phase]) + self._weights[self._phase] * min(max(share, 0.0), 1.0)
        self._percent = max(self._percent, 1 + int((_LAST - 1) * done / sum(self._weights)))
        self._rows = max(self._rows, rows)
        self._say(progress=f"{self._doing}, {pluralize(rows, 'row')}", percent=self._percent, rows=self._rows)

    def end_phases(self) -> list[dict[str, Any]]:
        """End the present phase, and return all phases so far: for each its `phase` (name), `began` and `ended`
        (seconds since 1970), and `rows` (the highest number of rows reported by its end)."""
        self._end()
        return self._phases

    def _end(self) -> None:
        if self._phase >= 0 and self._began:
            ended = self._began + time.monotonic() - self._clock  # right also where the system clock is set
            facts = {"phase": self._doing, "began": self._began, "ended": ended, "rows": self._rows}
            self._phases.append(facts)
            self._began = 0.0
