"""The search index of a snapshot: its documents as flat Parquet files, with the tokens of every text in extra columns.

::

    warehouse/search/000000007/      one folder a snapshot, renamed to this name once complete
    ├── index.json                   the versions that built it; for each element its rows, attributes, and the
    │                                versions of the tables that it was built from
    ├── identities.parquet           num, a column a field, `<field>:words`, `:words` of all of them
    ├── identities.accounts.parquet  num of the identity, for some lists ord and parent, columns as above
    ├── identities.access.parquet    num and item: which identity has which access item
    └── identities.access.items.parquet   the access items, each once

Documents are numbered (`num`) in the order of their ids. Files whose tables have not changed since an earlier index
are hard-linked from there, not built again. Of a warehouse in an object store, this folder holds copies: see
`search.shared_index`. Builds are reproducible: a snapshot and the same software versions give the
same bytes, whatever the time, machine and number of threads. `docs/reference/tables.md` describes the files.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from whohas import __version__
from whohas.atomic import sync_file
from whohas.db.locks import file_lock, shared_file_lock, try_file_lock
from whohas.errors import NotFound, Unavailable
from whohas.search.analyzer import ANALYSER_VERSION
from whohas.search.fields import INDICES, Element, Index, IndexField
from whohas.search.shared_index import download_index, find_shared_index, shared_index_numbers, upload_index
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import Snapshot, Warehouse, deleted_data_error, missing_files

if TYPE_CHECKING:
    from whohas.search.indexing import IndexResources

INDEX_FORMAT: Final = 2
"""The format of an index. Raise it when existing indexes can no longer be read; they are then rebuilt."""

MAX_ROWS_INDEXED_BY_SEARCH: Final = 200_000
"""The largest snapshot, in rows, that a search indexes itself if it has no index yet."""

WORDS_SUFFIX: Final = ":words"
"""The suffix of a column with the tokens of a text, `<field>:words`; alone, the column with the tokens of all texts."""


ProgressCallback = Callable[[int, int], None]
"""A callback for progress: called with the number of rows done and the total."""


@dataclass(frozen=True, slots=True)
class BuildVersions:
    """The software versions that built an index. Only equal versions give equal bytes.

    Attributes:
        analyser: `ANALYSER_VERSION`; 1 for an index that does not record it, 0 for one whose index.json is damaged.
        whohas: the version of whohas; like the next two, empty for an index that does not record it.
        duckdb: the version of DuckDB, which joins and sorts the rows.
        pyarrow: the version of Arrow, which writes the files.
    """

    analyser: int
    whohas: str = ""
    duckdb: str = ""
    pyarrow: str = ""

    @staticmethod
    def current() -> BuildVersions:
        """Return the versions of this process."""
        import duckdb
        import pyarrow

        return BuildVersions(ANALYSER_VERSION, __version__, duckdb.__version__, pyarrow.__version__)

    def __str__(self) -> str:
        if not self.analyser:
            return "an unknown version (its index.json cannot be read)"
        if not self.whohas:
            return f"an earlier version, analyser {self.analyser}"
        return f"whohas {self.whohas}, analyser {self.analyser}, DuckDB {self.duckdb}, Arrow {self.pyarrow}"


@dataclass(frozen=True, slots=True)
class IndexedElement:
    """One element of a built index.

    Attributes:
        element: its definition.
        rows: its number of rows.
        fields: its fields by name, including the attributes found in its maps.
        files: the Parquet files by the name of the SQL view for each.
    """

    element: Element
    rows: int
    fields: Mapping[str, IndexField]
    files: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """A snapshot's search index.

    Attributes:
        snapshot: the snapshot's number.
        elements: the elements by index name and path.
        versions: the software versions that built it.
    """

    snapshot: int
    elements: Mapping[tuple[str, str], IndexedElement]
    versions: BuildVersions

    def element(self, index: Index, path: str = "") -> IndexedElement:
        return self.elements[index.name, path]


def view_name(index: Index, path: str = "") -> str:
    """Return the name of an element's view in SQL statements, such as `identities.access`."""
    return f"{index.name}.{path}" if path else index.name


def is_built(snapshot: Snapshot) -> bool:
    """Return whether a snapshot has an index of the current format and analyser version."""
    return _read_record(_folder(snapshot)) is not None


def index_versions(snapshot: Snapshot) -> BuildVersions | None:
    """Return the versions that built a snapshot's index, whatever its format; None if it has no index."""
    record = _read_any_record(_folder(snapshot))
    return None if record is None else _record_versions(record)


