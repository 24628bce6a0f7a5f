"""Derive what identities hold from what their accounts hold, in SQL steps whose results are Parquet files on disk.

The rows that identity documents give are compared with the entitlements of accounts::

    identity_access (rows that documents gave)      ┐
    overruled_access (those that accounts overrule) ┴─ claims ── verdicts: a claim falls, or gets its `standalone`
    account_entitlements and accounts ── borne ─────── additions: rows that no document gave

A claim is a row of access that a document gave. It falls (does not hold) if the accounts of its source are known and
none of them has the entitlement. An addition is an entitlement that an account has, or an access profile all of whose
entitlements the identity holds. `DerivationScope` names the sources to derive; rows of other sources stay as they are,
unless `all_sources` is set.

`TablesAfterLoad` lists the files of the tables as they will be after the load. Rows of access that documents gave are
kept apart from those that the load derives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from whohas.engine.sql import quote_identifier, string_literal
from whohas.warehouse.columns import Table
from whohas.warehouse.evolved import path_literals, select_all
from whohas.warehouse.schema import (
    ACCESS_PROFILES,
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ENTITLEMENTS,
    IDENTITIES,
    IDENTITY_ACCESS,
    OVERRULED_ACCESS,
    ROLES,
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
        """Return the paths of the base snapshot's files of `overruled_access` that are still true.

        The derivation reads these rows: access that documents gave and accounts contradict. Left out are empty files,
        and partitions of `identity_access` that the load replaces or adds to, as their documents are new.
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


@dataclass(frozen=True, slots=True)
class DerivationScope:
    """The ids of the sources to derive access for, by the origin of their account entitlements.

    Attributes:
        from_files: ids of sources whose account entitlements come from a file of entitlements or memberships.
        from_documents: ids of sources whose account entitlements are built from identity documents.
        just_linked: those of `from_documents` whose account entitlements were just built from all documents; these
            links repeat what the documents say, so no row of access is derived from them.
        all_sources: whether access of other sources is also decided again: what held access profiles and roles give on
            sources about which nothing else is known is derived too.
    """

    from_files: frozenset[str]
    from_documents: frozenset[str]
    just_linked: frozenset[str] = frozenset()
    all_sources: bool = True

    @property
    def sources(self) -> frozenset[str]:
        return self.from_files | self.from_documents


_PREPARATION = {
    "people": """
        SELECT id, any_value(coalesce(displayName, name)) AS displayName, min(coalesce(sourceId, '')) AS partition
        FROM identities GROUP BY id
    """,
    "contents": """
        SELECT profile, e.id AS id, e.name AS name, e.description AS description, e.attribute AS attribute,
            e.value AS value, e.schema AS schema, e.privileged AS privileged
        FROM (SELECT id AS profile, unnest(entitlements) AS e FROM access_profiles) WHERE e.id IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY profile, e.id) = 1
    """,
    "profiles": """
        SELECT p.id, coalesce(p.sourceId, c.sourceId) AS sourceId, coalesce(c.n, 0) AS n
        FROM access_profiles p LEFT JOIN (
            SELECT c.profile, count(*) AS n, min(e.sourceId) AS sourceId
            FROM contents c LEFT JOIN entitlements e ON e.id = c.id GROUP BY c.profile
        ) c ON c.profile = p.id
    """,
    "via": """
        WITH parts AS (
            SELECT id, unnest(accessProfiles).id AS profile FROM roles
        ), lone AS (
            SELECT id, unnest(entitlements).id AS entitlement FROM roles
        )
        SELECT 'ACCESS_PROFILE' AS holder, profile AS holderId, 'ENTITLEMENT' AS type, id FROM contents
        UNION SELECT 'ROLE', id, 'ACCESS_PROFILE', profile FROM parts WHERE profile IS NOT NULL
        UNION SELECT 'ROLE', id, 'ENTITLEMENT', entitlement FROM lone WHERE entitlement IS NOT NULL
        UNION SELECT 'ROLE', r.id, 'ENTITLEMENT', c.id FROM parts r JOIN contents c ON c.profile = r.profile
    """,
    # entitlements without a row in `entitlements` are described by access profiles, roles and account entitlements
    "described": """
        SELECT DISTINCT ON (id) id, name, displayName, description, sourceId, ownerId, ownerName, attribute, value,
            schema, privileged, requestable, cloudGoverned FROM entitlements
        UNION ALL BY NAME
        SELECT id, any_value(name) AS name, any_value(description) AS description, any_value(attribute) AS attribute,
            any_value(value) AS value, any_value(schema) AS schema, any_value(privileged) AS privileged,
            any_value(sourceId) AS sourceId
        FROM (
            SELECT c.* EXCLUDE (profile), p.sourceId FROM contents c JOIN profiles p ON p.id = c.profile
            UNION ALL BY NAME
            SELECT e.id AS id, e.name AS name, e.description AS description, e.attribute AS attribute,
                e.value AS value, e.schema AS schema, e.privileged AS privileged
            FROM (SELECT unnest(entitlements) AS e FROM roles)
            UNION ALL BY NAME
            SELECT entitlementId AS id, sourceId, attribute, value FROM carried
        ) ANTI JOIN entitlements USING (id)
        WHERE id IS NOT NULL GROUP BY id
    """,
}

