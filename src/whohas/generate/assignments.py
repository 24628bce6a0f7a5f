"""Decide which accounts each identity has, their states, and their access.

The shares follow real organizations: most accounts of people who leave are disabled at once, and the others are what an
auditor looks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whohas.generate import reference_data
from whohas.generate.catalogue import CRM, DIRECTORY, HR, LEDGER
from whohas.generate.grants import LEDGER_BUNDLES, PERMISSION_BUNDLES, POWER_BUNDLES, AccessBundles, EncodedBundles
from whohas.generate.people import (
    EXTERNAL,
    LEAVE,
    LEFT_HR,
    NO_ACCOUNTS,
    NOT_ORPHAN,
    PREHIRE,
    TERMINATED,
    IdentityChunk,
    Organization,
)
from whohas.generate.rng import BoolArray, IntArray, integer_array, one_in

_LEDGER = np.array([d.ledger for d in reference_data.DEPARTMENTS])
_CRM = np.array([d.crm for d in reference_data.DEPARTMENTS])
_LEDGER_CHOICE = np.array(
    [
        {3: (1, 1, 1, 0, 2, 2, 3, 4), reference_data.IT: (5, 5, 0, 0, 0, 0, 0, 4)}.get(n, (0, 0, 0, 1, 0, 0, 2, 0))
        for n in range(len(reference_data.DEPARTMENTS))
    ]
)
_CRM_CHOICE = integer_array(0, 1, 0, 0, 4, 2, 3, 0, 0, 0)
_LEDGER_ADMIN, _CRM_ADMIN = len(LEDGER_BUNDLES) - 1, 4


@dataclass(frozen=True, slots=True)
class AccountKind:
    """The accounts of one kind: arrays with one element for each person.

    Attributes:
        key: prefix of the names of these accounts' columns, such as `ledger`.
        source: index of their source.
        present: whether the person has such an account; the other arrays are false if not.
        disabled: whether it is disabled.
        locked: whether it is locked.
        manually_correlated: whether it was correlated manually.
        privileged: whether it is privileged.
    """

    key: str
    source: int
    present: BoolArray
    disabled: BoolArray
    locked: BoolArray
    manually_correlated: BoolArray
    privileged: BoolArray


@dataclass(frozen=True, slots=True)
class AccessChoice:
    """The bundles that people hold: for each kind an array of indexes into `AccessBundles`, one for each person.

    `project` and `other_project` are both indexes of `AccessBundles.projects`; `admin_powers` belongs to the
    administrator's account, `powers` to the ordinary directory account.
    """

    basics: IntArray
    project: IntArray
    other_project: IntArray
    powers: IntArray
    admin_powers: IntArray
    ledger: IntArray
    book: IntArray
    crm: IntArray
    permissions: IntArray

    def of(self, grants: AccessBundles) -> list[tuple[EncodedBundles, IntArray]]:
        """Return each kind of bundle with the index of the bundle that each person holds."""
        return [
            (grants.basics, self.basics),
            (grants.projects, self.project),
            (grants.projects, self.other_project),
            (grants.powers, self.powers),
            (grants.powers, self.admin_powers),
            (grants.ledger, self.ledger),
            (grants.books, self.book),
            (grants.crm, self.crm),
            (grants.permissions, self.permissions),
        ]


@dataclass(frozen=True, slots=True)
class Assignments:
    """The accounts and the access of some people.

    Attributes:
        hr: accounts in HR.
        former: second accounts in HR, which one person in 59 has.
        directory: accounts in the directory.
        admin: administrators' accounts in the directory.
        ledger: accounts on the ledger.
        crm: accounts on the customer system.
        access: the bundles of access.
    """

    hr: AccountKind
    former: AccountKind
    directory: AccountKind
    admin: AccountKind
    ledger: AccountKind
    crm: AccountKind
    access: AccessChoice

    @property
    def kinds(self) -> tuple[AccountKind, ...]:
        """The accounts of every kind."""
        return (self.hr, self.former, self.directory, self.admin, self.ledger, self.crm)


def assign_access(organization: Organization, grants: AccessBundles, people: IdentityChunk) -> Assignments:
    """Return the accounts and the access of some people.

    Args:
        organization: the organization.
        grants: the bundles of access.
        people: the identities.
    """
    p, draws = people, organization.draws
    chance, none = draws.booleans, np.zeros(p.numbers.size, dtype=bool)
    gone, away, here = p.state == TERMINATED, p.state == LEAVE, p.state != PREHIRE
    employed = (p.orphan_reason == NOT_ORPHAN) | (p.orphan_reason == LEFT_HR)
    with_hr, it = p.orphan_reason == NOT_ORPHAN, p.department == reference_data.IT

    has_directory = here & (p.orphan_reason != NO_ACCOUNTS) & chance("directory", p.numbers, 970)
    has_admin = has_directory & it & employed & (p.is_manager | gone | chance("admin", p.numbers, 300))
    has_ledger = here & employed & chance("ledger", p.numbers, _LEDGER[p.department])
    has_crm = here & (p.orphan_reason != NO_ACCOUNTS) & (
        (p.orphan_reason == EXTERNAL) | chance("crm", p.numbers, _CRM[p.department])
    )  # fmt: skip
    directory_off = (gone & chance("directory off", p.numbers, 780)) | (away & chance("away", p.numbers, 500))
    directory_off |= chance("other off", p.numbers, 8)
    stripped = directory_off & gone

    power = np.where(one_in(p.numbers, 131, 70) & has_directory & ~has_admin, 0, grants.powers.empty_bundle)
    ledger = _LEDGER_CHOICE[p.department, draws.integers("ledger roles", p.numbers, 8)]
    crm = np.where(it & chance("no crm admin", p.numbers, 600), 0, _CRM_CHOICE[p.department])
    access = AccessChoice(
        basics=np.where(has_directory & ~stripped, _basics(organization, p), grants.basics.empty_bundle),
        **_projects(organization, grants, p.numbers, has_directory & ~stripped),
        powers=np.where(stripped, grants.powers.empty_bundle, power),
        admin_powers=np.where(
            has_admin, draws.integers("power", p.numbers, len(POWER_BUNDLES)), grants.powers.empty_bundle
        ),
        ledger=np.where(has_ledger, ledger, grants.ledger.empty_bundle),
        book=np.where(
            has_ledger & chance("book", p.numbers, 600),
            draws.integers("which book", p.numbers, grants.books.empty_bundle),
            grants.books.empty_bundle,
        ),
        crm=np.where(has_crm, crm, grants.crm.empty_bundle),
        permissions=np.where(
            has_crm & chance("permissions", p.numbers, 550),
            draws.integers("which permissions", p.numbers, len(PERMISSION_BUNDLES)),
            grants.permissions.empty_bundle,
        ),
    )
    former = with_hr & one_in(p.numbers, 59, 31)
    return Assignments(
        hr=AccountKind("hr", HR, with_hr, with_hr & gone, none, none, none),
        former=AccountKind("former", HR, former, former, none, former & one_in(p.numbers, 2, 0), none),
        directory=AccountKind(
            "directory",
            DIRECTORY,
            has_directory,
            has_directory & directory_off,
            has_directory & ~directory_off & (p.locked | chance("directory locked", p.numbers, 12)),
            has_directory & chance("directory chosen", p.numbers, 15),
            has_directory & (access.powers != grants.powers.empty_bundle),
        ),
        admin=AccountKind(
            "admin",
            DIRECTORY,
            has_admin,
            has_admin & gone & chance("admin off", p.numbers, 500),
            none,
            has_admin & chance("admin chosen", p.numbers, 600),
            has_admin,
        ),
        ledger=AccountKind(
            "ledger",
            LEDGER,
            has_ledger,
            has_ledger & ((gone & chance("ledger off", p.numbers, 600)) | chance("ledger other off", p.numbers, 10)),
            has_ledger & chance("ledger locked", p.numbers, 25),
            has_ledger & chance("ledger chosen", p.numbers, 50),
            has_ledger & (ledger == _LEDGER_ADMIN),
        ),
        crm=AccountKind(
            "crm",
            CRM,
            has_crm,
            has_crm & gone & chance("crm off", p.numbers, 650),
            none,
            has_crm & chance("crm chosen", p.numbers, 15),
            has_crm & (crm == _CRM_ADMIN),
        ),
        access=access,
    )


def _basics(organization: Organization, people: IdentityChunk) -> IntArray:
    share = organization.draws.booleans("share", people.numbers, 500)
    remote = organization.draws.booleans("remote", people.numbers, 700)
    return people.department * 4 + share * 2 + remote


def _projects(organization: Organization, grants: AccessBundles, at: IntArray, where: BoolArray) -> dict[str, IntArray]:
    draws, count, nothing = organization.draws, grants.projects.empty_bundle, grants.projects.empty_bundle
    how_many = draws.integers("projects", at, 100)
    even = draws.integers("project", at, 1 << 20) / (1 << 20)
    first = (even * even * count).astype(np.int64)
    other = (first + 1 + draws.integers("other project", at, count - 1)) % count
    return {
        "project": np.where(where & (how_many < 55), first, nothing),
        "other_project": np.where(where & (how_many < 20), other, nothing),
    }
