"""How much a search may ask for: past a limit it is refused, and never answered in part."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import Final

from whohas.errors import InvalidArguments
from whohas.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one search, each the setting `search_…` of its name.

    Attributes:
        clauses: of a group, once equal ones, and the values of one field, are merged; all groups of a search may have
            four times as many.
        values: values in the list of one field, which counts as one clause.
        patterns: fuzzy words and regular expressions.
        columns: columns of the file, and fields to sort by.
        statement: characters of the SQL that a search comes to, in one index.
        notes: notes about one search; of more, their number is told.
        plan_seconds: of processor, to read a search and make its SQL.
    """

    clauses: int
    values: int
    patterns: int
    columns: int
    statement: int
    notes: int
    plan_seconds: float

    @staticmethod
    def of(settings: Settings) -> Limits:
        """Return those of an installation."""
        return Limits(*(getattr(settings, f"search_{one.name}") for one in fields(Limits)))


DEFAULT: Final = Limits(*(Settings.model_fields[f"search_{one.name}"].default for one in fields(Limits)))
"""Those of an installation without settings."""


class Meter:
    """Measures the planning of one search, which stays in one thread."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.plan_seconds
        self._ends = time.thread_time() + limits.plan_seconds
        self._steps = 0

    def step(self) -> None:
        """Counts a step, of which each takes far less than a second.

        Raises:
            InvalidArguments: the planning has taken as long as it may.
        """
        self._steps += 1
        if self._steps % 64 == 0 and time.thread_time() > self._ends:
            raise InvalidArguments(
                f"The search takes more than {self._most:g} seconds of processor to plan "
                "(WHOHAS_SEARCH_PLAN_SECONDS): divide it."
            )
