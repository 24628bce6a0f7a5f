"""Derive account entitlements for sources whose entitlements are given by identity documents only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.ingest.staging import Stage
from whohas.warehouse.evolved import path_literals
from whohas.warehouse.schema import ACCOUNT_ENTITLEMENTS

_HELD = """
WITH held AS (
    SELECT DISTINCT identityId, sourceId, id, attribute, value FROM {given}
    WHERE type = 'ENTITLEMENT' AND sourceId IN (SELECT unnest($sources))
), counted AS (
    SELECT identityId, sourceId, any_value(id) AS id, count(*) AS n FROM read_parquet([{accounts}])
    WHERE identityId IS NOT NULL GROUP BY ALL
), several AS (
    SELECT a.id, a.identityId, a.sourceId, a.attributes, a.entitlementAttributes FROM read_parquet([{accounts}]) a
    SEMI JOIN (FROM counted WHERE n > 1) c ON c.identityId = a.identityId AND c.sourceId = a.sourceId
)
SELECT c.id AS accountId, h.id AS entitlementId, h.sourceId, h.attribute, h.value
FROM held h JOIN counted c ON c.identityId = h.identityId AND c.sourceId = h.sourceId AND c.n = 1
UNION ALL
SELECT s.id, h.id, h.sourceId, h.attribute, h.value
FROM held h JOIN several s ON s.identityId = h.identityId AND s.sourceId = h.sourceId
WHERE list_contains(s.attributes[h.attribute], h.value) OR list_contains(s.entitlementAttributes[h.attribute], h.value)
ORDER BY sourceId
"""


def stage_derived_entitlements(
    connection: Any, given: str, accounts: Sequence[Path], sources: set[str], stage: Stage
) -> None:
    """Stage account entitlements of some sources, derived from the access and the accounts of identities.

    If an identity has one account on a source, the account holds all entitlements that the identity has there. If it
    has several, an entitlement goes to each account that has the entitlement's value in the attribute of that name.

    Args:
        connection: DuckDB.
        given: SQL table expression for the rows of access that documents gave.
        accounts: files of the accounts of these sources.
        sources: ids of the sources.
        stage: stage of the table `account_entitlements`, to which the rows are added.
    """
    statement = _HELD.format(given=given, accounts=path_literals(accounts))
    found = connection.sql(statement, params={"sources": sorted(sources)})
    for batch in found.to_arrow_reader(50_000):
        data = pa.Table.from_batches([batch]).cast(ACCOUNT_ENTITLEMENTS.schema)
        stage.add(data, np.zeros(data.num_rows, dtype=np.int64))