_STEPS = {
    "borne": """
        SELECT a.identityId, c.entitlementId AS id, min(c.sourceId) AS sourceId
        FROM carried c JOIN owned a ON a.id = c.accountId AND a.sourceId = c.sourceId
        SEMI JOIN people p ON p.id = a.identityId
        WHERE NOT list_contains($fresh, c.sourceId)
        GROUP BY ALL
    """,
    "fallen": """
        SELECT DISTINCT c.identityId, c.type, c.id FROM claims c
        ANTI JOIN borne b ON b.identityId = c.identityId AND b.id = c.id
        ANTI JOIN (SELECT DISTINCT identityId, sourceId FROM owned WHERE list_contains($documents, sourceId)) a
            ON a.identityId = c.identityId AND a.sourceId = c.sourceId
        WHERE c.type = 'ENTITLEMENT' AND list_contains($sources, c.sourceId)
    """,
    "standing": """
        SELECT DISTINCT identityId, id FROM (
            SELECT identityId, type, id FROM stored WHERE NOT (derived IS TRUE AND inScope)
            UNION ALL SELECT identityId, type, id FROM claims WHERE kept
        ) ANTI JOIN fallen USING (identityId, type, id)
        WHERE type = 'ENTITLEMENT'
    """,
    "added": "SELECT b.identityId, b.id, b.sourceId FROM borne b ANTI JOIN standing s USING (identityId, id)",
    "whole": """
        SELECT e.identityId, c.profile AS id, bool_or(e.added) AS added FROM (
            SELECT identityId, id, false AS added FROM standing
            UNION ALL SELECT identityId, id, true FROM added
        ) e JOIN contents c ON c.id = e.id JOIN profiles p ON p.id = c.profile
        WHERE list_contains($sources, p.sourceId)
        GROUP BY e.identityId, c.profile, p.n HAVING count(*) = p.n
    """,
    "fallenProfiles": """
        SELECT DISTINCT c.identityId, c.type, c.id FROM claims c JOIN profiles p ON p.id = c.id
        ANTI JOIN whole w ON w.identityId = c.identityId AND w.id = c.id
        WHERE c.type = 'ACCESS_PROFILE' AND p.n > 0 AND list_contains($sources, p.sourceId)
    """,
    "standingProfiles": """
        SELECT DISTINCT identityId, id FROM (
            SELECT identityId, type, id FROM stored WHERE NOT (derived IS TRUE AND inScope)
            UNION ALL SELECT identityId, type, id FROM claims WHERE kept
        ) ANTI JOIN fallenProfiles USING (identityId, type, id)
        WHERE type = 'ACCESS_PROFILE'
    """,
    # if documents give all entitlements of an access profile, but not the profile, the identity does not hold it
    "addedProfiles": """
        SELECT w.identityId, w.id, p.sourceId FROM whole w JOIN profiles p ON p.id = w.id
        SEMI JOIN people i ON i.id = w.identityId
        ANTI JOIN standingProfiles s ON s.identityId = w.identityId AND s.id = w.id
        WHERE w.added OR list_contains($file, p.sourceId)
    """,
    "holders": """
        SELECT identityId, 'ACCESS_PROFILE' AS holder, id AS holderId FROM standingProfiles
        UNION ALL SELECT identityId, 'ACCESS_PROFILE', id FROM addedProfiles
        UNION ALL SELECT DISTINCT identityId, type, id FROM stored WHERE type = 'ROLE'
    """,
    # a held access profile or role gives its contents on sources about which no other data says who holds what
    "through": """
        SELECT h.identityId, v.type, v.id, coalesce(e.sourceId, p.sourceId) AS sourceId
        FROM holders h JOIN via v USING (holder, holderId)
        LEFT JOIN described e ON v.type = 'ENTITLEMENT' AND e.id = v.id
        LEFT JOIN profiles p ON v.type = 'ACCESS_PROFILE' AND p.id = v.id
        SEMI JOIN people i ON i.id = h.identityId
        WHERE $everything AND coalesce(e.id, p.id) IS NOT NULL
            AND coalesce(e.sourceId, p.sourceId, '') NOT IN (SELECT unnest($sources))
            AND coalesce(e.sourceId, p.sourceId, '') NOT IN (SELECT coalesce(sourceId, '') FROM spoken)
        GROUP BY ALL
    """,
    "additions": """
        SELECT identityId, 'ENTITLEMENT' AS type, id, sourceId FROM added
        UNION ALL SELECT identityId, 'ACCESS_PROFILE', id, sourceId FROM addedProfiles
        UNION ALL SELECT t.* FROM through t
            ANTI JOIN (
                SELECT identityId, 'ENTITLEMENT' AS type, id FROM standing
                UNION ALL SELECT identityId, 'ENTITLEMENT', id FROM added
                UNION ALL SELECT identityId, 'ACCESS_PROFILE', id FROM standingProfiles
                UNION ALL SELECT identityId, 'ACCESS_PROFILE', id FROM addedProfiles
            ) k USING (identityId, type, id)
        ORDER BY identityId, type, id
    """,
    # claims without `standalone` get a value on sources that are derived
    "bare": """
        SELECT DISTINCT c.identityId, c.type, c.id FROM claims c LEFT JOIN profiles p ON p.id = c.id
        ANTI JOIN fallen f ON f.identityId = c.identityId AND f.type = c.type AND f.id = c.id
        ANTI JOIN fallenProfiles g ON g.identityId = c.identityId AND g.type = c.type AND g.id = c.id
        WHERE c.bare AND list_contains($sources, CASE WHEN c.type = 'ENTITLEMENT' THEN c.sourceId ELSE p.sourceId END)
    """,
    "contained": """
        SELECT DISTINCT h.identityId, v.type, v.id
        FROM (
            SELECT * FROM holders SEMI JOIN (
                SELECT identityId FROM additions UNION ALL SELECT identityId FROM bare
            ) USING (identityId)
        ) h JOIN via v USING (holder, holderId)
    """,
    "verdicts": """
        SELECT identityId, type, id, false AS holds, NULL::BOOLEAN AS standalone FROM fallen
        UNION ALL SELECT identityId, type, id, false, NULL FROM fallenProfiles
        UNION ALL SELECT b.*, true, c.id IS NULL FROM bare b LEFT JOIN contained c USING (identityId, type, id)
    """,
    "made": """
        SELECT d.identityId, d.type, d.id,
            coalesce(e.name, e.value, p.name) AS name,
            coalesce(e.displayName, e.name, e.value, p.name) AS displayName,
            coalesce(e.description, p.description) AS description,
            coalesce(d.sourceId, e.sourceId) AS sourceId, s.name AS sourceName,
            coalesce(e.ownerId, p.ownerId) AS ownerId, coalesce(e.ownerName, p.ownerName) AS ownerName,
            o.displayName AS ownerDisplayName, e.attribute, e.value, e.schema, e.privileged,
            c.id IS NULL AS standalone, p.enabled, NULL::BOOLEAN AS disabled,
            coalesce(e.requestable, p.requestable) AS requestable,
            CASE WHEN d.type = 'ACCESS_PROFILE' THEN c.id IS NULL END AS revocable,
            NULL::BOOLEAN AS cloudEligible, e.cloudGoverned, i.partition AS identitySourceId, true AS derived
        FROM additions d
        JOIN people i ON i.id = d.identityId
        LEFT JOIN contained c ON c.identityId = d.identityId AND c.type = d.type AND c.id = d.id
        LEFT JOIN described e ON d.type = 'ENTITLEMENT' AND e.id = d.id
        LEFT JOIN access_profiles p ON d.type = 'ACCESS_PROFILE' AND p.id = d.id
        LEFT JOIN people o ON o.id = coalesce(e.ownerId, p.ownerId)
        LEFT JOIN named s ON s.id = coalesce(d.sourceId, e.sourceId)
    """,
}
"""The SQL of the derivation, by the name of the view that each step creates.

The steps run in this order, and each result is written to a file before the next step reads it.

- `borne`: entitlements that accounts of an identity have.
- `fallen`, `fallenProfiles`: claims that do not hold, of entitlements and of access profiles.
- `standing`, `standingProfiles`: stored rows and claims that hold.
- `added`, `addedProfiles`: rows that no document gave.
- `whole`: access profiles all of whose entitlements an identity holds.
- `holders`: the access profiles and roles of each identity.
- `through`: contents of held access profiles and roles, on sources about which nothing else is known.
- `additions`: all new rows.
- `bare`: claims without a value of `standalone`.
- `contained`: rows that the identity also holds through an access profile or role; they are not standalone.
- `verdicts`: the decision on each claim that falls or gets its `standalone`.
- `made`: the additions with all columns of `identity_access`.
"""

