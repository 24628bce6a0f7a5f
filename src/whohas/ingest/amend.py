"""Changes to rows that a load does not bring, where what it brings changes what they refer to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from whohas.ingest.rewrite import Change as Revision
from whohas.ingest.rewrite import rewrite
from whohas.warehouse.arrow import one, pc, with_column
from whohas.warehouse.evolved import conform
from whohas.warehouse.schema import Table
from whohas.warehouse.store import Change, DataFile, Load

Step = tuple[Revision, str]
"""What becomes of rows, and the column of text that it may change."""


class Amendments:
    """Steps that are applied to partitions of the snapshot that a load builds on.

    Args:
        changes: what the load does to each table; partitions that it replaces are passed over.
    """

    def __init__(self, load: Load, changes: Sequence[Change]) -> None:
        self._load = load
        self._changes = {change.table.name: change for change in changes}
        self._steps: dict[tuple[str, str], list[Step]] = {}
        self._tables: dict[str, Table] = {}

    def kept(self, table: Table) -> dict[str, list[DataFile]]:
        """The files that the load leaves as they are, by partition; of a table without partitions by an empty text."""
        change = self._changes.get(table.name)
        found: dict[str, list[DataFile]] = {}
        if change is not None and change.replace is None:
            return found
        for file in self._load.base.files(table):
            if change is None or (file.partition or "") not in (change.replace or ()):
                found.setdefault(file.partition or "", []).append(file)
        return found

    def add(self, table: Table, partition: str, step: Step) -> None:
        """Notes a step; those of one partition follow each other."""
        self._tables[table.name] = table
        self._steps.setdefault((table.name, partition), []).append(step)

    def apply(self) -> list[Change]:
        """The load's changes, with files written anew where a step changes a row."""
        for name, table in self._tables.items():
            kept = self.kept(table)
            steps = {partition: found for (other, partition), found in self._steps.items() if other == name}
            for partition, found in steps.items():
                files = kept.get(partition, [])
                apply = all_of([step for step, _ in found])
                columns = sorted({column for _, column in found})
                if any(_differs(file, table, apply, columns) for file in files):
                    self._replace(table, partition, files, apply)
        return list(self._changes.values())

    def _replace(self, table: Table, partition: str, files: Iterable[DataFile], step: Revision) -> None:
        add: list[DataFile] = []
        for file in files:
            path = self._load.new_file(table)
            add.append(DataFile(path, rewrite(file.path, path, table, change=step), file.partition))
        before = self._changes.get(table.name, Change(table, (), frozenset()))
        replace = None if table.partition is None else (before.replace or frozenset()) | {partition}
        self._changes[table.name] = Change(table, (*add, *before.add), replace)


def all_of(steps: Sequence[Revision]) -> Revision:
    """Several changes, one after the other."""

    def apply(data: pa.Table) -> pa.Table:
        for step in steps:
            data = step(data)
        return data

    return apply


def renamed(column: str, old: pa.Array, new: pa.Array) -> Revision:
    """A change that puts new ids in place of old ones; other texts stay."""

    def apply(data: pa.Table) -> pa.Table:
        values = one(data.column(column))
        places = pc.index_in(values, old)
        if places.null_count == len(places):
            return data
        return with_column(data, column, pc.coalesce(new.take(places), values))

    return apply


def final_files(load: Load, changes: Iterable[Change], table: Table) -> list[DataFile]:
    """The files of a table as the load leaves them."""
    for change in changes:
        if change.table is table:
            if change.replace is None:
                return [file for file in change.add if file.rows]
            kept = [file for file in load.base.files(table) if (file.partition or "") not in change.replace]
            return [*kept, *(file for file in change.add if file.rows)]
    return load.base.files(table)


def _differs(file: DataFile, table: Table, step: Callable[[pa.Table], pa.Table], columns: Sequence[str]) -> bool:
    with pq.ParquetFile(file.path) as parquet:
        for batch in parquet.iter_batches(60_000):
            data = conform(pa.Table.from_batches([batch]), table)
            changed = step(data)
            for column in columns:
                old, new = data.column(column).fill_null(""), changed.column(column).fill_null("")
                if not pc.all(pc.equal(old, new)).as_py():
                    return True
    return False
