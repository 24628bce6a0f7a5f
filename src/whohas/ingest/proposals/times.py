"""Detect the time formats in a column's cells, as `strptime` patterns or names that the mapping's key `times` takes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

ISO: Final = ""
"""Stands for the formats that a load parses without the key `times`: RFC 3339 and its short forms."""

_CLOCKS: Final = (
    ("", ""),
    (r" \d{1,2}:\d\d", " %H:%M"),
    (r" \d{1,2}:\d\d:\d\d", " %H:%M:%S"),
    (r" \d{1,2}:\d\d [AaPp][Mm]", " %I:%M %p"),
    (r" \d{1,2}:\d\d:\d\d [AaPp][Mm]", " %I:%M:%S %p"),
)
_DATES: Final = (
    (r"\d{1,2}\.\d{1,2}\.\d{4}", "%d.%m.%Y"),
    (r"\d{1,2}\.\d{1,2}\.\d{2}", "%d.%m.%y"),
    (r"\d{1,2}/\d{1,2}/\d{4}", "%m/%d/%Y"),
    (r"\d{1,2}/\d{1,2}/\d{4}", "%d/%m/%Y"),
    (r"\d{1,2}/\d{1,2}/\d{2}", "%m/%d/%y"),
    (r"\d{1,2}/\d{1,2}/\d{2}", "%d/%m/%y"),
    (r"\d{1,2}-\d{1,2}-\d{4}", "%d-%m-%Y"),
    (r"\d{1,2}-\d{1,2}-\d{4}", "%m-%d-%Y"),
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    (r"\d{1,2}-[A-Za-z]{3}-\d{4}", "%d-%b-%Y"),
    (r"\d{1,2}-[A-Za-z]{3}-\d{2}", "%d-%b-%y"),
    (r"\d{1,2} [A-Za-z]{3} \d{4}", "%d %b %Y"),
    (r"\d{1,2} [A-Za-z]{4,9} \d{4}", "%d %B %Y"),
    (r"[A-Za-z]{3} \d{1,2}, \d{4}", "%b %d, %Y"),
    (r"[A-Za-z]{4,9} \d{1,2}, \d{4}", "%B %d, %Y"),
    (r"(19|20)\d{6}", "%Y%m%d"),
)
_ISO: Final = r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?([Zz]|[+-]\d\d(:?\d\d)?))?)?"
_NAMED: Final = (
    ("ldap", r"(19|20)\d{8}(\d\d(\d\d)?)?([.,]\d+)?(Z|[+-]\d\d(\d\d)?)"),
    ("filetime", r"0|1[0-4]\d{16}|9223372036854775807"),
    ("milliseconds", r"\d{12,13}"),
    ("seconds", r"[1-4]?\d{9}"),
)


def _shapes() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return each format with the pattern of its cells: first ISO, then each date with each clock, then numbers."""
    found = [(ISO, re.compile(_ISO))]
    for shape, form in _DATES:
        clocks = _CLOCKS if form != "%Y%m%d" else _CLOCKS[:1]
        found += [(form + written, re.compile(shape + clock)) for clock, written in clocks]
    return (*found, *((name, re.compile(shape)) for name, shape in _NAMED))


_SHAPES: Final = _shapes()
_ORDER: Final = {form: rank for rank, (form, _) in enumerate(_SHAPES)}
_DIGITS: Final = str.maketrans("123456789", "0" * 9)


@dataclass(frozen=True, slots=True)
class TimeFormats:
    """The time formats of a column's cells.

    Attributes:
        formats: formats for the key `times`, or `ISO`, which needs no key. The one that parses most cells comes first.
        parsed_cells: number of cells that one of the formats parses.
        examined_cells: number of filled cells that were examined.
        ambiguous_with: a format with day and month exchanged that parses as many cells, so that the order is uncertain;
            or None.
        has_local_times: whether cells have a time of day without an offset from UTC.
        unparsed: up to three cells that no format parses.
    """

    formats: tuple[str, ...]
    parsed_cells: int
    examined_cells: int
    ambiguous_with: str | None = None
    has_local_times: bool = False
    unparsed: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of examined cells that the formats parse, 0 to 1."""
        return self.parsed_cells / self.examined_cells if self.examined_cells else 0.0


def detect_time_formats(cells: Sequence[tuple[str, int]]) -> TimeFormats | None:
    """Return the time formats of a column, or None if fewer than half of its cells are times.

    Chooses formats greedily: the one that parses most cells first, then the one that parses most of the rest, and so
    on. A format is only chosen for at least two new cells (one, in a column of fewer than ten cells), and only if it
    does not contradict a chosen one. Example: `31.12.2024`, `01.02.2024`, `2024-03-01`, each five times, gives
    `%d.%m.%Y` for ten cells and then `ISO` for five.

    Args:
        cells: the distinct values of the column, each with its number of cells.
    """
    of = sum(n for _, n in cells)
    likely = [(text, n) for text, n in cells if len(text) <= 40 and text[-1:] and any(map(str.isdigit, text))]
    if sum(n for _, n in likely) * 2 < of:
        return None
    alike: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    left: list[tuple[str, int, frozenset[str]]] = []
    for text, n in cells:
        key = text.translate(_DIGITS)
        if key not in alike:
            # Values that differ only in digits are tested once, except for patterns that require certain digits:
            # those are kept as candidates here, and `_has` tests them for each value.
            alike[key] = [item for item in _SHAPES if item[1].fullmatch(text) or item[0] in _CERTAIN]
        left.append((text, n, frozenset(form for form, shape in alike[key] if _has(text, form, shape))))
    formats: list[str] = []
    read, other, local = 0, None, False
    while left:
        gains: dict[str, int] = {}
        for _, n, has in left:
            for form in has:
                gains[form] = gains.get(form, 0) + n
        best = max(gains, key=lambda form: (gains[form], -_ORDER[form]), default=None)
        if best is None or gains[best] < (2 if of >= 10 else 1) or any(_contradict(best, form) for form in formats):
            break
        if other is None:
            other = next((form for form in gains if _contradict(form, best) and gains[form] == gains[best]), None)
        local = local or "%H" in best or "%I" in best
        if best == ISO:
            local = local or any(ISO in has and _LOCAL.search(text) is not None for text, _, has in left)
        formats.append(best)
        read += gains[best]
        left = [item for item in left if best not in item[2]]
    if read * 2 < of:
        return None
    return TimeFormats(tuple(formats), read, of, other, local, tuple(text for text, _, _ in left[:3]))


_CERTAIN: Final = frozenset({"%Y%m%d", *(name for name, _ in _NAMED)})
_LOCAL: Final = re.compile(r":\d\d(\.\d+)?$")


def _has(text: str, form: str, shape: re.Pattern[str]) -> bool:
    if not shape.fullmatch(text):
        return False
    if "%" not in form:
        return True
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


def _contradict(first: str, second: str) -> bool:
    """Return whether two formats read the same text as different days, as `%d/%m/%Y` and `%m/%d/%Y` do."""
    pairs = (("%d/%m/", "%m/%d/"), ("%d-%m-", "%m-%d-"))
    return any(
        (first.startswith(a) and second.startswith(b)) or (first.startswith(b) and second.startswith(a))
        for a, b in pairs
    )


def are_numeric(times: TimeFormats) -> bool:
    """Return whether all formats are plain numbers, which are only taken for times if the column's name says so."""
    return set(times.formats) <= {"seconds", "milliseconds", "%Y%m%d", "filetime"} and "filetime" not in times.formats
