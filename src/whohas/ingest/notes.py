"""Warnings in the report of a load: rules and references that match nothing, and columns that became empty.

`LoadNotes` counts what correlation rules and references do not match, with examples, in the Parquet files as they will
be after the load. `emptied_column_notes` names columns that had values before the load and have none after it, because
an export may have lost them: the guard counts rejected rows and unreadable cells, and an empty column causes neither.
`snapshot_gaps` counts both by table and source for the snapshot; reports show them.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import quote_identifier, string_literal
from whohas.ingest.changes import files_after_load
from whohas.ingest.correlate import value_sql
from whohas.ingest.mapping import Correlation, SourceMapping
from whohas.ingest.pipeline import ReadPipeline
from whohas.plurals import pluralize
from whohas.warehouse.attribute_columns import FOOTER_KEY
from whohas.warehouse.evolved import missing_columns, path_literals
from whohas.warehouse.schema import (
    ACCESS_PROFILES,
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    APPS,
    ATTRIBUTES,
    ENTITLEMENTS,
    IDENTITIES,
    IDENTITY_PROFILES,
    ROLES,
    Table,
)
from whohas.warehouse.store import DataFile, LoadLoss, TableChange

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
        f"{pluralize(count, 'row')} had one before this load. Check the export."
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


def snapshot_gaps(reading: ReadPipeline, accepted: bool) -> tuple[LoadLoss, ...]:
    """Return the gaps of the snapshot that a load publishes.

    Gaps of earlier loads are dropped for the tables and sources that this load replaces, and kept for all others.

    Args:
        accepted: whether the load exceeds its loss limits and was accepted nevertheless.
    """
    stages = reading.stages
    kept = [
        gap
        for gap in reading.load.base.gaps
        if gap.table not in stages or (gap.source and gap.source not in stages[gap.table].touched)
    ]
    found: dict[tuple[str, str], tuple[int, int]] = {}
    tables = {number: table.name for number, _, table, _ in reading.files}
    for (file, source), counts in reading.rejects.by_source.items():
        key = (tables[file], source)
        rejected, emptied = found.get(key, (0, 0))
        found[key] = (rejected + counts["rejected"] + counts["items"], emptied + counts["emptied"])
    return (*kept, *(LoadLoss(table, source, *counts, accepted) for (table, source), counts in found.items()))


_WANTED = """
CREATE OR REPLACE TEMP TABLE wanted AS
SELECT {value} AS v, count(*) FILTER (WHERE {condition}) AS n FROM read_parquet([{files}]) GROUP BY 1 HAVING n > 0
"""
"""FILTER instead of WHERE: DuckDB 2.0.0 takes all rows for null if a file has statistics of one value and few nulls."""

_OFFERED = """
CREATE OR REPLACE TEMP TABLE offered AS
SELECT {value} AS v, count(*) AS n FROM read_parquet([{files}]) GROUP BY 1
"""
_COMPARE = """
WITH w AS (FROM wanted WHERE v <> ''),
o AS (FROM offered WHERE v <> ''),
folded AS (SELECT lower(v) AS v, sum(n) AS n FROM o GROUP BY 1)
SELECT
    (SELECT coalesce(sum(n), 0) FROM w)::BIGINT,
    (SELECT count(*) FROM o),
    (SELECT coalesce(sum(w.n), 0) FROM w JOIN folded f ON f.v = lower(w.v) ANTI JOIN o ON o.v = w.v
        WHERE f.n = 1)::BIGINT,
    (SELECT coalesce(sum(w.n), 0) FROM w JOIN {known} f ON f.v = {key} WHERE f.n > 1)::BIGINT,
    (SELECT list(v ORDER BY v) FROM (SELECT v FROM w ORDER BY v LIMIT 2)),
    (SELECT list(v ORDER BY v) FROM (SELECT v FROM o ORDER BY v LIMIT 2))
