"""The catalogue of access: sources, entitlements, access profiles, roles and applications, with their owners.

Its size grows with the square root of the number of identities: 300 people share about 40 directory groups, a million
about 800.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isqrt

from whohas.generate import reference_data
from whohas.generate.people import Organization
from whohas.generate.rng import integer_array

HR, DIRECTORY, LEDGER, CRM = range(4)
SOURCE_NAMES = ("Workforce HR", "Active Directory", "Ledger Database", "Nimbus CRM")
BADGES = "Badge System"

PRIVILEGED_GROUPS = ("Domain Admins", "Server Operators", "Backup Operators", "Schema Admins")
LEDGER_ROLES = ("LEDGER_READ", "LEDGER_POST", "LEDGER_APPROVE", "LEDGER_CLOSE", "LEDGER_ADMIN")
CRM_PROFILES = ("Read Only", "Sales User", "Support User", "Marketing User", "CRM Administrator")
PERMISSION_SETS = (
    "Export Reports",
    "Manage Quotes",
    "Edit Campaigns",
    "View Contracts",
    "API Access",
    'Approve "Special" Discounts',
    "Merge Accounts",
    "Bulk Mail, External",
)


@dataclass(frozen=True, slots=True)
class Owner:
    """An identity that owns objects of the catalogue, with the values that documents repeat."""

    number: int
    id: str
    alias: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class GeneratedSource:
    """A system with accounts."""

    id: str
    name: str
    type: str
    connector: str
    connection: str
    description: str
    features: tuple[str, ...]
    owner: Owner


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A right on a source."""

    id: str
    name: str
    description: str | None
    attribute: str
    value: str
    schema: str
    privileged: bool
    source: GeneratedSource
    owner: Owner | None


@dataclass(frozen=True, slots=True)
class App:
    """An application that identities can use."""

    id: str
    name: str
    description: str
    source: GeneratedSource
    owner: Owner
    enabled: bool


@dataclass(frozen=True, slots=True)
class AccessProfile:
    """A bundle of entitlements of one source."""

    id: str
    name: str
    description: str
    source: GeneratedSource
    owner: Owner
    entitlements: tuple[Entitlement, ...]
    app: App | None


@dataclass(frozen=True, slots=True)
class Role:
    """A bundle of access profiles."""

    id: str
    name: str
    description: str
    owner: Owner
    profiles: tuple[AccessProfile, ...]


@dataclass(frozen=True)
class AccessCatalog:
    """All objects that accounts and identities can hold, and their sources.

    Attributes:
        sources: the sources in the order HR, DIRECTORY, LEDGER, CRM.
        apps: applications of the directory, the ledger and the customer system, then a disabled one.
        staff: directory groups for everybody: all staff, remote access.
        powers: privileged groups of the directory.
        groups: two groups for each department: its members, its shared files.
        projects: one group for each project.
        ledger_roles: roles of the ledger, in the order of `LEDGER_ROLES`.
        books: one role for each ledger book.
        crm_profiles: profiles of the customer system, in the order of `CRM_PROFILES`.
        permission_sets: permission sets of the customer system, in the order of `PERMISSION_SETS`.
        basics: the access profile and the role of each department.
        project_profiles: number of a project to its access profile; some projects have none.
        project_roles: number of a project to its role; some projects have none.
        ledger_profiles: access profiles of the ledger: reading, posting, approving.
        crm_access: access profiles of the customer system, in the order of `crm_profiles`.
    """

    sources: tuple[GeneratedSource, ...]
    apps: tuple[App, ...]
    staff: tuple[Entitlement, ...]
    powers: tuple[Entitlement, ...]
    groups: tuple[tuple[Entitlement, Entitlement], ...]
    projects: tuple[Entitlement, ...]
    ledger_roles: tuple[Entitlement, ...]
    books: tuple[Entitlement, ...]
    crm_profiles: tuple[Entitlement, ...]
    permission_sets: tuple[Entitlement, ...]
    basics: tuple[tuple[AccessProfile, Role], ...]
    project_profiles: dict[int, AccessProfile]
    project_roles: dict[int, Role]
    ledger_profiles: tuple[AccessProfile, ...]
    crm_access: tuple[AccessProfile, ...]

    @property
    def entitlements(self) -> tuple[Entitlement, ...]:
        pairs = tuple(e for pair in self.groups for e in pair)
        directory = self.staff + self.powers + pairs + self.projects
        return directory + self.ledger_roles + self.books + self.crm_profiles + self.permission_sets

    @property
    def profiles(self) -> tuple[AccessProfile, ...]:
        basics = tuple(profile for profile, _ in self.basics)
        return basics + tuple(self.project_profiles.values()) + self.ledger_profiles + self.crm_access

    @property
    def roles(self) -> tuple[Role, ...]:
        return tuple(role for _, role in self.basics) + tuple(self.project_roles.values())


