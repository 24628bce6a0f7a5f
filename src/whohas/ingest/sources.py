"""The sources of a load: their ids and names, and the new rows of the sources table."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whohas.errors import InvalidArguments
from whohas.ingest.values import MAX_ID
from whohas.warehouse.schema import SOURCES
from whohas.warehouse.store import Snapshot

Row = dict[str, Any]


class LoadedSources:
    """The sources of a snapshot together with those that a load adds or changes.

    Input files name a source by its id, its name or both. A source named only by its name gets the id of the
    snapshot's source of that name or, without such a source, the MD5 of the name. Within a load each id has one name
    and each name has one id.

    Example: the snapshot has the source `HR` with the id `a1`. `resolve(None, "HR")` returns `a1`;
    `resolve("b2", "HR")` is refused, because `HR` would have two ids. It is allowed only if the load gave `a1`
    another name before.

    Args:
        base: the snapshot that the load starts from.

    Attributes:
        rows: the rows of the sources table by id.
    """

    def __init__(self, base: Snapshot) -> None:
        self.rows: dict[str, Row] = {}
        for file in base.files(SOURCES):
            for row in pq.read_table(file.path, schema=SOURCES.schema).to_pylist():
                self.rows[row["id"]] = row
        self._base_ids = {row["name"]: id for id, row in self.rows.items() if row["name"]}
        self._ids: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._attributes: dict[str, set[str]] = {}
        self._pairs: dict[tuple[str | None, str | None], str] = {}

    def resolve(self, id: str | None, name: str | None) -> str:
        """Return the id of the source that a file names by id, name or both; add the source if it is new.

        Raises:
            InvalidArguments: the id already has another name or the name another id, or the id is too long or has
                control characters.
        """
        known = self._pairs.get((id, name))
        if known is None:
            known = self._pairs[id, name] = self._resolve(id, name)
        return known

    def _resolve(self, id: str | None, name: str | None) -> str:
        if id is None:
            assert name is not None
            id = (
                self._ids.get(name)
                or self._base_ids.get(name)
                or hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
            )
        if len(id) > MAX_ID or any(ord(c) < 32 or ord(c) == 127 for c in id):
            raise InvalidArguments(
                f"The source id {id[:40]!r}… is longer than {MAX_ID} characters or has control characters. Give it "
                "another."
            )
        if name is None:
            self.rows.setdefault(id, _row(id, None))
            return id
        if self._names.setdefault(id, name) != name:
            raise InvalidArguments(
                f"The source {id} has two names in what is loaded: {self._names[id]!r} and {name!r}. Give it one."
            )
        other = self._ids.setdefault(name, id)
        if other == id and (held := self._base_ids.get(name, id)) != id and self._names.get(held, name) == name:
            other = held
        if other != id:
            raise InvalidArguments(
                f"The source {name!r} has two ids: {other} and {id}. Load it under one id, or under its name alone."
            )
        self.rows.setdefault(id, _row(id, name))["name"] = name
        return id

    def merge_rows(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add or change sources, given rows of a sources file; a value of None leaves a column as it was."""
        for row in rows:
            id = self.resolve(row["id"], row["name"])
            self.rows[id].update({k: v for k, v in row.items() if v is not None and k != "id"})

    def update(self, id: str, **values: Any) -> None:
        """Set columns of a source, given by their names; a value of None leaves a column as it was."""
        self.rows[id].update({k: v for k, v in values.items() if v is not None})

    def name(self, id: str) -> str:
        """Return the name of a source, or its id if it has no name."""
        return self.rows[id]["name"] or id

    def add_attributes(self, id: str, names: Iterable[str]) -> None:
        """Add names of attributes that the accounts of a source have or may have."""
        self._attributes.setdefault(id, set()).update(names)

    def has_named_accounts(self, id: str) -> bool:
        """Return whether the source's accounts were created from memberships that name them.

        Such a source has a time of loading but, without an accounts file, no id of a load.
        """
        return self.rows[id]["loaded"] is not None and self.rows[id]["loadId"] is None

    def to_table(
        self, brought: Iterable[str], loaded: datetime, load_id: str, named: Iterable[str], nested: Iterable[str]
    ) -> pa.Table:
        """Complete the rows of all sources at the end of a load and return them as the sources table.

        Args:
            brought: the ids of sources whose accounts the load replaced from an accounts file.
            loaded: the time of the load.
            load_id: the id of the load.
            named: the ids of sources whose accounts it replaced by accounts that memberships name.
            nested: the ids of sources whose accounts it replaced by accounts nested in identities.
        """
        for id in nested:
            self.rows[id]["loaded"] = None
        for id in named:
            self.rows[id]["loaded"] = loaded
        for id in brought:
            self.rows[id].update(loaded=loaded, loadId=load_id, accountAttributes=sorted(self._attributes.get(id, ())))
        for id, names in self._attributes.items():
            if self.rows[id]["loadId"] is None:
                self.rows[id]["accountAttributes"] = sorted(names)
        for id, row in self.rows.items():
            row["name"] = row["name"] or id
        return pa.Table.from_pylist(list(self.rows.values()), schema=SOURCES.schema)


def _row(id: str, name: str | None) -> Row:
    """Return a row of the sources table in which all other columns are null."""
    return {**dict.fromkeys(SOURCES.schema.names), "id": id, "name": name}
