"""Collect rejected rows and emptied cells with file, line, column and reason; in a strict load, fail at the first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from whohas.errors import InvalidArguments
from whohas.ingest.readers.batches import Fault
from whohas.ingest.report import Rejection

_SHOWN = 20
_SAMPLES = 3

LineOf = Callable[[int], int]
"""From a record's number, as its reader counts, to the physical line on which it starts."""


class Rejects:
    """Collects the rejected rows and emptied cells of a load, and writes them out with their lines at the end.

    A record's line is known only after a file is read (cells may hold line breaks), so the draft has record numbers.

    Args:
        draft: a file of its own to write to meanwhile.
        strict: whether the first rejected row or unreadable cell ends the load.

    Attributes:
        counts: rejected rows by file, items of lists in documents included.
        items: rejected items of lists in documents, by file and list.
        emptied: cells that became null by file.
        by_column: the same by file and column.
        by_source: by file and source, how many rows and `items` were `rejected` and cells `emptied`.
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

    def open_file(self, name: str, line_of: LineOf) -> int:
        """Announces an input file and returns the number under which its rows are rejected."""
        self._names.append(name)
        self._lines.append(line_of)
        return len(self._names) - 1

    def add(self, file: int, record: int, column: str, reason: str, row: str, source: str = "") -> None:
        """Rejects a row.

        Args:
            source: the id of the row's source; empty where it is not known.

        Raises:
            InvalidArguments: the load is strict.
        """
        self.put(file, Fault(record, column, reason, row, source))

    def put(self, file: int, fault: Fault) -> None:
        """Keeps a rejected row, or a cell that became null.

        Raises:
            InvalidArguments: the load is strict.
        """
        if self._strict:
            first = Rejection(self._names[file], self._lines[file](fault.record), fault.column, fault.reason)
            raise InvalidArguments(f"{first}. Nothing was loaded, for the load is strict.")
        whole = fault.value is None
        if whole:
            self.counts[file] += 1
            if fault.part:
                self.items[file, fault.part] += 1
        else:
            self.emptied[file] += 1
            self.by_column[file, fault.column] += 1
        count = self.by_source.setdefault((file, fault.source), Counter())
        count["emptied" if not whole else "items" if fault.part else "rejected"] += 1
        samples = self._samples.setdefault((file, fault.column if not whole else fault.part and f"/{fault.part}"), [])
        if len(samples) < _SAMPLES:
            samples.append((fault.record, fault.reason if whole else f"{fault.value!r}"))
        if self._file is None:
            self._file = self._draft.open("w", encoding="utf-8")
        entry: dict[str, Any] = {"file": file, "record": fault.record, "column": fault.column, "reason": fault.reason}
        if not whole:
            entry["value"] = fault.value
        self._file.write(json.dumps({**entry, "row": fault.row}, ensure_ascii=False) + "\n")

    def samples(self, file: int, column: str = "") -> tuple[str, ...]:
        """The first rejected rows of a file, or the first unreadable cells of its column, as `line 7: 'x'`.

        Args:
            column: `/access` for the rejected items of that list.
        """
        found = self._samples.get((file, column), [])
        return tuple(f"line {self._lines[file](record)}: {text}" for record, text in found)

    def finish(self, path: Path | None) -> tuple[Sequence[Rejection], Sequence[Rejection]]:
        """Writes all of them to `path`, in the order in which they were found.

        Args:
            path: where to; its folder is made. None writes nothing.

        Returns:
            The first rejected rows, and the first cells that became null.
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
