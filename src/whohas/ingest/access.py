"""Access that is derived: what a load makes of `identity_access` once its other tables are settled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whohas.ingest.deriving import Deriving, Scope
from whohas.ingest.entitlement_links import stage_held
from whohas.ingest.given import DOCUMENTS, FILE, After, given, listed
from whohas.ingest.pipeline import Reading
from whohas.ingest.publish import data_files
from whohas.plurals import counted
from whohas.warehouse.evolved import lacking
from whohas.warehouse.schema import (
    ACCESS_PROFILES,
    ACCOUNT_ENTITLEMENTS,
    ACCOUNTS,
    ENTITLEMENTS,
    IDENTITIES,
    IDENTITY_ACCESS,
    OVERRULED_ACCESS,
    ROLES,
    SOURCES,
    Table,
)
from whohas.warehouse.store import Change

_FOR_ALL = frozenset(table.name for table in (IDENTITIES, IDENTITY_ACCESS, ACCESS_PROFILES, ROLES))
"""Tables whose change can change what is held on any source."""

_BY_SOURCE = (ACCOUNTS, ACCOUNT_ENTITLEMENTS, ENTITLEMENTS)
"""Tables whose change concerns the sources of the rows only."""


def derive(reading: Reading, changes: list[Change], from_file: set[str], told: set[str]) -> list[Change]:
    """Adds to a load's changes what follows from them: account entitlements of documents, and derived access.

    Args:
        changes: what the load changes so far.
        from_file: sources whose accounts a file of the load brings.
        told: sources of which a file of the load says what their accounts hold.
    """
    rows = reading.sources.rows
    known = {id: row["holdingsFrom"] for id, row in rows.items()}
    after = After(reading.load.base, changes)
    for id in after.replaced(ACCOUNT_ENTITLEMENTS):
        rows[id]["holdingsFrom"] = FILE if id in told else rows[id]["holdingsFrom"] or DOCUMENTS
    fresh = _hold(reading, after, from_file)
    if fresh:
        changes = _with(changes, _held(reading, after, fresh))
        after = After(reading.load.base, changes)
        for id in fresh:
            rows[id]["holdingsFrom"] = DOCUMENTS
    moved = any(row["holdingsFrom"] != known.get(id) for id, row in rows.items())
    scope = _scope(reading, after, from_file, fresh, moved or _first(reading))
    if scope is None:
        return changes
    names = {id: reading.sources.name(id) for id in rows}
    deriving = Deriving(reading.connection, after, scope, reading.load.scratch, names)
    try:
        deriving.run()
        _note(reading, deriving)
        return _published(reading, deriving, after, changes)
    finally:
        deriving.close()


def _first(reading: Reading) -> bool:
    """Whether the warehouse is of a version that derived nothing."""
    return any(lacking(file.path, SOURCES) for file in reading.load.base.files(SOURCES))


def _own(reading: Reading, from_file: set[str]) -> set[str]:
    """The sources whose accounts decide: those that ever had a file of accounts or memberships."""
    rows = reading.sources.rows
    return {id for id, row in rows.items() if row["loadId"] is not None or id in from_file} | {
        id for id, row in rows.items() if row["holdingsFrom"] == FILE
    }


def _hold(reading: Reading, after: After, from_file: set[str]) -> set[str]:
    """The sources whose account entitlements are to be made of what documents give."""
    access = IDENTITY_ACCESS.name in after.changed
    if not access and not after.files(IDENTITY_ACCESS):
        return set()
    replaced = after.replaced(ACCOUNT_ENTITLEMENTS)
    candidates = {
        id
        for id in _own(reading, from_file) - replaced
        if reading.sources.rows[id]["holdingsFrom"] != FILE
        and (access or (id in from_file and not after.files(ACCOUNT_ENTITLEMENTS, frozenset({id}))))
    }
    return {id for id in candidates if after.files(ACCOUNTS, frozenset({id}))}


def _held(reading: Reading, after: After, sources: set[str]) -> Change:
    stage = reading.fresh_stage(ACCOUNT_ENTITLEMENTS)
    accounts = after.files(ACCOUNTS, frozenset(sources))
    stage_held(reading.connection, given(after), accounts, sources, stage)
    stage.finish(reading.connection)
    return Change(ACCOUNT_ENTITLEMENTS, data_files(stage), frozenset(sources))


def _scope(reading: Reading, after: After, from_file: set[str], fresh: set[str], everything: bool) -> Scope | None:
    """The sources to look at; None where nothing that the load changes can change what is held."""
    own = _own(reading, from_file)
    changed = after.changed
    everything = everything or bool(changed & _FOR_ALL) or _newly(reading, own)
    touched = own if everything else own & {id for table in _BY_SOURCE for id in after.replaced(table)}
    if not everything and touched and _mixed(reading, after):
        everything, touched = True, own
    if not touched and not (everything and after.files(ROLES) + after.files(ACCESS_PROFILES)):
        return None
    if not after.files(ACCOUNT_ENTITLEMENTS, frozenset(touched)) and not _spoken(reading, after, touched, everything):
        return None
    file = frozenset(id for id in touched if reading.sources.rows[id]["holdingsFrom"] == FILE)
    return Scope(file, frozenset(touched) - file, frozenset(fresh & touched), everything)


def _newly(reading: Reading, own: set[str]) -> bool:
    """Whether a source had neither accounts nor memberships of its own before this load."""
    before = {
        row["id"]
        for file in reading.load.base.files(SOURCES)
        for row in pq.read_table(file.path, columns=["id", "loadId"]).to_pylist()
        if row["loadId"] is not None
    }
    return any(id not in before and reading.sources.rows[id]["holdingsFrom"] != FILE for id in own)


def _mixed(reading: Reading, after: After) -> bool:
    """Whether an access profile has entitlements of several sources, so that none can be looked at alone."""
    profiles = after.files(ACCESS_PROFILES)
    if not profiles:
        return False
    found = reading.connection.sql(
        f"SELECT 1 FROM (SELECT sourceId, unnest(entitlements).id AS id FROM {after.scan(ACCESS_PROFILES)}) p "
        f"JOIN {after.scan(ENTITLEMENTS)} e USING (id) WHERE e.sourceId IS DISTINCT FROM p.sourceId LIMIT 1"
    ).fetchall()
    return bool(found)


def _spoken(reading: Reading, after: After, sources: set[str], everything: bool) -> bool:
    """Whether any row of access is of these sources; with `everything` of any."""
    if not after.files(IDENTITY_ACCESS) and not after.overruled():
        return False
    which = "true" if everything else f"list_contains({listed(sources)}, sourceId)"
    held = f"SELECT sourceId FROM {after.scan(IDENTITY_ACCESS)} UNION ALL SELECT sourceId FROM {given(after)}"
    return bool(reading.connection.sql(f"SELECT 1 FROM ({held}) WHERE {which} LIMIT 1").fetchall())


def _published(reading: Reading, deriving: Deriving, after: After, changes: list[Change]) -> list[Change]:
    partitions = deriving.changed()
    if not partitions:
        return _dropped(reading, after, changes)
    # all is written before `_with` removes staged files that it takes the place of
    more = [_staged(reading, IDENTITY_ACCESS, partitions, deriving.access)]
    if after.overruled() or deriving.count("SELECT count(*) FROM verdicts"):
        more.append(_staged(reading, OVERRULED_ACCESS, partitions, deriving.overruled))
    for change in more:
        changes = _with(changes, change)
    return _dropped(reading, after, changes)


def _dropped(reading: Reading, after: After, changes: list[Change]) -> list[Change]:
    """The changes, without overruled rows of partitions that got other documents."""
    gone = {
        file.partition or ""
        for file in reading.load.base.files(OVERRULED_ACCESS)
        if (file.partition or "") in after.replaced(IDENTITY_ACCESS)
    }
    return _with(changes, Change(OVERRULED_ACCESS, (), frozenset(gone))) if gone else changes


def _staged(
    reading: Reading, table: Table, partitions: set[str], hand: Callable[[set[str], Callable[[pa.Table], None]], None]
) -> Change:
    stage = reading.fresh_stage(table)

    def take(data: pa.Table) -> None:
        stage.add(data, np.zeros(data.num_rows, dtype=np.int64))

    hand(partitions, take)
    stage.finish(reading.connection)
    return Change(table, data_files(stage), frozenset(partitions))


def _with(changes: list[Change], more: Change) -> list[Change]:
    """The changes with a further one, which takes the place of rows that the load brought to its partitions."""
    found: list[Change] = []
    for change in changes:
        if change.table is not more.table:
            found.append(change)
            continue
        assert change.replace is not None and more.replace is not None
        kept = []
        for file in change.add:
            if (file.partition or "") not in more.replace or file in more.add:
                kept.append(file)
            else:
                Path(file.path).unlink()
        more = Change(more.table, (*kept, *more.add), change.replace | more.replace)
    return [*found, more]


def _note(reading: Reading, deriving: Deriving) -> None:
    """Warns of what documents give and accounts do not have, and of what cannot be derived."""
    fallen = deriving.count("SELECT count(*) FROM verdicts WHERE NOT holds")
    if fallen:
        items = counted(fallen, "access item that documents give does", "access items that documents give do")
        reading.warnings.append(
            f"{items} not hold, for the accounts of the sources say otherwise: see the table overruled_access."
        )
    lost = deriving.count("SELECT count(*) FROM (FROM carried c ANTI JOIN present a ON a.id = c.accountId)")
    if lost:
        reading.warnings.append(
            f"{counted(lost, 'account entitlement names', 'account entitlements name')} an account that is not there: "
            "nobody holds what is named there. Load the accounts."
        )
    strangers = deriving.count(
        "SELECT count(*) FROM (SELECT DISTINCT accountId FROM carried) c JOIN owned a ON a.id = c.accountId "
        "ANTI JOIN people p ON p.id = a.identityId"
    )
    if strangers:
        accounts = counted(strangers, "account with entitlements belongs", "accounts with entitlements belong")
        reading.warnings.append(
            f"{accounts} to identities that are not there: what they hold cannot be found by identity. "
            "Load the identities."
        )
    empty = deriving.count("SELECT count(*) FROM profiles WHERE n = 0 AND list_contains($file, sourceId)")
    if empty:
        profiles = counted(empty, "access profile lists", "access profiles list")
        reading.warnings.append(f"{profiles} no entitlements, so that no holders can be derived.")
