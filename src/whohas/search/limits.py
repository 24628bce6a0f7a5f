"""How much a search may ask for: past a limit it is refused, and never answered in part."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

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
    """

    clauses: int
    values: int
    patterns: int
    columns: int
    statement: int
    notes: int

    @staticmethod
    def of(settings: Settings) -> Limits:
        """Return those of an installation."""
        return Limits(*(getattr(settings, f"search_{one.name}") for one in fields(Limits)))


DEFAULT: Final = Limits(*(Settings.model_fields[f"search_{one.name}"].default for one in fields(Limits)))
"""Those of an installation without settings."""
