"""The guard of a load: compares the data that the load would lose with its limits, before anything is published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whohas.errors import WhohasError
from whohas.ingest.changes import MERGED_BY_ID
from whohas.ingest.pipeline import ReadPipeline
from whohas.ingest.report import LoadReport, Loss
from whohas.warehouse.evolved import path_literals
from whohas.warehouse.schema import (
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ENTITLEMENTS,
    IDENTITY_ACCESS,
    OVERRULED_ACCESS,
    SOURCES,
    Table,
)
from whohas.warehouse.store import DataFile, Load, TableChange

_EXAMPLES = 5

_KEYS = {
    "accounts": ("id", "nativeIdentity"),
    "identities": ("id", "name"),
    "entitlements": ("id", "coalesce(attribute, '') || chr(0) || coalesce(value, id)"),
    "account_entitlements": (
        "accountId || chr(0) || coalesce(attribute, '') || chr(0) || coalesce(value, entitlementId)",
    ),
}
"""SQL expressions of a row's keys within its partition; tables that are not listed have the key `id`.

A row counts as kept if a new row has any one of its keys. If a source's export begins to contain ids, all accounts
get new ids, but none counts as removed, because their native identities are the same.
"""

_EXAMPLE = {
    "accounts": "nativeIdentity",
    "identities": "coalesce(name, id)",
    "entitlements": "coalesce(value, name, id)",
    "account_entitlements": "accountId || chr(0) || entitlementId || chr(0) || coalesce(value, '')",
}


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How much a load may lose before it stops.

    Attributes:
        rejected: largest percentage of rejected rows, of a file or of a source's rows in one table.
        unreadable: largest percentage of unreadable cells among the filled cells of a column.
        tolerated: number of rejected rows or unreadable cells that never stops a load, unless all rows of a file are
            bad.
        removed: largest percentage of the keys of a source in one table that may be removed.
        small_table_rows: number of rows below which `small_removed` applies instead of `removed`.
        small_removed: largest number of keys that may be removed from such a small table; never all of them.
    """

    rejected: float = 5
    unreadable: float = 5
    tolerated: int = 2
    removed: float = 20
    small_table_rows: int = 50
    small_removed: int = 10


class LoadStopped(WhohasError):
    """A load exceeded its loss limits and was stopped; nothing was published.

    Attributes:
        report: the report of the stopped load; its `losses` are the reasons.
    """

    def __init__(self, report: LoadReport) -> None:
        super().__init__(
            "The load was stopped to protect data, and nothing was published: "
            + "; ".join(map(str, report.losses))
            + f". {' '.join(remedies(report.losses))}"
        )
        self.report = report


_REMEDIES = {
    "removed": "Rows that a new file lacks are removed: check that the export is complete.",
    "rejected": "Correct the rows that cannot be loaded, or the mapping.",
    "unreadable": "Correct the cells that cannot be read, or how the mapping reads their column.",
}
"""What to do about a loss, by its kind."""


def remedies(losses: Iterable[Loss]) -> tuple[str, ...]:
    """Return sentences that say what to do about losses beyond the limits."""
    kinds = {loss.kind for loss in losses}
    return (
        *(text for kind, text in _REMEDIES.items() if kind in kinds),
        "If the loss is right, load again with --accept-loss. `whohas docs load` explains the limits.",
    )


def losses_beyond_limits(
    reading: ReadPipeline, load: Load, changes: Iterable[TableChange], limits: GuardLimits
) -> tuple[Loss, ...]:
    """Return the losses that exceed the limits of a load; empty if the load may be published.

    Args:
        reading: the load's files, read and reconciled.
        load: the open load, for the snapshot that it builds on.
        changes: the changes that it would publish.
    """
    return (*_rejected(reading, limits), *_unreadable(reading, limits), *_removed(reading, load, changes, limits))


