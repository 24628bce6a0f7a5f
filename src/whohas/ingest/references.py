"""Keep references between identities right: managers, and the ids of identities that other tables name.

`ManagerResolver` finds the manager of an identity by a rule: the attribute `managerMail` of the identity equals the
attribute `mail` of its manager, for example. Where a load gives identities other ids, `changed_identity_ids` finds
these identities, and `update_references` replaces their old ids in all rows that the load keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from whohas.engine.sql import quote_identifier, string_literal
from whohas.ingest.changes import Amendments, replace_ids
from whohas.ingest.correlate import IdentityIndex, compared_values
from whohas.ingest.mapping import Correlation
from whohas.ingest.pipeline import ReadPipeline
from whohas.ingest.staging import Change as Revision
from whohas.ingest.staging import StagedFile, rewrite_staged
from whohas.ingest.values import derived_id
from whohas.warehouse.arrow import as_array, pc, replace_column
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


class ManagerResolver:
    """Finds the managers of the identities that a load brings, and of those that it keeps from earlier loads.

    Args:
        reading: the load; its stages of identities and accounts have to be complete.
    """

    def __init__(self, reading: ReadPipeline) -> None:
        self._reading = reading
        self._indexes: dict[tuple[str, bool], IdentityIndex] = {}

    def find(self) -> None:
        """Set `managerId` of the identities that the load brings, in their staged files.

        A stored rule is removed from sources whose identities now come from files without a mapping (documents, or
        files with our column names), because these contain the ids of managers.
        """
        stage = self._reading.stages.get(IDENTITIES.name)
        if stage is None:
            return
        for source in stage.touched - self._reading.described:
            # No mapping brings these identities now, so the rule of an earlier mapping no longer applies.
            if source in self._reading.sources.rows:
                self._reading.sources.rows[source]["managerCorrelation"] = None
        for file in stage.files:
            rule = self.rule(file.partition or "")
            if rule is not None and file.rows:
                rewrite_staged(file, IDENTITIES, change=self._by_rule(rule))
            elif file.partition in self._reading.named_managers and file.rows:
                self._by_native(file)

    def find_for_kept_identities(self, amendments: Amendments) -> None:
        """Schedule the rules for the identities that the load keeps, if it brings other identities."""
        if IDENTITIES.name in self._reading.stages:
            for partition in amendments.unreplaced_files(IDENTITIES):
                rule = self.rule(partition)
                if rule is not None:
                    amendments.add_step(IDENTITIES, partition, (self._by_rule(rule), "managerId"))

    def rule(self, source: str) -> Correlation | None:
        """Return the stored rule for managers of a source, by its id; None if it has none."""
        row = self._reading.sources.rows.get(source)
        return (
            None
            if row is None or row["managerCorrelation"] is None
            else Correlation.from_json(row["managerCorrelation"])
        )

    def _by_rule(self, rule: Correlation) -> Revision:
        """Return the change that sets managers by a rule.

        An identity keeps its `managerId` if the value that the rule compares is empty. If the value is set but no
        identity, or more than one, has it, `managerId` becomes null.
        """
        index = self._index(rule)

        def apply(data: pa.Table) -> pa.Table:
            values = as_array(compared_values(data, rule.account))
            named = pc.not_equal(values, "").fill_null(False)
            return replace_column(
                data, "managerId", pc.if_else(named, index.find_ids(values), data.column("managerId"))
            )

        return apply

    def _index(self, rule: Correlation) -> IdentityIndex:
        """Return the index of identities for a rule; it is built by the first call."""
        key = (rule.identity, rule.ignore_case)
        if key not in self._indexes:
            reading = self._reading
            self._indexes[key] = IdentityIndex(
                reading.connection, reading.identity_files(), rule.identity, rule.ignore_case, reading.load.scratch
            )
        return self._indexes[key]

    def _by_native(self, file: StagedFile) -> None:
        """Replace native identities in `managerId` by the ids of the identities that these accounts create.

        Only authoritative accounts of the same source count, and a text that is the id of an identity stays. An
        example: `managerId` is `u7`, and the authoritative account with the native identity `u7` belongs to the
        identity `2c91…`, so `managerId` becomes `2c91…`.
        """
        reading = self._reading
        accounts = [
            one.path for one in reading.stages[ACCOUNTS.name].files if one.partition == file.partition and one.rows
        ]
        if not accounts:
            return
        found = reading.connection.sql(
            "SELECT i.managerId AS old, any_value(a.identityId) AS new "
            f"FROM (SELECT DISTINCT managerId FROM read_parquet({string_literal(str(file.path))})) i "
            f"JOIN read_parquet([{_paths(accounts)}]) a ON a.nativeIdentity = i.managerId AND a.authoritative "
            f"ANTI JOIN read_parquet([{_paths(reading.identity_files())}]) p ON p.id = i.managerId "
            "WHERE a.identityId IS NOT NULL GROUP BY 1"
        ).to_arrow_table()
        if found.num_rows:
            step = replace_ids("managerId", as_array(found.column("old")), as_array(found.column("new")))
            rewrite_staged(file, IDENTITIES, change=step)


def _paths(paths: Sequence[Path]) -> str:
    return ", ".join(string_literal(str(path)) for path in paths)


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
        f"FROM read_parquet([{_path_list(base)}]) b JOIN read_parquet([{_path_list(staged)}]) n "
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
    found = connection.execute(f"SELECT 1 FROM read_parquet([{_path_list(files)}]) WHERE {given} LIMIT 1").fetchall()
    return bool(found)


def _refers(connection: Any, files: Sequence[Path], column: str) -> bool:
    """Return whether a column of some files contains an old id, from the table `moved_ids`."""
    found = connection.execute(
        f"SELECT 1 FROM read_parquet([{_path_list(files)}]) "
        f"WHERE {quote_identifier(column)} IN (SELECT old FROM moved_ids) LIMIT 1"
    ).fetchall()
    return bool(found)


def _path_list(paths: Sequence[Path]) -> str:
    return ", ".join(string_literal(str(path)) for path in paths)
