"""Use accounts that are nested in identity documents.

For sources without a file of accounts they are loaded (`move_unclaimed_partitions`); for other sources they fill null
columns of the accounts in the file (`fill_from_nested`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from whohas.engine.sql import string_literal
from whohas.ingest.staging import Stage, StagedFile
from whohas.warehouse.arrow import pc

NESTED_ONLY_COLUMNS = ("privileged", "passwordLastSet", "entitlementAttributes", "supportsPasswordChange")
"""Columns of accounts that `fill_from_nested` fills from the nested form."""


def move_unclaimed_partitions(
    nested: Stage, stage: Stage, takes: Callable[[str], bool], new_file: Callable[[], Any]
) -> list[StagedFile]:
    """Move files of a scratch stage into a stage to publish, and return the files that were not moved.

    A file is moved if its partition is not among the stage's partitions yet and `takes` accepts the partition.

    Args:
        nested: the scratch stage, complete; its `files` stay as they are.
        stage: the stage of the same table, whose files and partitions are extended.
        takes: whether to move the file of a partition.
        new_file: returns an unused path in the table's folder.
    """
    left: list[StagedFile] = []
    for file in nested.files:
        partition = file.partition or ""
        if partition in stage.touched or not takes(partition):
            left.append(file)
            continue
        file.path = file.path.rename(new_file())
        stage.files.append(file)
    adopted = {file.partition for file in nested.files} - {file.partition for file in left}
    stage.touched |= {partition for partition in adopted if partition is not None}
    return left


def fill_from_nested(connection: Any, files: Sequence[StagedFile]) -> Callable[[pa.Table], pa.Table]:
    """Return the change that fills null columns of accounts from their nested form.

    The nested form of an account is the nested account with the same id, or else one of the same source with the same
    native identity. Only the columns in `NESTED_ONLY_COLUMNS` are filled.

    Args:
        connection: DuckDB, in which the table `nested_accounts` is created.
        files: files of nested accounts; at least one.
    """
    paths = ", ".join(string_literal(str(file.path)) for file in files)
    columns = ", ".join(NESTED_ONLY_COLUMNS)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE nested_accounts AS "
        f"SELECT DISTINCT ON (id) id, sourceId, nativeIdentity, {columns} FROM read_parquet([{paths}])"
    )
    cells = ", ".join(f"coalesce(i.{c}, j.{c}) AS {c}" for c in NESTED_ONLY_COLUMNS)

    def fill(accounts: pa.Table) -> pa.Table:
        asked = accounts.select(["id", "sourceId", "nativeIdentity"])
        connection.register("filled", asked.append_column("n", pa.array(range(len(asked)), pa.int64())))
        found = connection.sql(
            f"SELECT a.n, {cells} FROM filled a LEFT JOIN nested_accounts i ON i.id = a.id "
            "LEFT JOIN nested_accounts j "
            "ON i.id IS NULL AND j.sourceId = a.sourceId AND j.nativeIdentity = a.nativeIdentity "
            "QUALIFY row_number() OVER (PARTITION BY a.n) = 1 ORDER BY a.n"
        ).to_arrow_table()
        for name in NESTED_ONLY_COLUMNS:
            place = accounts.schema.get_field_index(name)
            field = accounts.schema.field(name)
            old = accounts.column(name)
            if old.null_count:
                new = found.column(name).cast(field.type).combine_chunks()
                filled = pc.if_else(pc.is_null(old), new, old) if not pa.types.is_map(field.type) else _maps(old, new)
                accounts = accounts.set_column(place, field, filled)
        return accounts

    return fill


def _maps(old: pa.ChunkedArray, new: pa.Array) -> pa.Array:
    """Fill null maps in `old` from `new`, by index, because Arrow's `if_else` does not support maps.

    An example: `old` is [m0, null] and `new` is [n0, n1]. Together they are [m0, null, n0, n1], and the indexes
    `[0, 3]` select [m0, n1].
    """
    both = pa.concat_arrays([old.combine_chunks(), new])
    rows = len(new)
    places = pc.if_else(pc.is_null(old.combine_chunks()), pa.array(range(rows, 2 * rows)), pa.array(range(rows)))
    return both.take(places)
