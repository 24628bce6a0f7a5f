"""The periodic retention sweep of a worker, guarded against a wrong system clock.

A system clock that is a year ahead by mistake would make all files too old to be kept. So nothing is removed because of
its age for a day of running time

- after the system clock moved by more than a day, forwards or backwards, relative to the time that has passed since the
  sweep before;
- after a start where the newest run, apart from those of the last day, is more than a month old: either the
  installation was idle, and waiting a day does no harm, or the clock is wrong.

Running time is measured by the boot-time clock, which cannot be set. The command `whohas sweep` has no such guard: the
administrator who runs it can look at the clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from whohas import timeouts
from whohas.retention.service import Removed, Retention
from whohas.runs import repository

_DAY = timeouts.CLOCK_AHEAD_SECONDS

log = structlog.get_logger("whohas.retention")


@dataclass
class Sweeper:
    """Sweeps periodically; removes by age only while the system clock can be trusted.

    Attributes:
        retention: carries out the sweep.
        system_clock: returns the time of the system clock, which may be set.
        monotonic_clock: returns the seconds since a fixed moment, such as the boot, times of suspension included.
    """

    retention: Retention
    system_clock: Callable[[], datetime] = repository.now
    monotonic_clock: Callable[[], float] = field(default=lambda: time.clock_gettime(time.CLOCK_BOOTTIME))
    _looked: tuple[datetime, float] = field(init=False)
    _doubtful_since: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._looked = self.system_clock(), self.monotonic_clock()
        if self._has_gap(self._looked[0]):
            self._doubt("no run was started for a month before the last day")

    def sweep(self) -> list[Removed]:
        """Sweep, and return what was removed; by age only where the system clock can be trusted."""
        return self.retention.sweep(by_age=self._is_trusted())

    def _is_trusted(self) -> bool:
        """Compare both clocks with the last call, and return whether no jump was found for a day."""
        (wall_before, steady_before), self._looked = self._looked, (self.system_clock(), self.monotonic_clock())
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
        month_before = yesterday - timedelta(seconds=timeouts.CLOCK_IDLE_GAP_SECONDS)
        with self.retention.database.connect() as connection:
            if repository.has_created(connection, month_before, yesterday):
                return False
            return repository.has_created(connection, None, month_before)
