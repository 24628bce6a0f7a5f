"""The runner of `make fuzz` finds what fails, and tells it in its smallest form."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import strategies as st

from fuzz.__main__ import fuzz
from fuzz.drawing import fuzzed
from fuzz.target import measured, single


def test_a_text_that_fails_is_told_in_its_smallest_form() -> None:
    def check(text: str) -> bool:
        if "{" in text and "}" in text:
            raise KeyError("braces")
        return True

    count = fuzz((fuzzed(st.just("a word {b}"), ("{", "}"), check),), math.inf, seed=1, most_rounds=1)
    assert "KeyError: 'braces'" in count.found
    assert "The smallest text: '{}'" in count.found


def test_inputs_are_counted_and_the_seed_repeats_them() -> None:
    seen: list[list[int]] = []
    for _ in range(2):
        drawn: list[int] = []
        check = single(st.integers(0, 10**9), lambda number, drawn=drawn: drawn.append(number) is None and number > 0)
        count = fuzz((check,), math.inf, seed=5, size=20, most_rounds=2)
        assert not count.found
        assert count.inputs == len(drawn) > 20
        seen.append(drawn)
    assert seen[0] == seen[1]


def test_an_error_is_raised_and_what_takes_too_long_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="wrong"):
        measured(1, lambda: int("wrong"))
    now = iter(range(0, 10**6, 1_000))
    monkeypatch.setattr(time, "thread_time", lambda: next(now))
    with pytest.raises(AssertionError, match=r"1,000 characters took 1000\.0 s of processor; 2\.1 s is the most"):
        measured(1_000, str)
