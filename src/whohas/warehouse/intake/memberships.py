"""Memberships of a mapping: who holds what, told by native identities and values, made into ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from whohas.engine.sql import literal
from whohas.warehouse.intake.staging import Stage, StagedFile, origin_of
from whohas.warehouse.intake.values import made_id
from whohas.warehouse.tables import ACCOUNT_ENTITLEMENTS, ENTITLEMENTS

Reject = Callable[[int, int, str, str, str], None]

_RESOLVE = """
SELECT m.n, m.sourceId, m.attribute, m.accountId AS account, m.entitlementId AS entitlement,
    coalesce(a.id, f.id) AS accountId, coalesce(e.id, g.id) AS entitlementId,
    coalesce(e.attribute, g.attribute) AS known
FROM members m
LEFT JOIN held_by a ON a.sourceId = m.sourceId AND a.native = m.accountId
LEFT JOIN held_by_folded f ON f.sourceId = m.sourceId AND f.native = lower(m.accountId)
LEFT JOIN given e
    ON e.sourceId = m.sourceId AND e.value = m.entitlementId AND (m.attribute IS NULL OR m.attribute = e.attribute)
LEFT JOIN given_folded g ON g.sourceId = m.sourceId AND g.value = lower(m.entitlementId)
QUALIFY row_number() OVER (PARTITION BY m.n) = 1
ORDER BY m.n
"""


def make_entitlements(connection: Any, asked: Sequence[StagedFile], stage: Stage, sources: Any) -> None:
    """Entitlements that only memberships name, for a mapping that has no file of them."""
    for file in asked:
        origins = file.read_origins()
        made = connection.sql(
            f"SELECT {made_id('sourceId', _ATTRIBUTE, 'entitlementId')} AS id, "
            "entitlementId AS name, entitlementId AS value, attribute, sourceId, min(file_row_number) AS n "
            f"FROM read_parquet({literal(str(file.path))}, file_row_number = true) "
            "GROUP BY entitlementId, attribute, sourceId ORDER BY n"
        ).to_arrow_table()
        rows = made.num_rows
        columns = {name: made.column(name) for name in ("id", "name", "value", "attribute", "sourceId")}
        names = [sources.name(id) for id in made.column("sourceId").to_pylist()]
        columns["sourceName"] = pa.array(names, pa.string())
        data = pa.table(
            [columns.get(c.name, pa.nulls(rows, c.type)) for c in ENTITLEMENTS.columns], ENTITLEMENTS.schema
        )
        stage.add(data, origins[made.column("n").to_numpy()])


_ATTRIBUTE = "coalesce(attribute, '')"


def resolve(
    connection: Any,
    asked: Sequence[StagedFile],
    accounts: Sequence[Path],
    entitlements: Sequence[Path],
    ignore_case: bool,
    stage: Stage,
    reject: Reject,
) -> None:
    """Stages memberships with the ids of their accounts and entitlements.

    Args:
        asked: memberships whose ids are native identities and values.
        accounts: the files of the accounts that they can mean.
        entitlements: likewise.
        ignore_case: whether a name that differs in case only means the same, if just one does.
        stage: of `account_entitlements`.
        reject: takes file, record, column, reason and row of those that mean nothing.
    """
    _known(connection, "held_by", "native", "nativeIdentity", "NULL::VARCHAR", accounts, ignore_case)
    _known(connection, "given", "value", "value", "attribute", entitlements, ignore_case)
    for file in asked:
        origins = file.read_origins()
        connection.execute(
            "CREATE OR REPLACE TEMP VIEW members AS SELECT *, file_row_number AS n "
            f"FROM read_parquet({literal(str(file.path))}, file_row_number = true)"
        )
        for batch in connection.sql(_RESOLVE).to_arrow_reader(50_000):
            rows = pa.Table.from_batches([batch])
            origin = origins[rows.column("n").to_numpy()]
            good = []
            for place, row in enumerate(
                rows.select(["account", "entitlement", "accountId", "entitlementId"]).to_pylist()
            ):
                missing = (
                    "account" if row["accountId"] is None else "entitlement" if row["entitlementId"] is None else ""
                )
                good.append(not missing)
                if missing:
                    kept = json.dumps(
                        {"account": row["account"], "entitlement": row["entitlement"]}, ensure_ascii=False
                    )
                    reject(
                        *origin_of(int(origin[place])), missing, f"no {missing} {row[missing]!r} on this source", kept
                    )
            attribute = [
                a or b for a, b in zip(*(rows.column(c).to_pylist() for c in ("attribute", "known")), strict=True)
            ]
            columns = [rows.column("accountId"), rows.column("entitlementId"), rows.column("sourceId")]
            columns += [pa.array(attribute, pa.string()), rows.column("entitlement")]
            data = pa.table(columns, schema=ACCOUNT_ENTITLEMENTS.schema)
            mask = pa.array(good)
            stage.add(data.filter(mask), origin[mask.to_numpy(zero_copy_only=False)])


def _known(
    connection: Any, name: str, key: str, column: str, attribute: str, files: Sequence[Path], ignore_case: bool
) -> None:
    """Tables of what can be meant, exactly and, where just one fits, without regard to case."""
    if files:
        paths = ", ".join(literal(str(path)) for path in files)
        source = f"SELECT sourceId, {column} AS {key}, id, {attribute} AS attribute FROM read_parquet([{paths}])"
    else:
        empty = (f"''::VARCHAR AS {column}" for column in ("sourceId", key, "id", "attribute"))
        source = f"SELECT {', '.join(empty)} WHERE false"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {source}")
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {name}_folded AS SELECT sourceId, lower({key}) AS {key}, any_value(id) AS id, "
        f"any_value(attribute) AS attribute FROM {name} WHERE {'true' if ignore_case else 'false'} "
        f"GROUP BY sourceId, lower({key}) HAVING count(*) = 1"
    )
