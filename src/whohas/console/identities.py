"""One identity of a snapshot: who it is, its accounts, and its access with the paths by which it has each item.

Access paths are derived from four tables: what the identity holds (`identity_access`), what its accounts hold
(`account_entitlements`), and which entitlements its roles and access profiles contain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from whohas.console.lookups import Lookup, open_lookup
from whohas.engine.statement import Statement
from whohas.errors import NotFound
from whohas.runs.plans import resolve_at_snapshot
from whohas.warehouse.store import Snapshot

MAX_ACCOUNTS = 500
"""The most accounts of an identity that are read."""
MAX_ACCESS = 5_000
"""The most access items, and the most entitlements of accounts, that are read."""
MAX_REPORTS = 50
"""The most identities that report to one that are read."""

BundleKind = Literal["role", "access profile", "account"]

_TABLES = (
    "identities", "accounts", "account_entitlements", "entitlements", "identity_access", "access_profiles", "roles",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """An account of an identity; the data may lack times and flags."""

    id: str
    name: str
    native_identity: str
    source_id: str
    source_name: str
    disabled: bool | None
    locked: bool | None
    privileged: bool | None
    manually_correlated: bool | None
    changed: Any


@dataclass(frozen=True, slots=True)
class Bundle:
    """A role, an access profile or an account, through which an identity has entitlements.

    Attributes:
        kind: what it is.
        id: its id.
        name: its name.
        detail: of an account its source, of an access profile its source or empty.
        roles: of an access profile, the ids of the identity's roles that contain it.
    """

    kind: BundleKind
    id: str
    name: str
    detail: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entitlement:
    """An entitlement that an identity has.

    Attributes:
        through: the bundles by which the identity has it; empty where the data does not say.
    """

    id: str
    name: str
    source_name: str
    description: str
    privileged: bool
    through: tuple[Bundle, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """An identity that another one names: its manager, or one that reports to it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class IdentityDetails:
    """An identity with what it has.

    Attributes:
        id: its id.
        name: its display name, or its unique name.
        facts: its row in the table `identities`, by column, without `attributes`.
        attributes: its attributes, sorted by name; several values joined.
        manager: its manager, with an empty id if the manager is not in the data; None for none.
        reports: the first of the identities that report to it.
        report_count: the number of all of them.
        accounts: its accounts, by source.
        bundles: its roles, access profiles and accounts.
        entitlements: its entitlements, by name.
        is_complete: whether it has no more accounts and access than is read.
    """

    id: str
    name: str
    facts: Mapping[str, Any]
    attributes: tuple[tuple[str, str], ...]
    manager: Person | None
    reports: tuple[Person, ...]
    report_count: int
    accounts: tuple[Account, ...]
    bundles: tuple[Bundle, ...]
    entitlements: tuple[Entitlement, ...]
    is_complete: bool


def read_identity(id: str, snapshot: Snapshot, spill: Path) -> IdentityDetails:
    """Return an identity of a snapshot. The caller has a `lookup_slot`.

    Args:
        id: its id.
        snapshot: the snapshot.
        spill: the folder for temporary files of engines.

    Raises:
        NotFound: the snapshot has no such identity, or its data is no longer kept.
        LookupTooLarge: reading takes longer than a page may take.
    """
    statement = Statement("SELECT 1", (), tables=dict.fromkeys(_TABLES))
    with open_lookup(spill, resolve_at_snapshot([statement], snapshot)[1]) as lookup:
        found = lookup.dicts("SELECT * FROM identities WHERE id = $id LIMIT 1", {"id": id})
        if not found:
            raise NotFound(f"There is no identity {id[:100]!r} in the newest data.")
        facts = found[0]
        attributes: Mapping[str, Any] = facts.pop("attributes") or {}
        manager = _manager(lookup, facts)
        reports, report_count = _reports(lookup, id)
        accounts = _accounts(lookup, id)
        held = lookup.dicts(_HELD, {"id": id})
        memberships = lookup.dicts(_MEMBERSHIPS, {"accounts": [account.id for account in accounts]})
        contents = {
            kind: _contents(lookup, sql, [row["id"] for row in held if row["type"] == type])
            for kind, type, sql in (("role", "ROLE", _ROLE), ("profile", "ACCESS_PROFILE", _PROFILE))
        }
    bundles = _bundles(held, accounts, contents["role"])
    return IdentityDetails(
        id=id,
        name=facts["displayName"] or facts["name"] or id,
        facts=facts,
        attributes=tuple(sorted((name, "; ".join(map(str, values or ()))) for name, values in attributes.items())),
        manager=manager,
        reports=reports,
        report_count=report_count,
        accounts=accounts,
        bundles=bundles,
        entitlements=_entitlements(held, memberships, bundles, contents["role"], contents["profile"]),
        is_complete=len(accounts) < MAX_ACCOUNTS and max(len(held), len(memberships)) < MAX_ACCESS,
    )


