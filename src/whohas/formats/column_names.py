"""The names of columns where a format is stricter than a header line."""

from __future__ import annotations

from collections.abc import Sequence

from whohas.engine.statement import Column


def distinct(columns: Sequence[Column]) -> list[str]:
    """Names that differ without regard to case, none empty, as engines want them: `mail`, `Mail_2`, `column_3`."""
    wanted = [column.name or f"column_{place}" for place, column in enumerate(columns, 1)]
    names: list[str] = []
    taken = {name.casefold() for name in wanted}
    seen: set[str] = set()
    for first in wanted:
        name, number = first, 1
        while name.casefold() in seen:
            number += 1
            name = f"{first}_{number}"
            if name.casefold() in taken and name.casefold() not in seen:
                name = first  # another column is called so: count on
        seen.add(name.casefold())
        names.append(name)
    return names
