"""Chance in tests: the same in each ordinary run, another one where the environment has a seed (`make properties`)."""

from __future__ import annotations

import os
import random

VARIABLE = "PROPERTIES_SEED"


def seed(usual: int) -> int:
    """The number that a test draws from.

    Args:
        usual: the number of an ordinary run; what tells draws of one run apart.
    """
    given = os.environ.get(VARIABLE)
    return random.Random(f"{given} {usual}").randrange(1 << 31) if given else usual


def examples(usual: int, new: int) -> int:
    """How many examples a test draws of which each takes long: some in an ordinary run, which draws the same each time,
    more where they are new."""
    return new if os.environ.get(VARIABLE) else usual


def chance(usual: int) -> random.Random:
    """A source of numbers; see `seed`."""
    return random.Random(seed(usual))
