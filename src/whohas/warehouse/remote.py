"""The objects of a warehouse in an object store, and their copies on the local disk.

::

    s3://bucket/prefix/
    ├── warehouse.json                  {"id": "…"}: names the folder of local copies, so that the copies of another
    │                                   warehouse, which was at this address before, are never read
    ├── manifests/000000007.json        created, never replaced: two loads cannot publish the same snapshot
    ├── uploads/<load id>               {"base": 6}: a load in progress; of a load that was killed, until a later one
    │                                   removes its files
    ├── accounts/_delta_log/, accounts/<load id>-<n>.parquet
    ├── loads/<load id>.json            records of loads
    └── search/000000007/<versions>/    the search index; `index.json` is uploaded last

Loads of one machine run one after the other, as on the local disk. Loads of several machines run at the same time, and
the first to create the next manifest wins; see `Superseded`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from whohas import timeouts
from whohas.errors import Conflict, Unavailable
from whohas.file_cache import FileCache
from whohas.object_stores import ObjectExists, ObjectStore, StoreFailed, delta_options, store_errors
from whohas.warehouse.errors import Superseded

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from whohas.warehouse.columns import Table
    from whohas.warehouse.store import DataFile

_CONNECTIONS: Final = 8
"""Files that are uploaded, or tables that are opened, at a time."""
_DOCUMENTS: Final = 1024
"""The most manifests and records, and the most lists of files, that are kept in memory."""


class RemoteWarehouse:
    """A warehouse in an object store. Its methods raise `StoreFailed` where the store fails.

    Attributes:
        store: the object store.
        root: the folder of local copies; a file's path below it is its key in the store.
        cache: the local copies.
    """

    def __init__(self, store: ObjectStore, root: Path, limit: int) -> None:
        self.store = store
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.cache = FileCache(root, store, limit or None)
        self._newest = 0
        self._files: dict[tuple[str, int], Sequence[DataFile]] = {}
        self._documents: dict[str, tuple[str, dict[str, Any]]] = {}

    @staticmethod
    def open(store: ObjectStore, caches: Path, limit: int) -> RemoteWarehouse:
        """Open the warehouse at an address; the first to do so names it.

        Args:
            store: the object store.
            caches: the folder of the local copies of all warehouses.
            limit: the bytes that the local copies may take; 0 for any number.
        """
        try:
            content = store.read("warehouse.json")
        except FileNotFoundError:
            with suppress(ObjectExists):
                store.create("warehouse.json", json.dumps({"id": uuid.uuid4().hex}).encode())
            content = store.read("warehouse.json")
        try:
            name = uuid.UUID(json.loads(content)["id"]).hex
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(
                f"The object warehouse.json in {store.address} was not written by whohas. Choose another prefix in "
                "WHOHAS_WAREHOUSE_URL, or remove that object."
            ) from error
        return RemoteWarehouse(store, caches / name, limit)

    # Manifests

    def newest_manifest(self) -> dict[str, Any] | None:
        """Return the newest manifest; None if there is no manifest."""
        after = manifest_key(self._newest - 1) if self._newest else None
        found = list(self.store.list("manifests", after))
        if not found and self._newest:  # the prefix was emptied
            found = list(self.store.list("manifests"))
        newest = max(found, key=lambda one: _number(one.key), default=None)
        self._newest = _number(newest.key) if newest else 0
        return self._document(newest.key, newest.e_tag) if newest and self._newest else None

    def manifest_numbers(self) -> list[int]:
        """Return the numbers of all manifests, in ascending order."""
        return sorted(_number(found.key) for found in self.store.list("manifests"))

    def manifest(self, number: int) -> dict[str, Any]:
        """Return a manifest.

        Raises:
            FileNotFoundError: there is no manifest with that number.
        """
        key = manifest_key(number)
        return self._document(key, self.store.head(key).e_tag)

    def newest_documents(self, prefix: str, count: int) -> list[dict[str, Any]]:
        """Return the JSON objects below a prefix whose keys are greatest, the greatest first; none that are damaged.

        Args:
            prefix: such as `loads`.
            count: the most objects to return.
        """
        found = sorted(self.store.list(prefix), key=lambda one: one.key, reverse=True)[:count]
        documents: list[dict[str, Any]] = []
        for one in found:
            with suppress(FileNotFoundError, ValueError):
                documents.append(self._document(one.key, one.e_tag))
        return documents

    def _document(self, key: str, e_tag: str) -> dict[str, Any]:
        """Return a JSON object, from memory if this version of it was read before."""
        kept = self._documents.get(key)
        if kept is None or kept[0] != e_tag:
            kept = e_tag, json.loads(self.store.read(key))
            if len(self._documents) >= _DOCUMENTS:
                self._documents.clear()
            self._documents[key] = kept
        return kept[1]

    def create_manifest(self, number: int, document: Mapping[str, Any]) -> None:
        """Publish a snapshot by creating its manifest.

        Raises:
            Superseded: another load has created a manifest with this number.
        """
        key = manifest_key(number)
        try:
            self.store.create(key, json.dumps(document, indent=1).encode())
        except ObjectExists as error:
            # A request whose answer was lost is repeated, and then finds its own manifest.
            if json.loads(self.store.read(key)).get("loadId") != document["loadId"]:
                raise Superseded(
                    f"Another load published snapshot {number} while this one was reading. Load again."
                ) from error

    # Tables

    def open_table(self, name: str, version: int | None = None) -> DeltaTable:
        """Open a table at a version; None for the newest.

        Raises:
            DeltaError: there is no such table or version.
        """
        from deltalake import DeltaTable

        with store_errors(self.store.address, f"open the table {name}"):
            return DeltaTable(self._table_url(name), version=version, storage_options=self._options)

    def files_at(self, name: str, version: int, read: Callable[[DeltaTable], Sequence[DataFile]]) -> Sequence[DataFile]:
        """Return the files of a version of a table, from memory if they were read before: a version never changes.

        Args:
            name: the table's name.
            version: the version.
            read: returns the files of an opened version.

        Raises:
            DeltaError: there is no such version.
        """
        kept = self._files.get((name, version))
        if kept is None:
            kept = read(self.open_table(name, version))
            if len(self._files) >= _DOCUMENTS:
                self._files.clear()
            self._files[name, version] = kept
        return kept

    def create_table(self, table: Table) -> DeltaTable:
        """Create a table unless it exists, and open it."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        with store_errors(self.store.address, f"create the table {table.name}"), suppress(DeltaError):
            DeltaTable.create(
                self._table_url(table.name),
                table.schema,
                mode="error",
                name=table.name,
                description=table.doc,
                partition_by=[table.partition] if table.partition else None,
                storage_options=self._options,
            )
        return self.open_table(table.name)

    def newest_versions(self, names: Collection[str]) -> dict[str, int]:
        """Return the newest version of each of some tables."""

        def version(name: str) -> int:
            return self.open_table(name).version()

        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            return dict(zip(names, pool.map(version, names), strict=True))

    def _table_url(self, name: str) -> str:
        return str(self.store.address.child(name))

    @property
    def _options(self) -> dict[str, str]:
        return delta_options(self.store.address)

    def missing(self, names: Iterable[str]) -> list[str]:
        """Return those of some files that the store does not have and that have no local copy."""
        gone: list[str] = []
        for name in names:
            try:
                if not (self.root / name).is_file():
                    self.store.head(name)
            except FileNotFoundError:
                gone.append(name)
        return gone

    # Loads

    def begin_upload(self, load_id: str, base: int) -> None:
        """Note that a load begins to upload files."""
        self.store.write(_upload_key(load_id), json.dumps({"base": base}).encode())

    def check_upload(self, load_id: str) -> None:
        """Check that no other load has taken this one for killed.

        Raises:
            Conflict: it took longer than `ABANDONED_LOAD_SECONDS`.
        """
        try:
            self.store.head(_upload_key(load_id))
        except FileNotFoundError as error:
            raise Conflict(
                f"This load took longer than {timedelta(seconds=timeouts.ABANDONED_LOAD_SECONDS).days} days, and "
                "another one has removed its files. Nothing was loaded; load again, with fewer files."
            ) from error

    def end_upload(self, load_id: str) -> None:
        """Note that a load has ended."""
        self.store.delete(_upload_key(load_id))

    def upload(self, files: Mapping[Path, str]) -> None:
        """Upload files, several at a time.

        Args:
            files: paths with keys.
        """
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            uploads = [pool.submit(self.store.upload, path, key) for path, key in files.items()]
            try:
                for upload in uploads:
                    upload.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def remove_files(self, load_id: str, tables: Iterable[str]) -> None:
        """Remove the data files of a load that published nothing."""
        for table in tables:
            # keys between "<load id>" and "<load id>." are those of its files: "<load id>-<n>.parquet"
            for found in self.store.list(table, f"{table}/{load_id}"):
                if not found.key.startswith(f"{table}/{load_id}-"):
                    break
                self.store.delete(found.key)

    def remove_abandoned(self, tables: Collection[str]) -> None:
        """Remove what loads that were killed have left, after `ABANDONED_LOAD_SECONDS`."""
        before = datetime.now(UTC) - timedelta(seconds=timeouts.ABANDONED_LOAD_SECONDS)
        for found in list(self.store.list("uploads")):
            if found.modified > before:
                continue
            load_id = found.key.rpartition("/")[2]
            with suppress(FileNotFoundError):
                base = json.loads(self.store.read(found.key))["base"]
                self.store.delete(found.key)  # first: the load, should it still run, then publishes nothing
                if self._load_id(base + 1) != load_id:
                    self.remove_files(load_id, tables)

    def is_published(self, number: int, load_id: str) -> bool:
        """Return whether a snapshot was published by a load."""
        return self._load_id(number) == load_id

    def _load_id(self, number: int) -> str:
        try:
            return str(self.manifest(number)["loadId"])
        except FileNotFoundError:
            return ""


def manifest_key(number: int) -> str:
    """Return the key of a manifest, such as `manifests/000000007.json`."""
    return f"manifests/{number:09}.json"


def _number(key: str) -> int:
    stem = Path(key).stem
    return int(stem) if stem.isdecimal() else 0


def _upload_key(load_id: str) -> str:
    return f"uploads/{load_id}"


@contextmanager
def unpublished_removed(remote: RemoteWarehouse, load_id: str, number: int, tables: Collection[str]) -> Generator[None]:
    """Remove the uploaded files of a load if the context raises and it is certain that nothing was published.

    Where the store fails, it is not: the files then stay until a later load removes them.
    """
    try:
        yield
    except BaseException:
        with suppress(StoreFailed):
            if not remote.is_published(number, load_id):
                remote.remove_files(load_id, tables)
                remote.end_upload(load_id)
        raise
    else:
        with suppress(StoreFailed):  # a later load removes it
            remote.end_upload(load_id)