def _rejected(reading: ReadPipeline, limits: GuardLimits) -> list[Loss]:
    """Check rejected rows per file, then per source and table for files that are within the limit as a whole."""
    found: list[Loss] = []
    limit = f"{limits.rejected:g} %"
    rejects = reading.rejects
    bad: dict[tuple[str, str], int] = {}
    numbers: dict[tuple[str, str], int] = {}
    for number, path, table, read in reading.files:
        parts = {part: count for (file, part), count in rejects.items.items() if file == number}
        for part, count in parts.items():
            items = reading.items[number][part]
            if _beyond(count, items, limits.rejected, limits.tolerated):
                subject = f"{path}, items of {part}"
                found.append(Loss("rejected", subject, count, items, limit, rejects.samples(number, f"/{part}")))
        count = rejects.counts[number] - sum(parts.values())
        if count and (count == read or _beyond(count, read, limits.rejected, limits.tolerated)):
            found.append(Loss("rejected", str(path), count, read, limit, rejects.samples(number)))
            continue
        for (file, source), counts in rejects.by_source.items():
            if file == number and source and table.partition == "sourceId" and counts["rejected"]:
                key = (table.name, source)
                bad[key] = bad.get(key, 0) + counts["rejected"]
                numbers.setdefault(key, number)
    for (name, source), count in bad.items():
        stage = reading.stages.get(name)
        kept = sum(file.rows for file in stage.files if file.partition == source) if stage else 0
        if not kept or _beyond(count, kept + count, limits.rejected, limits.tolerated):
            subject = f"{reading.sources.name(source)}, {name}"
            samples = rejects.samples(numbers[name, source])
            found.append(Loss("rejected", subject, count, kept + count, limit, samples))
    return found


def _unreadable(reading: ReadPipeline, limits: GuardLimits) -> list[Loss]:
    found: list[Loss] = []
    files = {number: (path, read) for number, path, _, read in reading.files}
    for (number, column), count in reading.rejects.by_column.items():
        path, read = files[number]
        # cells of text columns are not counted, since every text is readable: then all rows count as filled
        filled = max(reading.filled[number].get(column, read), count)
        if count >= max(read, filled) or _beyond(count, filled, limits.unreadable, limits.tolerated):
            samples = reading.rejects.samples(number, column)
            subject = f"{path}, column {column}"
            found.append(Loss("unreadable", subject, count, filled, f"{limits.unreadable:g} %", samples))
    return found


def _removed(reading: ReadPipeline, load: Load, changes: Iterable[TableChange], limits: GuardLimits) -> list[Loss]:
    found: list[Loss] = []
    for change in changes:
        table = change.table
        if table.name in MERGED_BY_ID or table in (SOURCES, IDENTITY_ACCESS, OVERRULED_ACCESS):
            continue
        old = [file for file in load.base.files(table, change.replaced_partitions) if file.rows]
        if not old:
            continue
        totals: dict[str, int] = {}
        for file in old:
            totals[file.partition or ""] = totals.get(file.partition or "", 0) + file.rows
        keep = _accounts(load, changes) if table is ACCOUNT_ENTITLEMENTS else None
        for partition, (count, shown) in _gone(reading.connection, table, old, change.added_files, keep).items():
            total = totals[partition]
            small = total < limits.small_table_rows
            if small and (count > limits.small_removed or count == total):
                limit = f"{limits.small_removed} where there are fewer than {limits.small_table_rows}, and never all"
            elif not small and 100 * count > limits.removed * total:
                limit = f"{limits.removed:g} %"
            else:
                continue
            named = table is ACCOUNT_ENTITLEMENTS
            examples = _memberships(reading.connection, load, partition, shown) if named else shown
            name = reading.sources.name(partition) if partition in reading.sources.rows else ""
            subject = f"{name}, {table.name}" if name else table.name
            found.append(Loss("removed", subject, count, total, limit, examples))
    return found


