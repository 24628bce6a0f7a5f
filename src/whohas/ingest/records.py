"""Reject records after all files were read (duplicates, unknown accounts): their files are read a second time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.ingest.duplicates import duplicates
from whohas.ingest.mapping import ACCOUNT, ENTITLEMENT, SourceMapping
from whohas.ingest.merging import Merging, Rows
from whohas.ingest.readers.batches import Batch, Numbers
from whohas.ingest.rejects import Rejects
from whohas.ingest.rewrite import revise
from whohas.ingest.staging import FILE_BITS, Stage, origin_number, origin_of
from whohas.ingest.text_rows import Layout
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES, Table


class InputRecords:
    """The input files of a load by number, and what is found out about their records after they were read.

    Attributes:
        quiet: files in which a membership may well come twice: in a cell, or in several rows of an account.
        compared: how the rows of a file of accounts are compared; those of other files are never made one.
        id_columns: by file of accounts that make identities, the column with the ids of these, if it has one.
    """

    def __init__(self, connection: Any, rejects: Rejects) -> None:
        self.quiet: set[int] = set()
        self.compared: dict[int, Rows] = {}
        self.id_columns: dict[int, str] = {}
        self._connection = connection
        self._rejects = rejects
        self._holds: dict[int, Table] = {}
        self._names: dict[int, Mapping[str, str]] = {}
        self._readers: dict[int, tuple[Callable[[], Iterator[Batch]], Callable[[list[str]], str]]] = {}

    def opened(
        self,
        number: int,
        table: Table,
        batches: Callable[[], Iterator[Batch]],
        text: Callable[[list[str]], str],
        layout: Layout | None,
    ) -> None:
        """Notes a file, before it is read."""
        self._holds[number] = table
        self._readers[number] = (batches, text)
        self._names[number] = {} if layout is None else _names(layout)

    def drop_duplicates(self, stage: Stage, key: str, column: str, silent: bool = False) -> Numbers:
        """Leave out staged rows whose key an earlier one has; return their origins."""
        found = duplicates(self._connection, stage.files, key)
        again: dict[int, list[int]] = {}
        sources: dict[tuple[int, int], str] = {}
        gone: list[Numbers] = []
        for place, rows in found.items():
            gone.append(stage.files[place].read_origins()[rows])
            if not silent:
                for number in gone[-1].tolist():
                    file, record = origin_of(number)
                    # an identity that an account made is told of as that account, unless it has an id of its own
                    made = stage.table is IDENTITIES and self._holds[file] is ACCOUNTS and file not in self.id_columns
                    if not made:
                        again.setdefault(file, []).append(record)
                        sources[file, record] = _source_of(stage, place)
            revise(stage.files[place], stage.table, rows)
        for file, records in sorted(again.items()):
            name = self._names[file].get(column, column)
            if stage.table is IDENTITIES:
                name = self.id_columns.get(file, name)
            for record, text in self._again(file, records):
                same = f"an earlier row has the same {name}"
                self._rejects.add(file, record, name, same, text, sources[file, record])
        return np.concatenate(gone) if gone else np.empty(0, np.int64)

    def drop_repeated_memberships(self, stage: Stage) -> Counter[int]:
        """Leave out memberships that an earlier row has too: no fault, for they say the same.

        Returns:
            How many, by file; those of files that are expected to repeat some are left out.
        """
        key = "sourceId || chr(0) || accountId || chr(0) || entitlementId || chr(0) || coalesce(value, '')"
        gone = self.drop_duplicates(stage, key, "entitlementId", silent=True)
        files, counts = np.unique(gone >> FILE_BITS, return_counts=True)
        found = zip(files.tolist(), counts.tolist(), strict=True)
        return Counter({file: count for file, count in found if file not in self.quiet})

    def merge_accounts(self, stage: Stage) -> Merging | None:
        """Make one account of the rows of each, as far as they agree, and reject the others.

        Returns:
            What was found; None where no account of a mapping has several rows.
        """
        key = "sourceId || chr(0) || nativeIdentity"
        found = duplicates(self._connection, stage.files, key)
        if not found:
            return None
        merging = Merging(self._connection, stage.files, found, key, self.compared)
        taken = merging.taken()
        again: dict[int, list[int]] = {}
        sources: dict[tuple[int, int], str] = {}
        for place, rows in found.items():
            numbers = stage.files[place].read_origins()[rows]
            for number in numbers[~np.isin(numbers, taken)].tolist():
                file, record = origin_of(number)
                again.setdefault(file, []).append(record)
                sources[file, record] = _source_of(stage, place)
        merging.apply(stage, found)
        reasons = {number: (column, reason) for number, column, reason in merging.reasons()} if again else {}
        for file, records in sorted(again.items()):
            name = self._names[file].get("nativeIdentity", "nativeIdentity")
            usual = (name, f"an earlier row has the same {name}")
            for record, text in self._again(file, records):
                column, reason = reasons.get(origin_number(file, record), usual)
                self._rejects.add(file, record, column, reason, text, sources[file, record])
        return merging

    def reject_memberships(self, bad: Sequence[pa.Table]) -> None:
        """Reject records that name accounts or entitlements that are not there, each once.

        Args:
            bad: what is not there, as `memberships.resolve` gives it.
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
        """The column and the reason for a record, some of whose memberships mean nothing."""
        # an account that is not there makes all of its memberships wrong: that is said alone
        kind = ACCOUNT if any(row["account"] for row in rows) else ENTITLEMENT
        named = [row for row in rows if row["account"] == (kind == ACCOUNT)]
        values = ", ".join(map(repr, dict.fromkeys(row["value"] for row in named)))
        return self._names[file].get(kind) or named[0]["attribute"] or kind, f"no {kind} {values} on this source"

    def _again(self, file: int, records: list[int]) -> Iterator[tuple[int, str]]:
        """Some records of a file as they stand in it, read once more."""
        wanted = np.array(sorted(records), dtype=np.int64)
        batches, text_of = self._readers[file]
        for batch in batches():
            for place in np.flatnonzero(np.isin(batch.records, wanted)).tolist():
                cells = [column[place].as_py() for column in batch.data.columns]
                yield int(batch.records[place]), text_of(cells)


def _source_of(stage: Stage, place: int) -> str:
    """The id of the source of a staged file; empty where its partition is none."""
    return (stage.files[place].partition or "") if stage.table.partition == "sourceId" else ""


def compared_rows(mapping: SourceMapping, layout: Layout) -> Rows:
    """Return how the rows of a mapping's file of accounts are compared."""
    columns = {("correlated" if ours == "uncorrelated" else ours): theirs[0] for ours, theirs in layout.columns.items()}
    key = columns.pop("nativeIdentity")
    columns.pop("sourceName", None)
    return Rows(key, columns, mapping.carriers)


def _names(layout: Layout) -> dict[str, str]:
    """What a file calls the columns by which its rows are known."""
    names = {ours: theirs[0] for ours, theirs in layout.columns.items()}
    if ENTITLEMENT in names:
        names["entitlementId"] = names[ENTITLEMENT]
    if "nativeIdentity" in names:
        names.setdefault(ACCOUNT, names["nativeIdentity"])
    for ours in ("value", "nativeIdentity"):
        if ours in names:
            names.setdefault("id", names[ours])
    return names