_CHANGED = """
WITH new AS (
    SELECT coalesce(identitySourceId, '') AS partition, count(*) AS n, sum(hash(m)::HUGEINT) AS h
    FROM (SELECT {columns} FROM made) m GROUP BY 1
), old AS (
    SELECT coalesce(identitySourceId, '') AS partition, count(*) AS n, sum(hash(m)::HUGEINT) AS h
    FROM (SELECT {columns} FROM stored WHERE derived IS TRUE AND inScope) m GROUP BY 1
), decided AS (
    SELECT coalesce(c.identitySourceId, '') AS partition, count(*) AS n,
        sum(hash(v.identityId, v.type, v.id, v.holds, v.standalone)::HUGEINT) AS h
    FROM verdicts v JOIN (SELECT DISTINCT {key}, identitySourceId FROM claims) c USING ({key}) GROUP BY 1
), before AS (
    SELECT coalesce(o.identitySourceId, '') AS partition, count(*) AS n,
        sum(hash(o.identityId, o.type, o.id, s.id IS NOT NULL, s.standalone)::HUGEINT) AS h
    FROM (SELECT DISTINCT {key}, identitySourceId FROM overruled WHERE inScope) o
    LEFT JOIN (SELECT DISTINCT ON ({key}) {key}, standalone FROM stored WHERE derived IS NOT TRUE) s USING ({key})
    GROUP BY 1
)
SELECT partition FROM new FULL JOIN old USING (partition) WHERE new.h IS DISTINCT FROM old.h OR new.n <> old.n
UNION
SELECT partition FROM decided d FULL JOIN before b USING (partition) WHERE d.h IS DISTINCT FROM b.h OR d.n <> b.n
"""
"""Selects the partitions whose derived rows or verdicts differ from the stored ones.

The rows of a partition are compared by their count and the sum of their hashes.
"""