def group_name(common: str) -> str:
    """Return the distinguished name of a directory group."""
    return f"CN={common.replace(',', chr(92) + ',')},OU=Groups,{reference_data.DIRECTORY}"


@dataclass
class _Maker:
    """Creates the catalogue's objects: gives each kind consecutive numbers for its ids, and finds owners."""

    organization: Organization
    made: dict[str, int] = field(default_factory=dict[str, int])
    known: dict[int, Owner] = field(default_factory=dict[int, Owner])

    def id(self, kind: str) -> str:
        number = self.made.get(kind, 0)
        self.made[kind] = number + 1
        return self.organization.draws.ids(kind, integer_array(number))[0]

    def person(self, number: int) -> Owner:
        number = min(number, self.organization.identities - 1)
        if number not in self.known:
            at = integer_array(number)
            names = self.organization.names(at)
            alias = names.alias[0]
            email = f"{alias}@{reference_data.DOMAIN}"
            self.known[number] = Owner(number, self.organization.ids(at)[0], alias, names.plain[0], email)
        return self.known[number]

    def head(self, department: int) -> Owner:
        leaders = reference_data.VICE_PRESIDENTS
        return self.person(leaders.index(department) + 1 if department in leaders else 0)

    def any_lead(self, stream: str, number: int) -> Owner:
        leads = self.organization.manager_count
        drawn = int(self.organization.draws.integers(stream, integer_array(number), max(leads - 1, 1))[0])
        return self.person(min(1 + drawn, max(leads - 1, 0)))

    def entitlement(
        self,
        source: GeneratedSource,
        attribute: str,
        name: str,
        value: str | None = None,
        description: str | None = None,
        privileged: bool = False,
        owner: Owner | None = None,
    ) -> Entitlement:
        schema = {"memberOf": "group", "ROLES": "role"}.get(attribute, attribute)
        value = name if value is None else value
        id = self.id("entitlement")
        return Entitlement(id, name, description, attribute, value, schema, privileged, source, owner)

    def group(
        self, source: GeneratedSource, name: str, description: str | None, owner: Owner | None = None
    ) -> Entitlement:
        privileged = name in PRIVILEGED_GROUPS
        return self.entitlement(source, "memberOf", name, group_name(name), description, privileged, owner)

    def profile(
        self, name: str, description: str, owner: Owner, *entitlements: Entitlement, app: App | None = None
    ) -> AccessProfile:
        id = self.id("access profile")
        return AccessProfile(id, name, description, entitlements[0].source, owner, entitlements, app)


