"""Derive access at the end of a load: rebuild the rows of `identity_access` that follow from what accounts hold.

`derive_access` decides which sources are affected, `deriving.AccessDerivation` computes the rows in SQL, and the
helpers here turn the result into changes of `account_entitlements`, `identity_access` and `overruled_access`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.ingest.changes import data_files
from whohas.ingest.deriving import (
    DOCUMENTS,
    FILE,
    AccessDerivation,
    DerivationScope,
    TablesAfterLoad,
    document_access_sql,
    sql_text_list,
)
from whohas.ingest.pipeline import ReadPipeline
from whohas.ingest.staging import Stage
from whohas.plurals import pluralize
from whohas.warehouse.evolved import missing_columns, path_literals
from whohas.warehouse.schema import (
    ACCESS_PROFILES,
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ENTITLEMENTS,
    IDENTITIES,
    IDENTITY_ACCESS,
    OVERRULED_ACCESS,
    ROLES,
    SOURCES,
    Table,
)
from whohas.warehouse.store import TableChange

_HELD = """
WITH held AS (
    SELECT DISTINCT identityId, sourceId, id, attribute, value FROM {given}
    WHERE type = 'ENTITLEMENT' AND sourceId IN (SELECT unnest($sources))
), counted AS (
    SELECT identityId, sourceId, any_value(id) AS id, count(*) AS n FROM read_parquet([{accounts}])
    WHERE identityId IS NOT NULL GROUP BY ALL
), several AS (
    SELECT a.id, a.identityId, a.sourceId, a.attributes, a.entitlementAttributes FROM read_parquet([{accounts}]) a
    SEMI JOIN (FROM counted WHERE n > 1) c ON c.identityId = a.identityId AND c.sourceId = a.sourceId
)
SELECT c.id AS accountId, h.id AS entitlementId, h.sourceId, h.attribute, h.value
FROM held h JOIN counted c ON c.identityId = h.identityId AND c.sourceId = h.sourceId AND c.n = 1
UNION ALL
SELECT s.id, h.id, h.sourceId, h.attribute, h.value
FROM held h JOIN several s ON s.identityId = h.identityId AND s.sourceId = h.sourceId
WHERE list_contains(s.attributes[h.attribute], h.value) OR list_contains(s.entitlementAttributes[h.attribute], h.value)
ORDER BY sourceId
"""


def stage_derived_entitlements(
    connection: Any, given: str, accounts: Sequence[Path], sources: set[str], stage: Stage
) -> None:
    """Stage account entitlements of some sources, derived from the access and the accounts of identities.

    If an identity has one account on a source, the account holds all entitlements that the identity has there. If it
    has several, an entitlement goes to each account that has the entitlement's value in the attribute of that name.

    Args:
        connection: DuckDB.
        given: SQL table expression for the rows of access that documents gave.
        accounts: files of the accounts of these sources.
        sources: ids of the sources.
        stage: stage of the table `account_entitlements`, to which the rows are added.
    """
    statement = _HELD.format(given=given, accounts=path_literals(accounts))
    found = connection.sql(statement, params={"sources": sorted(sources)})
    for batch in found.to_arrow_reader(50_000):
        data = pa.Table.from_batches([batch]).cast(ACCOUNT_ENTITLEMENTS.schema)
        stage.add(data, np.zeros(data.num_rows, dtype=np.int64))


_GLOBAL_TABLES = frozenset(table.name for table in (IDENTITIES, IDENTITY_ACCESS, ACCESS_PROFILES, ROLES))
"""Tables that affect the derived access of every source when they change."""

_TABLES_BY_SOURCE = (ACCOUNTS, ACCOUNT_ENTITLEMENTS, ENTITLEMENTS)
"""Tables that affect only the sources of their changed rows."""


def derive_access(
    reading: ReadPipeline, changes: list[TableChange], from_file: set[str], entitlements_from_file: set[str]
) -> list[TableChange]:
    """Return a load's changes plus those that follow from them.

    Two kinds of rows are added: account entitlements of sources whose access is known from identity documents only, and
    derived rows of `identity_access` with the `overruled_access` that belongs to them. Sets `holdingsFrom` of the
    sources, and appends to `reading.warnings`.

    Args:
        changes: the changes of the load so far.
        from_file: ids of sources whose accounts are loaded from a file.
        entitlements_from_file: ids of sources whose account entitlements are loaded from a file.
    """
    rows = reading.sources.rows
    before = {id: row["holdingsFrom"] for id, row in rows.items()}
    after = TablesAfterLoad(reading.load.base, changes)
    for id in after.replaced_partitions(ACCOUNT_ENTITLEMENTS):
        rows[id]["holdingsFrom"] = FILE if id in entitlements_from_file else rows[id]["holdingsFrom"] or DOCUMENTS
    linked = _sources_to_link(reading, after, from_file)
    if linked:
        changes = _with_change(changes, _entitlement_links(reading, after, linked))
        after = TablesAfterLoad(reading.load.base, changes)
        for id in linked:
            rows[id]["holdingsFrom"] = DOCUMENTS
    origin_changed = any(row["holdingsFrom"] != before.get(id) for id, row in rows.items())
    scope = _scope(reading, after, from_file, linked, origin_changed or _never_derived(reading))
    if scope is None:
        return changes
    names = {id: reading.sources.name(id) for id in rows}
    deriving = AccessDerivation(reading.connection, after, scope, reading.load.scratch, names)
    try:
        deriving.run()
        _add_warnings(reading, deriving)
        return _with_derived(reading, deriving, after, changes)
    finally:
        deriving.close()


def _never_derived(reading: ReadPipeline) -> bool:
    """Return whether the loaded sources were written by a version that did not derive access yet."""
    return any(missing_columns(file.path, SOURCES) for file in reading.load.base.files(SOURCES))


def _deciding_sources(reading: ReadPipeline, from_file: set[str]) -> set[str]:
    """Return the ids of sources whose accounts decide access: those with a file of accounts or memberships, ever."""
    rows = reading.sources.rows
    return {id for id, row in rows.items() if row["loadId"] is not None or id in from_file} | {
        id for id, row in rows.items() if row["holdingsFrom"] == FILE
    }


def _sources_to_link(reading: ReadPipeline, after: TablesAfterLoad, from_file: set[str]) -> set[str]:
    """Return the ids of sources whose account entitlements have to be built from identity documents."""
    access_changed = IDENTITY_ACCESS.name in after.changed_tables
    if not access_changed and not after.files(IDENTITY_ACCESS):
        return set()
    replaced = after.replaced_partitions(ACCOUNT_ENTITLEMENTS)
    candidates = {
        id
        for id in _deciding_sources(reading, from_file) - replaced
        if reading.sources.rows[id]["holdingsFrom"] != FILE
        and (access_changed or (id in from_file and not after.files(ACCOUNT_ENTITLEMENTS, frozenset({id}))))
    }
    return {id for id in candidates if after.files(ACCOUNTS, frozenset({id}))}


def _entitlement_links(reading: ReadPipeline, after: TablesAfterLoad, sources: set[str]) -> TableChange:
    """Build the account entitlements of some sources from identity documents."""
    stage = reading.fresh_stage(ACCOUNT_ENTITLEMENTS)
    accounts = after.files(ACCOUNTS, frozenset(sources))
    stage_derived_entitlements(reading.connection, document_access_sql(after), accounts, sources, stage)
    stage.finish(reading.connection)
    return TableChange(ACCOUNT_ENTITLEMENTS, data_files(stage), frozenset(sources))


def _scope(
    reading: ReadPipeline, after: TablesAfterLoad, from_file: set[str], linked: set[str], everything: bool
) -> DerivationScope | None:
    """Return the sources to derive access for, or None if nothing that the load changes can affect access.

    Args:
        reading: the load.
        after: the tables as the load will leave them.
        from_file: ids of sources whose accounts are loaded from a file.
        linked: ids of sources whose account entitlements were just built from identity documents.
        everything: whether all deciding sources are derived, whatever the load changes.
    """
    deciding = _deciding_sources(reading, from_file)
    changed = after.changed_tables
    everything = everything or bool(changed & _GLOBAL_TABLES) or _has_new_source(reading, deciding)
    touched = (
        deciding
        if everything
        else deciding & {id for table in _TABLES_BY_SOURCE for id in after.replaced_partitions(table)}
    )
    if not everything and touched and _has_mixed_profile(reading, after):
        everything, touched = True, deciding
    if not touched and not (everything and after.files(ROLES) + after.files(ACCESS_PROFILES)):
        return None
    if not after.files(ACCOUNT_ENTITLEMENTS, frozenset(touched)) and not _has_access_rows(
        reading, after, touched, everything
    ):
        return None
    file = frozenset(id for id in touched if reading.sources.rows[id]["holdingsFrom"] == FILE)
    return DerivationScope(file, frozenset(touched) - file, frozenset(linked & touched), everything)


def _has_new_source(reading: ReadPipeline, deciding: set[str]) -> bool:
    """Return whether a source gets its first accounts or memberships from a file by this load."""
    before = {
        row["id"]
        for file in reading.load.base.files(SOURCES)
        for row in pq.read_table(file.path, columns=["id", "loadId"]).to_pylist()
        if row["loadId"] is not None
    }
    return any(id not in before and reading.sources.rows[id]["holdingsFrom"] != FILE for id in deciding)


def _has_mixed_profile(reading: ReadPipeline, after: TablesAfterLoad) -> bool:
    """Return whether an access profile has entitlements of another source.

    Then no source can be derived alone, so the scope becomes all sources.
    """
    profiles = after.files(ACCESS_PROFILES)
    if not profiles:
        return False
    found = reading.connection.sql(
        f"SELECT 1 FROM (SELECT sourceId, unnest(entitlements).id AS id FROM {after.scan(ACCESS_PROFILES)}) p "
        f"JOIN {after.scan(ENTITLEMENTS)} e USING (id) WHERE e.sourceId IS DISTINCT FROM p.sourceId LIMIT 1"
    ).fetchall()
    return bool(found)


def _has_access_rows(reading: ReadPipeline, after: TablesAfterLoad, sources: set[str], everything: bool) -> bool:
    """Return whether rows of access exist for these sources, or for any source if `everything` is set."""
    if not after.files(IDENTITY_ACCESS) and not after.overruled_files():
        return False
    condition = "true" if everything else f"list_contains({sql_text_list(sources)}, sourceId)"
    scans = (after.scan(IDENTITY_ACCESS), document_access_sql(after))
    rows = " UNION ALL ".join(f"SELECT sourceId FROM {scan}" for scan in scans)
    return bool(reading.connection.sql(f"SELECT 1 FROM ({rows}) WHERE {condition} LIMIT 1").fetchall())


def _with_derived(
    reading: ReadPipeline, deriving: AccessDerivation, after: TablesAfterLoad, changes: list[TableChange]
) -> list[TableChange]:
    """Return the changes with the partitions of derived and overruled access that differ from the snapshot."""
    partitions = deriving.changed_partitions()
    if not partitions:
        return _without_stale_overruled(reading, after, changes)
    # stage both tables first: they read files that `_with_change` deletes
    derived = [_stage_rows(reading, IDENTITY_ACCESS, partitions, deriving.write_access)]
    if after.overruled_files() or deriving.select_number("SELECT count(*) FROM verdicts"):
        derived.append(_stage_rows(reading, OVERRULED_ACCESS, partitions, deriving.write_overruled))
    for change in derived:
        changes = _with_change(changes, change)
    return _without_stale_overruled(reading, after, changes)


def _without_stale_overruled(
    reading: ReadPipeline, after: TablesAfterLoad, changes: list[TableChange]
) -> list[TableChange]:
    """Return the changes without overruled rows that are out of date.

    Rows of `overruled_access` belong to the documents of a partition; when the load replaces these documents, the
    partition's overruled rows are deleted.
    """
    gone = {
        file.partition or ""
        for file in reading.load.base.files(OVERRULED_ACCESS)
        if (file.partition or "") in after.replaced_partitions(IDENTITY_ACCESS)
    }
    return _with_change(changes, TableChange(OVERRULED_ACCESS, (), frozenset(gone))) if gone else changes


def _stage_rows(
    reading: ReadPipeline,
    table: Table,
    partitions: set[str],
    write_rows: Callable[[set[str], Callable[[pa.Table], None]], None],
) -> TableChange:
    """Stage the rows that `write_rows` produces for some partitions, and return the change that replaces them."""
    stage = reading.fresh_stage(table)

    def add(data: pa.Table) -> None:
        stage.add(data, np.zeros(data.num_rows, dtype=np.int64))

    write_rows(partitions, add)
    stage.finish(reading.connection)
    return TableChange(table, data_files(stage), frozenset(partitions))


def _with_change(changes: list[TableChange], more: TableChange) -> list[TableChange]:
    """Return the changes with one more, which overrides files that the load staged for the same partitions.

    The staged files that are overridden are deleted from disk.
    """
    others: list[TableChange] = []
    for change in changes:
        if change.table is not more.table:
            others.append(change)
            continue
        assert change.replaced_partitions is not None and more.replaced_partitions is not None
        kept = []
        for file in change.added_files:
            if (file.partition or "") not in more.replaced_partitions or file in more.added_files:
                kept.append(file)
            else:
                Path(file.path).unlink()
        more = TableChange(
            more.table, (*kept, *more.added_files), change.replaced_partitions | more.replaced_partitions
        )
    return [*others, more]


def _add_warnings(reading: ReadPipeline, deriving: AccessDerivation) -> None:
    """Append warnings on overruled items and on rows for which access cannot be derived."""
    overruled = deriving.select_number("SELECT count(*) FROM verdicts WHERE NOT holds")
    if overruled:
        items = pluralize(overruled, "access item that documents give does", "access items that documents give do")
        reading.warnings.append(
            f"{items} not hold, because the accounts of their sources do not have them: see the table overruled_access."
        )
    unknown_accounts = deriving.select_number(
        "SELECT count(*) FROM (FROM carried c ANTI JOIN present a ON a.id = c.accountId)"
    )
    if unknown_accounts:
        reading.warnings.append(
            f"{pluralize(unknown_accounts, 'account entitlement names', 'account entitlements name')} "
            "an account that is not there: they are assigned to nobody. Load the accounts."
        )
    unknown_identities = deriving.select_number(
        "SELECT count(*) FROM (SELECT DISTINCT accountId FROM carried) c JOIN owned a ON a.id = c.accountId "
        "ANTI JOIN people p ON p.id = a.identityId"
    )
    if unknown_identities:
        accounts = pluralize(
            unknown_identities, "account with entitlements belongs", "accounts with entitlements belong"
        )
        reading.warnings.append(
            f"{accounts} to identities that are not there: no access is derived from them. Load the identities."
        )
    empty = deriving.select_number("SELECT count(*) FROM profiles WHERE n = 0 AND list_contains($file, sourceId)")
    if empty:
        profiles = pluralize(empty, "access profile lists", "access profiles list")
        reading.warnings.append(
            f"{profiles} no entitlements, so that no holders can be derived. "
            "Load a file of access profiles with their entitlements."
        )