_HELD = f"""
SELECT type, id, coalesce(nullif(displayName, ''), name, id) AS name, coalesce(sourceName, '') AS source,
       coalesce(description, '') AS description, coalesce(privileged, false) AS privileged
FROM identity_access WHERE identityId = $id ORDER BY lower(name), id LIMIT {MAX_ACCESS}
"""
_MEMBERSHIPS = f"""
WITH held AS (FROM account_entitlements WHERE list_contains($accounts, accountId) LIMIT {MAX_ACCESS})
SELECT h.accountId AS account, h.entitlementId AS id,
       coalesce(nullif(e.displayName, ''), e.name, h.value, h.entitlementId) AS name,
       coalesce(e.sourceName, '') AS source, coalesce(e.description, '') AS description,
       coalesce(e.privileged, false) AS privileged
FROM held h LEFT JOIN entitlements e ON e.id = h.entitlementId
"""
_ROLE = """
SELECT id,
       list_transform(list_concat(coalesce(accessProfiles, []),
                                  flatten(list_transform(coalesce(dimensions, []), lambda d: d.accessProfiles))),
                      lambda x: x.id) AS profiles,
       list_transform(list_concat(coalesce(entitlements, []),
                                  flatten(list_transform(coalesce(dimensions, []), lambda d: d.entitlements))),
                      lambda x: x.id) AS entitlements
FROM roles WHERE list_contains($ids, id)
"""
_PROFILE = """
SELECT id, [] AS profiles, list_transform(coalesce(entitlements, []), lambda x: x.id) AS entitlements
FROM access_profiles WHERE list_contains($ids, id)
"""


@dataclass(frozen=True, slots=True)
class _Content:
    """The ids of the access profiles and entitlements that a role or an access profile contains."""

    profiles: frozenset[str]
    entitlements: frozenset[str]


def _manager(lookup: Lookup, facts: Mapping[str, Any]) -> Person | None:
    if facts["managerId"]:
        sql = "SELECT coalesce(nullif(displayName, ''), name) FROM identities WHERE id = $id LIMIT 1"
        found = lookup.rows(sql, {"id": facts["managerId"]})
        if found:
            return Person(facts["managerId"], found[0][0] or facts["managerId"])
    name = facts["managerDisplayName"] or facts["managerName"] or facts["managerId"]
    return Person("", name) if name else None


def _reports(lookup: Lookup, id: str) -> tuple[tuple[Person, ...], int]:
    sql = (
        "SELECT id, coalesce(nullif(displayName, ''), name, id) AS name, count(*) OVER () FROM identities "
        f"WHERE managerId = $id AND id <> $id ORDER BY lower(name), id LIMIT {MAX_REPORTS}"
    )
    rows = lookup.rows(sql, {"id": id})
    return tuple(Person(row[0], row[1]) for row in rows), rows[0][2] if rows else 0


def _accounts(lookup: Lookup, id: str) -> tuple[Account, ...]:
    sql = (
        "SELECT id, coalesce(nullif(name, ''), nativeIdentity, id), coalesce(nativeIdentity, ''), "
        "coalesce(sourceId, ''), coalesce(sourceName, sourceId, ''), disabled, locked, privileged, "
        "manuallyCorrelated, modified "
        f"FROM accounts WHERE identityId = $id ORDER BY lower(sourceName), nativeIdentity LIMIT {MAX_ACCOUNTS}"
    )
    return tuple(Account(*row) for row in lookup.rows(sql, {"id": id}))


def _contents(lookup: Lookup, sql: str, ids: Sequence[str]) -> Mapping[str, _Content]:
    if not ids:
        return {}
    rows = lookup.dicts(sql, {"ids": list(ids)})
    return {row["id"]: _Content(frozenset(row["profiles"]), frozenset(row["entitlements"])) for row in rows}


def _bundles(
    held: Sequence[Mapping[str, Any]], accounts: Sequence[Account], roles: Mapping[str, _Content]
) -> tuple[Bundle, ...]:
    found = [Bundle("role", row["id"], row["name"]) for row in held if row["type"] == "ROLE"]
    for row in held:
        if row["type"] == "ACCESS_PROFILE":
            within = tuple(role.id for role in found if row["id"] in _content(roles, role.id).profiles)
            found.append(Bundle("access profile", row["id"], row["name"], row["source"], within))
    found += [Bundle("account", account.id, account.name, account.source_name) for account in accounts]
    return tuple(found)


def _entitlements(
    held: Sequence[Mapping[str, Any]],
    memberships: Sequence[Mapping[str, Any]],
    bundles: Sequence[Bundle],
    roles: Mapping[str, _Content],
    profiles: Mapping[str, _Content],
) -> tuple[Entitlement, ...]:
    rows = {row["id"]: row for row in (*memberships, *(row for row in held if row["type"] == "ENTITLEMENT"))}
    accounts: dict[str, set[str]] = {}
    for row in memberships:
        accounts.setdefault(row["id"], set()).add(row["account"])

    def holds(bundle: Bundle, id: str) -> bool:
        match bundle.kind:
            case "account":
                return bundle.id in accounts.get(id, ())
            case "role":
                return id in _content(roles, bundle.id).entitlements
            case "access profile":
                return id in _content(profiles, bundle.id).entitlements

    found = [
        Entitlement(
            id,
            row["name"],
            row["source"],
            row["description"],
            row["privileged"],
            tuple(bundle for bundle in bundles if holds(bundle, id)),
        )
        for id, row in rows.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.name.casefold(), one.source_name, one.id)))


def _content(contents: Mapping[str, _Content], id: str) -> _Content:
    return contents.get(id, _Content(frozenset(), frozenset()))
