"""Limits on the size of a search. A search that exceeds one is rejected, never answered in part."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields
from typing import Final

from whohas.errors import InvalidArguments
from whohas.settings import Settings


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """The limits of one search. Each attribute `x` is the setting `search_x` (`WHOHAS_SEARCH_X`).

    Attributes:
        clauses: clauses of one group, counted after equal ones and the values of one field are merged; all groups of a
            search together may have four times as many.
        values: values in the list of one field, which counts as one clause.
        patterns: fuzzy words and regular expressions.
        columns: columns of the file, and separately fields to sort by.
        statement: characters of the SQL statement for one index.
        notes: notes about one search; further ones are replaced by a note with their number.
        plan_seconds: seconds of processor time to parse a search and to make its SQL.
    """

    clauses: int
    values: int
    patterns: int
    columns: int
    statement: int
    notes: int
    plan_seconds: float

    @staticmethod
    def from_settings(settings: Settings) -> SearchLimits:
        """Return the limits that an installation's settings give."""
        return SearchLimits(*(getattr(settings, f"search_{limit.name}") for limit in fields(SearchLimits)))


DEFAULT_LIMITS: Final = SearchLimits(
    *(Settings.model_fields[f"search_{limit.name}"].default for limit in fields(SearchLimits))
)
"""The limits of an installation that sets none of the settings."""


class PlanningMeter:
    """Measures the processor time of planning one search, which runs in one thread, and enforces the limit."""

    def __init__(self, limits: SearchLimits) -> None:
        self._max_seconds = limits.plan_seconds
        self._deadline = time.thread_time() + limits.plan_seconds
        self._steps = 0

    def step(self) -> None:
        """Count one step of the planning, and check the processor time at every 64th; a step takes far below a second.

        Raises:
            InvalidArguments: the planning has taken more processor time than the limit.
        """
        self._steps += 1
        if self._steps % 64 == 0 and time.thread_time() > self._deadline:
            raise InvalidArguments(
                f"The search takes more than {self._max_seconds:g} seconds of processor time to plan "
                "(WHOHAS_SEARCH_PLAN_SECONDS). Divide it into several searches."
            )
