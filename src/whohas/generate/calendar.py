"""Dates and times as text, given as a number of days before the reference date."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from whohas.generate.rng import IntArray, RandomStream, TextArray, choose, text_array

DAYS_BACK = 9000
"""The number of days before the reference date that a calendar has."""
DAYS_AHEAD = 200
"""The number of days after the reference date that a calendar has."""
_TIMES = 2048


@dataclass(frozen=True, slots=True)
class Calendar:
    """Precomputed texts of all dates and of a sample of times of day.

    Creation times are in the morning and changes in the afternoon, so that a change on the day of creation comes later.

    Attributes:
        draws: random numbers that choose the times of day.
        days: the dates as `YYYY-MM-DD`, the latest first.
        mornings: times of day from 06:00 to 11:00, as `THH:MM:SS.mmmZ`.
        evenings: times of day from 13:00 to 18:00.
    """

    draws: RandomStream
    days: TextArray
    mornings: TextArray
    evenings: TextArray

    @classmethod
    def of(cls, reference: date, draws: RandomStream) -> Calendar:
        """Return the calendar around a reference date."""
        last = reference + timedelta(days=DAYS_AHEAD)
        days = [(last - timedelta(days=n)).isoformat() for n in range(DAYS_BACK + DAYS_AHEAD)]
        return cls(draws, text_array(days), _times(draws, "morning", 6), _times(draws, "evening", 13))

    def dates(self, ago: IntArray) -> list[str]:
        """Return the dates that are `ago` days before the reference date, as `YYYY-MM-DD`."""
        return choose(self.days, ago + DAYS_AHEAD)

    def morning_times(self, stream: str, at: IntArray, ago: IntArray) -> list[str]:
        """Return times in the morning, `ago` days before the reference date, in RFC 3339.

        Args:
            stream: name of the random stream that chooses the times of day.
            at: numbers of the objects.
            ago: days before the reference date, one for each object.
        """
        return self._moments(stream, at, ago, self.mornings)

    def afternoon_times(self, stream: str, at: IntArray, ago: IntArray) -> list[str]:
        """Return times in the afternoon; otherwise as `morning_times`."""
        return self._moments(stream, at, ago, self.evenings)

    def _moments(self, stream: str, at: IntArray, ago: IntArray, times: TextArray) -> list[str]:
        chosen = choose(times, self.draws.integers(stream, at, _TIMES))
        return [day + time for day, time in zip(self.dates(ago), chosen, strict=True)]


def _times(draws: RandomStream, stream: str, first_hour: int) -> TextArray:
    milliseconds = draws.integers(stream, np.arange(_TIMES), 5 * 3_600_000).tolist()
    return text_array([_time(first_hour * 3_600_000 + ms) for ms in milliseconds])


def _time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}Z"
