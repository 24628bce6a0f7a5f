"""Read the memberships (which account has which entitlement) of a mapping, and resolve them to ids.

The files name accounts by native identity and entitlements by value. `MembershipRows` converts their batches,
`make_entitlements` creates entitlements that only memberships name, and `resolve_memberships` replaces the names by
ids.

Sources without any file of accounts get their accounts from memberships (`MembershipAccounts`): `u1,admin` and
`u1,audit` create one account with the native identity and the name `u1`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from whohas.engine.sql import string_literal
from whohas.errors import InvalidArguments
from whohas.ingest.forms import DISTINGUISHED_NAME_PATTERN, first_component_value, first_of_each, split_cells
from whohas.ingest.mapping import ACCOUNT, ENTITLEMENT, Correlation, SourceMapping
from whohas.ingest.readers.batches import RecordNumbers, RowBatch, RowError
from whohas.ingest.sources import LoadedSources
from whohas.ingest.staging import Stage, StagedFile
from whohas.ingest.text_rows import ColumnLayout, FileColumns, TableRows, TextRows
from whohas.ingest.values import derived_id
from whohas.warehouse.arrow import as_array, pc, replace_column
from whohas.warehouse.schema import ACCOUNT_ENTITLEMENTS, ACCOUNTS, ENTITLEMENTS


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
        "describes the source. Name one of its columns, or give [accounts] a file."
    )


Reject = Callable[[pa.Table], None]
"""Called with memberships whose account or entitlement does not exist. The columns of the table: `origin`; `account`,
whether the account is missing (else the entitlement); `value`, its name in the file; and `attribute`."""

# The table `meant`: for each distinct source, attribute and value in the memberships, the entitlement to which they
# refer. An entitlement matches if its value is equal and the attributes are equal or either has none. Of several, one
# of the same case comes first, then one with an attribute. If values match only without regard to case, there must be
# just one match, because otherwise it would be a guess.
#
# An example: the entitlements e1 (attribute `memberOf`, value `admin`) and e2 (no attribute, value `admin`).
#   membership (memberOf, admin): e1 and e2 match, e1 has an attribute       -> e1
#   membership (role, admin):     e2 matches                                 -> e2
#   membership (memberOf, ADMIN): without regard to case e1 and e2 match     -> none
#   membership (role, ADMIN):     without regard to case only e2 matches     -> e2
_MEANT = """
CREATE OR REPLACE TEMP TABLE meant AS
SELECT t.sourceId, t.attribute, t.value, e.id, e.attribute AS known
FROM (SELECT DISTINCT sourceId, attribute, entitlementId AS value FROM members) t
JOIN ({given}) e ON e.sourceId = t.sourceId AND {same}
    AND (t.attribute IS NULL OR e.attribute IS NULL OR e.attribute = t.attribute)
QUALIFY row_number() OVER (
    PARTITION BY t.sourceId, t.attribute, t.value ORDER BY e.value <> t.value, e.attribute IS NULL, e.n, e.id) = 1
    AND (e.value = t.value OR count(*) OVER (PARTITION BY t.sourceId, t.attribute, t.value) = 1)
"""
# Each membership with the ids of its account and entitlement; null where there is none. An account with exactly the
# same native identity takes precedence over one that differs in case.
_RESOLVE = """
SELECT m.n, m.sourceId, m.accountId AS account, m.entitlementId AS entitlement,
    coalesce(a.id, f.id) AS accountId, e.id AS entitlementId, coalesce(m.attribute, e.known) AS attribute
FROM members m
LEFT JOIN held_by a ON a.sourceId = m.sourceId AND a.native = m.accountId
LEFT JOIN held_by_folded f ON f.sourceId = m.sourceId AND f.native = lower(m.accountId)
LEFT JOIN meant e
    ON e.sourceId = m.sourceId AND e.value = m.entitlementId AND e.attribute IS NOT DISTINCT FROM m.attribute
