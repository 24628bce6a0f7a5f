"""Rows at the end of a table that are no data, such as `Total,2,,`: told by their words and by their empty cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from whohas.ingest.readers.batches import Batch, Fault

FOOTER = re.compile(
    r"\W*(grand total|totals?|sum|summe|gesamt\w*|anzahl|report|erstellt|erzeugt|generated|exported|export|end of|ende|"
    r"fin de|fin du|count|records|rows|datens\w+|stand|page|seite|printed|nombre de lignes|total general|"
    r"generado|g[ée]n[ée]r[ée]|vertraulich|confidential|\*{3,}|-{3,}|={3,})(?!\w)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[\d.,:/%'\s+-]*\d[\d.,:/%'\s+-]*")
_WORDS = 3
"""Words of a first cell that is a sentence, and no name."""
_MOST = 5
"""Rows at the end that are looked at."""
_SAMPLE = 100


def is_footer(cells: Sequence[str], usual: float) -> bool:
    """Return whether a last row is a footer that has all cells of a row, most of them empty.

    It has fewer filled cells than the rows before, begins with a word such as Total, and has nothing but numbers
    besides, or is one sentence.

    Args:
        usual: how many cells of other rows are filled.
    """
    filled = [cell.strip() for cell in cells if cell.strip()]
    if not filled or len(filled) >= usual or not FOOTER.match(filled[0]):
        return False
    if not all(_NUMBER.fullmatch(cell) for cell in filled[1:]):
        return False
    return any(c.isdigit() for cell in filled for c in cell) or (len(filled) == 1 and len(filled[0].split()) >= _WORDS)


class Footer:
    """Takes a footer that has all cells of a row out of the batches of a file, and rejects its rows.

    Args:
        text: a row as it stands in the file.
        key: what to set in a mapping, such as `[csv] footer`.

    Attributes:
        rows: how many rows at the end are such a footer, those with too few cells behind it included.
    """

    def __init__(self, text: Callable[[list[str]], str], key: str) -> None:
        self._text = text
        self._key = key
        self.rows = 0

    def without(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches, the footer's rows as faults; one batch is held back."""
        held: list[Batch] = []
        counts: list[int] = []
        for batch in batches:
            if batch.data.num_rows:
                if len(counts) < _SAMPLE:
                    counts += _filled(batch.data.slice(0, _SAMPLE))
                yield from held
                held = []
            held.append(batch)
        if held:
            yield self._checked(held[0], counts)
            yield from held[1:]
        if self.rows:
            self.rows += sum(fault.value is None for batch in held[1:] for fault in batch.faults)

    def _checked(self, batch: Batch, counts: list[int]) -> Batch:
        rows = batch.data.num_rows
        if len(counts) < 2 or batch.data.num_columns < 2:
            return batch
        found: list[Fault] = []
        usual = float(np.median(counts))
        for place in range(rows - 1, max(rows - 1 - _MOST, -1), -1):
            cells = [column[place].as_py() for column in batch.data.columns]
            if not is_footer(cells, usual):
                break
            reason = f"looks like a footer; if it is data, set {self._key} = 0 in a mapping"
            found.append(Fault(int(batch.records[place]), "", reason, self._text(cells)))
        if not found:
            return batch
        first = min(fault.record for fault in found)
        gone = {fault.record for fault in found}
        faults = [fault for fault in batch.faults if fault.record not in gone]
        self.rows = len(found) + sum(fault.value is None and fault.record > first for fault in faults)
        kept = rows - len(found)
        faults = sorted((*faults, *found), key=lambda fault: fault.record)
        return replace(batch, data=batch.data.slice(0, kept), records=batch.records[:kept], faults=tuple(faults))


def footer_note(where: str, noun: str, rows: int, key: str) -> str:
    """Return the note for a file whose last rows were rejected as a footer."""
    looks = f"{noun} looks like a footer, and was" if rows == 1 else f"{rows} {noun}s look like a footer, and were"
    return f"{where}: the last {looks} rejected. Set {key} = {rows} in a mapping."


def _filled(data: pa.Table) -> list[int]:
    """How many cells of each row are filled."""
    filled = np.zeros(data.num_rows, dtype=np.int64)
    for column in data.columns:
        filled += [bool(text.strip()) for text in column.to_pylist()]
    return filled.tolist()
