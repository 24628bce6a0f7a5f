"""Update references to identities whose ids a load changes, as when a mapping begins or stops naming a column of ids.

`changed_identity_ids` finds these identities, and `update_references` replaces their old ids in all rows that the load
keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from whohas.engine.sql import quote_identifier, string_literal
from whohas.ingest.amend import Amendments, replace_ids
from whohas.ingest.pipeline import ReadPipeline
from whohas.ingest.values import derived_id
from whohas.warehouse.arrow import as_array
from whohas.warehouse.schema import (
    ACCESS_PROFILES,
    ACCOUNT_ACTIVITIES,
    ACCOUNTS,
    APPS,
    ENTITLEMENTS,
    IDENTITIES,
    IDENTITY_ACCESS,
    IDENTITY_APPS,
    IDENTITY_PROFILES,
    OVERRULED_ACCESS,
    ROLES,
    Table,
)

REFERENCES: dict[Table, tuple[str, ...]] = {
    IDENTITIES: ("managerId",),
    ACCOUNTS: ("identityId", "ownerIdentityId"),
    IDENTITY_ACCESS: ("identityId", "ownerId"),
    OVERRULED_ACCESS: ("identityId", "ownerId"),
    IDENTITY_APPS: ("identityId",),
    IDENTITY_PROFILES: ("ownerId",),
    ENTITLEMENTS: ("ownerId",),
    ACCESS_PROFILES: ("ownerId",),
    ROLES: ("ownerId",),
    APPS: ("ownerId",),
    ACCOUNT_ACTIVITIES: ("requesterId", "recipientId"),
}
"""The columns that hold ids of identities."""


@dataclass(frozen=True, slots=True)
class ChangedIds:
    """Identities whose ids a load changes.

    Attributes:
        old: the old ids, each once.
        new: the new ids, in the same order.
    """

    old: pa.Array
    new: pa.Array


def changed_identity_ids(reading: ReadPipeline) -> ChangedIds | None:
    """Return the identities whose ids the load changes, or None if it changes no id.

    They are found by authoritative accounts in the snapshot and in the load that have the same source and native
    identity, but different identity ids. The files are only compared if identity ids are read from a column now or
    were before, because derived ids never change.

    Args:
        reading: the load; its accounts and identities have to be complete.
    """
    stage = reading.stages.get(ACCOUNTS.name)
    if stage is None or IDENTITIES.name not in reading.stages:
        return None
    made = reading.stages[IDENTITIES.name].touched & stage.touched
    base = [file.path for file in reading.load.base.files(ACCOUNTS, frozenset(made))]
    staged = [file.path for file in stage.files if file.partition in made and file.rows]
    if not base or not staged or not (reading.has_identity_ids or _had_ids(reading.connection, base)):
        return None
    found = reading.connection.sql(
        "SELECT b.identityId AS old, any_value(n.identityId) AS new "
        f"FROM read_parquet([{_paths(base)}]) b JOIN read_parquet([{_paths(staged)}]) n "
        "ON n.sourceId = b.sourceId AND n.nativeIdentity = b.nativeIdentity "
        "WHERE b.authoritative AND n.authoritative AND b.identityId <> n.identityId GROUP BY 1"
    ).to_arrow_table()
    return ChangedIds(as_array(found.column("old")), as_array(found.column("new"))) if found.num_rows else None


def update_references(reading: ReadPipeline, gone: ChangedIds, amendments: Amendments) -> None:
    """Replace old identity ids by new ones in all rows that the load keeps, and in the owners of sources.

    Args:
        reading: the load; `ownerId` of its sources is changed in place.
        gone: the identities whose ids change.
        amendments: the replacements in other tables are scheduled here.
    """
    reading.connection.register("moved_ids", pa.table({"old": gone.old}))
    for table, columns in REFERENCES.items():
        for partition, files in amendments.unreplaced_files(table).items():
            for column in columns:
                if _refers(reading.connection, [file.path for file in files], column):
                    amendments.add_step(table, partition, (replace_ids(column, gone.old, gone.new), column))
    new = dict(zip(gone.old.to_pylist(), gone.new.to_pylist(), strict=True))
    for row in reading.sources.rows.values():
        row["ownerId"] = new.get(row["ownerId"], row["ownerId"])


def _had_ids(connection: Any, files: Sequence[Path]) -> bool:
    """Return whether an authoritative account in some files has an identity whose id is not the derived one."""
    given = f"authoritative AND identityId <> {derived_id('sourceId', 'nativeIdentity')}"
    found = connection.execute(f"SELECT 1 FROM read_parquet([{_paths(files)}]) WHERE {given} LIMIT 1").fetchall()
    return bool(found)


def _refers(connection: Any, files: Sequence[Path], column: str) -> bool:
    """Return whether a column of some files contains an old id, from the table `moved_ids`."""
    found = connection.execute(
        f"SELECT 1 FROM read_parquet([{_paths(files)}]) "
        f"WHERE {quote_identifier(column)} IN (SELECT old FROM moved_ids) LIMIT 1"
    ).fetchall()
    return bool(found)


def _paths(paths: Sequence[Path]) -> str:
    return ", ".join(string_literal(str(path)) for path in paths)