def _memberships(connection: Any, load: Load, source: str, examples: Iterable[str]) -> tuple[str, ...]:
    r"""Return examples of memberships as `nativeIdentity: value`, as their source names them.

    Args:
        examples: texts `accountId\0entitlementId\0value` (see `_EXAMPLE`), value empty where there is none.
    """
    found = [example.split("\0") for example in examples]
    accounts = _named(connection, load, ACCOUNTS, source, "nativeIdentity", [account for account, _, _ in found])
    wanted = [id for _, id, value in found if not value]
    values = _named(connection, load, ENTITLEMENTS, source, "coalesce(value, name, id)", wanted)
    return tuple(
        sorted(f"{accounts.get(account, account)}: {value or values.get(id, id)}" for account, id, value in found)
    )


def _named(connection: Any, load: Load, table: Table, source: str, name: str, ids: Sequence[str]) -> dict[str, str]:
    """Return the names of a source's rows by id, from the snapshot that the load builds on.

    Args:
        name: SQL expression for a row's name.
    """
    files = load.base.files(table, frozenset({source}))
    if not files or not ids:
        return {}
    sql = (
        f"SELECT id, {name} FROM read_parquet([{path_literals([f.path for f in files])}]) WHERE list_contains($ids, id)"
    )
    return dict(connection.execute(sql, {"ids": list(ids)}).fetchall())


def _accounts(load: Load, changes: Iterable[TableChange]) -> list[Path]:
    """Return the files of all accounts as they will be after the load.

    A removed membership counts as lost only if its account remains, because removed accounts are counted already.
    """
    change = next((change for change in changes if change.table is ACCOUNTS), None)
    files = load.base.files(ACCOUNTS)
    if change is None:
        return [file.path for file in files]
    gone = {file.path for file in load.base.files(ACCOUNTS, change.replaced_partitions)}
    return [file.path for file in (*files, *change.added_files) if file.path not in gone]


def _gone(
    connection: Any, table: Table, old: Sequence[DataFile], new: Sequence[DataFile], accounts: list[Path] | None
) -> dict[str, tuple[int, tuple[str, ...]]]:
    """Return, by partition, the number of rows whose keys all disappear, and up to five examples.

    Hashes are compared instead of keys because they take less memory. A collision would hide a single removed row.

    Args:
        accounts: for memberships, the files of the remaining accounts: only memberships of these count. None for
            other tables.
    """
    keys = _KEYS.get(table.name, ("id",))
    partition = f"coalesce({table.partition}, '')" if table.partition else "''"
    before, after = (path_literals([file.path for file in files]) for files in (old, new))
    missing: list[str] = []
    ctes: list[str] = []
    hashes = ", ".join(f"hash({key}) AS k{n}" for n, key in enumerate(keys))
    example = _EXAMPLE.get(table.name, "coalesce(name, id)" if "name" in table.schema.names else "id")
    still = ", accountId AS held_by" if accounts is not None else ""
    ctes.append(f"o AS (SELECT {partition} AS p, {example} AS example, {hashes}{still} FROM read_parquet([{before}]))")
    if new:
        ctes.append(f"n AS MATERIALIZED (SELECT {partition} AS p, {hashes} FROM read_parquet([{after}]))")
        missing += [f"NOT EXISTS (FROM n WHERE n.p = o.p AND n.k{n} = o.k{n})" for n in range(len(keys))]
    if accounts is not None:
        if not accounts:
            return {}
        missing.append(f"held_by IN (SELECT id FROM read_parquet([{path_literals(accounts)}]))")
    where = f" WHERE {' AND '.join(missing)}" if missing else ""
    found = connection.sql(
        f"WITH {', '.join(ctes)} SELECT p, count(*), min(example, {_EXAMPLES}) FROM o{where} GROUP BY p ORDER BY p"
    ).fetchall()
    return {p: (int(count), tuple(str(text) for text in examples or () if text)) for p, count, examples in found}


def _beyond(count: int, total: int, percent: float, few: int) -> bool:
    """Return whether `count` exceeds both the number `few` and `percent` of the total."""
    return count > few and 100 * count > percent * total
