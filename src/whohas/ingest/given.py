"""The tables as they will be after a load, and the rows of access that identity documents gave.

Access that documents gave is kept apart from access that the load derives from account entitlements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from whohas.engine.sql import string_literal
from whohas.warehouse.columns import Table
from whohas.warehouse.evolved import path_literals, select_all
from whohas.warehouse.schema import (
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    IDENTITY_ACCESS,
    OVERRULED_ACCESS,
)
from whohas.warehouse.store import Snapshot, TableChange

FILE, DOCUMENTS = "FILE", "DOCUMENTS"
"""Values of `sources.holdingsFrom`: account entitlements come from a file of them, or from identities' documents."""


class TablesAfterLoad:
    """The tables as they will be once some changes are published on top of a base snapshot."""

    def __init__(self, base: Snapshot, changes: Iterable[TableChange]) -> None:
        self._base = base
        self._changes = {change.table.name: change for change in changes}

    @property
    def changed_tables(self) -> frozenset[str]:
        """The names of the tables that have a change."""
        return frozenset(self._changes)

    def replaced_partitions(self, table: Table) -> set[str]:
        """Return the partitions of a table that the changes replace or add files to."""
        change = self._changes.get(table.name)
        if change is None:
            return set()
        return {*(change.replaced_partitions or ()), *(file.partition or "" for file in change.added_files)}

    def files(self, table: Table, partitions: frozenset[str] | None = None) -> list[Path]:
        """Return the paths of a table's files that have rows, of the given partitions or (None) of all."""
        change = self._changes.get(table.name)
        kept = self._base.files(table, partitions)
        added = ()
        if change is not None:
            dropped = change.replaced_partitions
            kept = [file for file in kept if dropped is not None and (file.partition or "") not in dropped]
            added = change.added_files
        files = [*kept, *(file for file in added if partitions is None or (file.partition or "") in partitions)]
        return [file.path for file in files if file.rows]

    def scan(self, table: Table, partitions: frozenset[str] | None = None) -> str:
        """Return an SQL table expression for a table's rows, of the given partitions or (None) of all."""
        return select_all(table, self.files(table, partitions))

    def overruled_files(self) -> list[Path]:
        """Return the files of `overruled_access` that stay valid.

        These are the files of the partitions for which the load brings no new rows of `identity_access`.
        """
        touched = self.replaced_partitions(IDENTITY_ACCESS)
        return [
            file.path
            for file in self._base.files(OVERRULED_ACCESS)
            if file.rows and (file.partition or "") not in touched
        ]


KEY = "identityId, type, id"
"""The columns that together identify a row of access."""


def document_access_sql(after: TablesAfterLoad) -> str:
    """Return an SQL table expression for all rows of access that documents gave.

    Rows that were replaced by account entitlements are included, as the documents gave them; they are kept in
    `overruled_access`.
    """
    rows = f"FROM {after.scan(IDENTITY_ACCESS)} WHERE derived IS NOT TRUE"
    overruled = after.overruled_files()
    if not overruled:
        return f"(SELECT * EXCLUDE (derived) {rows})"
    other = select_all(OVERRULED_ACCESS, overruled)
    return (
        f"(SELECT * EXCLUDE (derived) FROM (SELECT * {rows}) g ANTI JOIN {other} o USING ({KEY}) "
        f"UNION ALL BY NAME FROM {other})"
    )


def infer_holdings_from(connection: Any, base: Snapshot, sources: Mapping[str, dict[str, Any]]) -> None:
    """Set `holdingsFrom` of the sources that an earlier version of whohas loaded without setting it.

    A source gets `DOCUMENTS` if every one of its account entitlements is explained by a document that gives the
    entitlement to the account's identity, and `FILE` otherwise. Sources without account entitlements are not changed.

    Args:
        connection: DuckDB.
        base: the snapshot to inspect.
        sources: rows of the table `sources` by id; they are changed in place.
    """
    unknown = [
        id
        for id, row in sources.items()
        if row["holdingsFrom"] is None and any(file.rows for file in base.files(ACCOUNT_ENTITLEMENTS, frozenset({id})))
    ]
    if not unknown:
        return
    unknown_ids = frozenset(unknown)
    after = TablesAfterLoad(base, ())
    accounts = path_literals(after.files(ACCOUNTS, unknown_ids))
    explained = (
        f"SELECT a.id AS accountId, g.id AS entitlementId FROM (FROM read_parquet([{accounts}])) a "
        f"JOIN {document_access_sql(after)} g ON g.identityId = a.identityId AND g.type = 'ENTITLEMENT'"
        if accounts
        else "SELECT NULL::VARCHAR AS accountId, NULL::VARCHAR AS entitlementId WHERE false"
    )
    unexplained = connection.sql(
        f"SELECT DISTINCT h.sourceId FROM {after.scan(ACCOUNT_ENTITLEMENTS, unknown_ids)} h "
        f"ANTI JOIN ({explained}) e USING (accountId, entitlementId)"
    ).fetchall()
    from_file = {id for (id,) in unexplained}
    for id in unknown:
        sources[id]["holdingsFrom"] = FILE if id in from_file else DOCUMENTS


def sql_text_list(values: Iterable[str]) -> str:
    """Return texts as an SQL list literal of type VARCHAR[], sorted."""
    return f"[{', '.join(map(string_literal, sorted(values)))}]::VARCHAR[]"
