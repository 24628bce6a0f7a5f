"""Reconcile the staged rows of a load after all files are read, and list the changes to publish.

- Rows whose key occurs more than once in the files are rejected, all but the first; see `rejects`.
- Memberships are resolved to ids; see `memberships`.
- Accounts that are nested in identity documents are loaded for sources without a file of accounts
  (`move_unclaimed_partitions`); for other sources they fill null columns of the accounts in the file
  (`fill_from_nested`).
- Correlation and managers are completed; see `correlate` and `references`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whohas.engine.sql import string_literal
from whohas.errors import InvalidArguments
from whohas.ingest import memberships
from whohas.ingest.access import derive_access
from whohas.ingest.changes import MERGED_BY_ID, Amendments, compose, merge_by_id, replace_partitions, write_rows
from whohas.ingest.correlate import correlate_accounts
from whohas.ingest.deriving import FILE, infer_holdings_from
from whohas.ingest.mapping import Correlation
from whohas.ingest.memberships import membership_account_rule
from whohas.ingest.notes import LoadNotes, emptied_column_notes
from whohas.ingest.pipeline import ReadPipeline
from whohas.ingest.references import ManagerResolver, changed_identity_ids, update_references
from whohas.ingest.staging import Change as Revision
from whohas.ingest.staging import Stage, StagedFile, rewrite_staged
from whohas.plurals import pluralize
from whohas.warehouse.arrow import pc
from whohas.warehouse.schema import ACCOUNT_ENTITLEMENTS, ACCOUNTS, ENTITLEMENTS, IDENTITIES, SOURCES
from whohas.warehouse.store import TableChange

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


Counts = dict[str, tuple[int, int]]
"""By source id: the number of accounts after the load, and how many of them are correlated."""


def reconcile(reading: ReadPipeline) -> tuple[list[TableChange], Counts]:
    """Reconcile the staged rows of a load, and return the changes to publish.

    The order matters: memberships are resolved to complete accounts; nested accounts are loaded for sources that have
    none by then, and else only fill nulls; correlation and managers need complete accounts and identities. Rows of the
    snapshot that refer to changed rows are amended last.

    Warnings are added to `reading.warnings`, and rejected rows to `reading.rejects`.

    Args:
        reading: a load whose files have all been read.

    Returns:
        The changes; and by id of each source whose accounts change, the number of its accounts after the load and how
        many of them are correlated.

    Raises:
        InvalidArguments: a mapping is invalid in a way that only shows when all files are read.
        Unavailable: the disk is full.
    """
    for name in ("accounts", "entitlements"):
        if name in reading.stages:
            reading.stages[name].finish(reading.connection)
    from_file = set(reading.stages["accounts"].touched) if "accounts" in reading.stages else set[str]()
    if "accounts" in reading.stages:
        reading.records.merge_accounts(reading.stages["accounts"])
        if reading.given_ids:
            reading.records.drop_duplicates(reading.stages["accounts"], "id", "id")
    if "entitlements" in reading.stages:
        reading.records.drop_duplicates(reading.stages["entitlements"], "id", "id")
    infer_holdings_from(reading.connection, reading.load.base, reading.sources.rows)
    named = _named_accounts(reading)
    _memberships(reading, named)
    holdings = reading.stages.get(ACCOUNT_ENTITLEMENTS.name)
    told = set(holdings.touched) if holdings is not None else set[str]()
    left = _nested(reading, from_file | named.keys())
    for name, stage in reading.stages.items():
        if name not in ("identities", "accounts", "entitlements"):
            stage.finish(reading.connection)
            if name == ACCOUNT_ENTITLEMENTS.name:
                _drop_repeated(reading, stage)
            elif stage.table.schema.names[0] == "id":
                reading.records.drop_duplicates(stage, "id", "id")
    accounts = reading.stages.get(ACCOUNTS.name)
    if accounts is not None:
        _revise_accounts(reading, accounts, left)
    managers = ManagerResolver(reading)
    managers.find()
    gone = changed_identity_ids(reading)
    amendments = Amendments(reading.load, _changes(reading))
    if gone is not None:
        update_references(reading, gone, amendments)
    managers.find_for_kept_identities(amendments)
    _correlate_again(reading, amendments)
    changes = derive_access(reading, amendments.apply(), from_file | named.keys(), told)
    reading.warnings += LoadNotes(reading, changes).all()
    reading.warnings += emptied_column_notes(reading, changes)
    now = datetime.now(UTC)
    nested = (accounts.touched if accounts is not None else set[str]()) - from_file - named.keys()
    rows = reading.sources.to_table(from_file, now, reading.load.id, named, nested)
    if rows.num_rows:
        changes.append(write_rows(reading.load, SOURCES, rows))
    for rule, index in reading.indexes():
        if index.ambiguous:
            stay = pluralize(index.ambiguous, "account stays", "accounts stay")
            reading.warnings.append(
                f"{stay} uncorrelated, for several identities have the same {rule[0]}. "
                "Set correlation.identity to what only one identity has."
            )
    return changes, _counts(changes)


def _drop_repeated(reading: ReadPipeline, stage: Stage) -> None:
    """Remove repeated memberships, and warn of files in which they are not expected."""
    repeated = reading.records.drop_repeated_memberships(stage)
    for number, path, _, _ in reading.files:
        if count := repeated[number]:
            rows, they = pluralize(count, "row names", "rows name"), "it counts" if count == 1 else "they count"
            reading.warnings.append(
                f"{path.name}: {rows} an account and an entitlement that an earlier row names too; {they} once."
            )


def _changes(reading: ReadPipeline) -> list[TableChange]:
    """Return the changes that publish the stages."""
    changes: list[TableChange] = []
    for name, stage in reading.stages.items():
        if name in MERGED_BY_ID:
            changes.append(merge_by_id(reading.connection, reading.load, stage))
        elif stage.touched or stage.table.partition is None:
            changes.append(replace_partitions(stage))
    return changes


def _named_accounts(reading: ReadPipeline) -> dict[str, int]:
    """Move accounts that were created from memberships to the stage of accounts, and set their sources' rules.

    Accounts of sources whose accounts come from a file of accounts or from documents are left out.

    Returns:
        The number of these accounts by source id.

    Raises:
        InvalidArguments: such a source is authoritative, or its rule names a column that the memberships do not have.
    """
    stage = reading.named
    if stage is None:
        return {}
    stage.finish(reading.connection)
    reading.records.merge_accounts(stage)
    accounts = reading.stage(ACCOUNTS)
    left = move_unclaimed_partitions(
        stage, accounts, reading.may_make_accounts, lambda: reading.load.new_file_path(ACCOUNTS)
    )
    made: dict[str, int] = {}
    for file in stage.files:
        if file not in left:
            made[file.partition or ""] = made.get(file.partition or "", 0) + file.rows
    for id in made:
        mapping, account, attributes = reading.named_rules[id]
        row = reading.sources.rows[id]
        if row["authoritative"]:
            raise InvalidArguments(
                f"The mapping {mapping.path} is wrong: the source {reading.sources.name(id)!r} is authoritative, so "
                "its accounts make identities, and no file of accounts describes it. Give [accounts] a file."
            )
        rule = membership_account_rule(mapping, account, attributes)
        row["correlation"] = None if rule is None else rule.to_json()
        if rule is not None:
            reading.rules[id] = rule
            reading.late.add(id)
        reading.sources.add_attributes(id, attributes)
    return made


def _memberships(reading: ReadPipeline, named: Mapping[str, int]) -> None:
    """Create entitlements that only memberships name, and resolve all memberships to ids.

    Entitlements are created for mappings without a file of entitlements. Records whose account or entitlement does not
    exist are rejected.

    Args:
        reading: the load.
        named: the number of accounts created from memberships, by source id, for the warning.
    """
    if not reading.memberships:
        return
    stage = reading.stage(ENTITLEMENTS)
    for _, asked in reading.memberships:
        asked.finish(reading.connection)
    brought = [file.path for file in stage.files if file.rows]
    for mapping, asked in reading.memberships:
        made = 0
        if mapping.entitlements is None:
            made = memberships.make_entitlements(reading.connection, asked.files, brought, stage, reading.sources)
            stage.touched |= asked.touched
        accounts = sum(count for id, count in named.items() if reading.named_rules[id][0] is mapping)
        if accounts and mapping.memberships is not None:
            reading.warnings.append(
                f"{pluralize(accounts, 'account')} and {pluralize(made, 'entitlement')} were made from "
                f"{mapping.memberships.file.name}, "
                "for no file of accounts describes the source."
            )
    stage.finish(reading.connection)
    reading.records.drop_duplicates(stage, "id", "id", silent=True)
    bad: list[pa.Table] = []
    for mapping, asked in reading.memberships:
        ignore_case = mapping.correlation is not None and mapping.correlation.ignore_case
        memberships.resolve_memberships(
            reading.connection,
            asked.files,
            _files(reading, ACCOUNTS.name, asked.touched),
            _files(reading, ENTITLEMENTS.name, asked.touched),
            ignore_case,
            reading.stage(ACCOUNT_ENTITLEMENTS),
            bad.append,
        )
    reading.records.reject_memberships(bad)


def _files(reading: ReadPipeline, name: str, partitions: set[str]) -> list[Any]:
    """Return the files that some sources will have after the load: kept files, and staged ones that replace them.

    Args:
        reading: the load.
        name: `accounts` or `entitlements`.
        partitions: the ids of the sources.
    """
    stage = reading.stages.get(name)
    table = ACCOUNTS if name == ACCOUNTS.name else ENTITLEMENTS
    touched = stage.touched if stage is not None else set[str]()
    kept = [file.path for file in reading.load.base.files(table, frozenset(partitions - touched))]
    staged = (
        [file.path for file in stage.files if file.partition in partitions and file.rows] if stage is not None else []
    )
    return kept + staged


def _nested(reading: ReadPipeline, from_file: set[str]) -> list[StagedFile]:
    """Move nested accounts and account entitlements to the stages of sources for which no file provides them.

    Accounts of sources with a file of accounts in an earlier load are left out with a warning.

    Args:
        reading: the load.
        from_file: ids of sources whose accounts this load has from a file or from memberships.

    Returns:
        The files of nested accounts of the sources in `from_file`, which may fill gaps in their accounts.
    """
    rows, new_file = reading.sources.rows, reading.load.new_file_path

    def only_nested(id: str) -> bool:
        return rows[id]["loadId"] is None

    def speaks(id: str) -> bool:
        return (only_nested(id) or id in from_file) and rows[id]["holdingsFrom"] != FILE

    held = reading.nested.get(ACCOUNT_ENTITLEMENTS.name)
    if held is not None:
        held.finish(reading.connection)
        move_unclaimed_partitions(
            held, reading.stage(ACCOUNT_ENTITLEMENTS), speaks, lambda: new_file(ACCOUNT_ENTITLEMENTS)
        )
    accounts = reading.nested.get(ACCOUNTS.name)
    if accounts is None:
        return []
    accounts.finish(reading.connection)
    reading.records.drop_duplicates(accounts, "id", "accounts.id")
    rest = move_unclaimed_partitions(accounts, reading.stage(ACCOUNTS), only_nested, lambda: new_file(ACCOUNTS))
    out = [file for file in rest if file.partition not in from_file]
    if out:
        count = sum(file.rows for file in out)
        reading.warnings.append(
            f"{pluralize(count, 'account nested in identities was', 'accounts nested in identities were')} left out: "
            "an earlier load brought a file of accounts of their sources, which has more to it."
        )
    return [file for file in rest if file.partition in from_file]


def _revise_accounts(reading: ReadPipeline, stage: Stage, left: list[StagedFile]) -> None:
    """Fill null columns of accounts from their nested form, and correlate the accounts of the sources in `late`.

    Args:
        reading: the load.
        stage: the stage of accounts.
        left: the files of nested accounts that `_nested` returned.
    """
    fill = fill_from_nested(reading.connection, left) if left else None
    nested_sources = {file.partition for file in left}
    for file in stage.files:
        id = file.partition or ""
        rule = reading.rules.get(id) if id in reading.late else None
        steps: list[Revision] = []
        if fill is not None and id in nested_sources:
            steps.append(fill)
        if rule is not None:
            steps.append(_by_rule(reading, rule))
        if steps:
            rewrite_staged(file, ACCOUNTS, change=compose(steps))


def _by_rule(reading: ReadPipeline, rule: Correlation) -> Revision:
    """Return the change that correlates accounts by a rule."""
    index = reading.index(rule)

    def apply(data: pa.Table) -> pa.Table:
        return correlate_accounts(data, rule, index)

    return apply


def _correlate_again(reading: ReadPipeline, amendments: Amendments) -> None:
    """Correlate the accounts that the load keeps, by the stored rules of their sources, if it brings identities.

    An example: a load of identities only adds Ann, so the account `adoe` of an earlier load gets her as its identity.
    """
    if IDENTITIES.name not in reading.stages:
        return
    for id in amendments.unreplaced_files(ACCOUNTS):
        row = reading.sources.rows.get(id)
        if row is not None and row["correlation"] is not None:
            step = _by_rule(reading, Correlation.from_json(row["correlation"]))
            amendments.add_step(ACCOUNTS, id, (step, "identityId"))


def _counts(changes: list[TableChange]) -> Counts:
    """Return the numbers of accounts and of correlated accounts of the sources whose accounts change."""
    counts: Counts = {}
    for change in changes:
        if change.table is not ACCOUNTS:
            continue
        counts.update(dict.fromkeys(change.replaced_partitions or (), (0, 0)))
        for file in change.added_files:
            held = 0
            with pq.ParquetFile(file.path) as parquet:
                for batch in parquet.iter_batches(200_000, columns=["correlated"]):
                    held += pc.sum(batch.column(0)).as_py() or 0
            rows, before = counts.get(file.partition or "", (0, 0))
            counts[file.partition or ""] = (rows + file.rows, before + held)
    return counts
