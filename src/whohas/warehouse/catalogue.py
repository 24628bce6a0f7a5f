"""What reports must know of a snapshot before they run: its sources, and how many rows a table has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from whohas.warehouse.store import DataFile, Gap, Snapshot, no_longer_kept
from whohas.warehouse.tables import SOURCES, TABLES


@dataclass(frozen=True, slots=True)
class Source:
    """A source, as far as reports are planned by it.

    Attributes:
        account_attributes: the names of its accounts' attributes, sorted.
        loaded: when a load last brought its accounts; None where none did.
    """

    id: str
    name: str
    authoritative: bool
    account_attributes: tuple[str, ...]
    loaded: datetime | None = None


class Catalogue:
    """A snapshot's sources and sizes, read once.

    Raises:
        NotFound: the data of the snapshot is no longer kept.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        import pyarrow.parquet as pq

        self.snapshot = snapshot
        self._files: dict[tuple[str, frozenset[str] | None], tuple[DataFile, ...]] = {}
        wanted = ["id", "name", "authoritative", "accountAttributes", "loaded"]
        files = snapshot.files(SOURCES)
        if gone := [f"sources/{file.path.name}" for file in files if not file.path.is_file()]:
            raise no_longer_kept(snapshot.number, gone)
        self.sources: tuple[Source, ...] = tuple(
            Source(
                row["id"],
                row["name"] or row["id"],
                bool(row["authoritative"]),
                tuple(row["accountAttributes"] or ()),
                row["loaded"],
            )
            for file in files
            # not read_table(): it loads all of pyarrow.dataset, and pandas where it is installed
            for row in pq.ParquetFile(file.path).read(columns=wanted).to_pylist()
        )

    def gaps(self, tables: Collection[str], sources: Collection[str] | None = None) -> tuple[Gap, ...]:
        """Return what loads could not take from the files of tables, for some sources or for all."""
        return tuple(
            gap
            for gap in self.snapshot.gaps
            if gap.table in tables and (sources is None or not gap.source or gap.source in sources)
        )

    def rows(self, table: str, partitions: frozenset[str] | None = None) -> int:
        """How many rows a table has, or those of its partitions."""
        return sum(file.rows for file in self.files(table, partitions))

    def files(self, table: str, partitions: frozenset[str] | None = None) -> tuple[DataFile, ...]:
        """Return the files of a table, or of its partitions, in the order in which rows are read."""
        known = self._files.get((table, partitions))
        if known is None:  # a start asks, and opening a table takes as long as the rest of it
            known = tuple(self.snapshot.files(TABLES[table], partitions))
            self._files[table, partitions] = known
        return known


@lru_cache(maxsize=8)
def catalogue(snapshot: Snapshot) -> Catalogue:
    """The catalogue of a snapshot; kept for the few that are in use."""
    return Catalogue(snapshot)
