"""Rows that come twice: the first counts, the others are rejected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from whohas.engine.sql import literal
from whohas.ingest.readers.batches import Numbers
from whohas.ingest.staging import StagedFile


def duplicates(connection: Any, files: Sequence[StagedFile], key: str) -> dict[int, Numbers]:
    """Finds rows whose key an earlier row has.

    Hashes of the keys are compared first: they are small, and spill to disk where they are many.

    Args:
        key: SQL over the files' columns; rows where it is null are never the same.

    Returns:
        Per place in `files` the places of such rows in that file.
    """
    if not files:
        return {}
    paths = ", ".join(literal(str(file.path)) for file in files)
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
