"""The warehouse: Delta Lake tables in a folder, and manifests that combine table versions into snapshots.

::

    warehouse/
    ├── load.lock               locked by the running load: only one load writes at a time
    ├── manifests/000000007.json  {"number": 7, "loadId": …, "sources": […], "versions": {"accounts": 12, …}}
    └── accounts/               one folder with a Delta table for each table of `schema.TABLES`
        ├── _delta_log/
        └── <load id>-<n>.parquet

The same lies below a prefix of an object store where `WHOHAS_WAREHOUSE_URL` names one; `warehouse.remote` describes
what is added there. The folder then contains copies of the files that were read.

A Delta commit covers one table only, so a load commits table by table and writes its manifest last. Readers start
from the newest manifest and therefore never see half a load. If a load dies between its first commit and its manifest,
the next load restores the tables to the versions of the newest manifest before it writes. The Parquet files contain
the partition column too, not only the Delta log, so that an engine can read a table from a plain list of its files.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whohas import atomic
from whohas.db.locks import file_lock
from whohas.errors import Conflict, NotFound
from whohas.file_cache import FileCache, RemoteFile
from whohas.file_modes import group_readable_files, share_table, share_warehouse
from whohas.object_stores import store_errors
from whohas.warehouse.errors import Superseded
from whohas.warehouse.schema import TABLES, Table

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

    from whohas.warehouse.remote import RemoteWarehouse

_COMMITS = 30
"""The most attempts at one commit to a table in an object store. After each failed one, another load has committed."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table.

    Attributes:
        location: absolute path; of a file in an object store the path of its copy, which need not exist yet.
        rows: number of rows.
        partition: the value of the table's partition column, the same in all of the file's rows; empty for null. None
            if the table has no partition column.
        bytes: its size, where the table's log was read; else 0.
        cache: the copies of the object store that the file lies in; None for the local disk.
    """

    location: Path
    rows: int
    partition: str | None = None
    bytes: int = field(default=0, compare=False)
    cache: FileCache | None = field(default=None, compare=False, repr=False)

    @property
    def path(self) -> Path:
        """The path to read it from; a file in an object store is downloaded first unless there is a copy.

        Raises:
            FileNotFoundError: the object store has no such object.
            StoreFailed: the object store failed.
        """
        if self.cache is not None:
            self.cache.fetch([self.remote])
        return self.location

    @property
    def remote(self) -> RemoteFile:
        """The object that a copy is made of, where it lies in an object store."""
        return RemoteFile(self.name, self.bytes)

    @property
    def name(self) -> str:
        """Its path within the warehouse: the table and the file's name."""
        return f"{self.location.parent.name}/{self.location.name}"


@dataclass(frozen=True, slots=True)
class TableChange:
    """The files that a load adds to one table and the partitions that it replaces.

    Attributes:
        table: the table to change.
        added_files: new files, already complete in the table's folder (see `Load.new_file_path`).
        replaced_partitions: partitions whose current files are removed from the table; None removes all files of the
            table.
    """

    table: Table
    added_files: tuple[DataFile, ...]
    replaced_partitions: frozenset[str] | None = frozenset()


