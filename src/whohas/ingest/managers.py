"""Set the managers of identities, by a mapping's [manager] rule or by native identities in the column `managerId`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from whohas.engine.sql import literal
from whohas.ingest.amend import Amendments, renamed
from whohas.ingest.correlate import IdentityIndex, compared
from whohas.ingest.mapping import Correlation
from whohas.ingest.pipeline import Reading
from whohas.ingest.rewrite import Change as Revision
from whohas.ingest.rewrite import revise
from whohas.ingest.staging import StagedFile
from whohas.warehouse.arrow import one, pc, with_column
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES


class Managers:
    """Finds the managers of the identities of a load, and again those of earlier loads.

    Args:
        reading: its identities and accounts are complete.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._indexes: dict[tuple[str, bool], IdentityIndex] = {}

    def find(self) -> None:
        """Set `managerId` of the identities that the load brings, in their staged files."""
        stage = self._reading.stages.get(IDENTITIES.name)
        if stage is None:
            return
        for source in stage.touched - self._reading.described:
            # documents bring them now, which name the managers themselves
            if source in self._reading.sources.rows:
                self._reading.sources.rows[source]["managerCorrelation"] = None
        for file in stage.files:
            rule = self.rule(file.partition or "")
            if rule is not None and file.rows:
                revise(file, IDENTITIES, change=self._by_rule(rule))
            elif file.partition in self._reading.named_managers and file.rows:
                self._by_native(file)

    def find_again(self, amendments: Amendments) -> None:
        """Schedule the rules for the identities that the load keeps, if it brings other identities."""
        if IDENTITIES.name in self._reading.stages:
            for partition in amendments.kept(IDENTITIES):
                rule = self.rule(partition)
                if rule is not None:
                    amendments.add(IDENTITIES, partition, (self._by_rule(rule), "managerId"))

    def rule(self, source: str) -> Correlation | None:
        """The rule of a source's identities."""
        row = self._reading.sources.rows.get(source)
        return (
            None
            if row is None or row["managerCorrelation"] is None
            else Correlation.from_json(row["managerCorrelation"])
        )

    def _by_rule(self, rule: Correlation) -> Revision:
        index = self._index(rule)

        def apply(data: pa.Table) -> pa.Table:
            values = one(compared(data, rule.account))
            named = pc.not_equal(values, "").fill_null(False)
            return with_column(data, "managerId", pc.if_else(named, index.find(values), data.column("managerId")))

        return apply

    def _index(self, rule: Correlation) -> IdentityIndex:
        key = (rule.identity, rule.ignore_case)
        if key not in self._indexes:
            reading = self._reading
            self._indexes[key] = IdentityIndex(
                reading.connection, reading.identity_files(), rule.identity, rule.ignore_case, reading.load.scratch
            )
        return self._indexes[key]

    def _by_native(self, file: StagedFile) -> None:
        """Puts ids in place of native identities of the same source; a text that is an identity's id stays."""
        reading = self._reading
        accounts = [
            one.path for one in reading.stages[ACCOUNTS.name].files if one.partition == file.partition and one.rows
        ]
        if not accounts:
            return
        found = reading.connection.sql(
            "SELECT i.managerId AS old, any_value(a.identityId) AS new "
            f"FROM (SELECT DISTINCT managerId FROM read_parquet({literal(str(file.path))})) i "
            f"JOIN read_parquet([{_paths(accounts)}]) a ON a.nativeIdentity = i.managerId AND a.authoritative "
            f"ANTI JOIN read_parquet([{_paths(reading.identity_files())}]) p ON p.id = i.managerId "
            "WHERE a.identityId IS NOT NULL GROUP BY 1"
        ).to_arrow_table()
        if found.num_rows:
            step = renamed("managerId", one(found.column("old")), one(found.column("new")))
            revise(file, IDENTITIES, change=step)


def _paths(paths: Sequence[Path]) -> str:
    return ", ".join(literal(str(path)) for path in paths)
