"""Seeded chance without state: what is drawn for number n depends on the seed, a stream's name and n alone.

Any part of the organisation can therefore be worked out again at any time, and nothing has to be kept.
The mixing function is the finaliser of SplitMix64.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Words = npt.NDArray[np.object_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@cache
def _key(seed: int, stream: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of one seed."""

    seed: int

    def bits(self, stream: str, at: Numbers) -> npt.NDArray[np.uint64]:
        """64 even bits for every number in `at`."""
        mixed = (at.astype(np.uint64) + np.uint64(1)) * _GOLDEN + np.uint64(_key(self.seed, stream))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        return mixed ^ (mixed >> np.uint64(31))

    def pick(self, stream: str, at: Numbers, count: int | Numbers) -> Numbers:
        """A whole number from 0 to `count` - 1 for every number in `at`."""
        return (self.bits(stream, at) >> np.uint64(33)).astype(np.int64) % count

    def chance(self, stream: str, at: Numbers, permille: int | Numbers) -> Flags:
        """True for about `permille` of 1,000."""
        return self.pick(stream, at, 1000) < permille

    def ids(self, kind: str, at: Numbers) -> list[str]:
        """Ids of 32 lower-case hex digits."""
        halves = np.empty((at.size, 2), dtype=">u8")
        halves[:, 0] = self.bits(f"{kind}/high", at)
        halves[:, 1] = self.bits(f"{kind}/low", at)
        digits = halves.tobytes().hex()
        return [digits[start : start + 32] for start in range(0, len(digits), 32)]


def numbers(*values: int) -> Numbers:
    return np.array(values, dtype=np.int64)


def words(values: list[str] | tuple[str, ...]) -> Words:
    return np.array(values, dtype=object)


def take(choices: Words, at: Numbers) -> list[str]:
    return choices[at].tolist()


def every(at: Numbers, period: int, phase: int) -> Flags:
    """True for one number in `period`, so that rare things are there in a small organisation too."""
    return at % period == phase
