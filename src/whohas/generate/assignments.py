"""Decide which accounts each identity has, their states, and their access.

The shares follow real organisations: most accounts of people who leave are disabled at once, and the others are what an
auditor looks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whohas.generate import reference_data
from whohas.generate.catalogue import CRM, DIRECTORY, HR, LEDGER
from whohas.generate.grants import LEDGER_BUNDLES, PERMISSION_BUNDLES, POWER_BUNDLES, Grants, Pieces
from whohas.generate.people import (
    EXTERNAL,
    LEAVE,
    LEFT_HR,
    NO_ACCOUNTS,
    NOT_ORPHAN,
    PREHIRE,
    TERMINATED,
    Organisation,
    People,
)
from whohas.generate.rng import Flags, Numbers, every, numbers

_LEDGER = np.array([d.ledger for d in reference_data.DEPARTMENTS])
_CRM = np.array([d.crm for d in reference_data.DEPARTMENTS])
_LEDGER_CHOICE = np.array(
    [
        {3: (1, 1, 1, 0, 2, 2, 3, 4), reference_data.IT: (5, 5, 0, 0, 0, 0, 0, 4)}.get(n, (0, 0, 0, 1, 0, 0, 2, 0))
        for n in range(len(reference_data.DEPARTMENTS))
    ]
)
_CRM_CHOICE = numbers(0, 1, 0, 0, 4, 2, 3, 0, 0, 0)
_LEDGER_ADMIN, _CRM_ADMIN = len(LEDGER_BUNDLES) - 1, 4


@dataclass(frozen=True, slots=True)
class Held:
    """The accounts of one kind: arrays with one element for each person.

    Attributes:
        key: prefix of the names of these accounts' columns, such as `ledger`.
        source: index of their source.
        present: whether the person has such an account; the other arrays are false if not.
        disabled: whether it is disabled.
        locked: whether it is locked.
        chosen: whether it was correlated manually.
        privileged: whether it is privileged.
    """

    key: str
    source: int
    present: Flags
    disabled: Flags
    locked: Flags
    chosen: Flags
    privileged: Flags


@dataclass(frozen=True, slots=True)
class Access:
    """The bundles that people hold: for each kind an array of indexes into `Grants`, one for each person.

    `project` and `other_project` are both indexes of `Grants.projects`; `admin_powers` belongs to the administrator's
    account, `powers` to the ordinary directory account.
    """

    basics: Numbers
    project: Numbers
    other_project: Numbers
    powers: Numbers
    admin_powers: Numbers
    ledger: Numbers
    book: Numbers
    crm: Numbers
    permissions: Numbers

    def of(self, grants: Grants) -> list[tuple[Pieces, Numbers]]:
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
class Holdings:
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

    hr: Held
    former: Held
    directory: Held
    admin: Held
    ledger: Held
    crm: Held
    access: Access

    @property
    def kinds(self) -> tuple[Held, ...]:
        """The accounts of every kind."""
        return (self.hr, self.former, self.directory, self.admin, self.ledger, self.crm)


def holdings(organisation: Organisation, grants: Grants, people: People) -> Holdings:
    """Return the accounts and the access of some people.

    Args:
        organisation: the organisation.
        grants: the bundles of access.
        people: the identities.
    """
    p, draws = people, organisation.draws
    chance, none = draws.chance, np.zeros(p.at.size, dtype=bool)
    gone, away, here = p.state == TERMINATED, p.state == LEAVE, p.state != PREHIRE
    employed = (p.orphan == NOT_ORPHAN) | (p.orphan == LEFT_HR)
    with_hr, it = p.orphan == NOT_ORPHAN, p.department == reference_data.IT

    has_directory = here & (p.orphan != NO_ACCOUNTS) & chance("directory", p.at, 970)
    has_admin = has_directory & it & employed & (p.lead | gone | chance("admin", p.at, 300))
    has_ledger = here & employed & chance("ledger", p.at, _LEDGER[p.department])
    has_crm = here & (p.orphan != NO_ACCOUNTS) & (
        (p.orphan == EXTERNAL) | chance("crm", p.at, _CRM[p.department])
    )  # fmt: skip
    directory_off = (gone & chance("directory off", p.at, 780)) | (away & chance("away", p.at, 500))
    directory_off |= chance("other off", p.at, 8)
    stripped = directory_off & gone

    power = np.where(every(p.at, 131, 70) & has_directory & ~has_admin, 0, grants.powers.nothing)
    ledger = _LEDGER_CHOICE[p.department, draws.pick("ledger roles", p.at, 8)]
    crm = np.where(it & chance("no crm admin", p.at, 600), 0, _CRM_CHOICE[p.department])
    access = Access(
        basics=np.where(has_directory & ~stripped, _basics(organisation, p), grants.basics.nothing),
        **_projects(organisation, grants, p.at, has_directory & ~stripped),
        powers=np.where(stripped, grants.powers.nothing, power),
        admin_powers=np.where(has_admin, draws.pick("power", p.at, len(POWER_BUNDLES)), grants.powers.nothing),
        ledger=np.where(has_ledger, ledger, grants.ledger.nothing),
        book=np.where(
            has_ledger & chance("book", p.at, 600),
            draws.pick("which book", p.at, grants.books.nothing),
            grants.books.nothing,
        ),
        crm=np.where(has_crm, crm, grants.crm.nothing),
        permissions=np.where(
            has_crm & chance("permissions", p.at, 550),
            draws.pick("which permissions", p.at, len(PERMISSION_BUNDLES)),
            grants.permissions.nothing,
        ),
    )
    former = with_hr & every(p.at, 59, 31)
    return Holdings(
        hr=Held("hr", HR, with_hr, with_hr & gone, none, none, none),
        former=Held("former", HR, former, former, none, former & every(p.at, 2, 0), none),
        directory=Held(
            "directory",
            DIRECTORY,
            has_directory,
            has_directory & directory_off,
            has_directory & ~directory_off & (p.locked | chance("directory locked", p.at, 12)),
            has_directory & chance("directory chosen", p.at, 15),
            has_directory & (access.powers != grants.powers.nothing),
        ),
        admin=Held(
            "admin",
            DIRECTORY,
            has_admin,
            has_admin & gone & chance("admin off", p.at, 500),
            none,
            has_admin & chance("admin chosen", p.at, 600),
            has_admin,
        ),
        ledger=Held(
            "ledger",
            LEDGER,
            has_ledger,
            has_ledger & ((gone & chance("ledger off", p.at, 600)) | chance("ledger other off", p.at, 10)),
            has_ledger & chance("ledger locked", p.at, 25),
            has_ledger & chance("ledger chosen", p.at, 50),
            has_ledger & (ledger == _LEDGER_ADMIN),
        ),
        crm=Held(
            "crm",
            CRM,
            has_crm,
            has_crm & gone & chance("crm off", p.at, 650),
            none,
            has_crm & chance("crm chosen", p.at, 15),
            has_crm & (crm == _CRM_ADMIN),
        ),
        access=access,
    )


def _basics(organisation: Organisation, people: People) -> Numbers:
    share = organisation.draws.chance("share", people.at, 500)
    remote = organisation.draws.chance("remote", people.at, 700)
    return people.department * 4 + share * 2 + remote


def _projects(organisation: Organisation, grants: Grants, at: Numbers, where: Flags) -> dict[str, Numbers]:
    draws, count, nothing = organisation.draws, grants.projects.nothing, grants.projects.nothing
    how_many = draws.pick("projects", at, 100)
    even = draws.pick("project", at, 1 << 20) / (1 << 20)
    first = (even * even * count).astype(np.int64)
    other = (first + 1 + draws.pick("other project", at, count - 1)) % count
    return {
        "project": np.where(where & (how_many < 55), first, nothing),
        "other_project": np.where(where & (how_many < 20), other, nothing),
    }
