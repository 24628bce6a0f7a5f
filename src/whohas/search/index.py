"""The search index: a snapshot's documents as flat tables, with the words of every text beside it.

::

    warehouse/search/000000007/      one folder a snapshot, there when it is complete
    ├── index.json                   what it was made with; the elements: rows, attributes, and the table versions that
    │                                they are made of
    ├── identities.parquet           num, a column a field, `<field>:words`, `:words` of all of them
    ├── identities.accounts.parquet  num of the identity, ord and parent, columns as above
    ├── identities.access.parquet    num and item: who has which
    └── identities.access.items.parquet   the items themselves, each once

Documents are numbered in the order of their ids. What has not changed since the index before is linked, not made
again. The files are the same, byte by byte, whenever they are made of a snapshot with the same versions; nothing in
them says when, where or by how many threads. `docs/reference/tables.md` describes them for readers of SQL.
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
from whohas.search.fields import INDICES, Element, Field, Index
from whohas.warehouse.schema import TABLES
from whohas.warehouse.store import Snapshot, Warehouse, no_longer_kept

if TYPE_CHECKING:
    from whohas.search.indexing import Resources

FORMAT: Final = 2
"""Changes when indexes of before cannot be read any more: they are then made again."""

QUICK_ROWS: Final = 200_000
"""Rows of a snapshot that are indexed by the first search, should the load not have done it."""

WORDS: Final = ":words"
"""Ends the name of the column with a text's words; alone it names the words of all texts together."""


Progress = Callable[[int, int], None]
"""Takes the rows that are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What an index was made with: its bytes are the same only with the same.

    Attributes:
        analyser: `ANALYSER_VERSION`; 1 for indexes that do not say, 0 for those that cannot be read.
        whohas: the version of whohas; like the others empty for indexes that do not say.
        duckdb: the engine, which joins and orders.
        pyarrow: the library that writes the files.
    """

    analyser: int
    whohas: str = ""
    duckdb: str = ""
    pyarrow: str = ""

    @staticmethod
    def current() -> Versions:
        """Those of this process."""
        import duckdb
        import pyarrow

        return Versions(ANALYSER_VERSION, __version__, duckdb.__version__, pyarrow.__version__)

    def __str__(self) -> str:
        if not self.analyser:
            return "an unknown version, for its index.json cannot be read"
        if not self.whohas:
            return f"an earlier version, analyser {self.analyser}"
        return f"whohas {self.whohas}, analyser {self.analyser}, DuckDB {self.duckdb}, Arrow {self.pyarrow}"


@dataclass(frozen=True, slots=True)
class IndexedElement:
    """One element as it lies in an index.

    Attributes:
        element: what it is.
        rows: how many there are.
        fields: its fields by name, those of its open maps among them.
        files: SQL view to Parquet file.
    """

    element: Element
    rows: int
    fields: Mapping[str, Field]
    files: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """A snapshot's search index.

    Attributes:
        elements: by index name and path.
        versions: what it was made with.
    """

    snapshot: int
    elements: Mapping[tuple[str, str], IndexedElement]
    versions: Versions

    def element(self, index: Index, path: str = "") -> IndexedElement:
        return self.elements[index.name, path]


def view(index: Index, path: str = "") -> str:
    """The name by which statements call an element."""
    return f"{index.name}.{path}" if path else index.name


def is_built(snapshot: Snapshot) -> bool:
    """Whether a snapshot has its index, in the format and with the words of today."""
    return _facts(_folder(snapshot)) is not None


def index_versions(snapshot: Snapshot) -> Versions | None:
    """Return what the index of a snapshot was made with, in whichever format it is; None where it has no index."""
    facts = _any_facts(_folder(snapshot))
    return None if facts is None else _versions(facts)


def open_index(snapshot: Snapshot) -> SearchIndex:
    """The index of a snapshot.

    Raises:
        NotFound: it has none, or no longer.
    """
    folder = _folder(snapshot)
    facts = _facts(folder)
    if facts is None:
        raise NotFound(f"The search index of snapshot {snapshot.number} is gone. Start the search again.")
    elements: dict[tuple[str, str], IndexedElement] = {}
    for index in INDICES.values():
        for path, element in index.elements.items():
            name = view(index, path)
            known = facts["elements"][name]
            fields = dict(element.fields)
            for one in known["attributes"]:
                fields[one["name"]] = Field(one["name"], "text", "", one["many"], one["column"])
            files = {name: folder / f"{name}.parquet"}
            if element.shared:
                files[f"{name}.items"] = folder / f"{name}.items.parquet"
            elements[index.name, path] = IndexedElement(element, known["rows"], fields, files)
    return SearchIndex(snapshot.number, elements, _versions(facts))


