"""Correlate accounts with identities by the rule of a mapping: the account's value equals the identity's value.

`IdentityIndex` looks up many values at once; `correlate_accounts` applies it to a table of accounts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.engine.sql import quote_identifier, string_literal
from whohas.errors import InvalidArguments
from whohas.ingest.mapping import Correlation, SourceMapping
from whohas.warehouse.arrow import as_array, pc, replace_column
from whohas.warehouse.schema import ACCOUNTS, IDENTITIES, TEXT


class IdentityIndex:
    """An index on disk from the value that a rule compares to the identity's id.

    The values are sorted by a 64-bit hash. A lookup is a binary search by hash, and a comparison of the value itself
    with each value of that hash, nearly always one.

    Args:
        connection: DuckDB.
        files: the Parquet files of all identities.
        identity: the side of the identity: a column, or `attributes.<name>`.
        ignore_case: whether values are compared in lower case.
        scratch: a folder for the index; it is not removed here.

    Attributes:
        ambiguous: how many looked-up values belong to several identities.
    """

    def __init__(self, connection: Any, files: Sequence[Path], identity: str, ignore_case: bool, scratch: Path) -> None:
        self._connection = connection
        self._fold = ignore_case
        path = scratch / f"index-{len(list(scratch.glob('index-*')))}.arrow"
        empty = pa.table({"h": pa.array([], pa.uint64()), "key": pa.array([], TEXT), "id": pa.array([], TEXT)})
        value = value_sql(identity)
        key = f"lower({value})" if ignore_case else value
        with pa.OSFile(str(path), "wb") as sink:
            if files:
                paths = ", ".join(string_literal(str(file)) for file in files)
                reader = connection.sql(
                    "SELECT hash(key) AS h, key, CASE WHEN count(*) = 1 THEN any_value(id) ELSE '' END AS id "
                    f"FROM (SELECT {key} AS key, id FROM read_parquet([{paths}])) "
                    "WHERE key IS NOT NULL AND key <> '' GROUP BY key ORDER BY h"
                ).to_arrow_reader(100_000)
                with pa.ipc.new_file(sink, reader.schema) as out:
                    for batch in reader:
                        out.write_batch(batch)
            else:
                with pa.ipc.new_file(sink, empty.schema) as out:
                    out.write_table(empty)
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        self._hashes = table.column("h").to_numpy()
        self._keys, self._ids = table.column("key"), table.column("id")
        self._most_of_a_hash = 1
        while np.any(self._hashes[self._most_of_a_hash :] == self._hashes[: -self._most_of_a_hash]):
            self._most_of_a_hash += 1
        self.ambiguous = 0

    def find_ids(self, values: pa.Array) -> pa.Array:
        """Return the identity's id for each value.

        The id is null where no identity has the value, or where several have it (counted in `ambiguous`).
        """
        self._connection.register("looked_up", pa.table({"v": values}))
        key = "lower(v)" if self._fold else "v"
        lookups = self._connection.sql(f"SELECT hash({key}) AS h, {key} AS key FROM looked_up").to_arrow_table()
        if not len(self._hashes):
            return pa.nulls(len(values), TEXT)
        first = np.searchsorted(self._hashes, lookups.column("h").to_numpy())
        found = pa.chunked_array([pa.nulls(len(values), TEXT)])
        for further in range(self._most_of_a_hash):
            positions = pa.array(np.minimum(first + further, len(self._hashes) - 1))
            same = pc.equal(self._keys.take(positions), lookups.column("key")).fill_null(False)
            found = pc.if_else(same, self._ids.take(positions), found)
        ambiguous = pc.equal(found, "").fill_null(False)
        self.ambiguous += pc.sum(ambiguous).as_py() or 0
        return as_array(pc.if_else(ambiguous, pa.scalar(None, TEXT), found))


def correlate_accounts(accounts: pa.Table, rule: Correlation, index: IdentityIndex) -> pa.Table:
    """Return the accounts with `identityId` and `correlated` set by the rule.

    Accounts on authoritative sources and manually correlated accounts keep their identity.

    Args:
        accounts: rows of the table of accounts.
        rule: the rule in terms of stored columns; see `stored_correlation_rule`.
        index: the identities by the value that the rule compares.
    """
    values = compared_values(accounts, rule.account)
    keep = pc.or_(
        accounts.column("authoritative").fill_null(False), accounts.column("manuallyCorrelated").fill_null(False)
    )
    ids = pc.if_else(keep, accounts.column("identityId"), index.find_ids(as_array(values)))
    accounts = replace_column(accounts, "identityId", ids)
    return replace_column(accounts, "correlated", pc.is_valid(ids))


def compared_values(rows: pa.Table, place: str) -> Any:
    """Return the value of each row that a rule compares: a column, or an attribute's first value; null without one.
    Args:
        rows: accounts or identities.
        place: a column, or `attributes.<name>`.
    """
    if not place.startswith("attributes."):
        return rows.column(place)
    lists = pc.map_lookup(rows.column("attributes"), pa.scalar(place.removeprefix("attributes.")), "first")
    return pc.list_element(pc.if_else(pc.greater(pc.list_value_length(lists), 0), lists, None), 0)


def stored_correlation_rule(mapping: SourceMapping) -> Correlation | None:
    """Return a mapping's correlation rule in terms of stored columns; None if it has no rule or no [accounts].
    The rule of a mapping names a column of the file. Later loads only have the stored accounts, so the name is replaced
    by the column, or the `attributes.<name>`, in which accounts keep the value.

    Raises:
        InvalidArguments: the accounts do not keep that column.
    """
    rule = mapping.correlation
    if rule is None or mapping.accounts is None:
        return None
    for ours, theirs in mapping.accounts.columns.items():
        if theirs.column == rule.account and ACCOUNTS.schema.names.count(ours) and ACCOUNTS.column(ours).type == TEXT:
            return Correlation(ours, rule.identity, rule.ignore_case)
    if mapping.accounts.attributes is None or rule.account in mapping.accounts.attributes:
        return Correlation(f"attributes.{rule.account}", rule.identity, rule.ignore_case)
    raise InvalidArguments(
        f"The mapping {mapping.path} is wrong: correlation.account {rule.account!r} is not kept with the accounts, "
        "so later loads could not correlate them. Name it in accounts.attributes or accounts.columns."
    )


def stored_manager_rule(mapping: SourceMapping) -> Correlation | None:
    """Return a mapping's rule for managers in terms of stored columns; None if it has none or no [accounts].
    As `stored_correlation_rule`, but the name is replaced by the place where identities keep the value.

    Raises:
        InvalidArguments: the identities do not keep that column.
    """
    rule = mapping.manager
    if rule is None or mapping.accounts is None:
        return None
    if mapping.accounts.attributes is None or rule.account in mapping.accounts.attributes:
        return Correlation(f"attributes.{rule.account}", rule.identity, rule.ignore_case)
    for ours, theirs in mapping.identities.items():
        if theirs.column == rule.account and ours != "id" and IDENTITIES.column(ours).type == TEXT:
            return Correlation(ours, rule.identity, rule.ignore_case)
    raise InvalidArguments(
        f"The mapping {mapping.path} is wrong: manager.account {rule.account!r} is not kept with the identities, "
        "so later loads could not find their managers. Name it in accounts.attributes."
    )


def value_sql(place: str) -> str:
    """Return the SQL expression for the value that a rule compares.

    Args:
        place: a column of accounts or identities, or `attributes.<name>`.
    """
    if place.startswith("attributes."):
        return f"attributes[{string_literal(place.removeprefix('attributes.'))}][1]"
    return f"{quote_identifier(place)}::VARCHAR"
