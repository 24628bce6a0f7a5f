"""Detect footer rows at the end of a table, such as `Total,2,,`, by their words and their empty cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from whohas.ingest.readers.batches import RowBatch, RowError

FOOTER_START = re.compile(
    r"\W*(grand total|totals?|sum|summe|gesamt\w*|anzahl|report|erstellt|erzeugt|generated|exported|export|end of|ende|"
    r"fin de|fin du|count|records|rows|datens\w+|stand|page|seite|printed|nombre de lignes|total general|"
    r"generado|g[ée]n[ée]r[ée]|vertraulich|confidential|\*{3,}|-{3,}|={3,})(?!\w)",
    re.IGNORECASE,
)
"""Matches the beginning of a cell that is typical of a footer."""
_NUMBER = re.compile(r"[\d.,:/%'\s+-]*\d[\d.,:/%'\s+-]*")
_SENTENCE_WORDS = 3
"""How many words a first cell needs at least to be a sentence instead of a name."""
_MOST_ROWS = 5
"""How many rows at the end are examined."""
_SAMPLE = 100
"""How many rows are examined for the usual number of filled cells."""


def is_footer(cells: Sequence[str], usual: float) -> bool:
    """Return whether a row at the end of a table, with as many cells as other rows, is a footer.

    Its first filled cell begins with a word such as Total, and it has fewer filled cells than other rows. All other
    filled cells are numbers. It has a digit, or its only filled cell is a sentence.

    Args:
        usual: how many cells of other rows are filled.
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled or len(filled) >= usual or not FOOTER_START.match(filled[0]):
        return False
    if not all(_NUMBER.fullmatch(cell) for cell in filled[1:]):
        return False
    return any(c.isdigit() for cell in filled for c in cell) or (
        len(filled) == 1 and len(filled[0].split()) >= _SENTENCE_WORDS
    )


class FooterDetector:
    """Rejects the footer rows of a file, as far as they have as many cells as other rows.

    Args:
        text: formats a row as in the file, for the rejection.
        key: the setting in a mapping that controls the footer, such as `[csv] footer`.

    Attributes:
        rows: how many rows at the end were rejected from the first footer row on, those with too few cells included.
    """

    def __init__(self, text: Callable[[list[str]], str], key: str) -> None:
        self._text = text
        self._key = key
        self.rows = 0

    def reject_footer(self, batches: Iterator[RowBatch]) -> Iterator[RowBatch]:
        """Yield the batches, with footer rows as errors; the last batch with rows is held back to examine it."""
        waiting: list[RowBatch] = []
        counts: list[int] = []
        for batch in batches:
            if batch.data.num_rows:
                if len(counts) < _SAMPLE:
                    counts += _filled_cells(batch.data.slice(0, _SAMPLE))
                yield from waiting
                waiting = []
            waiting.append(batch)
        if waiting:
            yield self._without_footer(waiting[0], counts)
            yield from waiting[1:]
        if self.rows:
            self.rows += sum(fault.cell_text is None for batch in waiting[1:] for fault in batch.row_errors)

    def _without_footer(self, batch: RowBatch, counts: list[int]) -> RowBatch:
        rows = batch.data.num_rows
        if len(counts) < 2 or batch.data.num_columns < 2:
            return batch
        footers: list[RowError] = []
        usual = float(np.median(counts))
        for row in range(rows - 1, max(rows - 1 - _MOST_ROWS, -1), -1):
            cells = [column[row].as_py() for column in batch.data.columns]
            if not is_footer(cells, usual):
                break
            reason = f"looks like a footer; if it is data, set {self._key} = 0 in a mapping"
            footers.append(RowError(int(batch.record_numbers[row]), "", reason, self._text(cells)))
        if not footers:
            return batch
        first = min(fault.record_number for fault in footers)
        rejected = {fault.record_number for fault in footers}
        faults = [fault for fault in batch.row_errors if fault.record_number not in rejected]
        self.rows = len(footers) + sum(fault.cell_text is None and fault.record_number > first for fault in faults)
        kept = rows - len(footers)
        faults = sorted((*faults, *footers), key=lambda fault: fault.record_number)
        return replace(
            batch, data=batch.data.slice(0, kept), record_numbers=batch.record_numbers[:kept], row_errors=tuple(faults)
        )


def footer_note(where: str, noun: str, rows: int, key: str) -> str:
    """Return the note for a file whose last rows were rejected as a footer."""
    looks = f"{noun} looks like a footer, and was" if rows == 1 else f"{rows} {noun}s look like a footer, and were"
    return f"{where}: the last {looks} rejected. Set {key} = {rows} in a mapping."


def _filled_cells(data: pa.Table) -> list[int]:
    """Return how many cells of each row are filled."""
    filled = np.zeros(data.num_rows, dtype=np.int64)
    for column in data.columns:
        filled += [bool(text.strip()) for text in column.to_pylist()]
    return filled.tolist()