_DOCUMENT_ROWS = """
SELECT s.* EXCLUDE (inScope) REPLACE (coalesce(v.standalone, s.standalone) AS standalone, false AS derived)
FROM stored s LEFT JOIN verdicts v USING ({key})
WHERE s.derived IS NOT TRUE AND coalesce(v.holds, true) AND {here}
"""
"""Rows of documents that hold, in the partitions `{here}`."""
_REINSTATED_ROWS = """
SELECT s.* EXCLUDE (inScope) REPLACE (coalesce(v.standalone, s.standalone) AS standalone), false AS derived
FROM overruled s LEFT JOIN verdicts v USING ({key})
ANTI JOIN (FROM stored WHERE derived IS NOT TRUE) b USING ({key})
WHERE s.inScope AND coalesce(v.holds, true) AND {here}
"""
"""Rows that were overruled before and hold now."""
_DERIVED_ROWS = """
FROM made s WHERE {here}
UNION ALL BY NAME
SELECT * EXCLUDE (inScope) FROM stored s WHERE s.derived IS TRUE AND NOT s.inScope AND {here}
"""
"""Additions, and derived rows of sources outside the scope."""
_OVERRULED_ROWS = """
SELECT s.* EXCLUDE (inScope) FROM overruled s WHERE NOT s.inScope AND {here}
UNION ALL BY NAME
SELECT s.* EXCLUDE (inScope) FROM overruled s SEMI JOIN verdicts v USING ({key}) WHERE s.inScope AND {here}
UNION ALL BY NAME
SELECT s.* EXCLUDE (inScope, derived) FROM stored s SEMI JOIN verdicts v USING ({key})
ANTI JOIN overruled o USING ({key})
WHERE s.derived IS NOT TRUE AND {here}
"""
"""Rows of documents that have a verdict, and overruled rows of sources outside the scope."""


