"""What identities hold by what their accounts hold: set by set, in SQL that spills to disk.

Two sets of rows go in, and what holds comes out::

    identity_access (rows that documents gave)      ┐
    overruled_access (those that accounts overrule) ┴─ claims ── verdicts: a claim falls, or has `standalone` filled in
    account_entitlements and accounts ── borne ─────── additions: rows that no document gave

A claim on a source whose accounts are known falls unless an account bears it. An addition is an entitlement that an
account bears, or an access profile whose entitlements are all held. `scope` names the sources that are looked at;
rows of other sources stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from whohas.engine.sql import literal, quote
from whohas.ingest.given import KEY, After, listed
from whohas.warehouse.evolved import scan
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


@dataclass(frozen=True, slots=True)
class Scope:
    """The sources that are looked at, by what says what their accounts hold.

    Attributes:
        file: a file or memberships say it.
        documents: identities' documents say it.
        fresh: those of `documents` whose account entitlements were just made of all documents: they can add nothing.
        everything: whether rows of all sources are looked at.
    """

    file: frozenset[str]
    documents: frozenset[str]
    fresh: frozenset[str] = frozenset()
    everything: bool = True

    @property
    def sources(self) -> frozenset[str]:
        return self.file | self.documents


_CATALOGUE = {
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
    # of entitlements that no file of entitlements describes, what bundles and accounts say of them
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
    # documents that give all entitlements of an access profile, and not the profile, know what they leave out
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
    # of a source of which nothing else says who holds what, a bundle that is held says it
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
    # claims without `standalone` get one where accounts decide
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
"""Each step is written to a file before the next one reads it."""

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

_GIVEN = """
SELECT s.* EXCLUDE (inScope) REPLACE (coalesce(v.standalone, s.standalone) AS standalone, false AS derived)
FROM stored s LEFT JOIN verdicts v USING ({key})
WHERE s.derived IS NOT TRUE AND coalesce(v.holds, true) AND {here}
"""
_RETURNED = """
SELECT s.* EXCLUDE (inScope) REPLACE (coalesce(v.standalone, s.standalone) AS standalone), false AS derived
FROM overruled s LEFT JOIN verdicts v USING ({key})
ANTI JOIN (FROM stored WHERE derived IS NOT TRUE) b USING ({key})
WHERE s.inScope AND coalesce(v.holds, true) AND {here}
"""
_DERIVED = """
FROM made s WHERE {here}
UNION ALL BY NAME
SELECT * EXCLUDE (inScope) FROM stored s WHERE s.derived IS TRUE AND NOT s.inScope AND {here}
"""
_OVERRULED = """
SELECT s.* EXCLUDE (inScope) FROM overruled s WHERE NOT s.inScope AND {here}
UNION ALL BY NAME
SELECT s.* EXCLUDE (inScope) FROM overruled s SEMI JOIN verdicts v USING ({key}) WHERE s.inScope AND {here}
UNION ALL BY NAME
SELECT s.* EXCLUDE (inScope, derived) FROM stored s SEMI JOIN verdicts v USING ({key})
ANTI JOIN overruled o USING ({key})
WHERE s.derived IS NOT TRUE AND {here}
"""


class Deriving:
    """One derivation, on the tables as a load leaves them.

    Args:
        scratch: a folder for what is known between the steps.
        names: the names of sources by id.
    """

    def __init__(self, connection: Any, after: After, scope: Scope, scratch: Path, names: dict[str, str]) -> None:
        self._connection = connection
        self._scratch = scratch
        self._values = {
            "$sources": listed(scope.sources),
            "$documents": listed(scope.documents),
            "$file": listed(scope.file),
            "$fresh": listed(scope.fresh),
            "$everything": str(scope.everything).lower(),
        }
        own = scope.sources
        for table in (ACCESS_PROFILES, ROLES, ENTITLEMENTS, IDENTITIES):
            self._view(table.name, f"FROM {after.scan(table)}")
        self._view("carried", f"FROM {after.scan(ACCOUNT_ENTITLEMENTS, own)}")
        accounts = after.scan(ACCOUNTS, own)
        self._view("present", f"SELECT id FROM {accounts}")
        self._view("owned", f"SELECT id, identityId, sourceId FROM {accounts} WHERE identityId IS NOT NULL")
        connection.register("sourceNames", pa.table({"id": list(names), "name": list(names.values())}))
        self._view("named", "FROM sourceNames")
        for name, sql in _CATALOGUE.items():
            self._keep(name, sql)
        other = f"NOT list_contains({listed(own)}, p.sourceId)"
        known = f"(SELECT p.id FROM profiles p WHERE {other})"
        within = (
            "type <> 'ROLE'"
            if scope.everything
            else f"(type = 'ENTITLEMENT' AND list_contains({listed(own)}, sourceId) "
            f"OR type = 'ACCESS_PROFILE' AND id NOT IN {known})"
        )
        within = f"coalesce({within}, false) AS inScope"
        self._view("stored", f"SELECT *, {within} FROM {after.scan(IDENTITY_ACCESS)}")
        self._view("overruled", f"SELECT *, {within} FROM {scan(OVERRULED_ACCESS, after.overruled())}")
        columns = f"{KEY}, sourceId, identitySourceId, standalone IS NULL AND type <> 'ROLE' AS bare"
        self._view(
            "claims",
            f"SELECT {columns}, false AS kept FROM stored ANTI JOIN overruled USING ({KEY}) "
            "WHERE derived IS NOT TRUE AND inScope "
            f"UNION ALL SELECT {columns}, true FROM overruled WHERE inScope",
        )
        self._view("spoken", "SELECT DISTINCT sourceId FROM claims WHERE type = 'ENTITLEMENT'")

    def run(self) -> None:
        """Works out what falls and what is added."""
        for name, sql in _STEPS.items():
            self._keep(name, sql)

    def changed(self) -> set[str]:
        """The partitions whose rows are other ones than before."""
        columns = ", ".join(quote(column.name) for column in IDENTITY_ACCESS.columns)
        return {partition for (partition,) in self._query(_CHANGED.format(columns=columns, key=KEY)).fetchall()}

    def count(self, sql: str) -> int:
        """The only number that a statement over the steps gives."""
        ((number,),) = self._query(sql).fetchall()
        return int(number)

    def access(self, partitions: Iterable[str], take: Callable[[pa.Table], None]) -> None:
        """Hands over the rows of some partitions that hold, those of documents first, in their order."""
        for sql in (_GIVEN, _RETURNED, _DERIVED):
            self._hand(sql, partitions, IDENTITY_ACCESS.schema, take)

    def overruled(self, partitions: Iterable[str], take: Callable[[pa.Table], None]) -> None:
        """Hands over the rows of some partitions that accounts overrule."""
        self._hand(_OVERRULED, partitions, OVERRULED_ACCESS.schema, take)

    def close(self) -> None:
        """Removes the files of the steps."""
        for path in self._scratch.glob("access-*.parquet"):
            path.unlink()

    def _hand(self, sql: str, partitions: Iterable[str], schema: pa.Schema, take: Callable[[pa.Table], None]) -> None:
        here = f"list_contains({listed(partitions)}, coalesce(s.identitySourceId, ''))"
        for batch in self._connection.sql(sql.format(key=KEY, here=here)).to_arrow_reader(50_000):
            take(pa.Table.from_batches([batch]).select(schema.names).cast(schema))

    def _view(self, name: str, sql: str) -> None:
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW {quote(name)} AS {sql}")

    def _keep(self, name: str, sql: str) -> None:
        path = self._scratch / f"access-{name}.parquet"
        self._query(f"COPY ({sql}) TO {literal(str(path))} (FORMAT parquet)")
        self._view(name, f"FROM read_parquet({literal(str(path))})")

    def _query(self, sql: str) -> Any:
        for name, value in self._values.items():
            sql = sql.replace(name, value)
        return self._connection.execute(sql)
