"""Unique names of sheets, at most 31 UTF-16 units long and without characters that Excel forbids."""

from __future__ import annotations

import re

SUMMARY, LONG_TEXTS, ABOUT = "Summary", "Long texts", "About"
"""Names of the sheets that do not have the rows of the report. There may be several sheets of long texts."""

MAX_NAME_LENGTH = 31
"""Maximum length of a sheet name, in UTF-16 units."""

_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_RESERVED = ("History",)


class SheetNames:
    """Generates sheet names that are unique within a workbook, regardless of case.

    Args:
        taken: names of sheets that are not generated here.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in (*_RESERVED, *taken)}

    def unique_sheet_name(self, title: str) -> str:
        """Return a new sheet name for a title: `AccountSections` the first time, then `Accounts (2)`."""
        title = _trimmed(_FORBIDDEN.sub(" ", title)) or "Report"
        name, number = _cut(title, MAX_NAME_LENGTH), 1
        while name.casefold() in self._taken:
            number += 1
            end = f" ({number})"
            name = _cut(title, MAX_NAME_LENGTH - len(end)) + end
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
    """Return a title without apostrophes and white space at its ends, which Excel rejects or removes."""
    return title.strip("' \t\n\r")