def build(warehouse: Warehouse, snapshot: Snapshot, on_progress: Progress = lambda done, of: None) -> None:
    """Makes the index of a snapshot, unless it is there; another process that makes it is waited for.

    Raises:
        NotFound: the data of the snapshot is no longer kept.
        Unavailable: it cannot be made, most likely because the disk is full; nothing is left behind.
    """
    if is_built(snapshot):
        return
    with _building(warehouse, snapshot) as part:
        if is_built(snapshot):
            return
        older = [one for one in _built(warehouse.root / "search") if one[0].name < f"{snapshot.number:09}"]
        write_index(snapshot, part, older[-1] if older else None, on_progress)
        _publish(part, _folder(snapshot))


@contextmanager
def held_index(warehouse: Warehouse, snapshot: Snapshot) -> Generator[None]:
    """Keep the index of a snapshot, which is made if need be, from being removed until the context ends.

    An index that is made again may still take its place: see `index_versions`.

    Raises:
        NotFound, Unavailable: as in `build`.
    """
    path = _folder(snapshot) / _FACTS
    with ExitStack() as stack:
        while True:
            build(warehouse, snapshot)
            # another process may remove the index before the lock is held
            with suppress(FileNotFoundError), ExitStack() as lock:
                file = lock.enter_context(shared_file_lock(path))
                if os.path.samestat(os.fstat(file), path.stat()):
                    stack.push(lock.pop_all())
                    break
        yield


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An index that was made again, compared with the one that was there.

    Attributes:
        files: the names of the files of both.
        differing: those of them that are not equal byte by byte, or that only one index has.
        before: what the one that was there was made with; None where none was there.
    """

    files: tuple[str, ...]
    differing: tuple[str, ...]
    before: Versions | None


def rebuild(
    warehouse: Warehouse, snapshot: Snapshot, on_progress: Progress = lambda done, of: None, replace: bool = True
) -> Rebuilt:
    """Make the index of a snapshot from its tables alone, and compare it with the one that is there, if any.

    Where both are equal the one that is there stays. Searches go on meanwhile.

    Args:
        replace: whether the new one takes its place where they differ.

    Raises:
        NotFound: the data of the snapshot is no longer kept; or there is no index and none is to be put there.
        Unavailable: as in `build`.
    """
    folder = _folder(snapshot)
    with _building(warehouse, snapshot) as part:
        before = index_versions(snapshot)
        if before is None and not replace:
            raise NotFound(
                f"Snapshot {snapshot.number} has no search index that could be checked: "
                f"`whohas index --snapshot {snapshot.number}` makes it."
            )
        try:
            write_index(snapshot, part, None, on_progress)
        except NotFound as error:
            raise NotFound(f"{error.message} `whohas index` indexes the newest data.") from error
        names = {path.name for path in part.iterdir()}
        if before is None:
            _publish(part, folder)
            return Rebuilt(tuple(sorted(names)), (), None)
        names |= {path.name for path in folder.iterdir()}
        differing = tuple(name for name in sorted(names) if not _equal(part / name, folder / name))
        if differing and replace:
            _publish(part, folder)
        return Rebuilt(tuple(sorted(names)), differing, before)


@contextmanager
def _building(warehouse: Warehouse, snapshot: Snapshot) -> Generator[Path]:
    """The right to make an index, and an empty folder for it; afterwards old indexes go.

    Raises:
        Unavailable: the disk or the engine failed.
    """
    import duckdb

    root = warehouse.root / "search"
    root.mkdir(parents=True, exist_ok=True)
    with file_lock(root / "build.lock"):
        for left in root.glob("*.part"):  # of a process that was killed: no other can be making one now
            shutil.rmtree(left, ignore_errors=True)
        part = root / f"{snapshot.number:09}.part"
        part.mkdir()
        try:
            yield part
        except (OSError, duckdb.Error) as error:
            raise Unavailable(
                f"The search index of snapshot {snapshot.number} could not be made: is the disk full? `whohas index` "
                f"makes it later. ({str(error).splitlines()[0][:300]})"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _sweep(root, snapshot.number)


def _publish(part: Path, folder: Path) -> None:
    """Puts a complete index where it is searched; files that a run has open stay readable to it."""
    if folder.exists():
        old = folder.with_name(f"{folder.name}.old.part")
        folder.rename(old)
        part.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        part.rename(folder)


def _equal(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


def searchable(warehouse: Warehouse) -> Snapshot:
    """The snapshot that a search runs on: the newest one, whose index is made now if that is quickly done; else the
    newest that has an index.

    Raises:
        Unavailable: none has one.
    """
    snapshot = warehouse.snapshot()
    if is_built(snapshot):
        return snapshot
    if sum(file.rows for table in TABLES.values() for file in snapshot.files(table)) <= QUICK_ROWS:
        build(warehouse, snapshot)
        return snapshot
    number = newest_built(warehouse)
    if number is None:
        raise Unavailable("The search index is not there yet: a load is making it, or `whohas index` will.")
    return warehouse.snapshot(number)


def newest_built(warehouse: Warehouse) -> int | None:
    """The number of the newest snapshot with an index; None where there is none."""
    folders = _built(warehouse.root / "search")
    return int(folders[-1][0].name) if folders else None


_KEPT = 3
_FACTS = "index.json"


def _folder(snapshot: Snapshot) -> Path:
    return snapshot.root / "search" / f"{snapshot.number:09}"


def _facts(folder: Path) -> dict[str, Any] | None:
    """What is known of the index in a folder; None where there is none in the format and with the words of today."""
    facts = _any_facts(folder)
    if facts is None or facts["format"] != FORMAT or _versions(facts).analyser != ANALYSER_VERSION:
        return None
    return facts


def _any_facts(folder: Path) -> dict[str, Any] | None:
    try:
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_text())
    except FileNotFoundError:
        return None
    except ValueError:
        return {"format": 0, "madeWith": {"analyser": 0}}  # damaged: made again, but no index that was never there
    return facts


def _versions(facts: Mapping[str, Any]) -> Versions:
    return Versions(**facts.get("madeWith", {"analyser": 1}))


def _folders(root: Path) -> list[Path]:
    """The folders of complete indexes in whichever format, the oldest first."""
    return sorted(path.parent for path in root.glob(f"*/{_FACTS}") if path.parent.name.isdigit())


def _built(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The indexes that there are, the oldest first."""
    return [(folder, facts) for folder in _folders(root) if (facts := _facts(folder)) is not None]


