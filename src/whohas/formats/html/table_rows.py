"""Rows of an extract as display texts, and as rows of an HTML table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from markupsafe import Markup

from whohas.engine.statement import ResultColumn
from whohas.formats.base import Extract, WriteOptions
from whohas.formats.display import display_texts
from whohas.formats.markup import html_text

_PROGRESS_ROWS = 1_000
"""Number of rows between two progress reports."""
_CELLS, _BATCH_BYTES = 1 << 14, 1 << 20


def display_rows(extract: Extract, places: Sequence[int], options: WriteOptions) -> Iterator[tuple[str, ...]]:
    """Yield the rows as display texts; only one batch is in memory at a time.

    Args:
        extract: the rows.
        places: the columns, as indexes in the order wanted.
        options: the write options of the run.
    """
    zone, readable = options.zone, options.detail == "readable"
    for batch in extract.batches(extract.batch_size(_CELLS, _BATCH_BYTES)):
        cells = [
            display_texts(batch.column(place), extract.rows.columns[place].type, zone, readable).to_pylist()
            for place in places
        ]
        yield from zip(*cells, strict=True)


def first_rows(extract: Extract, places: Sequence[int], count: int, options: WriteOptions) -> Iterator[tuple[str, ...]]:
    """Yield the first rows as `display_rows` does, and report the progress.

    Args:
        extract: the rows.
        places: the columns, as indexes in the order wanted.
        count: the number of rows.
        options: the write options of the run.
    """
    for number, row in enumerate(islice(display_rows(extract, places, options), count), 1):
        yield row
        if number % _PROGRESS_ROWS == 0 or number == count:
            extract.on_rows(number)


def row_cells(columns: Sequence[ResultColumn], row: Sequence[str]) -> Markup:
    """Return the cells of a row. Those of key columns are marked as row headers, for screen readers."""
    tags = ('th scope="row"' if column.key else "td" for column in columns)
    cells = (f"<{tag}>{html_text(text)}</{tag[:2]}>" for tag, text in zip(tags, row, strict=True))
    return Markup("".join(cells))  # noqa: S704 - each text is escaped
