"""XML of rows of a sheet, made from whole Arrow columns rather than cell by cell.

Texts are inline strings (`inlineStr`; ECMA-376 part 1, 18.3.1.4), so that a text that begins with `=` stays a text, and
no table of all texts has to be kept in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from whohas.engine.statement import ColumnType, ResultColumn
from whohas.formats.display import display_texts
from whohas.formats.xlsx.arrow import constant_text_column, mask_texts, offsets, pc
from whohas.formats.xlsx.escape import escape, escape_texts
from whohas.formats.xlsx.styles import HEADER, INTEGER, QUOTE_PREFIXED, TIME

_EXACT_INTEGERS = 1 << 53
"""2**53. Cells are doubles, which represent all integers below this exactly; others are written as texts."""

_DAY = 86_400 * 1_000_000
_EPOCH = 25_569
"""1970-01-01 in days since 1899-12-30."""
_FIRST, _END = 61, 2_958_466
"""Days since 1899-12-30 of 1900-03-01, before which spreadsheets differ by a day, and of the day after 9999-12-31."""

_FORMULA = np.isin(np.arange(256), np.frombuffer(b"=+-@", np.uint8))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Cells of one kind of a column; all kinds of a column together have each cell at most once.

    Attributes:
        attributes: XML attributes of the cells.
        values: their XML content; null where a row has no cell of this kind.
        text: whether they are inline strings.
    """

    attributes: str
    values: pa.StringArray
    text: bool = False


def rows_xml(
    columns: Sequence[pa.Array], types: Sequence[ColumnType], first: int, zone: str, boolean: int = 0
) -> memoryview:
    """Return the row elements of a batch, in UTF-8.

    Args:
        columns: the columns of the batch, as returned by `display_columns`.
        types: the type of each column.
        first: number of the first row in the sheet, from 1.
        zone: the IANA time zone of times.
        boolean: style of booleans, as an index into `cellXfs`.
    """
    count = len(columns[0])
    numbers = pa.array(np.arange(first, first + count)).cast(pa.string())
    cells: list[pa.StringArray] = []
    for letters, column, type in zip(map(column_letters, range(len(columns))), columns, types, strict=True):
        for kind in _cells(column, type, zone, boolean):
            begin, end = ('<is><t xml:space="preserve">', "</t></is></c>") if kind.text else ("<v>", "</v></c>")
            begin = f'"{kind.attributes}>{begin}'
            cells.append(_joined(f'<c r="{letters}', numbers, begin, kind.values, end))
    rows = _joined('<row r="', numbers, '">', *cells, "</row>\n", nulls="skip")
    return memoryview(rows.buffers()[2])[: offsets(rows)[-1]]


def display_columns(batch: pa.RecordBatch, columns: Sequence[ResultColumn], zone: str) -> list[pa.Array]:
    """Return the columns of a batch, those of type `text` and lists as display texts; a null is an empty text."""
    return [
        display_texts(values, column.type, zone) if column.type in ("text", "texts") else values
        for values, column in zip(batch.columns, columns, strict=True)
    ]


def row_xml(number: int, values: Sequence[str | int], style: int = 0) -> str:
    """Return the XML of one row of texts and numbers.

    Args:
        number: number of the row, from 1.
        style: style of the texts, as an index into `cellXfs`.
    """
    cells = "".join(cell_xml(number, place, value, _style_of(value, style)) for place, value in enumerate(values))
    return f'<row r="{number}">{cells}</row>\n'


def header_xml(names: Sequence[str], styles: Sequence[int] = ()) -> str:
    """Return the XML of the header row.

    Args:
        names: the texts of the cells.
        styles: the style of each cell; empty for the style of every workbook.
    """
    if not styles:
        return row_xml(1, names, HEADER)
    cells = (cell_xml(1, place, name, style) for place, (name, style) in enumerate(zip(names, styles, strict=True)))
    return f'<row r="1">{"".join(cells)}</row>\n'


def column_letters(place: int) -> str:
    """Return the letters of a column by its index: 0 gives `A`, 25 `Z`, 26 `AA`."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def cell_xml(number: int, place: int, value: str | float, style: int) -> str:
    """Return the XML of one cell.

    Args:
        number: number of the row, from 1.
        place: index of the column.
        value: a text or a number.
        style: its style, as an index into `cellXfs`.
    """
    attribute = f' s="{style}"' if style else ""
    begin = f'<c r="{column_letters(place)}{number}"{attribute}'
    if isinstance(value, str):
        return f'{begin} t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f"{begin}><v>{value}</v></c>"


def is_formula_like(text: str) -> bool:
    """Return whether a spreadsheet may parse a text as a formula when a user edits its cell."""
    return text[:1] in ("=", "+", "-", "@")


def _style_of(value: str | int, style: int) -> int:
    if isinstance(value, int):
        return INTEGER
    return QUOTE_PREFIXED if not style and is_formula_like(value) else style


def _joined(*parts: pa.StringArray | str, nulls: str = "emit_null") -> pa.StringArray:
    arrays = [constant_text_column(part) if isinstance(part, str) else part for part in (*parts, "")]
    return pc.binary_join_element_wise(*arrays, null_handling=nulls)


def _cells(column: pa.Array, type: ColumnType, zone: str, boolean: int) -> Iterator[_Cells]:
    match type:
        case "text" | "texts":
            yield from _texts(column)
        case "boolean":
            style = f' s="{boolean}"' if boolean else ""
            yield _Cells(f'{style} t="b"', pc.if_else(column, constant_text_column("1"), constant_text_column("0")))
        case "integer":
            integers = np.asarray(column.fill_null(0))
            fits = (integers > -_EXACT_INTEGERS) & (integers < _EXACT_INTEGERS)
            yield from _numbers(column, column.cast(pa.string()), fits, INTEGER, type, zone)
        case "time":
            days = _days(column, zone)
            # a spreadsheet would show dates outside of its calendar wrongly, so they are written as texts
            fits = (days >= _FIRST) & (days < _END)
            yield from _numbers(column, pa.array(days).cast(pa.string()), fits, TIME, type, zone)


def _texts(values: pa.StringArray) -> Iterator[_Cells]:
    values = escape_texts(values)
    places = offsets(values)
    filled = places[1:] > places[:-1]
    if not filled.any():
        return
    data = np.frombuffer(values.buffers()[2], np.uint8)
    formula = filled.copy()
    formula[filled] = _FORMULA[data[places[:-1][filled]]]
    yield _Cells(' t="inlineStr"', mask_texts(values, filled & ~formula), text=True)
    if formula.any():
        # `quotePrefix`, because some spreadsheets parse a text as a formula when a user edits its cell
        yield _Cells(f' s="{QUOTE_PREFIXED}" t="inlineStr"', mask_texts(values, formula), text=True)


def _numbers(
    column: pa.Array, values: pa.StringArray, fits: np.ndarray, style: int, type: ColumnType, zone: str
) -> Iterator[_Cells]:
    valid = np.asarray(column.is_valid())
    yield _Cells(f' s="{style}"', mask_texts(values, valid & fits))
    if not fits[valid].all():
        others = pc.if_else(pa.array(fits), None, column)
        yield _Cells(' t="inlineStr"', mask_texts(display_texts(others, type, zone), valid & ~fits), text=True)


def _days(column: pa.TimestampArray, zone: str) -> np.ndarray:
    """Return local times as days since 1899-12-30; the value of a null is undefined."""
    local = pc.local_timestamp(column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone)))
    return np.asarray(local.cast(pa.int64()).fill_null(0)) / _DAY + _EPOCH