def open_index(snapshot: Snapshot) -> SearchIndex:
    """Return the index of a snapshot; only its index.json is read.

    Raises:
        NotFound: the snapshot has no index of the current format and analyser version.
    """
    folder = _folder(snapshot)
    record = _read_record(folder)
    if record is None:
        raise NotFound(f"The search index of snapshot {snapshot.number} is gone. Start the search again.")
    elements: dict[tuple[str, str], IndexedElement] = {}
    for index in INDICES.values():
        for path, element in index.elements.items():
            name = view_name(index, path)
            element_record = record["elements"][name]
            fields = dict(element.fields)
            for attribute in element_record["attributes"]:
                fields[attribute["name"]] = IndexField(
                    attribute["name"], "text", "", attribute["many"], attribute["column"]
                )
            files = {name: folder / f"{name}.parquet"}
            if element.shared:
                files[f"{name}.items"] = folder / f"{name}.items.parquet"
            elements[index.name, path] = IndexedElement(element, element_record["rows"], fields, files)
    return SearchIndex(snapshot.number, elements, _record_versions(record))


def build_index(
    warehouse: Warehouse, snapshot: Snapshot, on_progress: ProgressCallback = lambda done, of: None
) -> None:
    """Build the index of a snapshot unless it exists. Waits while another process builds an index.

    Args:
        warehouse: the warehouse of the snapshot.
        snapshot: the snapshot.
        on_progress: called with the rows done and the total.

    Raises:
        NotFound: the data of the snapshot was removed.
        Unavailable: the disk or the engine failed, most likely because the disk is full. No files are left behind.
    """
    if is_built(snapshot):
        return
    with _build_folder(warehouse, snapshot) as part:
        if is_built(snapshot):
            return
        if _download(snapshot, part):
            _publish(part, _folder(snapshot))
            return
        older = [
            index for index in _usable_indexes(warehouse.root / "search") if index[0].name < f"{snapshot.number:09}"
        ]
        with warehouse.hold(snapshot):
            write_index(snapshot, part, older[-1] if older else None, on_progress)
        _publish(part, _folder(snapshot))
    share_index(snapshot)


@contextmanager
def locked_index(warehouse: Warehouse, snapshot: Snapshot) -> Generator[None]:
    """Hold a shared lock on the index of a snapshot, so that it is not removed until the context ends.

    The index is built first if it does not exist. `rebuild_index` may still replace it: compare `index_versions`.

    Raises:
        NotFound: as in `build_index`.
        Unavailable: as in `build_index`.
    """
    path = _folder(snapshot) / _RECORD
    with ExitStack() as stack:
        while True:
            build_index(warehouse, snapshot)
            # Another process may remove the index before the lock is acquired. The lock counts only if the path still
            # names the locked file.
            with suppress(FileNotFoundError), ExitStack() as lock:
                file = lock.enter_context(shared_file_lock(path))
                if os.path.samestat(os.fstat(file), path.stat()):
                    stack.push(lock.pop_all())
                    break
        yield


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """The result of a rebuild: the new index compared with the previous one.

    Attributes:
        files: the names of the files of both indexes.
        differing: the names of files that differ in a byte, or that only one index has.
        previous_versions: the versions that built the previous index; None if the snapshot had no index.
    """

    files: tuple[str, ...]
    differing: tuple[str, ...]
    previous_versions: BuildVersions | None


def rebuild_index(
    warehouse: Warehouse,
    snapshot: Snapshot,
    on_progress: ProgressCallback = lambda done, of: None,
    replace: bool = True,
) -> RebuildResult:
    """Build the index of a snapshot from its tables alone, and compare it with the existing one.

    If both are equal, the existing one stays. Searches continue to run during the build.

    Args:
        warehouse: the warehouse of the snapshot.
        snapshot: the snapshot.
        on_progress: called with the rows done and the total.
        replace: whether the new index replaces the existing one if they differ.

    Raises:
        NotFound: the data of the snapshot was removed; or it has no index and `replace` is false.
        Unavailable: as in `build_index`.
    """
    folder = _folder(snapshot)
    if _is_shared(snapshot):
        build_index(warehouse, snapshot)  # downloads it if this machine has no copy
    with _build_folder(warehouse, snapshot) as part:
        before = index_versions(snapshot)
        if before is None and not replace:
            raise NotFound(
                f"Snapshot {snapshot.number} has no search index that could be checked: "
                f"`whohas index --snapshot {snapshot.number}` makes it."
            )
        try:
            with warehouse.hold(snapshot):
                write_index(snapshot, part, None, on_progress)
        except NotFound as error:
            raise NotFound(f"{error.message} `whohas index` indexes the newest data.") from error
        names = {path.name for path in part.iterdir()}
        if before is None:
            _publish(part, folder)
            share_index(snapshot, replace=True)
            return RebuildResult(tuple(sorted(names)), (), None)
        names |= {path.name for path in folder.iterdir()}
        differing = tuple(name for name in sorted(names) if not _equal_files(part / name, folder / name))
        if differing and replace:
            _publish(part, folder)
            share_index(snapshot, replace=True)
        return RebuildResult(tuple(sorted(names)), differing, before)


