"""Set the managers of identities, by a mapping's [manager] rule or by native identities in the column `managerId`.

An example of a rule: an identity's attribute `managerMail` equals the attribute `mail` of its manager's identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from whohas.engine.sql import string_literal
from whohas.ingest.amend import Amendments, replace_ids
from whohas.ingest.correlate import IdentityIndex, compared_values
from whohas.ingest.mapping import Correlation
from whohas.ingest.pipeline import ReadPipeline
from whohas.ingest.rewrite import Change as Revision
from whohas.ingest.rewrite import rewrite_staged
from whohas.ingest.staging import StagedFile
from whohas.warehouse.arrow import as_array, pc, replace_column
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES


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
