"""Ways to the same file, taken turn by turn, and what each of them took."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

PATIENCE: Final = 25.0
"""Seconds; a way that takes longer once is not asked again."""

_LARGE: Final = 1_000_000
_REST_SECONDS: Final = 3.0
"""Between two turns of so many rows: what one has just written is on the disk by then, and the memory that it has given
back is no longer there for the next to take up without its cost."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn; `own` are the seconds of whohas's worker alone, None for others."""

    seconds: float
    peak_mib: float
    file_bytes: int
    own: float | None = None


@dataclass
class Series:
    """The turns of one way to one kind of file of one size."""

    table: str
    format: str
    rows: int
    by: str
    samples: list[Sample] = field(default_factory=list[Sample])

    @property
    def label(self) -> str:
        """The format as people write it."""
        return "Parquet" if self.format == "parquet" else self.format.upper()

    @property
    def seconds(self) -> float:
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def own(self) -> float | None:
        own = [sample.own for sample in self.samples if sample.own is not None]
        return statistics.median(own) if own else None

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    @property
    def peak_mib(self) -> float:
        return max(sample.peak_mib for sample in self.samples)

    @property
    def spread(self) -> str:
        """The quickest and the slowest turn, and how many there were."""
        all_seconds = sorted(sample.seconds for sample in self.samples)
        if len(all_seconds) == 1:
            return "once"
        return f"{number(all_seconds[0])} to {number(all_seconds[-1])}, {len(all_seconds)} times"


@dataclass(frozen=True, slots=True)
class Way:
    """One way: whose it is, and how to go it once."""

    by: str
    go: Callable[[], Sample]


def take_turns(
    table: str, format: str, rows: int, ways: Sequence[Way], rounds: int, say: Callable[[str], None]
) -> list[Series]:
    """Goes each way once a round, forth and back: what the machine does meanwhile befalls all of them alike."""
    series = [Series(table, format, rows, way.by) for way in ways]
    for number_of_round in range(rounds):
        order = list(zip(ways, series, strict=True))
        for way, one in order if number_of_round % 2 == 0 else reversed(order):
            if one.samples and one.samples[0].seconds > PATIENCE:
                continue
            if rows >= _LARGE:
                os.sync()
                time.sleep(_REST_SECONDS)
            sample = way.go()
            one.samples.append(sample)
            say(
                f"{table:9} {format:12} {rows:>10,} rows  {way.by:28} {sample.seconds:9.3f} s {sample.peak_mib:8,.0f} MiB"
            )
    return series


def number(value: float) -> str:
    """With three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
