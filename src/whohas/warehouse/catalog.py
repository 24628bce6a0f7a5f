"""The catalog of a snapshot: its sources, the files and row counts of its tables, used to plan reports."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from whohas.warehouse.schema import SOURCES, TABLES
from whohas.warehouse.store import DataFile, LoadLoss, Snapshot, deleted_data_error, missing_files


@dataclass(frozen=True, slots=True)
class CatalogSource:
    """The facts of a source that the planning of reports needs.

    Attributes:
        id: the source's id.
        name: its name; its id if it has none.
        authoritative: whether its accounts make identities.
        account_attributes: the names of its accounts' attributes, sorted.
        loaded_at: when its accounts were last loaded; None if never.
    """

    id: str
    name: str
    authoritative: bool
    account_attributes: tuple[str, ...]
    loaded_at: datetime | None = None


class Catalog:
    """The sources of a snapshot, and the lists of its tables' files. Both are kept.

    The sources are read when it is created; the files of a table when they are first asked for.

    Attributes:
        snapshot: the snapshot.
        sources: its sources.

    Raises:
        NotFound: files of the table of sources have been deleted. Those of other tables are not checked.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        import pyarrow.parquet as pq

        self.snapshot = snapshot
        self._files: dict[tuple[str, frozenset[str] | None], tuple[DataFile, ...]] = {}
        wanted = ["id", "name", "authoritative", "accountAttributes", "loaded"]
        files = snapshot.files(SOURCES)
        if gone := missing_files(files):
            raise deleted_data_error(snapshot.number, gone)
        self.sources: tuple[CatalogSource, ...] = tuple(
            CatalogSource(
                row["id"],
                row["name"] or row["id"],
                bool(row["authoritative"]),
                tuple(row["accountAttributes"] or ()),
                row["loaded"],
            )
            for file in files
            # Not read_table(), which imports pyarrow.dataset, and pandas where it is installed.
            for row in pq.ParquetFile(file.path).read(columns=wanted).to_pylist()
        )

    def gaps(self, tables: Collection[str], sources: Collection[str] | None = None) -> tuple[LoadLoss, ...]:
        """Return the gaps of tables: the data missing from their rows because loads could not read it.

        Args:
            tables: names of tables.
            sources: ids of sources; gaps without a source are always included. None for all sources.
        """
        return tuple(
            gap
            for gap in self.snapshot.gaps
            if gap.table in tables and (sources is None or not gap.source or gap.source in sources)
        )

    def row_count(self, table: str, partitions: frozenset[str] | None = None) -> int:
        """Return the number of rows of a table, or of some of its partitions.

        Raises:
            NotFound: the snapshot's version of the table no longer exists.
        """
        return sum(file.rows for file in self.files(table, partitions))

    def files(self, table: str, partitions: frozenset[str] | None = None) -> tuple[DataFile, ...]:
        """Return the files of a table, or of some of its partitions, in the order in which rows are read.

        Raises:
            NotFound: the snapshot's version of the table no longer exists.
        """
        known = self._files.get((table, partitions))
        # Kept, because every start of a run needs the files, and opening a Delta table takes as long as all the rest.
        if known is None:
            known = tuple(self.snapshot.files(TABLES[table], partitions))
            self._files[table, partitions] = known
        return known


@lru_cache(maxsize=8)
def read_catalog(snapshot: Snapshot) -> Catalog:
    """Return the catalog of a snapshot; those of the 8 snapshots used last are cached.

    Raises:
        NotFound: files of the table of sources have been deleted. Those of other tables are not checked.
    """
    return Catalog(snapshot)
