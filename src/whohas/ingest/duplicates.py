"""Find rows whose key occurs more than once in the files of a load; all but the first are rejected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from whohas.engine.sql import string_literal
from whohas.ingest.readers.batches import RecordNumbers
from whohas.ingest.staging import StagedFile


def find_duplicates(connection: Any, files: Sequence[StagedFile], key: str) -> dict[int, RecordNumbers]:
    """Return the rows whose key an earlier row has.

    Hashes of the keys are compared first, because they are small, and DuckDB spills them to disk if there are many.

    Args:
        connection: DuckDB.
        files: staged files, in the order in which rows count as earlier.
        key: an SQL expression over the files' columns; rows where it is null are never duplicates.

    Returns:
        By index in `files`, the row numbers of duplicates in that file, from 0, ascending.
    """
    if not files:
        return {}
    paths = ", ".join(string_literal(str(file.path)) for file in files)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE file_order AS SELECT unnest($1) AS path, unnest($2) AS place",
        [
            [str(file.path) for file in files],
            list(range(len(files))),
        ],
    )
    twice = connection.execute(
        "CREATE OR REPLACE TEMP TABLE twice AS "
        f"SELECT hash({key}) AS h FROM read_parquet([{paths}]) WHERE ({key}) IS NOT NULL GROUP BY 1 HAVING count(*) > 1"
    ).fetchone()
    if not twice or not twice[0]:
        return {}
    found = connection.execute(
        "SELECT place, n FROM ("
        "  SELECT o.place, f.file_row_number AS n, row_number() OVER ("
        f"   PARTITION BY {key} ORDER BY o.place, f.file_row_number) AS nth"
        f" FROM read_parquet([{paths}], filename = true, file_row_number = true) f"
        "  JOIN file_order o ON o.path = f.filename"
        f" WHERE hash({key}) IN (SELECT h FROM twice)"
        ") WHERE nth > 1 ORDER BY place, n"
    ).fetchnumpy()
    places, rows = np.asarray(found["place"]), np.asarray(found["n"])
    return {int(place): rows[places == place].astype(np.int64) for place in np.unique(places)}
