"""Collect rejected rows and emptied cells with file, line, column and reason; in a strict load, fail at the first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from whohas.errors import InvalidArguments
from whohas.ingest.readers.batches import RowError
from whohas.ingest.report import Rejection

_SHOWN = 20
_SAMPLES = 3

LineOf = Callable[[int], int]
"""Returns the physical line on which a record starts, given the record's number as its reader counts records."""


class Rejects:
    """Collects the rejected rows and emptied cells of a load, and writes them with their line numbers at the end.

    Lines are known only after a whole file was read: a line break in a cell moves all later records down by a line.
    Until then the entries are written to a draft with their record numbers, and `write` replaces these by lines.

    Args:
        draft: the path of the draft, a temporary file that nothing else uses.
        strict: whether the first rejected row or unreadable cell ends the load.

    Attributes:
        counts: the number of rejected rows by file; rejected items of lists in documents are included.
        items: the number of rejected items of lists in documents, by file and list.
        emptied: the number of cells that became null, by file.
        by_column: the number of cells that became null, by file and column.
        by_source: by file and id of the source, the number of rows (`rejected`), items of lists (`items`) and cells
            (`emptied`).
    """

    def __init__(self, draft: Path, strict: bool) -> None:
        self._draft = draft
        self._strict = strict
        self._names: list[str] = []
        self._lines: list[LineOf] = []
        self._file: Any = None
        self.counts: Counter[int] = Counter()
        self.emptied: Counter[int] = Counter()
        self.items: Counter[tuple[int, str]] = Counter()
        self.by_column: Counter[tuple[int, str]] = Counter()
        self.by_source: dict[tuple[int, str], Counter[str]] = {}
        self._samples: dict[tuple[int, str], list[tuple[int, str]]] = {}

    @property
    def total(self) -> int:
        """The number of rejected rows."""
        return self.counts.total()

    def register_file(self, name: str, line_of: LineOf) -> int:
        """Register an input file; return its number, from 0, which the other methods take as `file`."""
        self._names.append(name)
        self._lines.append(line_of)
        return len(self._names) - 1

    def add(self, file: int, record: int, column: str, reason: str, row: str, source: str = "") -> None:
        """Reject a row.

        Args:
            file: the number of the input file.
            record: the number of the record.
            column: the column of the file that is wrong; empty if the whole row is.
            row: the row as it stands in the file.
            source: the id of the row's source; empty if it is not known.

        Raises:
            InvalidArguments: the load is strict.
        """
        self.add_error(file, RowError(record, column, reason, row, source))

    def add_error(self, file: int, fault: RowError) -> None:
        """Record a fault: a rejected row or item of a list (`fault.cell_text` = None), or a cell that became null.

        Raises:
            InvalidArguments: the load is strict.
        """
        if self._strict:
            first = Rejection(self._names[file], self._lines[file](fault.record_number), fault.column, fault.reason)
            raise InvalidArguments(f"{first}. Nothing was loaded, for the load is strict.")
        whole = fault.cell_text is None
        if whole:
            self.counts[file] += 1
            if fault.list_name:
                self.items[file, fault.list_name] += 1
        else:
            self.emptied[file] += 1
            self.by_column[file, fault.column] += 1
        count = self.by_source.setdefault((file, fault.source_id), Counter())
        count["emptied" if not whole else "items" if fault.list_name else "rejected"] += 1
        samples = self._samples.setdefault(
            (file, fault.column if not whole else fault.list_name and f"/{fault.list_name}"), []
        )
        if len(samples) < _SAMPLES:
            samples.append((fault.record_number, fault.reason if whole else f"{fault.cell_text!r}"))
        if self._file is None:
            self._file = self._draft.open("w", encoding="utf-8")
        entry: dict[str, Any] = {
            "file": file,
            "record": fault.record_number,
            "column": fault.column,
            "reason": fault.reason,
        }
        if not whole:
            entry["value"] = fault.cell_text
        self._file.write(json.dumps({**entry, "row": fault.row_text}, ensure_ascii=False) + "\n")

    def samples(self, file: int, column: str = "") -> tuple[str, ...]:
        """Return up to three rejected rows of a file, or unreadable cells of one of its columns, as `line 7: 'x'`.

        Args:
            column: empty for rejected rows; the name of a column for its unreadable cells; `/` and the name of a
                list, such as `/access`, for its rejected items.
        """
        found = self._samples.get((file, column), [])
        return tuple(f"line {self._lines[file](record)}: {text}" for record, text in found)

    def write(self, path: Path | None) -> tuple[Sequence[Rejection], Sequence[Rejection]]:
        """Write all rejected rows and emptied cells to an NDJSON file, in the order in which they were found.

        Args:
            path: the file to write, whose folder is created if necessary; None writes nothing.

        Returns:
            The first 20 rejected rows, and the first 20 cells that became null.
        """
        rows: list[Rejection] = []
        cells: list[Rejection] = []
        if self._file is None:
            return rows, cells
        self._file.close()
        out = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            out = path.open("w", encoding="utf-8")
        most = (min(self.total, _SHOWN), min(self.emptied.total(), _SHOWN))
        try:
            with self._draft.open(encoding="utf-8") as draft:
                for text in draft:
                    entry = json.loads(text)
                    shown, limit = (cells, most[1]) if "value" in entry else (rows, most[0])
                    if out is None and len(shown) >= limit:
                        if (len(rows), len(cells)) == most:
                            break
                        continue
                    name, line = self._names[entry["file"]], self._lines[entry["file"]](entry["record"])
                    if len(shown) < limit:
                        shown.append(Rejection(name, line, entry["column"], entry["reason"]))
                    if out is not None:
                        kept = {
                            "file": name,
                            "line": line,
                            **{k: entry[k] for k in ("column", "reason", "value", "row") if k in entry},
                        }
                        out.write(json.dumps(kept, ensure_ascii=False) + "\n")
        finally:
            if out is not None:
                out.close()
        return rows, cells