"""


@dataclass(frozen=True, slots=True)
class _Unmatched:
    """The values of accounts (or of identities without a manager) that a correlation rule did not match.

    Attributes:
        rows: the number of unmatched rows that have a value in the column that the rule compares.
        offered: the number of distinct values that identities have in the rule's column.
        by_case: how many of `rows` differ only in upper and lower case from the value of exactly one identity.
        ambiguous: how many of `rows` have a value that several identities have.
        examples: up to two values of `rows`.
        identities: up to two values of identities.
    """

    rows: int
    offered: int
    by_case: int
    ambiguous: int
    examples: Sequence[str]
    identities: Sequence[str]


class LoadNotes:
    """Finds the notes of one load in the tables as they will be after it.

    Args:
        reading: the load, all of whose files were read.
        changes: the files that the load adds to and removes from each table.
    """

    def __init__(self, reading: ReadPipeline, changes: Sequence[TableChange]) -> None:
        self._reading = reading
        self._connection: Any = reading.connection
        self._changes = changes
        self._identities = files_after_load(reading.load, changes, IDENTITIES)
        self._identities_changed = IDENTITIES.name in reading.stages
        self._brought = self._touched(ACCOUNTS)

    def all(self) -> list[str]:
        """Return all notes, the most important first."""
        return [
            *self._authoritative(),
            *self._correlations(),
            *self._managers(),
            *self._lost_managers(),
            *self._lost_holders(),
            *self._memberships(),
        ]

    def _touched(self, table: Table) -> set[str]:
        """Return the partitions of a table (ids of sources, for accounts) that the load changes."""
        stage = self._reading.stages.get(table.name)
        return set(stage.touched) if stage is not None else set()

    def _files(self, table: Table, partition: str) -> list[DataFile]:
        return [f for f in files_after_load(self._reading.load, self._changes, table) if f.partition == partition]

    def _counts(self, files: Sequence[DataFile]) -> tuple[int, int]:
        """Return the number of accounts in some files, and how many of them are correlated (have an identity)."""
        if not files:
            return 0, 0
        sql = f"SELECT count(*), count(*) FILTER (WHERE correlated) FROM read_parquet([{_paths(files)}])"
        return self._connection.execute(sql).fetchall()[0]

    def _authoritative(self) -> list[str]:
        """Return notes about authoritative sources that have no [accounts], or whose accounts have no identity."""
        found = [
            f"{mapping.path.name}: source.authoritative lets accounts make identities, and there is no [accounts]. "
            "Add it, or remove source.authoritative."
            for mapping in self._reading.inputs.mappings
            if mapping.authoritative and mapping.accounts is None
        ]
        for id in sorted(self._brought):
            row = self._reading.sources.rows[id]
            if row["authoritative"]:
                rows, held = self._counts(self._files(ACCOUNTS, id))
                if rows and not held:
                    name = repr(row["name"] or id)
                    found.append(
                        f"The source {name} is authoritative, and none of its accounts ({rows:,}) has an identity. "
                        "Load its accounts with a mapping that has source.authoritative, or load the identities."
                    )
        return found

    def _correlations(self) -> list[str]:
        """Return notes about correlation rules that match no account, or that miss some only because of case."""
        found: list[str] = []
        for id, row in sorted(self._reading.sources.rows.items()):
            if row["correlation"] is None or not (id in self._brought or self._identities_changed):
                continue
            rule, files = Correlation.from_json(row["correlation"]), self._files(ACCOUNTS, id)
            rows, held = self._counts(files)
            if not rows or held == rows or (held and rule.ignore_case):
                continue
            left = self._compare(files, "NOT correlated", rule)
            name, side = repr(row["name"] or id), _side(rule.account)
            if not held:
                why = self._why(left, rule, "correlation")
                found.append(f"0 of {pluralize(rows, 'account')} of {name} are correlated: {why}")
            elif left.by_case:
                stay = "stays" if left.by_case == 1 else "stay"
                found.append(
                    f"{pluralize(left.by_case, 'account')} of {name} {stay} uncorrelated whose {side} differs from an "
                    f"identity's {rule.identity} in upper and lower case only: "
                    "correlation.ignoreCase = true correlates them."
                )
        return found

    def _managers(self) -> list[str]:
        """Return notes about manager rules that leave identities without a manager."""
        found: list[str] = []
        for id, row in sorted(self._reading.sources.rows.items()):
            if row["managerCorrelation"] is None or not self._identities_changed:
                continue
            rule, files = Correlation.from_json(row["managerCorrelation"]), self._files(IDENTITIES, id)
            rows = sum(file.rows for file in files)
            if not rows:
                continue
            left = self._compare(files, "managerId IS NULL", rule)
            named = left.rows
            name = repr(row["name"] or id)
            if named:
                why = self._why(left, rule, "manager")
                are = "is without its" if named == 1 else "are without their"
                whole = pluralize(rows, "identity", "identities")
                found.append(f"{named:,} of {whole} of {name} {are} manager: {why}")
            elif not self._any(files, f"{value_sql(rule.account)} <> ''"):
                found.append(
                    f"No identity of {name} has a manager: none of them has a value of {_side(rule.account)}. "
                    "Check the export, or set manager.account."
                )
        return found

    def _why(self, left: _Unmatched, rule: Correlation, section: str) -> str:
        """Return the end of a note: why the values of a rule match no identity, and what to change.

        Args:
            section: the section of the mapping that has the rule, `correlation` or `manager`.
        """
        side = f"their {_side(rule.account)}"
        if not left.rows:
            return f"none of them has a value of {_side(rule.account)}. Check the export, or set {section}.account."
        if not self._identities:
            return f"{side} {_such(left.examples)} is compared with identities, and there are none yet. Load them."
        if not left.offered:
            return (
                f"{side} {_such(left.examples)} is compared with {rule.identity}, which no identity has. "
                f"Set {section}.identity to what identities have."
            )
        if left.by_case and not rule.ignore_case:
            return (
                f"{side} {_such(left.examples)} differs from an identity's {rule.identity} "
                f"{_such(left.identities)} in upper and lower case only for {left.by_case:,} of them; "
                f"{section}.ignoreCase = true finds these."
            )
        several = f" ({left.ambiguous:,} of them: several identities have it)" if left.ambiguous else ""
        return (
            f"{side} {_such(left.examples)} is the {rule.identity} of no one identity{several}; "
            f"identities have {_such(left.identities)} there. Check {section}.account and {section}.identity."
        )

    def _compare(self, files: Sequence[DataFile], condition: str, rule: Correlation) -> _Unmatched:
        """Compare the values of rows that a rule did not match with the values of identities.

        Example: the unmatched accounts have the values `Ann` (two accounts), `bob` and `eve`; one identity has `ann`
        and two have `bob`. Without `ignore_case` the result has rows=4, offered=2, by_case=2 (`Ann`), ambiguous=1
        (`bob`), examples=[`Ann`, `bob`] and identities=[`ann`, `bob`].

        Args:
            files: the files of accounts, or of identities for a manager rule.
            condition: the SQL condition of an unmatched row.
        """
        self._connection.execute(
            _WANTED.format(value=value_sql(rule.account), files=_paths(files), condition=condition)
        )
        if self._identities:
            self._connection.execute(_OFFERED.format(value=value_sql(rule.identity), files=_paths(self._identities)))
        else:
            self._connection.execute(
                "CREATE OR REPLACE TEMP TABLE offered AS SELECT '' AS v, 0::BIGINT AS n WHERE false"
            )
        known, key = ("folded", "lower(w.v)") if rule.ignore_case else ("o", "w.v")
        row: Any = self._connection.execute(_COMPARE.format(known=known, key=key)).fetchall()[0]
        return _Unmatched(row[0], row[1], row[2], row[3], row[4] or [], row[5] or [])

    def _any(self, files: Sequence[DataFile], condition: str) -> bool:
        """Return whether a row of some files fulfils an SQL condition."""
        sql = f"SELECT 1 FROM read_parquet([{_paths(files)}]) WHERE {condition} LIMIT 1"
        return bool(self._connection.execute(sql).fetchall())

    def _lost_managers(self) -> list[str]:
        """Return a note if identities have a `managerId` that is not the id of any identity."""
        if not self._identities_changed or not self._identities:
            return []
        count, examples = self._lost(self._identities, "managerId")
        if not count:
            return []
        hint = "Load the identities of these managers."
        if self._reading.named_managers:
            hint = "A mapping's [manager] says by which column of identities a manager is found."
        identities = pluralize(count, "identity has", "identities have")
        return [f"{identities} a manager that no identity is: {', '.join(map(repr, examples))}. {hint}"]

    def _lost_holders(self) -> list[str]:
        """Return a note if accounts have an `identityId` that is not the id of any identity."""
        files = files_after_load(self._reading.load, self._changes, ACCOUNTS)
        if not self._identities_changed:
            files = [file for file in files if file.partition in self._brought]
        if not files or not self._identities:
            return []
        count, examples = self._lost(files, "identityId")
        if not count:
            return []
        accounts = pluralize(count, "account has", "accounts have")
        return [f"{accounts} an identity that is not there: {', '.join(map(repr, examples))}. Load the identities."]

    def _lost(self, files: Sequence[DataFile], column: str) -> tuple[int, list[str]]:
        """Return the number of rows whose `column` is not the id of any identity, and up to three of these values."""
        sql = (
            f"WITH lost AS (SELECT r.{column} AS v, count(*) AS n FROM read_parquet([{_paths(files)}]) r "
            f"WHERE r.{column} <> '' GROUP BY 1), "
            f"gone AS (SELECT * FROM lost ANTI JOIN read_parquet([{_paths(self._identities)}]) i ON i.id = lost.v) "
            "SELECT coalesce(sum(n), 0)::BIGINT, "
            "(SELECT list(v ORDER BY v) FROM (SELECT v FROM gone ORDER BY v LIMIT 3)) FROM gone"
        )
        count, examples = self._connection.execute(sql).fetchall()[0]
        return count, examples or []

    def _memberships(self) -> list[str]:
        """Return a note for each membership file all of whose rows were rejected."""
        return [
            f"Not one row of {file.name} ({file.read:,} in all) could be loaded: nobody holds what it names. "
            "See the rejected rows."
            for file in self._reading.counts()
            if file.holds == ACCOUNT_ENTITLEMENTS.name and file.read and file.rejected >= file.read
        ]


def _side(account: str) -> str:
    return account.removeprefix("attributes.")


def _such(examples: Sequence[str]) -> str:
    """Return examples for a message, such as `(such as 'Ann' and 'bob')`."""
    return f"(such as {' and '.join(repr(value[:60]) for value in examples)})"


def _paths(files: Sequence[DataFile]) -> str:
    """Return the paths of some files as SQL literals, separated by commas."""
    return ", ".join(string_literal(str(file.path)) for file in files)
