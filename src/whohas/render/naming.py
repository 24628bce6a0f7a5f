"""The names of columns where a format is stricter than a header line."""

from __future__ import annotations

from collections.abc import Sequence

from whohas.engine.statement import Column


def distinct(columns: Sequence[Column]) -> list[str]:
    """Names that differ without regard to case, as engines want them: `mail`, `Mail_2`."""
    names: list[str] = []
    taken = {column.name.casefold() for column in columns}
    seen: set[str] = set()
    for column in columns:
        name, number = column.name, 1
        while name.casefold() in seen:
            number += 1
            name = f"{column.name}_{number}"
            if name.casefold() in taken and name.casefold() not in seen:
                name = column.name  # another column is called so: count on
        seen.add(name.casefold())
        names.append(name)
    return names
