"""Dates and times as text, counted back from the day of reference."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from whohas.generate.draws import Draws, Numbers, Words, take, words

LONGEST = 9000
"""Days that a calendar goes back."""
AHEAD = 200
"""Days that it goes on after the day of reference."""
_TIMES = 2048


@dataclass(frozen=True, slots=True)
class Calendar:
    """Every text that a date can have.

    Attributes:
        draws: where the times of the day come from.
        days: `YYYY-MM-DD`, from the last day back.
        mornings: times before noon: when things are created.
        evenings: times after noon: when they are changed.
    """

    draws: Draws
    days: Words
    mornings: Words
    evenings: Words

    @classmethod
    def of(cls, reference: date, draws: Draws) -> Calendar:
        last = reference + timedelta(days=AHEAD)
        days = [(last - timedelta(days=n)).isoformat() for n in range(LONGEST + AHEAD)]
        return cls(draws, words(days), _times(draws, "morning", 6), _times(draws, "evening", 13))

    def dates(self, ago: Numbers) -> list[str]:
        """Days `ago` before the day of reference, as dates."""
        return take(self.days, ago + AHEAD)

    def early(self, stream: str, at: Numbers, ago: Numbers) -> list[str]:
        """Days ago, in the morning, as RFC 3339."""
        return self._moments(stream, at, ago, self.mornings)

    def late(self, stream: str, at: Numbers, ago: Numbers) -> list[str]:
        """Days ago, after noon, as RFC 3339."""
        return self._moments(stream, at, ago, self.evenings)

    def _moments(self, stream: str, at: Numbers, ago: Numbers, times: Words) -> list[str]:
        chosen = take(times, self.draws.pick(stream, at, _TIMES))
        return [day + time for day, time in zip(self.dates(ago), chosen, strict=True)]


def _times(draws: Draws, stream: str, first_hour: int) -> Words:
    milliseconds = draws.pick(stream, np.arange(_TIMES), 5 * 3_600_000).tolist()
    return words([_time(first_hour * 3_600_000 + ms) for ms in milliseconds])


def _time(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}Z"
