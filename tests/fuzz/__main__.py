"""Fuzz parsers one after another for some seconds each: `python -m fuzz --seconds 600 --seed 1 query cron`."""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from fuzz.parsers import PARSERS, checks
from fuzz.target import Check

ROUND = 50
"""What hypothesis draws in one go; each round has a seed of its own, made of that of the run and its number."""

LINE = 2_000
"""Characters that are shown of a line of what was found."""


@dataclass
class Count:
    """What became of the inputs of a parser."""

    inputs: int = 0
    accepted: int = 0
    found: str = ""


def main() -> int:
    """Fuzz what the command line names; the exit code is 1 if anything was found."""
    options = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    options.add_argument("parsers", nargs="*", metavar="PARSER", help=f"some of {', '.join(PARSERS)}; all by default")
    options.add_argument("--seconds", type=float, default=600, help="for each parser")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--draws", type=int, help="so many draws in each way that a parser is tried, however long")
    asked = options.parse_args()
    if unknown := [name for name in asked.parsers if name not in PARSERS]:
        options.error(f"there is no parser {unknown[0]!r}; there are {', '.join(PARSERS)}")
    failed = False
    for name in asked.parsers or PARSERS:
        ways = checks(name)
        if asked.draws:
            count = fuzz(ways, math.inf, asked.seed, asked.draws, len(ways))
        else:
            count = fuzz(ways, asked.seconds, asked.seed)
        failed = failed or bool(count.found)
        share = count.accepted / max(1, count.inputs)
        print(
            f"{name:<12} {count.inputs:>9,} inputs, {share:.0%} of them accepted: "
            + (f"FOUND\n{count.found}" if count.found else "nothing found"),
            flush=True,
        )
    return failed


def fuzz(
    ways: tuple[Check, ...], seconds: float, seed: int, size: int = ROUND, most_rounds: int | None = None
) -> Count:
    """Try a parser in each of its ways in turn for so long, and stop at the first round in which an input fails.

    Args:
        size: what is drawn in a round.
        most_rounds: after which it ends early.
    """
    count = Count()
    ends = time.monotonic() + seconds
    drawn = settings(
        max_examples=size,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    for number in itertools.count():
        if time.monotonic() >= ends or number == most_rounds:
            return count
        check = ways[number % len(ways)]
        test = drawn(given(check.inputs)(_counted(check, count, ends)))
        try:
            seeded(seed * 1_000_003 + number)(test)()
        except Exception:
            found = traceback.format_exc(limit=-8)
            count.found = "\n".join(line[:LINE] for line in found.splitlines())
            return count
    raise AssertionError("unreachable")


def _counted(check: Check, count: Count, ends: float) -> Callable[[object], None]:
    def one(drawn: object) -> None:
        if time.monotonic() >= ends and not count.found:
            return  # the rest of the round
        for accepted in check.each(drawn):
            count.inputs += 1
            count.accepted += accepted

    return one


if __name__ == "__main__":
    sys.exit(main())