@dataclass(frozen=True, slots=True)
class LoadLoss:
    """The data missing from a source's current rows of one table, because the load that wrote them could not read it.

    Attributes:
        table: the table's name.
        source: the source's id; empty if the rows name no source.
        rejected: number of rows that were rejected.
        emptied: number of cells that could not be read and are null.
        accepted: whether that load lost more than its limits allow and an operator accepted the loss.
    """

    table: str
    source: str
    rejected: int
    emptied: int
    accepted: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The identity data after one load: one version of every table.

    Two snapshots are equal if their `root` and `number` are.

    Attributes:
        root: the warehouse's folder.
        number: number of the load, counted from 1; 0 is the empty warehouse before the first load.
        loaded: when that load was published; None for number 0.
        load_id: that load's id.
        sources: the ids of the sources that the load replaced.
        versions: table name to Delta version; a table without an entry is empty.
        gaps: the data missing from the current rows because loads could not read it.
        remote: the object store that the warehouse lies in; None for the local disk.
    """

    root: Path
    number: int = 0
    loaded: datetime | None = field(default=None, compare=False)
    load_id: str = field(default="", compare=False)
    sources: tuple[str, ...] = field(default=(), compare=False)
    versions: Mapping[str, int] = field(default_factory=dict[str, int], compare=False)
    gaps: tuple[LoadLoss, ...] = field(default=(), compare=False)
    remote: RemoteWarehouse | None = field(default=None, compare=False, repr=False)

    def files(self, table: Table, partitions: frozenset[str] | None = None) -> list[DataFile]:
        """Return the files of a table, in the order in which they were added.

        Args:
            table: the table.
            partitions: return only the files of these partitions; None for all.

        Raises:
            NotFound: the Delta log no longer has this version of the table.
            StoreFailed: the object store failed.
        """
        from deltalake.exceptions import DeltaError

        version = self.versions.get(table.name)
        if version is None:
            return []
        try:
            if self.remote is not None:
                found = self.remote.files_at(table.name, version, lambda delta: self.files_of(delta, table))
            else:
                found = self.files_of(_open(self.root / table.name, version), table)
        except (DeltaError, FileNotFoundError) as error:
            raise deleted_data_error(self.number, [f"version {version} of the table {table.name}"]) from error
        return [file for file in found if partitions is None or (file.partition or "") in partitions]

    def files_of(self, delta: DeltaTable, table: Table) -> list[DataFile]:
        """Return the files of a version of a table, in the order in which they were added."""
        actions = delta.get_add_actions(flatten=True)
        names = actions.column("path").to_pylist()
        values = actions.column(f"partition.{table.partition}").to_pylist() if table.partition else [None] * len(names)
        columns = (actions.column(name).to_pylist() for name in ("num_records", "size_bytes"))
        cache = self.remote.cache if self.remote else None
        found = (
            DataFile(
                self.root / table.name / name,
                int(rows),
                "" if value is None and table.partition else value,
                size,
                cache,
            )
            for name, value, rows, size in zip(names, values, *columns, strict=True)
        )
        return sorted(found, key=lambda file: _write_order(file.location))


def deleted_data_error(number: int, gone: Sequence[str]) -> NotFound:
    """Return the error for a snapshot some of whose files have been deleted.

    Args:
        number: the snapshot's number.
        gone: names of the missing files or table versions, at least one.
    """
    missing = f"{gone[0]} is" if len(gone) == 1 else f"{gone[0]} and {len(gone) - 1:,} more are"
    return NotFound(
        f"The data of snapshot {number} is no longer kept: {missing} not there. Its tables were vacuumed, or "
        "files were removed."
    )


def missing_files(files: Iterable[DataFile]) -> list[str]:
    """Return the names of those files that do not exist; those in an object store are downloaded.

    Raises:
        StoreFailed: the object store failed.
    """
    found = list(files)
    with suppress(FileNotFoundError):  # all at once, unless one is missing
        for cache in {file.cache for file in found if file.cache is not None}:
            cache.fetch([file.remote for file in found])
    return [file.name for file in found if not _exists(file)]


def _exists(file: DataFile) -> bool:
    try:
        return file.path.is_file()
    except FileNotFoundError:
        return False


def _write_order(path: Path) -> tuple[str, int]:
    # A file is named `<load id>-<number>.parquet`, and a load's id begins with its time.
    load_id, _, number = path.stem.partition("-")
    return load_id, int(number or 0)


def _open(folder: Path, version: int | None = None) -> DeltaTable:
    from deltalake import DeltaTable

    return DeltaTable(folder, version=version)


def _add_columns(delta: DeltaTable, table: Table) -> None:
    """Add the columns that this version of whohas defines and the existing Delta table lacks.

    Every engine reads such a column as null from the table's older files.
    """
    from deltalake import Schema

    known = {field.name for field in delta.schema().fields}
    missing = [field for field in Schema.from_arrow(table.schema).fields if field.name not in known]
    if missing:
        delta.alter.add_columns(missing)
        delta.update_incremental()


class Load:
    """A load in progress: names the files to write, then publishes them. Created by `Warehouse.load`, or
    by `Warehouse.dry_run` to check only.

    Attributes:
        id: 32 hex digits: 16 of microseconds since 1970, 16 random ones. The name of each staged file begins with it.
        base: the snapshot that the load changes. It stays the newest one until this load publishes, because
            `Warehouse.load` holds the lock of the warehouse; a dry run holds none.
        scratch: a folder for temporary files, removed when the load ends.
        published: the snapshot that the load has published; None before `publish`.
    """

    def __init__(
        self, root: Path, base: Snapshot, *, shared: bool = False, remote: RemoteWarehouse | None = None
    ) -> None:
        self._shared = shared
        self._remote = remote
        # Later than the previous load's id, even if the clock was set back: ids give the order of files.
        moment = max(time.time_ns() // 1000, int(base.load_id[:16] or "0", 16) + 1)
        self.id = f"{moment:016x}{uuid.uuid4().hex[:16]}"
        self.base = base
        self.scratch = root / f"load-{self.id}"
        self.scratch.mkdir(parents=True)
        self._root = root
        self._staged = 0
        self.published: Snapshot | None = None

    def new_file_path(self, table: Table) -> Path:
        """Return an unused path for a Parquet file of a table; create its folder if needed.

        It is in the table's folder, or in that of temporary files where it will be uploaded.
        """
        folder = (self.scratch if self._remote else self._root) / table.name
        folder.mkdir(parents=True, exist_ok=True)
        self._staged += 1
        return folder / f"{self.id}-{self._staged}.parquet"

    def publish(
        self,
        changes: list[TableChange],
        sources: tuple[str, ...],
        by: Mapping[str, Any] | None = None,
        gaps: tuple[LoadLoss, ...] = (),
    ) -> Snapshot:
        """Commit the changes to each table, then write the next manifest, which makes all of them visible at once.

        Args:
            changes: at most one for each table.
            sources: ids of the sources that the load replaces.
            by: who loaded which files, for the audit log: JSON values that are stored in the manifest.
            gaps: the data missing from the tables' rows after this load, those of earlier loads included.

        Returns:
            The new snapshot.

        Raises:
            Superseded: another load has published into the object store since this one began.
            StoreFailed: the object store failed. Nothing was published, unless its last answer was lost.
        """
        if self._remote is not None:
            self.published = self._publish_remote(self._remote, changes, sources, by or {}, gaps)
            return self.published
        versions = dict(self.base.versions)
        for change in changes:
            folder = self._root / change.table.name
            with _shared_table(folder, self._shared):
                versions[change.table.name] = self._commit(change)
        snapshot = self._next(sources, versions, gaps)
        _write_manifest(snapshot, by or {})
        self.published = snapshot
        return snapshot

    def _next(self, sources: tuple[str, ...], versions: Mapping[str, int], gaps: tuple[LoadLoss, ...]) -> Snapshot:
        return replace(
            self.base,
            number=self.base.number + 1,
            loaded=datetime.now(UTC),
            load_id=self.id,
            sources=tuple(sorted(sources)),
            versions=versions,
            gaps=gaps,
        )

    def _publish_remote(
        self,
        remote: RemoteWarehouse,
        changes: list[TableChange],
        sources: tuple[str, ...],
        by: Mapping[str, Any],
        gaps: tuple[LoadLoss, ...],
    ) -> Snapshot:
        """Upload the files, commit to each table, and create the manifest; see `publish`."""
        from whohas.warehouse.remote import unpublished_removed

        number = self.base.number + 1
        if (newest := remote.newest_manifest()) is not None and newest["number"] >= number:
            raise Superseded(f"Another load published snapshot {number} while this one was reading. Load again.")
        with unpublished_removed(remote, self.id, number, TABLES):
            remote.begin_upload(self.id, self.base.number)
            added = {file.location: file.name for change in changes for file in change.added_files}
            remote.upload(added)
            versions = dict(self.base.versions)
            for change in (*changes, *self._restorations(remote, {change.table.name for change in changes})):
                versions[change.table.name] = self._commit_remote(remote, change)
            remote.check_upload(self.id)
            snapshot = self._next(sources, versions, gaps)
            remote.create_manifest(number, _manifest(snapshot, by))
        with suppress(OSError):  # the copies are not needed
            for path, name in added.items():
                remote.cache.adopt(path, name)
        return snapshot

    def _restorations(self, remote: RemoteWarehouse, changed: set[str]) -> list[TableChange]:
        """Return changes that replace nothing, for tables to which a killed load committed without publishing."""
        names = [name for name in self.base.versions if name in TABLES and name not in changed]
        newest = remote.newest_versions(names)
        return [TableChange(TABLES[name], ()) for name in names if newest[name] != self.base.versions[name]]

    def _commit_remote(self, remote: RemoteWarehouse, change: TableChange) -> int:
        """Commit a change to a table in an object store, and return a version that has exactly the resulting files.

        Other loads may commit at the same time, and killed ones may have committed without publishing. So the commit
        starts from the newest version, becomes the next one or fails, and is repeated.

        Example: this load began with version 12, which has the file a, and adds b. The newest version, 13, is that of
        a killed load and has a and k. The commit adds b and removes k; version 14 has a and b.

        Raises:
            Conflict: other loads committed each time.
        """
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import CommitProperties

        table = change.table
        base = {file.name: file for file in self.base.files(table)}
        partitions = change.replaced_partitions
        wanted = {
            name: file
            for name, file in base.items()
            if partitions is not None and (file.partition or "") not in partitions
        }
        wanted |= {file.name: file for file in change.added_files}
        for _ in range(_COMMITS):
            known = table.name in self.base.versions
            delta = remote.open_table(table.name) if known else remote.create_table(table)
            with store_errors(remote.store.address, f"commit to the table {table.name}"), suppress(CommitFailedError):
                if change.added_files:
                    _add_columns(delta, table)
                tip = {file.name: file for file in self.base.files_of(delta, table)}
                if tip.keys() == wanted.keys():
                    return delta.version()
                delta.create_write_transaction(
                    actions=[
                        *(_add_action(file, table) for name, file in wanted.items() if name not in tip),
                        *(_remove_action(file, table) for name, file in tip.items() if name not in wanted),
                    ],
                    mode="append",
                    schema=delta.schema(),
                    partition_by=[table.partition] if table.partition else [],
                    commit_properties=CommitProperties(max_commit_retries=0),
                )
                # A commit whose answer was lost is repeated, so the version is compared and not assumed.
                committed = remote.open_table(table.name, delta.version() + 1)
                if {file.name for file in self.base.files_of(committed, table)} == wanted.keys():
                    return committed.version()
        raise Conflict(
            f"Other loads committed to the table {table.name} repeatedly. Nothing was loaded; load again when they "
            "have ended."
        )

    def discard(self) -> None:
        """Remove the staged files unless they were published, and the scratch folder."""
        if self.published is None and self._remote is None:
            for table in TABLES:
                for path in (self._root / table).glob(f"{self.id}-*"):
                    # Truncate first: a failed writer may still have the file open, and unlinking alone would not free
                    # the disk space before it closes the file.
                    os.truncate(path, 0)
                    path.unlink()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def _commit(self, change: TableChange) -> int:
        from deltalake import DeltaTable

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
        adds = [_add_action(file, table) for file in change.added_files]
        removes = [_remove_action(file, table) for file in self.base.files(table, change.replaced_partitions)]
        if adds or removes:
            delta.create_write_transaction(
                actions=[*adds, *removes],
                mode="append",
                schema=delta.schema(),
                partition_by=[table.partition] if table.partition else [],
            )
            delta.update_incremental()
        return delta.version()


def _add_action(file: DataFile, table: Table) -> AddAction:
    from deltalake.transaction import AddAction

    return AddAction(
        path=file.location.name,
        size=file.bytes or file.location.stat().st_size,
        modification_time=_milliseconds(),
        data_change=True,
        partition_values={table.partition: file.partition} if table.partition else {},
        stats=json.dumps({"numRecords": file.rows}),
    )


def _remove_action(file: DataFile, table: Table) -> RemoveAction:
    from deltalake.transaction import RemoveAction

    return RemoveAction(
        path=file.location.name,
        data_change=True,
        deletion_timestamp=_milliseconds(),
        partition_values={table.partition: file.partition} if table.partition else {},
    )


def _milliseconds() -> int:
    """Return the time as the Delta protocol has it."""
    return time.time_ns() // 1_000_000


class Warehouse:
    """The stored identity data, for any number of readers and one load at a time; on an object store, one a machine.

    Args:
        root: the warehouse's folder, which the first load creates; the folder of copies of an object store.
        shared: whether loads let the group that owns the folder read the tables, and nothing else.
        remote: the object store that the warehouse lies in; None for the local disk.
    """

    def __init__(self, root: Path, *, shared: bool = False, remote: RemoteWarehouse | None = None) -> None:
        self.root = root
        self.remote = remote
        self._shared = shared

    def snapshot(self, number: int | None = None) -> Snapshot:
        """Return the newest snapshot of the warehouse, or the snapshot with a given number.

        Args:
            number: the snapshot's number; None for the newest. Number 0 is always there, and empty.

        Raises:
            NotFound: there is no snapshot with that number.
        """
        if self.remote is not None:
            return self._remote_snapshot(self.remote, number)
        if number is None:
            number = max(self._numbers(), default=0)
        if number == 0:
            return Snapshot(self.root)
        try:
            return self._snapshot(self._manifest(number))
        except FileNotFoundError:
            raise NotFound(f"There is no snapshot {number}.") from None

    def _remote_snapshot(self, remote: RemoteWarehouse, number: int | None) -> Snapshot:
        try:
            manifest = remote.newest_manifest() if number is None else remote.manifest(number) if number else None
        except FileNotFoundError:
            raise NotFound(f"There is no snapshot {number}.") from None
        return Snapshot(self.root, remote=remote) if manifest is None else self._snapshot(manifest)

    def _snapshot(self, manifest: Mapping[str, Any]) -> Snapshot:
        return Snapshot(
            self.root,
            manifest["number"],
            datetime.fromisoformat(manifest["loaded"]),
            manifest["loadId"],
            tuple(manifest["sources"]),
            manifest["versions"],
            # Manifests of older versions of whohas have no gaps.
            tuple(LoadLoss(**gap) for gap in manifest.get("gaps", ())),
            self.remote,
        )

    def manifests(self, *, newest_first: bool = False) -> Generator[dict[str, Any]]:
        """Yield the manifest of each snapshot as parsed JSON, oldest first unless `newest_first`."""
        for number in sorted(self._numbers(), reverse=newest_first):
            yield self._manifest(number)

    def _numbers(self) -> list[int]:
        if self.remote is not None:
            return self.remote.manifest_numbers()
        return [int(path.stem) for path in (self.root / "manifests").glob("*.json")]

    def _manifest(self, number: int) -> dict[str, Any]:
        if self.remote is not None:
            return self.remote.manifest(number)
        return json.loads(_manifest_path(self.root, number).read_text())

    @contextmanager
    def load(self, on_wait: Callable[[], None] = lambda: None) -> Generator[Load]:
        """Take the write lock, yield a load, and remove the files that it has not published when the block ends.

        Waits while another load is running. Removes what a load that died has left behind.

        Args:
            on_wait: called once if another load has the lock.

        Raises:
            StoreFailed: the object store failed, or does not hold conditional puts.
        """
        if self.remote is not None:
            with self._remote_load(self.remote, on_wait) as load:
                yield load
            return
        self.root.mkdir(parents=True, exist_ok=True)
        if self._shared:
            share_warehouse(self.root)
        with file_lock(self.root / "load.lock", on_wait):
            base = self._roll_back_dead_load()
            load = Load(self.root, base, shared=self._shared)
            try:
                yield load
            finally:
                load.discard()

    @contextmanager
    def _remote_load(self, remote: RemoteWarehouse, on_wait: Callable[[], None]) -> Generator[Load]:
        remote.store.probe()
        with file_lock(self.root / "load.lock", on_wait):
            for scratch in self.root.glob("load-*/"):  # of loads of this machine that were killed
                shutil.rmtree(scratch, ignore_errors=True)
            remote.remove_abandoned(TABLES)
            base = self.snapshot()
            with self.hold(base):
                load = Load(self.root, base, remote=remote)
                try:
                    yield load
                finally:
                    load.discard()

    @contextmanager
    def hold(self, snapshot: Snapshot) -> Generator[None]:
        """Keep the local copies of a snapshot's files until the context ends; no effect on the local disk."""
        with ExitStack() as stack:
            if self.remote is not None:
                tables = [TABLES[name] for name in snapshot.versions if name in TABLES]
                names = [file.name for table in tables for file in snapshot.files(table)]
                stack.enter_context(self.remote.cache.hold(names))
            yield

    @contextmanager
    def dry_run(self) -> Generator[Load]:
        """Yield a load for a dry run: it writes to a temporary folder and must not be published.

        Takes no lock and writes nothing to the warehouse.
        """
        with tempfile.TemporaryDirectory(prefix="whohas-check-") as folder:
            load = Load(Path(folder), self.snapshot())
            yield load

    def _roll_back_dead_load(self) -> Snapshot:
        """Undo the commits of a load that died before its manifest, remove its files, and return the newest snapshot.

        Example: the newest manifest has `accounts` at version 12; a load committed version 13 and was killed. The table
        is restored to version 12, which Delta records as version 14. The returned snapshot has version 14, whose files
        are those of version 12.
        """
        base = self.snapshot()
        published = {json.loads(path.read_text())["loadId"] for path in (self.root / "manifests").glob("*.json")}
        versions = dict(base.versions)
        for scratch in self.root.glob("load-*/"):
            shutil.rmtree(scratch, ignore_errors=True)
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
                if path.stem.partition("-")[0] not in published:
                    path.unlink()
        return replace(base, versions=versions)


