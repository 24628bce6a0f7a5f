"""Create accounts from memberships, for sources without any file of accounts.

An example: the memberships `u1,admin` and `u1,audit` create one account with the native identity and the name `u1`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from whohas.errors import InvalidArguments
from whohas.ingest.lists import first_of_each, split_cells
from whohas.ingest.mapping import ACCOUNT, Correlation, SourceMapping
from whohas.ingest.readers.batches import RowBatch
from whohas.ingest.shaped import TableRows
from whohas.ingest.sources import LoadedSources
from whohas.ingest.text_rows import ColumnLayout, FileColumns, TextRows
from whohas.warehouse.arrow import as_array
from whohas.warehouse.schema import ACCOUNTS


class MembershipAccounts:
    """Converts batches of memberships to accounts, whose native identity and name are the text in the account column.

    The same account may be in several batches, and several times in one batch if its attributes differ; these rows are
    merged later.

    Args:
        connection: DuckDB.
        file: the open file of memberships.
        layout: the layout of the memberships; its attributes become those of the accounts.
        sources: the registry of sources.
        source: the id of the source of all rows; None if the rows name it.
    """

    def __init__(
        self, connection: Any, file: FileColumns, layout: ColumnLayout, sources: LoadedSources, source: str | None
    ) -> None:
        self._connection = connection
        account = layout.columns[ACCOUNT]
        columns = {"nativeIdentity": account, "name": account}
        if "sourceName" in layout.columns:
            columns["sourceName"] = layout.columns["sourceName"]
        shown = ColumnLayout(columns, layout.attributes, layout.lists, empty=layout.empty)
        self._rows = TextRows(connection, ACCOUNTS, file, shown, sources, source, notes=False)
        place = {name: number for number, name in enumerate(file.header)}
        self._account = place[account[0]]
        self._separator = layout.lists.get(account[0])
        used = {name for names in columns.values() for name in names} | set(layout.attributes.values())
        self._used = sorted(place[name] for name in used)

    def __call__(self, batch: RowBatch) -> list[TableRows]:
        """Return the accounts that a batch of memberships names.

        Rows that are equal in all used columns are converted once. Errors are not returned, because reading the same
        rows as memberships lists them.
        """
        data, records = batch.data, batch.record_numbers
        if self._separator is not None:
            values, places = split_cells(self._connection, as_array(data.column(self._account)), self._separator)
            data, records = data.take(pa.array(places)), records[places]
            data = data.set_column(self._account, data.schema.field(self._account), values)
        first = first_of_each([as_array(data.column(place)) for place in self._used])
        if len(first) < data.num_rows:
            data, records = data.take(pa.array(first)), records[first]
        return self._rows(RowBatch(data, records))[0]


def membership_account_attributes(
    mapping: SourceMapping, attributes: Sequence[str], account: str, header: Sequence[str]
) -> list[str]:
    """Return the attributes of accounts that are created from memberships.

    Args:
        mapping: the mapping; if its correlation rule compares another column than `account`, that becomes an attribute.
        attributes: the attributes in the layout of the memberships.
        account: the column of the account.
        header: the file's columns.
    """
    kept = list(attributes)
    rule = mapping.correlation
    if rule is not None and rule.account != account and rule.account in header and rule.account not in kept:
        kept.append(rule.account)
    return kept


def membership_account_rule(mapping: SourceMapping, account: str, attributes: Sequence[str]) -> Correlation | None:
    """Return a mapping's correlation rule for accounts created from its memberships, or None if it has no rule.

    The rule in the mapping names a column of the file. It is replaced by where the account has the value: the column
    `account` becomes `nativeIdentity`, and any other column `C` becomes `attributes.C`.

    Args:
        mapping: the mapping.
        account: the file's column of the account.
        attributes: the attributes of the accounts.

    Raises:
        InvalidArguments: the rule names a column that the file of memberships does not have.
    """
    rule = mapping.correlation
    if rule is None:
        return None
    if rule.account == account:
        return Correlation("nativeIdentity", rule.identity, rule.ignore_case)
    if rule.account in attributes:
        return Correlation(f"attributes.{rule.account}", rule.identity, rule.ignore_case)
    assert mapping.memberships is not None
    raise InvalidArguments(
        f"The mapping {mapping.path} is wrong: correlation.account names the column {rule.account!r}, which "
        f"{mapping.memberships.file} does not have. The accounts are made from this file, for no file of accounts "
        "describes the source."
    )
