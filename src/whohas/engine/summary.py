"""The summary of a report: key figures and breakdowns, as SQL aggregates over the rows of a run, and their results.

A report defines them (`SummaryDefinition`), and a child process computes them over the extract of a run
(`RowsSummary`). PDF, XLSX, HTML and the console show them. Plain data, so that they can be stored and sent to another
process as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from whohas.json_values import field_values

MAX_CATEGORIES: Final = 10
"""The most categories of a breakdown that are listed; the others are added up."""

NO_VALUE: Final = "(none)"
"""The category of rows without a value."""

NO_DATE: Final = "no date"
"""The category of rows without a time, where they are counted by age."""


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A number about the rows of a report, such as that of disabled accounts.

    Attributes:
        name: its name for programs, such as `disabled`; unique in a summary.
        label: its name for people, such as `Disabled accounts`.
        doc: its meaning in one sentence, for the reference pages.
        sql: an aggregate over the view `report_rows` that gives an integer, such as `count_if(disabled)`.
        columns: the columns that `sql` reads. The figure is left out of a run that does not have all of them.
        of: an aggregate that gives the number of which this is a share, such as the rows of which the data says whether
            they count; empty for a number that is no share. If it is 0 although there are rows, the figure is left out.
    """

    name: str
    label: str
    doc: str
    sql: str
    columns: tuple[str, ...] = ()
    of: str = ""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The rows of a report counted by category, such as accounts by source and state.

    Attributes:
        name: its name for programs; unique in a summary.
        label: its name for people, such as `Accounts by source`.
        doc: its meaning in one sentence, for the reference pages.
        sql: a query over the view `report_rows` with the columns category (text), series (text) and number (integer). A
            category has a row for each of its series.
        columns: the columns that `sql` reads; see `KeyFigure.columns`.
        series: the possible series in the order in which they are shown; a single one with an empty name if the
            categories are not divided.
        order: the categories in the order in which they are shown, such as ages from the youngest to the oldest. Empty
            if they are sorted by number, the largest first.
    """

    name: str
    label: str
    doc: str
    sql: str
    columns: tuple[str, ...]
    series: tuple[str, ...] = ("",)
    order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SummaryDefinition:
    """The key figures and breakdowns of a report, in the order in which they are shown.

    Attributes:
        figures: the key figures.
        breakdowns: the breakdowns.
        parameters: the values of the named parameters in their SQL (`$now`).
        groups: the column by which rows are grouped, then columns with one value in all rows of a group. If there are
            any, figures can read the table `report_groups`, which has a row for each group.
    """

    figures: tuple[KeyFigure, ...] = ()
    breakdowns: tuple[Breakdown, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    groups: tuple[str, ...] = ()

    def restricted_to(self, columns: Sequence[str]) -> SummaryDefinition:
        """Return the figures and breakdowns that can be computed from rows that have only these columns."""
        available = set(columns)
        return SummaryDefinition(
            tuple(figure for figure in self.figures if available.issuperset(figure.columns)),
            tuple(breakdown for breakdown in self.breakdowns if available.issuperset(breakdown.columns)),
            self.parameters,
            tuple(filter(available.__contains__, self.groups)) if available.issuperset(self.groups[:1]) else (),
        )

    def with_parameters(self, parameters: Mapping[str, Any]) -> SummaryDefinition:
        """Return the definition with values for its parameters, without the figures and breakdowns that name others.

        Args:
            parameters: name and value of each. Those that nothing names are dropped.
        """
        figures = tuple(figure for figure in self.figures if _named(figure.sql, figure.of) <= set(parameters))
        breakdowns = tuple(breakdown for breakdown in self.breakdowns if _named(breakdown.sql) <= set(parameters))
        names = _named(*(text for figure in figures for text in (figure.sql, figure.of)), *(b.sql for b in breakdowns))
        return SummaryDefinition(figures, breakdowns, {name: parameters[name] for name in sorted(names)}, self.groups)

    def to_json(self) -> dict[str, Any]:
        """Return the definition as a JSON object."""
        return {
            "figures": [field_values(figure) for figure in self.figures],
            "breakdowns": [field_values(breakdown) for breakdown in self.breakdowns],
            "parameters": dict(self.parameters),
            "groups": list(self.groups),
        }

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> SummaryDefinition:
        """Return the definition that `to_json` wrote."""
        return SummaryDefinition(
            tuple(KeyFigure(**_as_tuples(figure)) for figure in document["figures"]),
            tuple(Breakdown(**_as_tuples(breakdown)) for breakdown in document["breakdowns"]),
            document["parameters"],
            tuple(document.get("groups", ())),  # runs of earlier versions have none
        )


def _named(*sql: str) -> set[str]:
    """Return the names of the parameters in some SQL."""
    return {name for text in sql for name in re.findall(r"\$(\w+)", text)}


EMPTY_SUMMARY: Final = SummaryDefinition()
"""The definition without any figure or breakdown."""


@dataclass(frozen=True, slots=True)
class FigureValue:
    """The value of a key figure.

    Attributes:
        name: the figure's name.
        label: its name for people.
        value: the number.
        of: the number of which it is a share; None if it is no share.
    """

    name: str
    label: str
    value: int
    of: int | None = None

    @property
    def percent(self) -> float | None:
        """The share in percent, 0 to 100; None if the figure is no share, or of nothing."""
        return 100 * self.value / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Category:
    """One category of a breakdown.

    Attributes:
        name: its name for people.
        numbers: its number in each series.
    """

    name: str
    numbers: tuple[int, ...]

    @property
    def total(self) -> int:
        """Its number over all series."""
        return sum(self.numbers)


@dataclass(frozen=True, slots=True)
class BreakdownValue:
    """The categories of a breakdown, at most `MAX_CATEGORIES`.

    Attributes:
        name: the breakdown's name.
        label: its name for people.
        series: the names of the series that occur; a single empty name if the categories are not divided.
        categories: the categories, in the order in which they are shown.
        further: how many more categories there are.
        others: the number of those further categories, in each series.
    """

    name: str
    label: str
    series: tuple[str, ...]
    categories: tuple[Category, ...]
    further: int
    others: tuple[int, ...]

    @property
    def informative(self) -> bool:
        """Whether there is a category other than that of rows without a value."""
        return any(category.name not in (NO_VALUE, NO_DATE) for category in self.categories)

    @property
    def divided(self) -> bool:
        """Whether the categories are divided into series, of which perhaps only one occurs."""
        return self.series != ("",)

    @property
    def charted(self) -> bool:
        """Whether a chart of it is of use: a single bar is not."""
        return len(self.rows) > 1

    @property
    def rows(self) -> tuple[Category, ...]:
        """The categories, followed by one for the further ones if there are any."""
        return (*self.categories, Category(f"{self.further:,} more", self.others)) if self.further else self.categories


@dataclass(frozen=True, slots=True)
class RowsSummary:
    """The summary of the rows of a run, or of one part of it.

    Attributes:
        part: the name of the part; empty where there is no zip.
        rows: the number of rows.
        figures: the key figures.
        breakdowns: the breakdowns, without those that have no category, or only that of rows without a value.
    """

    part: str
    rows: int
    figures: tuple[FigureValue, ...] = ()
    breakdowns: tuple[BreakdownValue, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the summary as a JSON object."""
        return asdict(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> RowsSummary:
        """Return the summary that `to_json` wrote."""
        return RowsSummary(
            document["part"],
            document["rows"],
            tuple(FigureValue(**figure) for figure in document["figures"]),
            tuple(map(_breakdown, document["breakdowns"])),
        )


def breakdown_value(definition: Breakdown, counted: Sequence[tuple[str | None, str, int]]) -> BreakdownValue:
    """Return the value of a breakdown from the rows of its query.

    Args:
        definition: the breakdown.
        counted: category, series and number of each row. A category that is null or blank is shown as `NO_VALUE`.
    """
    numbers: dict[str, dict[str, int]] = {}
    for category, series, number in counted:
        name = category if category and category.strip() else NO_VALUE
        in_series = numbers.setdefault(name, {})
        in_series[series] = in_series.get(series, 0) + number
    present = tuple(series for series in definition.series if any(series in found for found in numbers.values()))
    all_categories = [
        Category(name, tuple(found.get(series, 0) for series in present)) for name, found in numbers.items()
    ]
    places = {name: place for place, name in enumerate(definition.order)}
    if places:
        all_categories.sort(key=lambda category: places.get(category.name, len(places)))
    else:
        all_categories.sort(key=lambda category: (-category.total, category.name))
    further = all_categories[MAX_CATEGORIES:]
    return BreakdownValue(
        definition.name,
        definition.label,
        present,
        tuple(all_categories[:MAX_CATEGORIES]),
        len(further),
        tuple(sum(category.numbers[place] for category in further) for place in range(len(present))),
    )


def _breakdown(document: Mapping[str, Any]) -> BreakdownValue:
    categories = tuple(Category(**_as_tuples(category)) for category in document["categories"])
    fields: dict[str, Any] = {**_as_tuples(document), "categories": categories}
    return BreakdownValue(**fields)


def _as_tuples(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object with its lists as tuples, as the data classes have them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
