"""Rows that are not loaded: kept with file, line, column and reason, or the end of a strict load."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from whohas.errors import InvalidArguments
from whohas.warehouse.intake.report import Rejection

_SHOWN = 20

LineOf = Callable[[int], int]
"""From a record's number, as its reader counts, to the physical line on which it starts."""


class Rejects:
    """Collects the rejected rows of a load in a draft, and writes them out with their lines at the end.

    A record's line is known only after a file is read (cells may hold line breaks), so the draft has record numbers.

    Args:
        draft: a file of its own to write to meanwhile.
        strict: whether the first rejected row ends the load.
    """

    def __init__(self, draft: Path, strict: bool) -> None:
        self._draft = draft
        self._strict = strict
        self._names: list[str] = []
        self._lines: list[LineOf] = []
        self._file: Any = None
        self.counts: Counter[int] = Counter()

    @property
    def total(self) -> int:
        return self.counts.total()

    def open_file(self, name: str, line_of: LineOf) -> int:
        """Announces an input file and returns the number under which its rows are rejected."""
        self._names.append(name)
        self._lines.append(line_of)
        return len(self._names) - 1

    def add(self, file: int, record: int, column: str, reason: str, row: str) -> None:
        """Rejects a row.

        Raises:
            InvalidArguments: the load is strict.
        """
        if self._strict:
            fault = Rejection(self._names[file], self._lines[file](record), column, reason)
            raise InvalidArguments(f"{fault}. Nothing was loaded, for the load is strict.")
        self.counts[file] += 1
        if self._file is None:
            self._file = self._draft.open("w", encoding="utf-8")
        entry = {"file": file, "record": record, "column": column, "reason": reason, "row": row}
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")

    def finish(self, path: Path | None) -> Sequence[Rejection]:
        """Writes all of them to `path`, in the order in which they were found, and returns the first.

        Args:
            path: where to; its folder is made. None writes nothing.
        """
        if self._file is None:
            return ()
        self._file.close()
        first: list[Rejection] = []
        out = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            out = path.open("w", encoding="utf-8")
        try:
            with self._draft.open(encoding="utf-8") as draft:
                for text in draft:
                    entry = json.loads(text)
                    name, line = self._names[entry["file"]], self._lines[entry["file"]](entry["record"])
                    if len(first) < _SHOWN:
                        first.append(Rejection(name, line, entry["column"], entry["reason"]))
                    elif out is None:
                        break
                    if out is not None:
                        kept = {"file": name, "line": line, "column": entry["column"], "reason": entry["reason"]}
                        out.write(json.dumps({**kept, "row": entry["row"]}, ensure_ascii=False) + "\n")
        finally:
            if out is not None:
                out.close()
        return first