class AccessDerivation:
    """One derivation of access, on the tables as the load will leave them.

    Args:
        connection: DuckDB, in which temporary views are created.
        after: the tables as the load will leave them.
        scratch: a folder for the results of the steps.
        names: the names of sources by id.
    """

    def __init__(
        self, connection: Any, after: TablesAfterLoad, scope: DerivationScope, scratch: Path, names: dict[str, str]
    ) -> None:
        self._connection = connection
        self._scratch = scratch
        self._values = {
            "$sources": sql_text_list(scope.sources),
            "$documents": sql_text_list(scope.from_documents),
            "$file": sql_text_list(scope.from_files),
            "$fresh": sql_text_list(scope.just_linked),
            "$everything": str(scope.all_sources).lower(),
        }
        in_scope = scope.sources
        for table in (ACCESS_PROFILES, ROLES, ENTITLEMENTS, IDENTITIES):
            self._view(table.name, f"FROM {after.scan(table)}")
        self._view("carried", f"FROM {after.scan(ACCOUNT_ENTITLEMENTS, in_scope)}")
        accounts = after.scan(ACCOUNTS, in_scope)
        self._view("present", f"SELECT id FROM {accounts}")
        self._view("owned", f"SELECT id, identityId, sourceId FROM {accounts} WHERE identityId IS NOT NULL")
        connection.register("sourceNames", pa.table({"id": list(names), "name": list(names.values())}))
        self._view("named", "FROM sourceNames")
        for name, sql in _PREPARATION.items():
            self._materialize(name, sql)
        outside = f"NOT list_contains({sql_text_list(in_scope)}, p.sourceId)"
        outside_profiles = f"(SELECT p.id FROM profiles p WHERE {outside})"
        condition = (
            "type <> 'ROLE'"
            if scope.all_sources
            else f"(type = 'ENTITLEMENT' AND list_contains({sql_text_list(in_scope)}, sourceId) "
            f"OR type = 'ACCESS_PROFILE' AND id NOT IN {outside_profiles})"
        )
        condition = f"coalesce({condition}, false) AS inScope"
        self._view("stored", f"SELECT *, {condition} FROM {after.scan(IDENTITY_ACCESS)}")
        self._view("overruled", f"SELECT *, {condition} FROM {select_all(OVERRULED_ACCESS, after.overruled_files())}")
        columns = f"{KEY}, sourceId, identitySourceId, standalone IS NULL AND type <> 'ROLE' AS bare"
        self._view(
            "claims",
            f"SELECT {columns}, false AS kept FROM stored ANTI JOIN overruled USING ({KEY}) "
            "WHERE derived IS NOT TRUE AND inScope "
            f"UNION ALL SELECT {columns}, true FROM overruled WHERE inScope",
        )
        self._view("spoken", "SELECT DISTINCT sourceId FROM claims WHERE type = 'ENTITLEMENT'")

    def run(self) -> None:
        """Run the steps; afterwards the views `verdicts` and `made` hold the result."""
        for name, sql in _STEPS.items():
            self._materialize(name, sql)

    def changed_partitions(self) -> set[str]:
        """Return the partitions of `identity_access` whose rows differ from the stored ones."""
        columns = ", ".join(quote_identifier(column.name) for column in IDENTITY_ACCESS.columns)
        return {partition for (partition,) in self._query(_CHANGED.format(columns=columns, key=KEY)).fetchall()}

    def select_number(self, sql: str) -> int:
        """Return the number that a SQL statement over the views of this derivation selects, such as a `count(*)`."""
        ((number,),) = self._query(sql).fetchall()
        return int(number)

    def write_access(self, partitions: Iterable[str], take: Callable[[pa.Table], None]) -> None:
        """Pass the rows of `identity_access` that hold to `take`, in batches.

        Rows that documents gave come first, in their order.

        Args:
            partitions: the partitions to write.
            take: is called with each batch.
        """
        for sql in (_DOCUMENT_ROWS, _REINSTATED_ROWS, _DERIVED_ROWS):
            self._write_batches(sql, partitions, IDENTITY_ACCESS.schema, take)

    def write_overruled(self, partitions: Iterable[str], take: Callable[[pa.Table], None]) -> None:
        """Pass the rows of `overruled_access` of some partitions to `take`, in batches."""
        self._write_batches(_OVERRULED_ROWS, partitions, OVERRULED_ACCESS.schema, take)

    def close(self) -> None:
        """Delete the files of the steps."""
        for path in self._scratch.glob("access-*.parquet"):
            path.unlink()

    def _write_batches(
        self, sql: str, partitions: Iterable[str], schema: pa.Schema, take: Callable[[pa.Table], None]
    ) -> None:
        here = f"list_contains({sql_text_list(partitions)}, coalesce(s.identitySourceId, ''))"
        for batch in self._connection.sql(sql.format(key=KEY, here=here)).to_arrow_reader(50_000):
            take(pa.Table.from_batches([batch]).select(schema.names).cast(schema))

    def _view(self, name: str, sql: str) -> None:
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {quote_identifier(name)} AS {sql}")

    def _materialize(self, name: str, sql: str) -> None:
        path = self._scratch / f"access-{name}.parquet"
        self._query(f"COPY ({sql}) TO {string_literal(str(path))} (FORMAT parquet)")
        self._view(name, f"FROM read_parquet({string_literal(str(path))})")

    def _query(self, sql: str) -> Any:
        for name, value in self._values.items():
            sql = sql.replace(name, value)
        return self._connection.execute(sql)
