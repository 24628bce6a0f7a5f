"""The native Excel table of a sheet of rows: its part, and the names of its columns (ECMA-376 part 1, 18.5)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from whohas.formats.xlsx.escape import escape
from whohas.formats.xlsx.namespaces import MAIN, SHEET_TYPE, XML
from whohas.formats.xlsx.related_parts import RelatedPart

NAME_LENGTH: Final = 255
"""Maximum length of the name of a table's column in Excel, in UTF-16 units. Its header cell has the same text."""

TABLE_NAME: Final = "ReportRows"
"""Name of the table of the first sheet of rows, for formulas such as `=ROWS(ReportRows)`. Those of further sheets are
`ReportRows2`, `ReportRows3` and so on."""


def table_part(number: int, letters: str, rows: int, names: Sequence[str]) -> RelatedPart:
    """Return the table of a sheet.

    A table has at least one row below its header in Excel, so that the table of a report without rows has an empty one.

    Args:
        number: the number of the table in the workbook, from 1.
        letters: the letters of the last column.
        rows: the number of rows without the header.
        names: the names of the columns as their header cells have them, unique apart from case; see `unique_names`.
    """
    cells = f"A1:{letters}{max(rows, 1) + 1}"
    name = TABLE_NAME if number == 1 else f"{TABLE_NAME}{number}"
    listed = "".join(f'<tableColumn id="{place}" name="{_column_name(name)}"/>' for place, name in enumerate(names, 1))
    text = (
        f'{XML}<table xmlns="{MAIN}" id="{number}" name="{name}" displayName="{name}" ref="{cells}" '
        f'totalsRowShown="0"><autoFilter ref="{cells}"/>'
        f'<tableColumns count="{len(names)}">{listed}</tableColumns>'
        '<tableStyleInfo name="TableStyleLight1" showFirstColumn="0" showLastColumn="0" showRowStripes="1" '
        'showColumnStripes="0"/></table>\n'
    )
    return RelatedPart(f"xl/tables/table{number}.xml", f"{SHEET_TYPE}.table+xml", "table", text)


def _column_name(name: str) -> str:
    """Return a column's name as XML attribute, with line breaks as `_x000a_`: parsers turn them into spaces."""
    return escape(name).replace('"', "&quot;").replace("\n", "_x000a_").replace("\t", "_x0009_")
