"""A large warehouse for the search benchmark: identities, accounts and access, made by DuckDB from row numbers.

The shares are those of the measurements that the design began with: one identity in twenty in London, three accounts
and ten access items an identity, 50 sources, 52,500 access items.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from whohas.engine.sql import quote_identifier
from whohas.warehouse.evolved import duckdb_type
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES, IDENTITY_ACCESS, SOURCES, Table
from whohas.warehouse.store import DataFile, Snapshot, TableChange, Warehouse

_FIRST = (
    "adam anna alice boris carla david elena frank grace henry irene james john julia karen laura mark nina oscar paul"
)
_LAST = (
    "smith schmidt schmitt jones garcia peeters kennedy robinson brown miller davis wilson moore taylor thomas white "
    "harris martin lewis walker hall allen young king wright lopez hill green adams baker nelson carter mitchell perez "
    "roberts turner phillips campbell parker evans edwards collins stewart sanchez morris rogers reed cook morgan bell"
)
_CITIES = "London Paris Berlin Madrid Rome Vienna Prague Warsaw Dublin Lisbon Athens Oslo Helsinki Boston Austin Denver"
_MORE = "Seattle Chicago Toronto Sydney"
_DEPARTMENTS = "Finance Engineering Sales Marketing Legal Support Operations Research"


def _list(words: str) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words.split()) + "]"


def _pick(words: str, salt: int) -> str:
    count = len(words.split())
    return f"{_list(words)}[(1 + hash(n::VARCHAR || '/{salt}') % {count})::INT]"


_IDENTITIES = f"""
SELECT md5('i' || n) AS id, first || '.' || last || n AS name, upper(first[1]) || first[2:] || ' ' || upper(last[1])
       || last[2:] AS displayName, upper(first[1]) || first[2:] AS firstName, upper(last[1]) || last[2:] AS lastName,
       first || '.' || last || n || '@' || CASE WHEN hash(n::VARCHAR || '/3') % 40 = 0 THEN 'partner' ELSE 'acme' END || '.example'
       AS email, CASE WHEN hash(n::VARCHAR || '/4') % 3 > 0 THEN '+1 555-' || (hash(n::VARCHAR || '/5') % 10000000)::VARCHAR END AS phone,
       TIMESTAMPTZ '2015-01-01 00:00:00+00' + to_seconds((hash(n::VARCHAR || '/6') % 350000000)::BIGINT) AS created,
       TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds((hash(n::VARCHAR || '/7') % 25000000)::BIGINT) AS modified,
       hash(n::VARCHAR || '/8') % 20 = 0 AS inactive, false AS protected, 'ACTIVE' AS status, 'active' AS lifecycleState,
       (100000 + n)::VARCHAR AS employeeNumber, md5('i' || (n // 10)) AS managerId, 'manager' || (n // 10) AS managerName,
       'Manager ' || (n // 10) AS managerDisplayName, n % 10 = 0 AS isManager, 'p1' AS identityProfileId,
       'Staff' AS identityProfileName, 's0' AS sourceId, 'HR' AS sourceName, 1 + hash(n::VARCHAR || '/9') % 6 AS accountCount,
       10 AS accessCount,
       map_from_entries([
           {{'k': 'city', 'v': [city]}}, {{'k': 'department', 'v': [department]}}, {{'k': 'state', 'v': [state]}},
           {{'k': 'cloudLifecycleState', 'v': ['active']}}, {{'k': 'jobCode', 'v': ['J-' || (hash(n::VARCHAR || '/10') % 900)]}},
           {{'k': 'costCenter', 'v': ['C' || (hash(n::VARCHAR || '/11') % 300)]}}]) AS attributes
FROM (SELECT n, {_pick(_FIRST, 1)} AS first, {_pick(_LAST, 2)} AS last, {_pick(_CITIES + " " + _MORE, 12)} AS city,
             {_pick(_DEPARTMENTS, 13)} AS department, CASE WHEN hash(n::VARCHAR || '/14') % 8 > 0 THEN 'active' ELSE 'leaver' END AS state
      FROM range($from, $to) r(n))
"""
_ACCOUNTS = f"""
SELECT md5('a' || n) AS id, 'CN=user' || n || ',OU=People,DC=acme,DC=example' AS nativeIdentity, 'user' || n AS name,
       's' || source AS sourceId, CASE source WHEN 1 THEN 'Active Directory' WHEN 2 THEN 'SAP ECC'
       ELSE 'Source ' || source END AS sourceName, 'Direct' AS sourceType, md5('i' || (n // 3)) AS identityId,
       true AS correlated, false AS manuallyCorrelated, false AS authoritative, hash(n::VARCHAR || '/21') % 20 = 0 AS disabled,
       hash(n::VARCHAR || '/22') % 50 = 0 AS locked, hash(n::VARCHAR || '/23') % 20 = 0 AS privileged,
       TIMESTAMPTZ '2015-01-01 00:00:00+00' + to_seconds((hash(n::VARCHAR || '/24') % 350000000)::BIGINT) AS created,
       map_from_entries([{{'k': 'sAMAccountName', 'v': ['user' || n]}}, {{'k': 'title', 'v': [{_pick(_DEPARTMENTS, 25)}]}}])
       AS attributes
FROM (SELECT n, 1 + hash(n::VARCHAR || '/20') % 50 AS source FROM range($from, $to) r(n))
"""
_ACCESS = """
SELECT md5('i' || (n // 10)) AS identityId, type, md5('x' || item) AS id, type || ' ' || item AS name,
       'Access item ' || item AS displayName, 'What item ' || item || ' allows' AS description,
       's' || (1 + item % 50) AS sourceId, CASE 1 + item % 50 WHEN 1 THEN 'Active Directory' WHEN 2 THEN 'SAP ECC'
       ELSE 'Source ' || (1 + item % 50) END AS sourceName, item % 31 = 0 AS privileged, true AS standalone,
       true AS enabled, true AS revocable, 's0' AS identitySourceId
FROM (SELECT n, item, CASE WHEN item < 2000 THEN 'ROLE' WHEN item < 2500 THEN 'ACCESS_PROFILE' ELSE 'ENTITLEMENT' END AS type
      FROM (SELECT n, CASE WHEN hash(n::VARCHAR || '/30') % 40 = 0 THEN hash(n::VARCHAR || '/31') % 2000 WHEN hash(n::VARCHAR || '/30') % 40 < 8
                   THEN 2000 + hash(n::VARCHAR || '/32') % 500 ELSE 2500 + hash(n::VARCHAR || '/33') % 50000 END AS item FROM range($from, $to) r(n)))
"""
_CHUNK = 1_000_000


def make(warehouse: Warehouse, identities: int) -> Snapshot:
    """A warehouse with so many identities, three times as many accounts and ten times as many access rows."""
    connection = duckdb.connect(config={"memory_limit": "4GB", "threads": 2})
    connection.execute("SET TimeZone = 'UTC'")
    with warehouse.load() as load:

        def files(table: Table, sql: str, rows: int, partition: str | None) -> Iterable[DataFile]:
            for begin in range(0, rows, _CHUNK):
                end = min(begin + _CHUNK, rows)
                path = load.new_file_path(table)
                _write(connection, table, sql.replace("$from", str(begin)).replace("$to", str(end)), path)
                yield DataFile(path, end - begin, partition)

        sources = load.new_file_path(SOURCES)
        _write(connection, SOURCES, "SELECT 's0' AS id, 'HR' AS name, true AS authoritative", sources)
        changes = [
            TableChange(SOURCES, (DataFile(sources, 1),), None),
            TableChange(IDENTITIES, tuple(files(IDENTITIES, _IDENTITIES, identities, "s0")), None),
            TableChange(ACCOUNTS, tuple(files(ACCOUNTS, _ACCOUNTS, 3 * identities, "s1")), None),
            TableChange(IDENTITY_ACCESS, tuple(files(IDENTITY_ACCESS, _ACCESS, 10 * identities, "s0")), None),
        ]
        return load.publish(changes, ("s0",))


def _write(connection: duckdb.DuckDBPyConnection, table: Table, sql: str, path: Path) -> None:
    made = {column[0] for column in connection.sql(sql).description}
    cells = [
        quote_identifier(field.name)
        if field.name in made
        else f"NULL::{duckdb_type(field.type)} AS {quote_identifier(field.name)}"
        for field in table.schema
    ]
    connection.execute(f"COPY (SELECT {', '.join(cells)} FROM ({sql})) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
