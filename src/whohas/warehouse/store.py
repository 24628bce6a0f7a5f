"""The warehouse: Delta tables in a folder, and manifests that bind their versions into snapshots.

::

    warehouse/
    ├── load.lock               held by the one load that may write
    ├── manifests/000000007.json  {"number": 7, "loadId": …, "sources": […], "versions": {"accounts": 12, …}}
    └── accounts/               one Delta table a table of `tables.TABLES`
        ├── _delta_log/
        └── <load id>-<n>.parquet

No Delta commit spans several tables, so a load commits table by table and writes its manifest last. Readers start
from the newest manifest and never see a load in part; the next load first takes back what one that died had
committed. The partition column is in the files as well as in the log, so that a plain list of files is enough to
read a table.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whohas import atomic
from whohas.errors import NotFound
from whohas.locks import file_lock
from whohas.permissions import share_table, share_warehouse, sharing
from whohas.warehouse.tables import TABLES, Table

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table.

    Attributes:
        path: absolute.
        rows: how many rows it has.
        partition: the value of the table's partition column in all of its rows; None where a table has none.
    """

    path: Path
    rows: int
    partition: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a load does to one table.

    Attributes:
        table: which.
        add: new files, already complete in the table's folder (see `Load.new_file`).
        replace: partitions whose present files go; None takes the whole table.
    """

    table: Table
    add: tuple[DataFile, ...]
    replace: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class Gap:
    """What loads could not take from a source's files for the rows that a table has now.

    Attributes:
        table: the table's name.
        source: the source's id; empty where the rows do not say.
        rejected: rows that were rejected.
        emptied: cells that could not be read and are null.
        accepted: whether that load lost more than its limits allow, and somebody accepted it.
    """

    table: str
    source: str
    rejected: int
    emptied: int
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Identity data as one load left it: a version of every table.

    Attributes:
        number: counts loads, from 1; 0 is the empty warehouse before the first.
        loaded: when that load was published; None for number 0.
        load_id: that load's id.
        sources: the ids of the sources it brought.
        versions: table name to Delta version; a table that is missing is empty.
        gaps: what the loads of its rows could not take from their files.
    """

    root: Path
    number: int = 0
    loaded: datetime | None = field(default=None, compare=False)
    load_id: str = field(default="", compare=False)
    sources: tuple[str, ...] = field(default=(), compare=False)
    versions: Mapping[str, int] = field(default_factory=dict[str, int], compare=False)
    gaps: tuple[Gap, ...] = field(default=(), compare=False)

    def files(self, table: Table, partitions: frozenset[str] | None = None) -> list[DataFile]:
        """The files of a table, in the order in which they were added.

        Args:
            table: which table.
            partitions: only files of these partitions; None for all.

        Raises:
            NotFound: the table's log no longer tells which files they were.
        """
        from deltalake.exceptions import DeltaError

        version = self.versions.get(table.name)
        if version is None:
            return []
        try:
            actions = _open(self.root / table.name, version).get_add_actions(flatten=True)
        except (DeltaError, FileNotFoundError) as error:
            raise no_longer_kept(self.number, [f"version {version} of the table {table.name}"]) from error
        names = actions.column("path").to_pylist()
        rows = actions.column("num_records").to_pylist()
        values = actions.column(f"partition.{table.partition}").to_pylist() if table.partition else [None] * len(names)
        found = [
            DataFile(self.root / table.name / name, int(count), "" if value is None and table.partition else value)
            for name, count, value in zip(names, rows, values, strict=True)
            if partitions is None or (value or "") in partitions
        ]
        return sorted(found, key=lambda file: _order(file.path))


def no_longer_kept(number: int, gone: Sequence[str]) -> NotFound:
    """Return the error of a snapshot whose data is not all there any more.

    Args:
        gone: names of what is not there, at least one.
    """
    what = f"{gone[0]} is" if len(gone) == 1 else f"{gone[0]} and {len(gone) - 1:,} more are"
    return NotFound(
        f"The data of snapshot {number} is no longer kept: {what} not there. Its tables were vacuumed, or "
        "files were removed."
    )


def _order(path: Path) -> tuple[str, int]:
    # a load's id begins with its time
    load, _, number = path.stem.partition("-")
    return load, int(number or 0)


