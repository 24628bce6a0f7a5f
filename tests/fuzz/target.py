"""What a parser is held to, in every module alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from hypothesis.strategies import SearchStrategy

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 2.0
"""Of processor that one short input may take: far above what any needs, so that a slow machine finds nothing."""
SECONDS_PER_CHARACTER = 1e-4
"""What each character adds. An input of 20,000 characters whose cost grows with the square takes more."""


@dataclass(frozen=True, slots=True)
class Check:
    """A way in which a parser is tried.

    Attributes:
        inputs: draws what it is given.
        each: gives it what was drawn, and fails if it does not do what it should; returns for each input that was made
            of that whether it was accepted.
    """

    inputs: SearchStrategy[Any]
    each: Callable[[Any], Iterable[bool]]


def single(inputs: SearchStrategy[Any], check: Callable[[Any], bool]) -> Check:
    """Return a check of one input each time."""
    return Check(inputs, lambda one: (check(one),))


def measured(size: int, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Return what a call gives, and fail if it takes more processor time than an input of its size may.

    Garbage that is collected in between is no work of the call, and does not come three times.
    """
    most = SECONDS + size * SECONDS_PER_CHARACTER
    taken = 0.0
    for _ in range(3):
        begun = time.thread_time()
        found, failure = _outcome(act, *arguments, **named)
        taken = time.thread_time() - begun
        if taken <= most:
            if failure is not None:
                raise failure
            return cast("T", found)
    raise AssertionError(f"{size:,} characters took {taken:.1f} s of processor; {most:.1f} s is the most")


def _outcome(act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> tuple[T, None] | tuple[None, Exception]:
    try:
        return act(*arguments, **named), None
    except Exception as error:
        return None, error