@contextmanager
def _shared_table(folder: Path, shared: bool) -> Generator[None]:
    """Let the warehouse's group read a table if `shared`: first its data files, after the commit its log.

    The data files are shared before the block commits, so that the group never sees a commit whose files it cannot
    read.
    """
    if shared:
        share_table(folder)
    with group_readable_files(shared):
        yield
    if shared:
        share_table(folder)  # again, because the commit may have created the table and its log


def _manifest_path(root: Path, number: int) -> Path:
    return root / "manifests" / f"{number:09}.json"


def _write_manifest(snapshot: Snapshot, by: Mapping[str, Any]) -> None:
    """Write the manifest atomically; fail if a manifest with this number exists."""
    path = _manifest_path(snapshot.root, snapshot.number)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Temporary files of loads that were killed. This load has the lock, so they belong to no running load.
    atomic.remove_leftovers(path.parent)
    atomic.write(path, json.dumps(_manifest(snapshot, by), indent=1), replace=False)


def _manifest(snapshot: Snapshot, by: Mapping[str, Any]) -> dict[str, Any]:
    assert snapshot.loaded is not None
    return {
        "number": snapshot.number,
        "loadId": snapshot.load_id,
        "loaded": snapshot.loaded.isoformat(),
        "sources": list(snapshot.sources),
        "versions": dict(snapshot.versions),
        "gaps": [asdict(gap) for gap in snapshot.gaps],
        "by": dict(by),
    }
