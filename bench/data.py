"""Rows of an ordinary accounts report for the benchmark's peers, the same ones each time: 14 columns as Parquet or CSV.

    python -m bench.data 1000000 accounts.parquet

Every value follows from the row's number, so that a file of another size begins with the same rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

COLUMNS: Final = (
    "sourceName", "accountName", "nativeIdentity", "displayName", "firstName", "lastName", "email", "department",
    "title", "manager", "enabled", "locked", "created", "entitlementCount",
)  # fmt: skip
UNIQUE: Final = "nativeIdentity"
"""The column that tells one row from another; each of its texts begins with `CN=`."""

_SEED: Final = 20_240_229
_FIRST: Final = (
    "Adam", "Anna", "Boris", "Carla", "David", "Elena", "Frank", "Grace", "Henry", "Irene", "James", "Julia", "Karen",
    "Laura", "Mark", "Nina", "Oscar", "Paul", "José", "Zoë", "François", "Jürgen", "Søren", "Łukasz",
)  # fmt: skip
_LAST: Final = (
    "Smith", "Schmidt", "Jones", "Garcia", "Peeters", "Kennedy", "Robinson", "Brown", "Miller", "Davis", "Wilson",
    "Moore", "Taylor", "Thomas", "White", "Harris", "Martin", "Lewis", "Walker", "Hall", "Allen", "Young", "King",
    "Wright", "Lopez", "Hill", "Green", "Adams", "Baker", "Nelson", "O'Brien", "Müller", "Núñez", "Dvořák",
)  # fmt: skip
_EAST_FIRST: Final = ("太郎", "美咲", "伟", "민준")
_EAST_LAST: Final = ("山田", "佐藤", "王", "김")
_SOURCES: Final = ("Active Directory", "SAP ECC", "Workday", "Salesforce", "Oracle EBS", "ServiceNow", "Okta", "Jira")
_DEPARTMENTS: Final = (
    "Finance", "Engineering", "Sales", "Marketing", "Legal", "Support", "Operations", "Research & Development",
)  # fmt: skip
_TITLES: Final = (
    "Analyst", "Senior Engineer", "Account Manager", "Director, Sales", "Counsel", 'Consultant "on call"', "Specialist",
    "Team Lead", "Architect", "Assistant",
)  # fmt: skip


def make(path: Path, rows: int) -> None:
    """Write so many rows to a Parquet file; an existing one is overwritten."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"COPY ({_select(rows)}) TO {_literal(path)} (FORMAT parquet, COMPRESSION zstd)")


def write_csv(source: Path, path: Path) -> None:
    """The rows of a Parquet file of `make` as CSV: UTF-8, a header line, `true` and `false`, times as RFC 3339."""
    import duckdb

    cells = ", ".join(
        "strftime(make_timestamp(epoch_us(created)), '%Y-%m-%dT%H:%M:%SZ') AS created" if name == "created" else name
        for name in COLUMNS
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {cells} FROM read_parquet({_literal(source)})) TO {_literal(path)} (FORMAT csv, HEADER)"
        )


def rows(source: Path) -> Iterator[tuple[Any, ...]]:
    """The rows of a Parquet file of `make` as Python values, times without their zone: UTC."""
    import pyarrow as pa

    for batch in _batches(source):
        naive = [column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column for column in batch]
        yield from zip(*(column.to_pylist() for column in naive), strict=True)


def texts(source: Path) -> Iterator[tuple[str, ...]]:
    """The same as the texts that `write_csv` writes, so that no peer has to make them in Python."""
    import pyarrow as pa
    import pyarrow.compute

    compute: Any = pyarrow.compute

    def text(column: Any) -> Any:
        if pa.types.is_timestamp(column.type):
            return compute.strftime(column.cast(pa.timestamp("s", "UTC")), format="%Y-%m-%dT%H:%M:%SZ")
        return column.cast(pa.string()).fill_null("")

    for batch in _batches(source):
        yield from zip(*(text(column).to_pylist() for column in batch), strict=True)


def _batches(source: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source) as file:
        for batch in file.iter_batches(batch_size=10_000):
            yield batch.columns


def _select(rows: int) -> str:
    return f"""
    SELECT sourceName, 'user' || n AS accountName,
           'CN=' || firstName || ' ' || lastName || ' ' || n || ',OU=' || department || ',DC=acme,DC=example'
               AS nativeIdentity,
           firstName || ' ' || lastName AS displayName, firstName, lastName,
           lower(strip_accents(firstName || '.' || lastName)) || n || '@acme.example' AS email,
           department, title, CASE WHEN {_number(6, 50)} > 0 THEN managerFirst || ' ' || managerLast END AS manager,
           {_number(7, 20)} > 0 AS enabled, {_number(8, 50)} = 0 AS locked,
           TIMESTAMPTZ '2015-01-01 00:00:00+00' + to_seconds({_number(9, 350_000_000)}) AS created,
           {_number(10, 60)} AS entitlementCount
    FROM (SELECT n, {_pick(_SOURCES, 1)} AS sourceName, {_name(_FIRST, _EAST_FIRST, 2)} AS firstName,
                 {_name(_LAST, _EAST_LAST, 3)} AS lastName,
                 {_pick(_DEPARTMENTS, 4)} AS department, {_pick(_TITLES, 5)} AS title,
                 {_pick(_FIRST, 11)} AS managerFirst, {_pick(_LAST, 12)} AS managerLast
          FROM range({rows}) AS numbers(n))
    """


def _number(salt: int, below: int) -> str:
    return f"(hash(n + {_SEED + salt * 1_000_000_007}) % {below})::INTEGER"


def _pick(texts: Sequence[str], salt: int) -> str:
    return f"[{', '.join(map(_literal, texts))}][1 + {_number(salt, len(texts))}]"


def _name(texts: Sequence[str], eastern: Sequence[str], salt: int) -> str:
    """One name in fifty is an eastern one, the first and the last of the same rows."""
    return f"CASE WHEN {_number(13, 50)} = 0 THEN {_pick(eastern, salt)} ELSE {_pick(texts, salt)} END"


def _literal(value: str | Path) -> str:
    return "'" + str(value).replace("'", "''") + "'"


if __name__ == "__main__":
    make(Path(sys.argv[2]), int(sys.argv[1]))
