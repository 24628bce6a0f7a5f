"""The tables as a load leaves them, and what documents give identities among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from whohas.engine.sql import literal
from whohas.warehouse.columns import Table
from whohas.warehouse.evolved import listed_paths, scan
from whohas.warehouse.schema import (
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    IDENTITY_ACCESS,
    OVERRULED_ACCESS,
)
from whohas.warehouse.store import Change, Snapshot

FILE, DOCUMENTS = "FILE", "DOCUMENTS"
"""Values of `sources.holdingsFrom`."""


class After:
    """The tables as they will be when the changes so far are published."""

    def __init__(self, base: Snapshot, changes: Iterable[Change]) -> None:
        self._base = base
        self._changes = {change.table.name: change for change in changes}

    @property
    def changed(self) -> frozenset[str]:
        """The names of the tables that change."""
        return frozenset(self._changes)

    def replaced(self, table: Table) -> set[str]:
        """The partitions of a table that get other rows."""
        change = self._changes.get(table.name)
        if change is None:
            return set()
        return {*(change.replace or ()), *(file.partition or "" for file in change.add)}

    def files(self, table: Table, partitions: frozenset[str] | None = None) -> list[Path]:
        """The files of a table that have rows, those of some partitions or all."""
        change = self._changes.get(table.name)
        kept = self._base.files(table, partitions)
        added = ()
        if change is not None:
            gone = change.replace
            kept = [file for file in kept if gone is not None and (file.partition or "") not in gone]
            added = change.add
        found = [*kept, *(file for file in added if partitions is None or (file.partition or "") in partitions)]
        return [file.path for file in found if file.rows]

    def scan(self, table: Table, partitions: frozenset[str] | None = None) -> str:
        """The SQL of a table's rows."""
        return scan(table, self.files(table, partitions))

    def overruled(self) -> list[Path]:
        """The files of `overruled_access` that stay: those of partitions that get no other documents."""
        touched = self.replaced(IDENTITY_ACCESS)
        return [
            file.path
            for file in self._base.files(OVERRULED_ACCESS)
            if file.rows and (file.partition or "") not in touched
        ]


KEY = "identityId, type, id"
"""The columns that tell rows of access apart."""


def given(after: After) -> str:
    """The SQL of all rows of access that documents gave, those that accounts overrule among them."""
    rows = f"FROM {after.scan(IDENTITY_ACCESS)} WHERE derived IS NOT TRUE"
    overruled = after.overruled()
    if not overruled:
        return f"(SELECT * EXCLUDE (derived) {rows})"
    other = scan(OVERRULED_ACCESS, overruled)
    return (
        f"(SELECT * EXCLUDE (derived) FROM (SELECT * {rows}) g ANTI JOIN {other} o USING ({KEY}) "
        f"UNION ALL BY NAME FROM {other})"
    )


def recognise(connection: Any, base: Snapshot, sources: Mapping[str, dict[str, Any]]) -> None:
    """Finds out, for sources of an earlier version, what said which entitlements their accounts hold.

    What a load made of identities' documents can be told from them: if a document gives each entitlement to the
    identity of the account that holds it, it was made of documents, else a file brought it.
    """
    unknown = [
        id
        for id, row in sources.items()
        if row["holdingsFrom"] is None and any(file.rows for file in base.files(ACCOUNT_ENTITLEMENTS, frozenset({id})))
    ]
    if not unknown:
        return
    some = frozenset(unknown)
    after = After(base, ())
    accounts = listed_paths(after.files(ACCOUNTS, some))
    explained = (
        f"SELECT a.id AS accountId, g.id AS entitlementId FROM (FROM read_parquet([{accounts}])) a "
        f"JOIN {given(after)} g ON g.identityId = a.identityId AND g.type = 'ENTITLEMENT'"
        if accounts
        else "SELECT NULL::VARCHAR AS accountId, NULL::VARCHAR AS entitlementId WHERE false"
    )
    found = connection.sql(
        f"SELECT DISTINCT h.sourceId FROM {after.scan(ACCOUNT_ENTITLEMENTS, some)} h "
        f"ANTI JOIN ({explained}) e USING (accountId, entitlementId)"
    ).fetchall()
    from_file = {id for (id,) in found}
    for id in unknown:
        sources[id]["holdingsFrom"] = FILE if id in from_file else DOCUMENTS


def listed(values: Iterable[str]) -> str:
    """Texts as a list in SQL."""
    return f"[{', '.join(map(literal, sorted(values)))}]::VARCHAR[]"
