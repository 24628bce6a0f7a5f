"""The content of a readable page: key figures, charts, and a table with groups of rows or sections of columns.

Example of a group of IDENTITIES_DETAILS, whose rows are accounts:

    Ann Lee   Email: ann@example.com   Department: Sales
    Account   Source             Disabled
    ann       Active Directory   false
    a.lee     Ledger             true
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from markupsafe import Markup

from whohas.engine.statement import ResultColumn, group_title
from whohas.formats.base import Extract, WriteOptions
from whohas.formats.html.table_rows import first_rows, row_cells
from whohas.formats.markup import html_text, plain_text
from whohas.formats.readable import ColumnChoice
from whohas.formats.summary_markup import breakdown_content, figure_content

_NO_TITLE = "(none)"


@dataclass(frozen=True, slots=True)
class TableLayout:
    """The layout of the table of a readable page. Columns are indexes into those of the extract.

    Attributes:
        choice: the columns that the page shows.
        table: the columns of the table.
        heading: the columns in the heading of each group, the title first; none if the rows are not grouped.
        identity: the columns whose values all rows of a group have in common.
    """

    choice: ColumnChoice
    table: tuple[int, ...]
    heading: tuple[int, ...] = ()
    identity: tuple[int, ...] = ()

    @property
    def table_columns(self) -> tuple[ResultColumn, ...]:
        """The columns of the table."""
        return tuple(self.choice.columns[place] for place in self.table)


def table_layout(choice: ColumnChoice, group: str) -> TableLayout:
    """Return the layout of a table.

    Rows are grouped by the section of the group column: its columns are in the heading of each group, and the others in
    the table. Where all columns that are shown are in that section, the rows are not grouped.

    Args:
        choice: the columns that the page shows.
        group: the name of the column by which the rows are grouped; empty for none.
    """
    columns = choice.columns
    found = next((place for place, column in enumerate(columns) if column.name == group), None)
    if not group or found is None:
        return TableLayout(choice, choice.shown)
    section = columns[found].section
    identity = tuple(
        place for place, column in enumerate(columns) if place == found or (section and column.section == section)
    )
    table = tuple(place for place in choice.shown if place not in identity)
    if not table:
        return TableLayout(choice, choice.shown)
    title = group_title(columns, group)
    heading = sorted((place for place in choice.shown if place in identity), key=lambda n: columns[n].name != title)
    return TableLayout(choice, table, tuple(heading) or (found,), identity)


def readable_content(extract: Extract, layout: TableLayout, shown: int, options: WriteOptions) -> dict[str, Any]:
    """Return what the template of a readable page needs in addition to the facts on the run.

    Args:
        extract: the rows and their summary.
        layout: the layout of the table.
        shown: the number of rows that the page shows.
        options: the write options of the run.
    """
    summary = extract.summary
    headings = layout.choice.headings_of(layout.table)
    return {
        "figures": [figure_content(figure) for figure in summary.figures] if summary else [],
        "breakdowns": [
            breakdown_content(breakdown, f"chart-{number}")
            for number, breakdown in enumerate(summary.breakdowns if summary else (), 1)
        ],
        "sections": _sections(layout),
        "headings": [
            (html_text(heading), plain_text(column.name))
            for heading, column in zip(headings, layout.table_columns, strict=True)
        ],
        "body": (_grouped if layout.heading else _ungrouped)(extract, layout, shown, options),
    }


def _sections(layout: TableLayout) -> list[tuple[Markup, int]]:
    """Return the sections of the columns of the table, each with its number of columns; none if there is only one.

    A section whose columns do not stand together occurs several times.
    """
    found = [
        (html_text(section), len(list(columns)))
        for section, columns in groupby(layout.table_columns, lambda column: column.section)
    ]
    return found if len(found) > 1 else []


def _ungrouped(extract: Extract, layout: TableLayout, shown: int, options: WriteOptions) -> Iterator[Markup]:
    yield Markup("<tbody>\n")
    for row in first_rows(extract, layout.table, shown, options):
        yield Markup("<tr>%s</tr>\n") % row_cells(layout.table_columns, row)
    yield Markup("</tbody>\n")


def _grouped(extract: Extract, layout: TableLayout, shown: int, options: WriteOptions) -> Iterator[Markup]:
    """Yield a body of the table for each group: a row with its heading, and the rows of the group.

    A new group begins where any value of its section differs, so that no value of a row is lost even where two groups
    have the same title.
    """
    width, columns = len(layout.table), layout.table_columns
    places = (*layout.identity, *layout.heading, *layout.table)
    first = len(layout.identity)
    nothing = layout.choice.nothing_in(layout.table)
    rows = first_rows(extract, places, shown, options)
    for _, group in groupby(rows, lambda row: row[:first]):
        opened = False
        for row in group:
            if not opened:
                yield _group_heading(layout, row[first:-width], width)
                opened = True
            cells = row[-width:]
            if any(cells):
                yield Markup("<tr>%s</tr>\n") % row_cells(columns, cells)
            else:
                yield Markup('<tr><td colspan="%s" class="none">%s</td></tr>\n') % (width, nothing)
        yield Markup("</tbody>\n")


def _group_heading(layout: TableLayout, texts: tuple[str, ...], width: int) -> Markup:
    """Return the begin of a group's body: its title, and `Label: value` of its other columns that have a value."""
    title, *values = texts
    labels = layout.choice.headings_of(layout.heading)[1:]
    facts = Markup("").join(
        Markup(" <span><span>%s:</span> %s</span>") % (html_text(label), html_text(value))
        for label, value in zip(labels, values, strict=True)
        if value
    )
    return Markup('<tbody>\n<tr class="group"><th scope="rowgroup" colspan="%s"><div><b>%s</b>%s</div></th></tr>\n') % (
        width,
        html_text(title or _NO_TITLE),
        facts,
    )
