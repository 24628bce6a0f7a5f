"""Columns that had values before a load and have none after it: a note, for an export may have lost them.

The guard looks after rows that are rejected and cells that are unreadable. A column whose cells are all empty, or that
is missing, has neither.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import quote
from whohas.ingest.mapping import SourceMapping
from whohas.ingest.pipeline import Reading
from whohas.plurals import counted
from whohas.warehouse.attribute_columns import KEY
from whohas.warehouse.evolved import lacking, listed_paths
from whohas.warehouse.schema import (
    ACCESS_PROFILES,
    ACCOUNTS,
    APPS,
    ATTRIBUTES,
    ENTITLEMENTS,
    IDENTITIES,
    IDENTITY_PROFILES,
    ROLES,
    Table,
)
from whohas.warehouse.store import Change

_TABLES = (ACCOUNTS, IDENTITIES, ENTITLEMENTS, ACCESS_PROFILES, ROLES, APPS, IDENTITY_PROFILES)
_OTHERS = frozenset({"id", "sourceId", "sourceName", "sourceType", "identityId", "managerId"})
"""Columns that keys and rules fill: the guard and other notes speak of them."""


def emptied_columns(reading: Reading, changes: Iterable[Change]) -> list[str]:
    """Return a note for each column of a file that had values in the snapshot before and has none any more."""
    lost: dict[tuple[str, str], tuple[int, int]] = {}
    for change in sorted(changes, key=lambda change: change.table.name):
        stage = reading.stages.get(change.table.name)
        if change.table not in _TABLES or stage is None:
            continue
        old = _partitions(reading.load.base.files(change.table, change.replace))
        new = _partitions(change.add)
        for partition in sorted(old.keys() & new.keys()):
            if change.table.partition is not None and partition not in stage.touched:
                continue
            called = _called(reading, change.table, partition)
            # attributes of identities that accounts make are those of the accounts
            mapped = change.table is IDENTITIES and partition in reading.described
            rows, found = _emptied(reading.connection, change.table, old[partition], new[partition], not mapped)
            for column, count in found.items():
                key = (_name(reading, partition) or change.table.name, called.get(column, column))
                lost[key] = max(lost.get(key, (0, 0)), (count, rows))
    return [
        f"{name}: the column {column!r} has no value any more in {counted(rows, 'row')}; "
        f"{counted(count, 'row')} had one before this load."
        for (name, column), (count, rows) in lost.items()
    ]


def _partitions(files: Iterable[Any]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in files:
        if file.rows:
            found.setdefault(file.partition or "", []).append(file.path)
    return found


def _name(reading: Reading, partition: str) -> str:
    return reading.sources.name(partition) if partition in reading.sources.rows else ""


def _emptied(
    connection: Any, table: Table, old: Sequence[Path], new: Sequence[Path], attributes: bool
) -> tuple[int, dict[str, int]]:
    """The rows of the new files; and of columns and attributes that are empty in them, the values of the old ones."""
    columns = [c for c in table.columns if not c.made and c.name not in _OTHERS and c.type != ATTRIBUTES]
    lacks = {name for path in old for name in lacking(path, table)}
    names = [column.name for column in columns if column.name not in lacks]
    filled = _filled(connection, table, new, names)
    empty = [name for name in names if not filled[name]]
    before = _filled(connection, table, old, empty)
    found = {name: before[name] for name in empty if before[name]}
    if attributes and "attributes" in table.schema.names:
        now = _attributes(connection, new)
        gone = {name for name in _attributes(connection, old) if name not in now}
        found |= _counts(connection, old, gone)
    rows = sum(pq.read_metadata(path).num_rows for path in new)
    return rows, found


def _filled(connection: Any, table: Table, paths: Sequence[Path], names: Sequence[str]) -> dict[str, int]:
    """How many rows have a value of each column: from the files' statistics, else by reading the column."""
    found = dict.fromkeys(names, 0)
    flat = [name for name in names if not pa.types.is_nested(table.column(name).type)]
    known = dict(
        connection.execute(
            "SELECT path_in_schema, CASE WHEN count(*) = count(stats_null_count) "
            "THEN sum(num_values - stats_null_count) END "
            f"FROM parquet_metadata([{listed_paths(paths)}]) GROUP BY 1"
        ).fetchall()
    )
    found |= {name: int(known[name]) for name in flat if known.get(name) is not None}
    rest = [name for name in names if name not in flat or known.get(name) is None]
    if rest:
        counts = ", ".join(f"count({quote(name)})" for name in rest)
        (row,) = connection.execute(f"SELECT {counts} FROM read_parquet([{listed_paths(paths)}])").fetchall()
        found |= dict(zip(rest, row, strict=True))
    return found


def _attributes(connection: Any, paths: Sequence[Path]) -> set[str]:
    """The attributes that occur in some files: as their footers say it, else by reading them."""
    found: set[str] = set()
    for path in paths:
        said = (pq.read_metadata(path).metadata or {}).get(KEY)
        if said is None:
            sql = f"SELECT DISTINCT unnest(map_keys(attributes)) FROM read_parquet([{listed_paths([path])}])"
            found |= {name for (name,) in connection.execute(sql).fetchall()}
        else:
            facts = json.loads(said)
            found |= {*facts["one"], *facts["many"], *facts["rest"]}
    return found


def _counts(connection: Any, paths: Sequence[Path], names: Collection[str]) -> dict[str, int]:
    if not names:
        return {}
    return dict(
        connection.execute(
            "SELECT name, count(*) FROM (SELECT unnest(map_keys(attributes)) AS name "
            f"FROM read_parquet([{listed_paths(paths)}])) WHERE list_contains($names, name) GROUP BY 1 ORDER BY 1",
            {"names": sorted(names)},
        ).fetchall()
    )


def _called(reading: Reading, table: Table, source: str) -> Mapping[str, str]:
    """What the file of a source calls our columns, where a mapping says it."""
    found: dict[str, str] = {}
    for mapping in reading.inputs.mappings:
        if mapping.column is None and reading.sources.resolve(mapping.id, mapping.name) != source:
            continue
        found |= _columns(mapping, table)
    return found


def _columns(mapping: SourceMapping, table: Table) -> dict[str, str]:
    accounts = {} if mapping.accounts is None else {o: t.column for o, t in mapping.accounts.columns.items()}
    if table is ACCOUNTS:
        return accounts
    if table is IDENTITIES:
        return {"displayName": accounts.get("name", "displayName")} | {
            ours: theirs.column for ours, theirs in mapping.identities.items()
        }
    if table is ENTITLEMENTS and mapping.entitlements is not None:
        return {ours: theirs.column for ours, theirs in mapping.entitlements.columns.items()}
    return {}