@contextmanager
def _build_folder(warehouse: Warehouse, snapshot: Snapshot) -> Generator[Path]:
    """Acquire the build lock and yield an empty folder for an index; remove old indexes on success.

    The folder is removed on exit unless it was renamed, see `_publish`.

    Raises:
        Unavailable: the disk or the engine failed.
    """
    import duckdb

    root = warehouse.root / "search"
    root.mkdir(parents=True, exist_ok=True)
    with file_lock(root / "build.lock"):
        for stale in root.glob("*.part"):  # left by killed processes: the lock excludes running builds
            shutil.rmtree(stale, ignore_errors=True)
        part = root / f"{snapshot.number:09}.part"
        part.mkdir()
        try:
            yield part
        except (OSError, duckdb.Error) as error:
            raise Unavailable(
                f"The search index of snapshot {snapshot.number} could not be built: is the disk full? Free space "
                f"and run `whohas index`. ({str(error).splitlines()[0][:300]})"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _sweep(root, snapshot.number)


def _publish(part: Path, folder: Path) -> None:
    """Move a complete index to its final path and remove the old one there. Open files stay readable."""
    if folder.exists():
        old = folder.with_name(f"{folder.name}.old.part")
        folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        part.rename(folder)


def _is_shared(snapshot: Snapshot) -> bool:
    """Return whether the object store of the warehouse has a usable index of a snapshot."""
    return snapshot.remote is not None and find_shared_index(snapshot.remote, snapshot.number, _is_usable) is not None


def _download(snapshot: Snapshot, part: Path) -> bool:
    """Download the index of a snapshot to an empty folder, if the object store has a usable one."""
    if snapshot.remote is None:
        return False
    found = find_shared_index(snapshot.remote, snapshot.number, _is_usable)
    if found is None:
        return False
    try:
        download_index(snapshot.remote, found, part)
    except FileNotFoundError:  # another machine has removed it as too old
        for path in part.iterdir():
            path.unlink()
        return False
    return True


def share_index(snapshot: Snapshot, *, replace: bool = False) -> None:
    """Upload the index of a snapshot for other machines; no effect on the local disk.

    Args:
        replace: also if the object store has one already.

    Raises:
        StoreFailed: the object store failed.
    """
    if snapshot.remote is not None and (replace or not _is_shared(snapshot)):
        upload_index(snapshot.remote, snapshot.number, _folder(snapshot), _KEPT)


def _equal_files(first: Path, second: Path) -> bool:
    return first.is_file() and second.is_file() and filecmp.cmp(first, second, shallow=False)


def searchable_snapshot(warehouse: Warehouse) -> Snapshot:
    """Return the snapshot that a search runs on.

    It is the newest snapshot if that has an index, or has at most `MAX_ROWS_INDEXED_BY_SEARCH` rows and so is indexed
    now. Otherwise it is the newest snapshot with an index.

    Raises:
        Unavailable: no snapshot has an index, or as in `build_index`.
    """
    snapshot = warehouse.snapshot()
    if is_built(snapshot):
        return snapshot
    if (
        _is_shared(snapshot)
        or sum(file.rows for table in TABLES.values() for file in snapshot.files(table)) <= MAX_ROWS_INDEXED_BY_SEARCH
    ):
        build_index(warehouse, snapshot)
        return snapshot
    number = newest_indexed_snapshot(warehouse)
    if number is None:
        raise Unavailable("The search index is not there yet. Wait for the load that builds it, or run `whohas index`.")
    return warehouse.snapshot(number)


def newest_indexed_snapshot(warehouse: Warehouse) -> int | None:
    """Return the number of the newest snapshot with an index, or None if no snapshot has one."""
    local = {int(folder.name) for folder, _ in _usable_indexes(warehouse.root / "search")}
    shared = shared_index_numbers(warehouse.remote, _is_usable) if warehouse.remote else set[int]()
    return max(local | shared, default=None)


_KEPT = 3
"""The number of newest indexes that are kept; older ones are removed after each build, unless a reader holds them."""
_RECORD = "index.json"


def shared_index_prefix(snapshot: Snapshot) -> str:
    """Return the prefix of a snapshot's search index in the object store of its warehouse.

    Raises:
        Unavailable: the store does not have the index.
    """
    assert snapshot.remote is not None
    found = find_shared_index(snapshot.remote, snapshot.number, _is_usable)
    if found is None:
        raise Unavailable(
            f"The search index of snapshot {snapshot.number} is not in {snapshot.remote.store.address}, where the "
            "engine of the run reads it. Start the report again, on the newest data."
        )
    return found.prefix


def _folder(snapshot: Snapshot) -> Path:
    return snapshot.root / "search" / f"{snapshot.number:09}"


def _read_record(folder: Path) -> dict[str, Any] | None:
    """Return the index.json of the index in a folder.

    None if it is missing, damaged, or of another format or analyser version.
    """
    record = _read_any_record(folder)
    return record if record is not None and _is_usable(record) else None


def _is_usable(record: Mapping[str, Any]) -> bool:
    return record.get("format") == INDEX_FORMAT and _record_versions(record).analyser == ANALYSER_VERSION


def _read_any_record(folder: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((folder / _RECORD).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {"format": 0, "madeWith": {"analyser": 0}}  # damaged: to be rebuilt, but not missing
    return record


def _record_versions(record: Mapping[str, Any]) -> BuildVersions:
    return BuildVersions(**record.get("madeWith", {"analyser": 1}))


def _index_folders(root: Path) -> list[Path]:
    """Return the folders of complete indexes of any format, the oldest first."""
    return sorted(path.parent for path in root.glob(f"*/{_RECORD}") if path.parent.name.isdigit())


def _usable_indexes(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return the usable indexes, the oldest first: folder and index.json."""
    return [(folder, record) for folder in _index_folders(root) if (record := _read_record(folder)) is not None]


def _sweep(root: Path, number: int) -> None:
    """Remove all but the newest `_KEPT` indexes and that of snapshot `number`, except those that are locked."""
    for folder in _index_folders(root)[:-_KEPT]:
        if folder.name != f"{number:09}":
            # A reader that waits for this lock finds the file gone afterwards: see `locked_index`.
            with suppress(OSError), try_file_lock(folder / _RECORD) as free:
                if free:
                    shutil.rmtree(folder, ignore_errors=True)


def write_index(
    snapshot: Snapshot,
    folder: Path,
    before: tuple[Path, dict[str, Any]] | None = None,
    on_progress: ProgressCallback = lambda done, of: None,
    resources: IndexResources | None = None,
) -> None:
    """Write the files of an index into an empty folder.

    Args:
        snapshot: the snapshot to index.
        folder: the folder.
        before: the folder and the index.json of an older index, from which unchanged files are hard-linked; None to
            build every file.
        on_progress: called with the rows done and the total, in rows of the tables that the index is made from.
        resources: the memory and threads that the engine may use.

    Raises:
        NotFound: the data of the snapshot was removed.
    """
    from whohas.search.indexing import IndexResources, IndexWriter

    _require_data(snapshot)
    versions = BuildVersions.current()
    if before is not None and _record_versions(before[1]) != versions:
        before = None  # other versions may give other bytes
    record: dict[str, Any] = {
        "format": INDEX_FORMAT,
        "snapshot": snapshot.number,
        "madeWith": asdict(versions),
        "elements": {},
    }
    total = sum(_source_rows(element, snapshot) for element in _elements())
    done = 0
    with IndexWriter.open(snapshot, folder, resources or IndexResources()) as indexing:
        for index in INDICES.values():
            for path, element in index.elements.items():
                name = view_name(index, path)
                share = _source_rows(element, snapshot)
                tables = {table: snapshot.versions.get(table) for table in element.source_tables}
                old = before[1]["elements"].get(name, {}) if before is not None else {}
                if before is not None and old.get("versions") == tables:
                    for file in (f"{name}.parquet", f"{name}.items.parquet"):
                        if (before[0] / file).is_file():
                            os.link(before[0] / file, folder / file)
                    record["elements"][name] = old
                else:
                    rows, attributes = indexing.write_element(
                        index, element, lambda n, at=done, most=share: on_progress(at + min(n, most), total)
                    )
                    attribute_records = [asdict(attribute) for attribute in attributes]
                    record["elements"][name] = {"versions": tables, "rows": rows, "attributes": attribute_records}
                done += share
                on_progress(done, total)
    shutil.rmtree(folder / "spill", ignore_errors=True)
    (folder / _RECORD).write_text(json.dumps(record, indent=1))
    for path in folder.iterdir():
        sync_file(path)


def _require_data(snapshot: Snapshot) -> None:
    """Check that all files of a snapshot exist.

    Raises:
        NotFound: some are missing; the message names them.
    """
    missing: list[str] = []
    for table in TABLES.values():
        try:
            files = snapshot.files(table)
        except NotFound:
            missing.append(f"version {snapshot.versions[table.name]} of the table {table.name}")
            continue
        missing += missing_files(files)
    if missing:
        raise deleted_data_error(snapshot.number, missing)


def _source_rows(element: Element, snapshot: Snapshot) -> int:
    """Return the number of rows of the table that an element is made from, as a measure of the work."""
    return sum(file.rows for file in snapshot.files(TABLES[element.source_tables[-1]]))


def _elements() -> list[Element]:
    return [element for index in INDICES.values() for element in index.elements.values()]
