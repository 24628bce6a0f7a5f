"""Unique column names, for formats that allow no empty or duplicate names."""

from __future__ import annotations

from collections.abc import Sequence

from whohas.engine.statement import ResultColumn


def unique_column_names(columns: Sequence[ResultColumn]) -> list[str]:
    """Return one name per column, as `unique_names` does."""
    return unique_names([column.name for column in columns])


def unique_names(names_wanted: Sequence[str]) -> list[str]:
    """Return one name for each: none is empty, and no two are equal apart from case.

    `mail`, `Mail` and an empty name give `mail`, `Mail_2` and `column_3`.
    """
    wanted = [name or f"column_{place}" for place, name in enumerate(names_wanted, 1)]
    names: list[str] = []
    taken = {name.casefold() for name in wanted}
    seen: set[str] = set()
    for first in wanted:
        name, number = first, 1
        while name.casefold() in seen:
            number += 1
            name = f"{first}_{number}"
            if name.casefold() in taken and name.casefold() not in seen:
                name = first  # another column has this name: try the next number
        seen.add(name.casefold())
        names.append(name)
    return names
