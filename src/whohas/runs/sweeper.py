"""The periodic sweep of a worker, which trusts a clock that jumped only after a day.

A clock that is a year ahead by mistake makes all files too old to be kept. So nothing is removed for its age for a day
of running time

- after the clock moved ahead, or back, by more than a day against the time that has passed while this process ran;
- after a start where the newest run, leaving aside the last day, is more than a month old: either the installation was
  idle, which loses nothing by a day, or the clock is wrong.

Running time is measured by the clock that nobody sets. `whohas sweep` removes what it says at once: somebody is there
who can look at the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from whohas import timeouts
from whohas.runs import repository
from whohas.runs.retention import Removed, Retention

_DAY = timeouts.CLOCK_AHEAD_SECONDS

log = structlog.get_logger("whohas.retention")


@dataclass
class Sweeper:
    """Sweep periodically, as long as the clock can be trusted.

    Args:
        wall: the clock that may jump.
        steady: seconds that have passed since some moment, times of suspension included.
    """

    retention: Retention
    wall: Callable[[], datetime] = repository.now
    steady: Callable[[], float] = field(default=lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
    _looked: tuple[datetime, float] = field(init=False)
    _doubtful_since: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._looked = self.wall(), self.steady()
        if self._has_gap(self._looked[0]):
            self._doubt("no run was started for a month before the last day")

    def sweep(self) -> list[Removed]:
        """Remove what is not to be kept, for its age only where the clock can be trusted."""
        return self.retention.sweep(by_age=self._is_trusted())

    def _is_trusted(self) -> bool:
        (wall_before, steady_before), self._looked = self._looked, (self.wall(), self.steady())
        wall, steady = self._looked
        jump = (wall - wall_before).total_seconds() - (steady - steady_before)
        if abs(jump) > _DAY:
            self._doubt(f"the clock jumped by {round(jump):,} seconds")
        if self._doubtful_since is not None and steady - self._doubtful_since >= _DAY:
            self._doubtful_since = None
        return self._doubtful_since is None

    def _doubt(self, reason: str) -> None:
        self._doubtful_since = self._looked[1]
        log.warning(
            "nothing is removed for its age for a day",
            reason=f"{reason}. If {self._looked[0]:%Y-%m-%d %H:%M} UTC is right, there is nothing to do, or sweep at "
            "once with `whohas sweep`; else set the clock.",
        )

    def _has_gap(self, at: datetime) -> bool:
        yesterday = at - timedelta(seconds=_DAY)
        month_before = yesterday - timedelta(seconds=timeouts.CLOCK_GAP_SECONDS)
        with self.retention.database.connect() as connection:
            if repository.has_created(connection, month_before, yesterday):
                return False
            return repository.has_created(connection, None, month_before)