def _sweep(root: Path, number: int) -> None:
    """Removes old indexes, except those that are held."""
    for folder in _folders(root)[:-_KEPT]:
        if folder.name != f"{number:09}":
            # a reader that waits for the lock finds the file gone
            with suppress(OSError), try_file_lock(folder / _FACTS) as free:
                if free:
                    shutil.rmtree(folder, ignore_errors=True)


def write_index(
    snapshot: Snapshot,
    folder: Path,
    before: tuple[Path, dict[str, Any]] | None = None,
    on_progress: Progress = lambda done, of: None,
    resources: Resources | None = None,
) -> None:
    """Write the files of an index into an empty folder.

    Args:
        before: an older index and what is known of it: what has not changed since is linked from there.

    Raises:
        NotFound: the data of the snapshot is no longer kept.
    """
    from whohas.search.indexing import Indexing, Resources

    _require_data(snapshot)
    versions = Versions.current()
    if before is not None and _versions(before[1]) != versions:
        before = None  # its files are not those that these versions make
    facts: dict[str, Any] = {
        "format": FORMAT,
        "snapshot": snapshot.number,
        "madeWith": asdict(versions),
        "elements": {},
    }
    everything = sum(sum(file.rows for file in snapshot.files(TABLES[e.depends[-1]])) for e in _elements())
    done = 0
    with Indexing.open(snapshot, folder, resources or Resources()) as indexing:
        for index in INDICES.values():
            for path, element in index.elements.items():
                name = view(index, path)
                tables = {table: snapshot.versions.get(table) for table in element.depends}
                old = before[1]["elements"].get(name, {}) if before is not None else {}
                if before is not None and old.get("versions") == tables:
                    for file in (f"{name}.parquet", f"{name}.items.parquet"):
                        if (before[0] / file).is_file():
                            os.link(before[0] / file, folder / file)
                    facts["elements"][name] = old
                else:
                    rows, attributes = indexing.write(
                        index, element, lambda n, at=done: on_progress(at + n, everything)
                    )
                    known = [asdict(one) for one in attributes]
                    facts["elements"][name] = {"versions": tables, "rows": rows, "attributes": known}
                done += facts["elements"][name]["rows"]
                on_progress(done, everything)
    shutil.rmtree(folder / "spill", ignore_errors=True)
    (folder / _FACTS).write_text(json.dumps(facts, indent=1))
    for path in folder.iterdir():
        sync_file(path)


def _require_data(snapshot: Snapshot) -> None:
    """Make sure that the files of a snapshot are there.

    Raises:
        NotFound: some are not; the message names them.
    """
    gone: list[str] = []
    for table in TABLES.values():
        try:
            files = snapshot.files(table)
        except NotFound:
            gone.append(f"version {snapshot.versions[table.name]} of the table {table.name}")
            continue
        gone += [f"{table.name}/{file.path.name}" for file in files if not file.path.is_file()]
    if gone:
        raise no_longer_kept(snapshot.number, gone)


def _elements() -> list[Element]:
    return [element for index in INDICES.values() for element in index.elements.values()]
