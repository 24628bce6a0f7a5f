"""The search index: a snapshot's documents as flat tables, with the words of every text beside it.

::

    warehouse/search/000000007/      one folder a snapshot, there when it is complete
    ├── index.json                   the elements: rows, attributes, and the table versions that they are made of
    ├── identities.parquet           num, a column a field, `<field>:words`, `:words` of all of them
    ├── identities.accounts.parquet  num of the identity, ord and parent, columns as above
    ├── identities.access.parquet    num and item: who has which
    └── identities.access.items.parquet   the items themselves, each once

Documents are numbered in the order of their ids. What has not changed since the index before is linked, not made
again.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from whohas.errors import NotFound, Unavailable
from whohas.search.fields import INDICES, Element, Field, Index
from whohas.warehouse.store import Snapshot, Warehouse
from whohas.warehouse.tables import TABLES

FORMAT: Final = 2
"""Changes when indexes of before cannot be read any more: they are then made again."""

QUICK_ROWS: Final = 200_000
"""Rows of a snapshot that are indexed by the first search, should the load not have done it."""

WORDS: Final = ":words"
"""Ends the name of the column with a text's words; alone it names the words of all texts together."""


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
    """

    snapshot: int
    elements: Mapping[tuple[str, str], IndexedElement]

    def element(self, index: Index, path: str = "") -> IndexedElement:
        return self.elements[index.name, path]


def view(index: Index, path: str = "") -> str:
    """The name by which statements call an element."""
    return f"{index.name}.{path}" if path else index.name


def is_built(snapshot: Snapshot) -> bool:
    """Whether a snapshot has its index, in the format of today."""
    return _facts(_folder(snapshot)) is not None


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
    return SearchIndex(snapshot.number, elements)


def build(
    warehouse: Warehouse, snapshot: Snapshot, on_progress: Callable[[int, int], None] = lambda done, of: None
) -> None:
    """Makes the index of a snapshot, unless it is there; another process that makes it is waited for.

    Args:
        on_progress: told the rows that are done, and of how many.

    Raises:
        Unavailable: it cannot be made, most likely because the disk is full; nothing is left behind.
    """
    import duckdb

    if is_built(snapshot):
        return
    root = warehouse.root / "search"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_built(snapshot):
            return
        part = root / f"{snapshot.number:09}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            older = [one for one in _built(root) if one[0].name < f"{snapshot.number:09}"]
            _build(snapshot, part, older[-1] if older else None, on_progress)
            shutil.rmtree(_folder(snapshot), ignore_errors=True)
            part.rename(_folder(snapshot))
        except (OSError, duckdb.Error) as error:
            raise Unavailable(
                f"The search index of snapshot {snapshot.number} could not be made: is the disk full? `whohas index` "
                f"makes it later. ({str(error).splitlines()[0][:300]})"
            ) from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _sweep(root, snapshot.number)


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


def _folder(snapshot: Snapshot) -> Path:
    return snapshot.root / "search" / f"{snapshot.number:09}"


def _facts(folder: Path) -> dict[str, Any] | None:
    """What is known of the index in a folder; None where there is none in the format of today."""
    try:
        facts: dict[str, Any] = json.loads((folder / "index.json").read_text())
    except FileNotFoundError:
        return None
    return facts if facts["format"] == FORMAT else None


def _built(root: Path) -> list[tuple[Path, dict[str, Any]]]:
    """The indexes that there are, the oldest first."""
    folders = sorted(path.parent for path in root.glob("*/index.json"))
    return [(folder, facts) for folder in folders if (facts := _facts(folder)) is not None]


def _sweep(root: Path, number: int) -> None:
    """Removes old indexes: runs that began with one of the last few go on."""
    for folder in sorted(path.parent for path in root.glob("*/index.json"))[:-_KEPT]:
        if folder.name != f"{number:09}":
            shutil.rmtree(folder, ignore_errors=True)


def _build(
    snapshot: Snapshot,
    folder: Path,
    before: tuple[Path, dict[str, Any]] | None,
    on_progress: Callable[[int, int], None],
) -> None:
    from whohas.search.indexing import Indexing

    facts: dict[str, Any] = {"format": FORMAT, "snapshot": snapshot.number, "elements": {}}
    everything = sum(sum(file.rows for file in snapshot.files(TABLES[e.depends[-1]])) for e in _elements())
    done = 0
    with Indexing.open(snapshot, folder) as indexing:
        for index in INDICES.values():
            for path, element in index.elements.items():
                name = view(index, path)
                versions = {table: snapshot.versions.get(table) for table in element.depends}
                old = before[1]["elements"].get(name, {}) if before is not None else {}
                if before is not None and old.get("versions") == versions:
                    for file in (f"{name}.parquet", f"{name}.items.parquet"):
                        if (before[0] / file).is_file():
                            os.link(before[0] / file, folder / file)
                    facts["elements"][name] = old
                else:
                    rows, attributes = indexing.write(
                        index, element, lambda n, at=done: on_progress(at + n, everything)
                    )
                    known = [asdict(one) for one in attributes]
                    facts["elements"][name] = {"versions": versions, "rows": rows, "attributes": known}
                done += facts["elements"][name]["rows"]
                on_progress(done, everything)
    (folder / "index.json").write_text(json.dumps(facts, indent=1))
    for path in folder.iterdir():
        if path.is_file():
            _sync(path)


def _sync(path: Path) -> None:
    """Makes sure that a file outlives a power cut before it is published."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _elements() -> list[Element]:
    return [element for index in INDICES.values() for element in index.elements.values()]
