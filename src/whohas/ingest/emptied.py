"""Note columns that had values before a load and have none after it, because an export may have lost them.

The guard counts rejected rows and unreadable cells. A column that is missing, or whose cells are all empty, causes
neither.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import quote_identifier
from whohas.ingest.mapping import SourceMapping
from whohas.ingest.pipeline import ReadPipeline
from whohas.plurals import pluralize
from whohas.warehouse.attribute_columns import FOOTER_KEY
from whohas.warehouse.evolved import missing_columns, path_literals
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
from whohas.warehouse.store import TableChange

_TABLES = (ACCOUNTS, IDENTITIES, ENTITLEMENTS, ACCESS_PROFILES, ROLES, APPS, IDENTITY_PROFILES)
_NOT_COMPARED = frozenset({"id", "sourceId", "sourceName", "sourceType", "identityId", "managerId"})
"""Columns that are not compared: keys, and columns that rules fill. The guard and other notes report on them."""


def emptied_column_notes(reading: ReadPipeline, changes: Iterable[TableChange]) -> list[str]:
    """Return a note for each column of a file that had values in the snapshot before, and has none after the load.

    Only partitions are compared that have rows before and after.
    """
    lost: dict[tuple[str, str], tuple[int, int]] = {}
    for change in sorted(changes, key=lambda change: change.table.name):
        stage = reading.stages.get(change.table.name)
        if change.table not in _TABLES or stage is None:
            continue
        old = _partitions(reading.load.base.files(change.table, change.replaced_partitions))
        new = _partitions(change.added_files)
        for partition in sorted(old.keys() & new.keys()):
            if change.table.partition is not None and partition not in stage.touched:
                continue
            file_columns = _file_columns(reading, change.table, partition)
            # attributes of identities that accounts make are those of the accounts
            mapped = change.table is IDENTITIES and partition in reading.described
            rows, emptied = _emptied(reading.connection, change.table, old[partition], new[partition], not mapped)
            for column, count in emptied.items():
                key = (_source_name(reading, partition) or change.table.name, file_columns.get(column, column))
                lost[key] = max(lost.get(key, (0, 0)), (count, rows))
    return [
        f"{name}: the column {column!r} has no value any more in {pluralize(rows, 'row')}; "
        f"{pluralize(count, 'row')} had one before this load."
        for (name, column), (count, rows) in lost.items()
    ]


def _partitions(files: Iterable[Any]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in files:
        if file.rows:
            found.setdefault(file.partition or "", []).append(file.path)
    return found


def _source_name(reading: ReadPipeline, partition: str) -> str:
    return reading.sources.name(partition) if partition in reading.sources.rows else ""


def _emptied(
    connection: Any, table: Table, old: Sequence[Path], new: Sequence[Path], attributes: bool
) -> tuple[int, dict[str, int]]:
    """Compare the files of a partition before and after the load.

    Returns:
        The number of new rows; and by column or attribute without values in the new files, the number of old values.
    """
    columns = [c for c in table.columns if not c.computed and c.name not in _NOT_COMPARED and c.type != ATTRIBUTES]
    missing = {name for path in old for name in missing_columns(path, table)}
    names = [column.name for column in columns if column.name not in missing]
    filled = _value_counts(connection, table, new, names)
    empty = [name for name in names if not filled[name]]
    before = _value_counts(connection, table, old, empty)
    found = {name: before[name] for name in empty if before[name]}
    if attributes and "attributes" in table.schema.names:
        present = _attribute_names(connection, new)
        lost = {name for name in _attribute_names(connection, old) if name not in present}
        found |= _attribute_counts(connection, old, lost)
    rows = sum(pq.read_metadata(path).num_rows for path in new)
    return rows, found


def _value_counts(connection: Any, table: Table, paths: Sequence[Path], names: Sequence[str]) -> dict[str, int]:
    """Return how many rows have a value in each column: from the statistics of the files, or by reading the column."""
    found = dict.fromkeys(names, 0)
    flat = [name for name in names if not pa.types.is_nested(table.column(name).type)]
    known = dict(
        connection.execute(
            "SELECT path_in_schema, CASE WHEN count(*) = count(stats_null_count) "
            "THEN sum(num_values - stats_null_count) END "
            f"FROM parquet_metadata([{path_literals(paths)}]) GROUP BY 1"
        ).fetchall()
    )
    found |= {name: int(known[name]) for name in flat if known.get(name) is not None}
    rest = [name for name in names if name not in flat or known.get(name) is None]
    if rest:
        counts = ", ".join(f"count({quote_identifier(name)})" for name in rest)
        (row,) = connection.execute(f"SELECT {counts} FROM read_parquet([{path_literals(paths)}])").fetchall()
        found |= dict(zip(rest, row, strict=True))
    return found


def _attribute_names(connection: Any, paths: Sequence[Path]) -> set[str]:
    """Return the names of the attributes in some files: from the files' footers, or by reading them."""
    names: set[str] = set()
    for path in paths:
        footer = (pq.read_metadata(path).metadata or {}).get(FOOTER_KEY)
        if footer is None:
            sql = f"SELECT DISTINCT unnest(map_keys(attributes)) FROM read_parquet([{path_literals([path])}])"
            names |= {name for (name,) in connection.execute(sql).fetchall()}
        else:
            facts = json.loads(footer)
            names |= {*facts["one"], *facts["many"], *facts["rest"]}
    return names


def _attribute_counts(connection: Any, paths: Sequence[Path], names: Collection[str]) -> dict[str, int]:
    """Return how many rows have each of some attributes, without attributes that no row has."""
    if not names:
        return {}
    return dict(
        connection.execute(
            "SELECT name, count(*) FROM (SELECT unnest(map_keys(attributes)) AS name "
            f"FROM read_parquet([{path_literals(paths)}])) WHERE list_contains($names, name) GROUP BY 1 ORDER BY 1",
            {"names": sorted(names)},
        ).fetchall()
    )


def _file_columns(reading: ReadPipeline, table: Table, source: str) -> Mapping[str, str]:
    """Return, by column of a table, the name that the file of a source has for it, as far as mappings name them."""
    found: dict[str, str] = {}
    for mapping in reading.inputs.mappings:
        if mapping.column is None and reading.sources.resolve(mapping.id, mapping.name) != source:
            continue
        found |= _mapped_columns(mapping, table)
    return found


def _mapped_columns(mapping: SourceMapping, table: Table) -> dict[str, str]:
    """Return, by column of a table, the column of the file that a mapping reads it from."""
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