ORDER BY m.n
"""


class MembershipRows:
    """Converts the batches of a file to memberships: account entitlements that still have names in place of ids.

    Their `accountId` is the native identity and their `entitlementId` the entitlement's value. An example: with the
    separator `;`, the row `u1,admin;audit` becomes the memberships (u1, admin) and (u1, audit).

    Args:
        connection: DuckDB.
        file: the open file.
        layout: the file's columns for `account`, `entitlement` and `attribute`, and the separators of several values.
        sources: the registry of sources.
        source: the id of the source of all rows; None if the rows name it.
        attribute: the account attribute of all memberships; None if the file has a column for it.
        known: whether the same rows are read as accounts too, which lists their errors already.
    """

    def __init__(
        self,
        connection: Any,
        file: FileColumns,
        layout: ColumnLayout,
        sources: LoadedSources,
        source: str | None,
        attribute: str | None = None,
        known: bool = False,
    ) -> None:
        ids = {ACCOUNT: "accountId", ENTITLEMENT: "entitlementId"}
        columns = {ids.get(ours, ours): theirs for ours, theirs in layout.columns.items()}
        self._connection = connection
        self._file = file
        self._attribute = attribute
        self._known = known
        self._separators = {ours: layout.lists.get(theirs[0]) for ours, theirs in columns.items()}
        self._account = layout.columns[ACCOUNT][0]
        self._rows = TextRows(
            connection,
            ACCOUNT_ENTITLEMENTS,
            file,
            ColumnLayout(columns, empty=layout.empty),
            sources,
            source,
            references=True,
        )
        self.without = 0
        """The number of rows that name an account but no entitlement."""

    @property
    def filled(self) -> Counter[str]:
        """The number of cells with a text, by column; see `TextRows.filled`."""
        return self._rows.filled

    def __call__(self, batch: RowBatch) -> tuple[list[TableRows], list[RowError]]:
        """Return the memberships of a batch, and the errors of its rows; no errors if they are listed already."""
        found, bad = self._rows(batch)
        members = [self._split(item, batch, bad) for item in found]
        return members, [] if self._known else bad

    def _split(self, item: TableRows, batch: RowBatch, bad: list[RowError]) -> TableRows:
        """Return one row for each account and entitlement of the rows.

        Rows whose account is only separators are added to `bad`, and rows without an entitlement to `without`. An
        example for the latter: of 3 rows the entitlements come from the rows `places` = `[0, 0, 2]`. Their differences
        `[0, 2]` have one that is not zero, so 1 + 1 rows have entitlements, and 3 - 2 = 1 row has none.
        """
        data, records = item.data, item.records
        if self._attribute is not None:
            data = replace_column(data, "attribute", pa.repeat(pa.scalar(self._attribute, pa.string()), len(data)))
        if self._separators["accountId"] is not None:
            data, places = self._taken_apart(data, "accountId")
            bad += self._nameless(batch, np.setdiff1d(records, records[places]))
            records = records[places]
        filled = len(data)
        data, places = self._taken_apart(data, "entitlementId")
        self.without += filled - (len(places) and 1 + int(np.count_nonzero(np.diff(places))))
        return TableRows(item.table, data, records[places])

    def _taken_apart(self, data: pa.Table, column: str) -> tuple[pa.Table, RecordNumbers]:
        """Return one row for each value in the cells of a column, and for each the index of the original row."""
        values, places = split_cells(self._connection, as_array(data.column(column)), self._separators[column])
        if len(places) != len(data) or (np.diff(places) != 1).any():
            data = data.take(pa.array(places))
        return replace_column(data, column, values), places

    def _nameless(self, batch: RowBatch, records: RecordNumbers) -> list[RowError]:
        """Return errors for some records of a batch, whose cell of the account has separators but no value."""
        found: list[RowError] = []
        for place in np.flatnonzero(np.isin(batch.record_numbers, records)).tolist():
            text = self._file.format_row([column[place].as_py() for column in batch.data.columns])
            found.append(RowError(int(batch.record_numbers[place]), self._account, "no value", text))
        return found


def make_entitlements(
    connection: Any, asked: Sequence[StagedFile], given: Sequence[Path], stage: Stage, sources: LoadedSources
) -> int:
    """Stage entitlements for the values that only memberships name, and return their number.

    The id is derived from source, attribute and value. The name is the value; for a distinguished name it is the value
    of the first component, such as `Sales` for `CN=Sales,OU=Groups,DC=example`.

    Args:
        connection: DuckDB.
        asked: staged files of memberships, as `MembershipRows` converts them.
        given: files of entitlements that this load has for the same sources; values that match one are left out.
        stage: the stage of entitlements.
        sources: the registry of sources, for their names.
    """
    total = 0
    for file in asked:
        origins = file.read_origins()
        _members(connection, file)
        unknown = ""
        if given:
            _meant(connection, given, ignore_case=False)
            unknown = (
                "WHERE NOT EXISTS (FROM meant e WHERE e.sourceId = m.sourceId AND e.value = m.entitlementId "
                "AND e.attribute IS NOT DISTINCT FROM m.attribute) "
            )
        made = connection.sql(
            f"SELECT {derived_id('sourceId', _ATTRIBUTE, 'entitlementId')} AS id, "
            "entitlementId AS name, entitlementId AS value, attribute, sourceId, min(n) AS n, "
            f"regexp_full_match(any_value(entitlementId), {string_literal(DISTINGUISHED_NAME_PATTERN)}, 's') "
            "AS distinguished "
            f"FROM members m {unknown}"
            "GROUP BY entitlementId, attribute, sourceId ORDER BY n"
        ).to_arrow_table()
        rows = made.num_rows
        columns = {name: made.column(name) for name in ("id", "value", "attribute", "sourceId")}
        columns["name"] = _names(made)
        names = [sources.name(id) for id in made.column("sourceId").to_pylist()]
        columns["sourceName"] = pa.array(names, pa.string())
        data = pa.table(
            [columns.get(c.name, pa.nulls(rows, c.type)) for c in ENTITLEMENTS.columns], ENTITLEMENTS.schema
        )
        stage.add(data, origins[made.column("n").to_numpy()])
        total += rows
    return total


_ATTRIBUTE = "coalesce(attribute, '')"


def _names(made: pa.Table) -> pa.Array:
    """Return the names of created entitlements: the first value of a distinguished name, else the whole text."""
    texts = as_array(made.column("name"))
    places = np.flatnonzero(made.column("distinguished").to_numpy())
    if not len(places):
        return texts
    mask = np.zeros(len(texts), dtype=bool)
    mask[places] = True
    found = [first_component_value(text) or text for text in texts.filter(pa.array(mask)).to_pylist()]
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(found, pa.string()))


def resolve_memberships(
    connection: Any,
    asked: Sequence[StagedFile],
    accounts: Sequence[Path],
    entitlements: Sequence[Path],
    ignore_case: bool,
    stage: Stage,
    reject: Reject,
) -> None:
    """Resolve memberships to ids of accounts and entitlements, and stage them as account entitlements.

    Args:
        connection: DuckDB.
        asked: staged files of memberships, as `MembershipRows` converts them.
        accounts: files of the accounts to which they may refer.
        entitlements: files of the entitlements to which they may refer.
        ignore_case: whether a name also refers to an object whose name differs only in case, if there is just one.
        stage: the stage of `account_entitlements`.
        reject: called with the memberships whose account or entitlement does not exist; see `Reject`.
    """
    _held_by(connection, accounts, ignore_case)
    for file in asked:
        origins = file.read_origins()
        _members(connection, file)
        _meant(connection, entitlements, ignore_case)
        for batch in connection.sql(_RESOLVE).to_arrow_reader(50_000):
            rows = pa.Table.from_batches([batch])
            origin = origins[rows.column("n").to_numpy()]
            good = pc.and_(*(pc.is_valid(as_array(rows.column(f"{name}Id"))) for name in (ACCOUNT, ENTITLEMENT)))
            mask = good.to_numpy(zero_copy_only=False)
            columns = [rows.column(name) for name in ("accountId", "entitlementId", "sourceId", "attribute")]
            data = pa.table([*columns, rows.column("entitlement")], schema=ACCOUNT_ENTITLEMENTS.schema)
            if mask.all():
                stage.add(data, origin)
                continue
            stage.add(data.filter(good), origin[mask])
            bad = rows.filter(pc.invert(good))
            nobody = pc.is_null(as_array(bad.column("accountId")))
            value = pc.if_else(nobody, bad.column(ACCOUNT), bad.column(ENTITLEMENT))
            found = {"origin": origin[~mask], "account": nobody, "value": value, "attribute": bad.column("attribute")}
            reject(pa.table(found))


def _members(connection: Any, file: StagedFile) -> None:
    """Create the view `members` of a file of memberships; its column `n` is the row in the file."""
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW members AS SELECT *, file_row_number AS n "
        f"FROM read_parquet({string_literal(str(file.path))}, file_row_number = true)"
    )


def _meant(connection: Any, files: Sequence[Path], ignore_case: bool) -> None:
    """Create the table `meant`: the entitlement to which each value in `members` refers; see `_MEANT`."""
    given = _rows(files, "sourceId", "value", "id", "attribute")
    same = "lower(e.value) = lower(t.value)" if ignore_case else "e.value = t.value"
    connection.execute(_MEANT.format(given=given, same=same))


def _held_by(connection: Any, files: Sequence[Path], ignore_case: bool) -> None:
    """Create the tables that find accounts by native identity: `held_by` exactly, `held_by_folded` in lower case.

    The latter is empty unless case is ignored, and leaves out names that several accounts share in lower case.
    """
    given = _rows(files, "sourceId", "nativeIdentity", "id")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE held_by AS SELECT sourceId, nativeIdentity AS native, any_value(id) AS id "
        f"FROM ({given}) GROUP BY sourceId, nativeIdentity"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE held_by_folded AS SELECT sourceId, lower(native) AS native, any_value(id) AS id "
        f"FROM held_by WHERE {'true' if ignore_case else 'false'} GROUP BY sourceId, lower(native) HAVING count(*) = 1"
    )


def _rows(files: Sequence[Path], *columns: str) -> str:
    """Return SQL that selects columns of text from files, and `n`, the row in its file; without files, no rows."""
    if not files:
        return f"SELECT {', '.join(f'NULL::VARCHAR AS {column}' for column in columns)}, 0 AS n WHERE false"
    paths = ", ".join(string_literal(str(path)) for path in files)
    return f"SELECT {', '.join(columns)}, file_row_number AS n FROM read_parquet([{paths}], file_row_number = true)"
