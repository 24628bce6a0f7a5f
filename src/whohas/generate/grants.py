"""Bundles of access, encoded as JSON once: as values of account attributes and as access items of identities.

Many people hold the same bundle, so documents are joined from these pieces rather than encoded one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from whohas.generate.catalogue import AccessCatalog, AccessProfile, Entitlement, Owner, Role
from whohas.generate.rng import IntArray, TextArray, text_array
from whohas.generate.template import compact_json

PERMISSION_BUNDLES = ((0,), (1,), (1, 3), (2,), (2, 7), (3,), (1, 5), (6,), (0, 4), (0, 1, 5), (3, 6, 7))
LEDGER_BUNDLES = ((0,), (0, 1), (0, 2), (0, 1, 2), (0, 3), (0, 4))
"""Bundles of ledger roles, as indexes of `LEDGER_ROLES`. The fourth both posts and approves, a violation of the
segregation of duties."""
_LEDGER_PROFILES = ((0,), (1,), (2,), (1, 2), (0,), (0,))
POWER_BUNDLES = ((0,), (1, 2), (0, 3))


@dataclass(frozen=True, slots=True)
class EncodedBundles:
    """The bundles of one kind. The last bundle is empty.

    Attributes:
        values: for each bundle, the values of the account attribute as JSON, each with a comma before it.
        access: for each bundle, the identity's access items as JSON in UTF-8, each with a comma before it.
        counts: for each bundle, the numbers of its entitlements, access profiles and roles.
    """

    values: TextArray
    access: TextArray
    counts: IntArray

    @property
    def empty_bundle(self) -> int:
        """The index of the empty bundle."""
        return len(self.values) - 1


@dataclass(frozen=True, slots=True)
class AccessBundles:
    """All bundles that an account can have, by kind. The text after a colon says which bundle has which index.

    Attributes:
        basics: groups of a department: 4 x department, + 2 with shared files, + 1 with remote access.
        projects: the group of a project: the project.
        powers: privileged groups: as in `POWER_BUNDLES`.
        ledger: ledger roles: as in `LEDGER_BUNDLES`.
        books: the role of a ledger book: the book.
        crm: profiles of the customer system: as in `CRM_PROFILES`.
        permissions: permission sets of the customer system: as in `PERMISSION_BUNDLES`.
    """

    basics: EncodedBundles
    projects: EncodedBundles
    powers: EncodedBundles
    ledger: EncodedBundles
    books: EncodedBundles
    crm: EncodedBundles
    permissions: EncodedBundles

    @classmethod
    def of(cls, catalogue: AccessCatalog) -> AccessBundles:
        """Return the bundles of a catalogue."""
        c = catalogue
        everybody, remote = c.staff[0], c.staff[1]
        basics = [
            _Bundle((everybody, members, *(files,) * share, *(remote,) * vpn), (profile,), (role,))
            for (members, files), (profile, role) in zip(c.groups, c.basics, strict=True)
            for share in (0, 1)
            for vpn in (0, 1)
        ]
        projects = [
            _Bundle(
                (entitlement,),
                tuple(p for p in (c.project_profiles.get(n),) if p),
                tuple(r for r in (c.project_roles.get(n),) if r),
            )
            for n, entitlement in enumerate(c.projects)
        ]
        ledger = [
            _Bundle(tuple(c.ledger_roles[r] for r in roles), tuple(c.ledger_profiles[p] for p in profiles))
            for roles, profiles in zip(LEDGER_BUNDLES, _LEDGER_PROFILES, strict=True)
        ]
        return cls(
            basics=_pieces(basics),
            projects=_pieces(projects),
            powers=_pieces([_Bundle(tuple(c.powers[p] for p in bundle)) for bundle in POWER_BUNDLES]),
            ledger=_pieces(ledger),
            books=_pieces([_Bundle((book,)) for book in c.books]),
            crm=_pieces([_Bundle((e,), c.crm_access[n : n + 1]) for n, e in enumerate(c.crm_profiles)]),
            permissions=_pieces(
                [_Bundle(tuple(c.permission_sets[p] for p in bundle)) for bundle in PERMISSION_BUNDLES]
            ),
        )


@dataclass(frozen=True, slots=True)
class _Bundle:
    entitlements: tuple[Entitlement, ...] = ()
    profiles: tuple[AccessProfile, ...] = ()
    roles: tuple[Role, ...] = ()


def _pieces(bundles: list[_Bundle]) -> EncodedBundles:
    bundles = [*bundles, _Bundle()]
    counts = [(len(b.entitlements), len(b.profiles), len(b.roles)) for b in bundles]
    return EncodedBundles(
        text_array([_listed(e.value for e in b.entitlements) for b in bundles]),
        np.array([_listed(_items(b)).encode() for b in bundles], dtype=object),
        np.array(counts, dtype=np.int64),
    )


def _listed(values: Iterable[object]) -> str:
    return "".join("," + compact_json(value) for value in values)


def _items(bundle: _Bundle) -> list[dict[str, object]]:
    bundled = {e.id for profile in bundle.profiles for e in profile.entitlements}
    entitlements = [_entitlement(e, standalone=e.id not in bundled) for e in bundle.entitlements]
    in_role = {profile.id for role in bundle.roles for profile in role.profiles}
    profiles = [_profile(p, standalone=p.id not in in_role) for p in bundle.profiles]
    return entitlements + profiles + [_role(r) for r in bundle.roles]


def _entitlement(entitlement: Entitlement, standalone: bool) -> dict[str, object]:
    e = entitlement
    item: dict[str, object] = {"id": e.id, "name": e.name, "displayName": e.name, "type": "ENTITLEMENT"}
    if e.description is not None:
        item["description"] = e.description
    return item | {
        "source": {"id": e.source.id, "name": e.source.name},
        "privileged": e.privileged,
        "attribute": e.attribute,
        "value": e.value,
        "standalone": standalone,
        "schema": e.schema,
    }


def _profile(profile: AccessProfile, standalone: bool) -> dict[str, object]:
    return {
        "id": profile.id,
        "name": profile.name,
        "displayName": profile.name,
        "type": "ACCESS_PROFILE",
        "description": profile.description,
        "source": {"id": profile.source.id, "name": profile.source.name},
        "owner": _owner(profile.owner),
        "standalone": standalone,
        "revocable": standalone,
    }


def _role(role: Role) -> dict[str, object]:
    return {
        "id": role.id,
        "name": role.name,
        "displayName": role.name,
        "type": "ROLE",
        "description": role.description,
        "owner": _owner(role.owner),
        "disabled": False,
        "revocable": False,
    }


def _owner(person: Owner) -> dict[str, str]:
    return {"id": person.id, "name": person.alias, "displayName": person.name}
