"""The names of a workbook's sheets: at most 31 characters, some forbidden, and no two the same."""

from __future__ import annotations

import re

LENGTH = 31
"""UTF-16 units that Excel takes into the name of a sheet."""

_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_RESERVED = ("History",)


class Names:
    """The names that are given out, each once, without regard to case.

    Args:
        taken: names that are given out by somebody else.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in (*_RESERVED, *taken)}

    def new(self, title: str) -> str:
        """A name for a sheet of a title: `Accounts`, then `Accounts (2)`."""
        title = _trimmed(_FORBIDDEN.sub(" ", title)) or "Report"
        name, number = _cut(title, LENGTH), 1
        while name.casefold() in self._taken:
            number += 1
            end = f" ({number})"
            name = _cut(title, LENGTH - len(end)) + end
        self._taken.add(name.casefold())
        return name


def quoted(name: str) -> str:
    """Return the name of a sheet, quoted for use in a formula."""
    return "'" + name.replace("'", "''") + "'"


def _cut(title: str, length: int) -> str:
    while len(title.encode("utf-16-le")) > 2 * length:
        title = title[:-1]
    return _trimmed(title)


def _trimmed(title: str) -> str:
    """Without the apostrophes and the space around it, which Excel refuses or drops."""
    return title.strip("' \t\n\r")