def create_catalog(organization: Organization) -> AccessCatalog:
    """Return the catalogue of an organization."""
    make = _Maker(organization)
    sources = _sources(make)
    _, directory, ledger, crm = sources
    apps = _apps(make, sources)
    root = isqrt(organization.identities)

    staff = (
        make.group(directory, "All Staff", "Everybody at Acme"),
        make.group(directory, "VPN Users", 'May connect from outside ("remote")'),
        make.group(directory, "Remote Desktop Users", None),
    )
    powers = tuple(
        make.group(directory, name, f"{name}: handle with care", make.head(reference_data.IT))
        for name in PRIVILEGED_GROUPS
    )
    groups = tuple(_department(make, directory, number) for number in range(len(reference_data.DEPARTMENTS)))
    projects = tuple(_project(make, directory, number) for number in range(max(2, min(3000, root * 3 // 4))))
    roles = tuple(
        make.entitlement(ledger, "ROLES", name, privileged=name == "LEDGER_ADMIN", owner=make.head(3))
        for name in LEDGER_ROLES
    )
    books = tuple(
        make.entitlement(ledger, "ROLES", f"Book {n:03d}", f"BOOK_{n:03d}", f"Entries of book {n:03d}")
        for n in range(1, 1 + max(2, min(500, root // 3)))
    )
    crm_profiles = tuple(
        make.entitlement(crm, "profile", name, privileged=name == "CRM Administrator", owner=make.head(1))
        for name in CRM_PROFILES
    )
    sets = tuple(
        make.entitlement(crm, "permissionSets", name, name.replace(" ", "_"), privileged=name == "API Access")
        for name in PERMISSION_SETS
    )

    project_profiles = {
        n: make.profile(f"{e.name} Access", f"What people on {e.name} need", e.owner or make.person(0), e)
        for n, e in enumerate(projects)
        if n % 3 == 0
    }
    return AccessCatalog(
        sources=sources,
        apps=apps,
        staff=staff,
        powers=powers,
        groups=groups,
        projects=projects,
        ledger_roles=roles,
        books=books,
        crm_profiles=crm_profiles,
        permission_sets=sets,
        basics=tuple(_basics(make, number, staff[0], members) for number, (members, _) in enumerate(groups)),
        project_profiles=project_profiles,
        project_roles={
            n: Role(make.id("role"), f"{projects[n].name} Team", f"On {projects[n].name}", profile.owner, (profile,))
            for n, profile in project_profiles.items()
            if n % 6 == 0
        },
        ledger_profiles=(
            make.profile("Ledger Reading", "Look up entries", make.head(3), roles[0], app=apps[1]),
            make.profile("Ledger Posting", "Enter, correct, reverse", make.head(3), *roles[:2], app=apps[1]),
            make.profile("Ledger Approval", "Approve what others enter", make.head(3), roles[0], roles[2], app=apps[1]),
        ),
        crm_access=tuple(
            make.profile(f"Nimbus {e.name}", f'The profile "{e.name}" of Nimbus', make.head(1), e, app=apps[2])
            for e in crm_profiles[:4]
        ),
    )


def _sources(make: _Maker) -> tuple[GeneratedSource, ...]:
    hr, directory, ledger, crm = SOURCE_NAMES
    return (
        GeneratedSource(
            make.id("source"), hr, "DelimitedFile", "delimited-file", "file", "The people that Acme employs",
            ("DIRECT_PERMISSIONS", "NO_RANDOM_ACCESS", "DISCOVER_SCHEMA"), make.head(7),
        ),
        GeneratedSource(
            make.id("source"), directory, "Active Directory - Direct", "active-directory", "direct",
            "The corporate directory, corp.acme.example",
            ("AUTHENTICATE", "ENABLE", "UNLOCK", "PROVISIONING", "PASSWORD", "SEARCH"), make.head(reference_data.IT),
        ),
        GeneratedSource(
            make.id("source"), ledger, "JDBC", "jdbc", "direct", 'General ledger; "the books"',
            ("ENABLE", "UNLOCK", "PROVISIONING", "DISCOVER_SCHEMA"), make.head(3),
        ),
        GeneratedSource(
            make.id("source"), crm, "Web Services", "web-services", "direct", "Customers and quotes, hosted",
            ("ENABLE", "PROVISIONING"), make.head(1),
        ),
    )  # fmt: skip


def _apps(make: _Maker, sources: tuple[GeneratedSource, ...]) -> tuple[App, ...]:
    _, directory, ledger, crm = sources
    return (
        App(make.id("app"), "Mail and Files", "Mail, calendar, shared files", directory, directory.owner, True),
        App(make.id("app"), "Ledger", "General ledger", ledger, ledger.owner, True),
        App(make.id("app"), "Nimbus", "Customers and quotes", crm, crm.owner, True),
        App(make.id("app"), "Expenses (old)", "Read only since 2024, to be retired", ledger, ledger.owner, False),
    )


def _department(make: _Maker, directory: GeneratedSource, number: int) -> tuple[Entitlement, Entitlement]:
    department = reference_data.DEPARTMENTS[number].name
    return (
        make.group(directory, department, f"Members of {department}"),
        make.group(directory, f"{department}, Shared Files", None, make.head(number)),
    )


def _project(make: _Maker, directory: GeneratedSource, number: int) -> Entitlement:
    first, second = reference_data.PROJECT_FIRST, reference_data.PROJECT_SECOND
    again, place = divmod(number, len(first) * len(second))
    name = f"Project {first[place % len(first)]} {second[place % len(second)]}" + (f" {again + 1}" if again else "")
    return make.group(directory, name, None, make.any_lead("project owner", number))


def _basics(make: _Maker, number: int, staff: Entitlement, members: Entitlement) -> tuple[AccessProfile, Role]:
    department, owner = reference_data.DEPARTMENTS[number].name, make.head(number)
    profile = make.profile(f"{department} Basics", f"What everybody in {department} has", owner, staff, members)
    return profile, Role(make.id("role"), department, f"Everybody in {department}", owner, (profile,))
