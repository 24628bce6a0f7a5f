"""Collect rejected rows and emptied cells with file, line, column and reason; in a strict load, fail at the first.

Some records turn out to be wrong only after all files were read: duplicates, and memberships of unknown accounts.
Staged rows keep only the origin of each record (its file and record number), so `InputRecords` reads the files of
rejected records a second time to report the rows as they stand in the files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.engine.sql import string_literal
from whohas.errors import InvalidArguments
from whohas.ingest.mapping import ACCOUNT, ENTITLEMENT, SourceMapping
from whohas.ingest.merging import AccountRowMerger, SourceRows
from whohas.ingest.readers.batches import RecordNumbers, RowBatch, RowError
from whohas.ingest.report import Rejection
from whohas.ingest.staging import FILE_BITS, Stage, StagedFile, origin_number, origin_of, rewrite_staged
from whohas.ingest.text_rows import ColumnLayout
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES, Table


def find_duplicates(connection: Any, files: Sequence[StagedFile], key: str) -> dict[int, RecordNumbers]:
    """Return the rows whose key an earlier row has.

    Hashes of the keys are compared first, because they are small, and DuckDB spills them to disk if there are many.

    Args:
        connection: DuckDB.
        files: staged files, in the order in which rows count as earlier.
        key: an SQL expression over the files' columns; rows where it is null are never duplicates.

    Returns:
        By index in `files`, the row numbers of duplicates in that file, from 0, ascending.
    """
    if not files:
        return {}
    paths = ", ".join(string_literal(str(file.path)) for file in files)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE file_order AS SELECT unnest($1) AS path, unnest($2) AS place",
        [
            [str(file.path) for file in files],
            list(range(len(files))),
        ],
    )
    twice = connection.execute(
        "CREATE OR REPLACE TEMP TABLE twice AS "
        f"SELECT hash({key}) AS h FROM read_parquet([{paths}]) WHERE ({key}) IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    ).fetchone()
    if not twice or not twice[0]:
        return {}
    found = connection.execute(
        "SELECT place, n FROM ("
        "  SELECT o.place, f.file_row_number AS n, row_number() OVER ("
        f"   PARTITION BY {key} ORDER BY o.place, f.file_row_number) AS nth"
        f" FROM read_parquet([{paths}], filename = true, file_row_number = true) f"
        "  JOIN file_order o ON o.path = f.filename"
        f" WHERE hash({key}) IN (SELECT h FROM twice)"
        ") WHERE nth > 1 ORDER BY place, n"
    ).fetchnumpy()
    places, rows = np.asarray(found["place"]), np.asarray(found["n"])
    return {int(place): rows[places == place].astype(np.int64) for place in np.unique(places)}


class InputRecords:
    """The input files of a load by number; drops, merges and rejects their staged records.

    Attributes:
        quiet: the files in which repeated memberships are expected (in one cell, or in several rows of an account)
            and are not counted.
        compared: for each accounts file, how to compare the rows of one account in order to merge them; rows of
            files that are not listed are never merged.
        id_columns: for each accounts file that creates identities, its column with the ids of the identities; files
            without such a column are not listed.
    """

    def __init__(self, connection: Any, rejects: Rejects) -> None:
        self.quiet: set[int] = set()
        self.compared: dict[int, SourceRows] = {}
        self.id_columns: dict[int, str] = {}
        self._connection = connection
        self._rejects = rejects
        self._holds: dict[int, Table] = {}
        self._names: dict[int, Mapping[str, str]] = {}
        self._readers: dict[int, tuple[Callable[[], Iterator[RowBatch]], Callable[[list[str]], str]]] = {}

    def register_file(
        self,
        number: int,
        table: Table,
        batches: Callable[[], Iterator[RowBatch]],
        text: Callable[[list[str]], str],
        layout: ColumnLayout | None,
    ) -> None:
        """Register an input file before it is read.

        Args:
            number: the number of the file in this load.
            table: the table that its records belong to.
            batches: reads the file from the start; called again if some of its records are rejected.
            text: returns a record, given its cells, as it stands in the file.
            layout: the assignment of the file's columns to those of the table; None if both have the same names.
        """
        self._holds[number] = table
        self._readers[number] = (batches, text)
        self._names[number] = {} if layout is None else _names(layout)

    def drop_duplicates(self, stage: Stage, key: str, column: str, silent: bool = False) -> RecordNumbers:
        """Remove staged rows whose key an earlier row has, and reject their records.

        Args:
            key: the SQL expression of the key.
            column: the column of the table that the reason names; the file's own name for it is shown.
            silent: remove the rows without rejecting their records.

        Returns:
            The origins of the removed rows: each is a file number and a record number in one integer (`origin_of`).
        """
        found = find_duplicates(self._connection, stage.files, key)
        again: dict[int, list[int]] = {}
        sources: dict[tuple[int, int], str] = {}
        gone: list[RecordNumbers] = []
        for place, rows in found.items():
            gone.append(stage.files[place].read_origins()[rows])
            if not silent:
                for number in gone[-1].tolist():
                    file, record = origin_of(number)
                    # An identity created from an account shares that account's record, which is rejected with the
                    # accounts. Only an identity with its own id column is rejected here.
                    made = stage.table is IDENTITIES and self._holds[file] is ACCOUNTS and file not in self.id_columns
                    if not made:
                        again.setdefault(file, []).append(record)
                        sources[file, record] = _source_of(stage, place)
            rewrite_staged(stage.files[place], stage.table, rows)
        for file, records in sorted(again.items()):
            name = self._names[file].get(column, column)
            if stage.table is IDENTITIES:
                name = self.id_columns.get(file, name)
            for record, text in self._again(file, records):
                same = f"an earlier row has the same {name}"
                self._rejects.add(file, record, name, same, text, sources[file, record])
        return np.concatenate(gone) if gone else np.empty(0, np.int64)

    def drop_repeated_memberships(self, stage: Stage) -> Counter[int]:
        """Remove memberships that an earlier row has too, without rejecting them: nothing is lost.

        Returns:
            The number of removed rows by file, without the files of `quiet`.
        """
        key = "sourceId || chr(0) || accountId || chr(0) || entitlementId || chr(0) || coalesce(value, '')"
        gone = self.drop_duplicates(stage, key, "entitlementId", silent=True)
        files, counts = np.unique(gone >> FILE_BITS, return_counts=True)
        found = zip(files.tolist(), counts.tolist(), strict=True)
        return Counter({file: count for file, count in found if file not in self.quiet})

    def merge_accounts(self, stage: Stage) -> AccountRowMerger | None:
        """Merge the rows of each account into one row where they agree, and reject the rows that do not agree.

        Example: the rows `7,Ann,Group A`, `7,Ann,Group B` and `7,Bob,Group C` have the key `7`, and groups are
        entitlements. The second row is merged into the first, so that the account has both groups; the third is
        rejected because its name differs.

        Returns:
            The merged rows; None if no account has several rows.
        """
        key = "sourceId || chr(0) || nativeIdentity"
        found = find_duplicates(self._connection, stage.files, key)
        if not found:
            return None
        merging = AccountRowMerger(self._connection, stage.files, found, key, self.compared)
        taken = merging.merged_origins()
        again: dict[int, list[int]] = {}
        sources: dict[tuple[int, int], str] = {}
        for place, rows in found.items():
            numbers = stage.files[place].read_origins()[rows]
            for number in numbers[~np.isin(numbers, taken)].tolist():
                file, record = origin_of(number)
                again.setdefault(file, []).append(record)
                sources[file, record] = _source_of(stage, place)
        merging.apply(stage, found)
        reasons = {number: (column, reason) for number, column, reason in merging.rejection_reasons()} if again else {}
        for file, records in sorted(again.items()):
            name = self._names[file].get("nativeIdentity", "nativeIdentity")
            usual = (name, f"an earlier row has the same {name}")
            for record, text in self._again(file, records):
                column, reason = reasons.get(origin_number(file, record), usual)
                self._rejects.add(file, record, column, reason, text, sources[file, record])
        return merging

    def reject_memberships(self, bad: Sequence[pa.Table]) -> None:
        """Reject the records of memberships that name unknown accounts or entitlements, each record once.

        Args:
            bad: the unresolved memberships, as `memberships.resolve_memberships` passes them to its `reject`.
        """
        if not bad:
            return
        found = pa.concat_tables(bad).sort_by("origin")
        origin = found.column("origin").to_numpy()
        numbers = np.unique(origin)
        for file in np.unique(numbers >> FILE_BITS).tolist():
            records = [origin_of(number)[1] for number in numbers[numbers >> FILE_BITS == file].tolist()]
            for record, text in self._again(file, records):
                begin, end = np.searchsorted(origin, [origin_number(file, record), origin_number(file, record + 1)])
                column, reason = self._missing(file, found.slice(begin, end - begin).to_pylist())
                self._rejects.add(file, record, column, reason, text)

    def _missing(self, file: int, rows: list[dict[str, Any]]) -> tuple[str, str]:
        """Return the column and the reason for rejecting a record of memberships.

        Example: a record of which only the entitlement `g9` of the column `memberOf` is unknown gives
        `("memberOf", "no entitlement 'g9' on this source")`.

        Args:
            rows: the unresolved memberships of the record; `account` is true if the account is unknown, false if the
                entitlement is.
        """
        # An unknown account makes all memberships of the record wrong, so the reason names only the account.
        kind = ACCOUNT if any(row["account"] for row in rows) else ENTITLEMENT
        named = [row for row in rows if row["account"] == (kind == ACCOUNT)]
        values = ", ".join(map(repr, dict.fromkeys(row["value"] for row in named)))
        return self._names[file].get(kind) or named[0]["attribute"] or kind, f"no {kind} {values} on this source"

    def _again(self, file: int, records: list[int]) -> Iterator[tuple[int, str]]:
        """Read a file again and yield the number and the text of some of its records, in the order of the file."""
        wanted = np.array(sorted(records), dtype=np.int64)
        batches, text_of = self._readers[file]
        for batch in batches():
            for place in np.flatnonzero(np.isin(batch.record_numbers, wanted)).tolist():
                cells = [column[place].as_py() for column in batch.data.columns]
                yield int(batch.record_numbers[place]), text_of(cells)


def _source_of(stage: Stage, place: int) -> str:
    """Return the id of the source of a staged file; empty if the table is not partitioned by source."""
    return (stage.files[place].partition or "") if stage.table.partition == "sourceId" else ""


def row_comparison(mapping: SourceMapping, layout: ColumnLayout) -> SourceRows:
    """Return the columns by which the rows of one account in a mapping's accounts file are compared.

    They are compared in every mapped column except the key and the name of the source. Attributes from the columns of
    `SourceMapping.multi_row_columns` may differ.
    """
    columns = {("correlated" if ours == "uncorrelated" else ours): theirs[0] for ours, theirs in layout.columns.items()}
    key = columns.pop("nativeIdentity")
    columns.pop("sourceName", None)
    return SourceRows(key, columns, mapping.multi_row_columns)


def _names(layout: ColumnLayout) -> dict[str, str]:
    """Return the file's names of columns, by the names that this module uses in reasons.

    Example: a file whose `nativeIdentity` is the column `Badge No` gives
    `{"nativeIdentity": "Badge No", "account": "Badge No", "id": "Badge No"}`.
    """
    names = {ours: theirs[0] for ours, theirs in layout.columns.items()}
    if ENTITLEMENT in names:
        names["entitlementId"] = names[ENTITLEMENT]
    if "nativeIdentity" in names:
        names.setdefault(ACCOUNT, names["nativeIdentity"])
    for ours in ("value", "nativeIdentity"):
        if ours in names:
            names.setdefault("id", names[ours])
    return names


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
            raise InvalidArguments(
                f"{first}. Nothing was loaded, for the load is strict. Correct it, or load without --strict."
            )
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
