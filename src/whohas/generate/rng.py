"""Stateless random numbers: a draw for object number n depends only on the seed, the name of a stream and n.

Any part of the organization can therefore be computed again at any time, such as the name of an identity's manager in
another chunk, and nothing has to be kept in memory. The mixing function is the finaliser of SplitMix64.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
TextArray = npt.NDArray[np.object_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


@cache
def _key(seed: int, stream: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}/{stream}".encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class RandomStream:
    """A source of random numbers with one seed. Each method takes a stream's name and an array of object numbers."""

    seed: int

    def bits(self, stream: str, at: IntArray) -> npt.NDArray[np.uint64]:
        """Return 64 uniformly distributed bits for every number in `at`."""
        mixed = (at.astype(np.uint64) + np.uint64(1)) * _GOLDEN + np.uint64(_key(self.seed, stream))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
        return mixed ^ (mixed >> np.uint64(31))

    def integers(self, stream: str, at: IntArray, count: int | IntArray) -> IntArray:
        """Return an integer from 0 to `count` - 1 for every number in `at`."""
        return (self.bits(stream, at) >> np.uint64(33)).astype(np.int64) % count

    def booleans(self, stream: str, at: IntArray, permille: int | IntArray) -> BoolArray:
        """Return a boolean for every number in `at`, true for about `permille` of 1,000."""
        return self.integers(stream, at, 1000) < permille

    def ids(self, kind: str, at: IntArray) -> list[str]:
        """Return an id of 32 lower-case hex digits for every number in `at`."""
        halves = np.empty((at.size, 2), dtype=">u8")
        halves[:, 0] = self.bits(f"{kind}/high", at)
        halves[:, 1] = self.bits(f"{kind}/low", at)
        digits = halves.tobytes().hex()
        return [digits[start : start + 32] for start in range(0, len(digits), 32)]


def integer_array(*values: int) -> IntArray:
    """Return an array of integers."""
    return np.array(values, dtype=np.int64)


def text_array(values: list[str] | tuple[str, ...]) -> TextArray:
    """Return an array of texts."""
    return np.array(values, dtype=object)


def choose(choices: TextArray, at: IntArray) -> list[str]:
    """Return the choice at each index in `at`."""
    return choices[at].tolist()


def one_in(at: IntArray, period: int, phase: int) -> BoolArray:
    """Return a boolean for every number in `at`: true for those with the remainder `phase` on division by `period`.

    Used for rare cases instead of `booleans`, so that even a small organization has some.
    """
    return at % period == phase