def _open(folder: Path, version: int | None = None) -> DeltaTable:
    from deltalake import DeltaTable

    return DeltaTable(folder, version=version)


def _add_columns(delta: DeltaTable, table: Table) -> None:
    """Adds the columns that a table of an earlier version lacks; what its older files lack is null to every engine."""
    from deltalake import Schema

    known = {field.name for field in delta.schema().fields}
    missing = [field for field in Schema.from_arrow(table.schema).fields if field.name not in known]
    if missing:
        delta.alter.add_columns(missing)
        delta.update_incremental()


class Load:
    """A load under way: where to stage files, and how to publish them. Made by `Warehouse.load`.

    Attributes:
        id: 32 hex digits; begins the name of each staged file.
        base: the snapshot that it builds on; no other load changes it meanwhile.
        scratch: a folder for what is not published; it goes when the load ends.
    """

    def __init__(self, root: Path, base: Snapshot, *, shared: bool = False) -> None:
        self._shared = shared
        # in the order of loads, also where the clock was set back
        moment = max(time.time_ns() // 1000, int(base.load_id[:16] or "0", 16) + 1)
        self.id = f"{moment:016x}{uuid.uuid4().hex[:16]}"
        self.base = base
        self.scratch = root / f"load-{self.id}"
        self.scratch.mkdir(parents=True)
        self._root = root
        self._staged = 0
        self.published: Snapshot | None = None

    def new_file(self, table: Table) -> Path:
        """A fresh name in the table's folder, to write a Parquet file under."""
        folder = self._root / table.name
        folder.mkdir(parents=True, exist_ok=True)
        self._staged += 1
        return folder / f"{self.id}-{self._staged}.parquet"

    def publish(
        self,
        changes: list[Change],
        sources: tuple[str, ...],
        by: Mapping[str, Any] | None = None,
        gaps: tuple[Gap, ...] = (),
    ) -> Snapshot:
        """Commits the changes and binds them by the next manifest: afterwards all of it is seen, before nothing.

        Args:
            changes: at most one a table.
            sources: ids of the sources that the load brought.
            by: who loaded what, for the audit trail; it is kept with the manifest.
            gaps: what could not be taken from the files of all rows as they are then.
        """
        versions = dict(self.base.versions)
        for change in changes:
            folder = self._root / change.table.name
            with _shared_table(folder, self._shared):
                versions[change.table.name] = self._commit(change)
        snapshot = Snapshot(
            self._root, self.base.number + 1, datetime.now(UTC), self.id, tuple(sorted(sources)), versions, gaps
        )
        _write_manifest(snapshot, by or {})
        self.published = snapshot
        return snapshot

    def discard(self) -> None:
        """Removes what was staged and never published, and what was only needed meanwhile."""
        if self.published is None:
            for table in TABLES:
                for path in (self._root / table).glob(f"{self.id}-*"):
                    # a writer that failed may hold it open yet: its room is given back now, not when that ends
                    os.truncate(path, 0)
                    path.unlink()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _commit(self, change: Change) -> int:
        from deltalake import DeltaTable
        from deltalake.transaction import AddAction, RemoveAction

        table = change.table
        folder = self._root / table.name
        if table.name in self.base.versions:
            delta = _open(folder)
            _add_columns(delta, table)
        else:
            delta = DeltaTable.create(
                folder,
                table.schema,
                mode="ignore",
                name=table.name,
                description=table.doc,
                partition_by=[table.partition] if table.partition else None,
            )
        now = time.time_ns() // 1_000_000
        adds = [
            AddAction(
                path=file.path.name,
                size=file.path.stat().st_size,
                modification_time=now,
                data_change=True,
                partition_values={table.partition: file.partition} if table.partition else {},
                stats=json.dumps({"numRecords": file.rows}),
            )
            for file in change.add
        ]
        removes = [
            RemoveAction(
                path=file.path.name,
                data_change=True,
                deletion_timestamp=now,
                partition_values={table.partition: file.partition} if table.partition else {},
            )
            for file in self.base.files(table, change.replace)
        ]
        if adds or removes:
            delta.create_write_transaction(
                actions=[*adds, *removes],
                mode="append",
                schema=delta.schema(),
                partition_by=[table.partition] if table.partition else [],
            )
            delta.update_incremental()
        return delta.version()


class Warehouse:
    """Identity data at rest, in the folder `root`; many readers, one load at a time.

    Args:
        shared: whether the tables, and nothing else, may be read by the group of that folder.
    """

    def __init__(self, root: Path, *, shared: bool = False) -> None:
        self.root = root
        self._shared = shared

    def snapshot(self, number: int | None = None) -> Snapshot:
        """The newest snapshot, or the one of that number.

        Raises:
            NotFound: no load has that number.
        """
        manifests = self.root / "manifests"
        if number is None:
            numbers = [int(path.stem) for path in manifests.glob("*.json")]
            number = max(numbers, default=0)
        if number == 0:
            return Snapshot(self.root)
        try:
            manifest: dict[str, Any] = json.loads(_manifest_path(self.root, number).read_text())
        except FileNotFoundError:
            raise NotFound(f"There is no snapshot {number}.") from None
        return Snapshot(
            self.root,
            manifest["number"],
            datetime.fromisoformat(manifest["loaded"]),
            manifest["loadId"],
            tuple(manifest["sources"]),
            manifest["versions"],
            # manifests of before have none
            tuple(Gap(**gap) for gap in manifest.get("gaps", ())),
        )

    def manifests(self) -> Generator[dict[str, Any]]:
        """What is known of each snapshot, in their order."""
        for path in sorted((self.root / "manifests").glob("*.json")):
            yield json.loads(path.read_text())

    @contextmanager
    def load(self, on_wait: Callable[[], None] = lambda: None) -> Generator[Load]:
        """The right to write. What is staged and not published when it ends is removed.

        Args:
            on_wait: called once if another load has to end first.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if self._shared:
            share_warehouse(self.root)
        with file_lock(self.root / "load.lock", on_wait):
            base = self._take_back()
            load = Load(self.root, base, shared=self._shared)
            try:
                yield load
            finally:
                load.discard()

    @contextmanager
    def rehearse(self) -> Generator[Load]:
        """A load that cannot be published: it stages into a temporary folder, and writes nothing here."""
        with tempfile.TemporaryDirectory(prefix="whohas-check-") as folder:
            load = Load(Path(folder), self.snapshot())
            yield load

    def _take_back(self) -> Snapshot:
        """Undoes what a load that died had committed or staged, and returns the snapshot to build on."""
        base = self.snapshot()
        known = {json.loads(path.read_text())["loadId"] for path in (self.root / "manifests").glob("*.json")}
        versions = dict(base.versions)
        for left in self.root.glob("load-*/"):
            shutil.rmtree(left, ignore_errors=True)
        for name in TABLES:
            folder = self.root / name
            if (folder / "_delta_log").is_dir():
                delta = _open(folder)
                wanted = versions.get(name, 0)
                if delta.version() > wanted:
                    with _shared_table(folder, self._shared):
                        delta.restore(wanted)
                    delta.update_incremental()
                versions[name] = delta.version()
            for path in [*folder.glob("*.parquet"), *folder.glob("*.revised")]:
                if path.stem.partition("-")[0] not in known:
                    path.unlink()
        return replace(base, versions=versions)


@contextmanager
def _shared_table(folder: Path, shared: bool) -> Generator[None]:
    """Let the warehouse's group read a table, if `shared`: its new files before the commit names them."""
    if shared:
        share_table(folder)
    with sharing(shared):
        yield
    if shared:
        share_table(folder)  # a new table's log


def _manifest_path(root: Path, number: int) -> Path:
    return root / "manifests" / f"{number:09}.json"


def _write_manifest(snapshot: Snapshot, by: Mapping[str, Any]) -> None:
    """Creates the manifest whole or not at all; fails if another has taken its number."""
    path = _manifest_path(snapshot.root, snapshot.number)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.remove_leftovers(path.parent)  # of loads that were killed: this one has the lock
    assert snapshot.loaded is not None
    document = {
        "number": snapshot.number,
        "loadId": snapshot.load_id,
        "loaded": snapshot.loaded.isoformat(),
        "sources": list(snapshot.sources),
        "versions": dict(snapshot.versions),
        "gaps": [asdict(gap) for gap in snapshot.gaps],
        "by": dict(by),
    }
    atomic.write(path, json.dumps(document, indent=1), replace=False)
