"""Documents of sources, the identity profile, entitlements, access profiles, roles and applications."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whohas.generate.catalogue import (
    DIRECTORY,
    HR,
    AccessCatalog,
    AccessProfile,
    App,
    Entitlement,
    GeneratedSource,
    Owner,
    Role,
)
from whohas.generate.describe import PROFILE, profile_id, reference
from whohas.generate.people import Organization
from whohas.generate.rng import IntArray
from whohas.generate.template import compact_json

Document = dict[str, object]


def catalog_documents(
    organization: Organization, catalogue: AccessCatalog, identities: int
) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the name of each file, without `.ndjson`, and its lines.

    Args:
        organization: the organization.
        catalogue: its sources, entitlements, access profiles, roles and applications.
        identities: number of identities of the identity profile.
    """
    dates = _Dates(organization)
    files: dict[str, list[Document]] = {
        "sources": [_source(n, s, dates) for n, s in enumerate(catalogue.sources)],
        "identity_profiles": [_profile(organization, catalogue.sources[HR], identities, dates)],
        "entitlements": [_entitlement(n, e, dates) for n, e in enumerate(catalogue.entitlements)],
        "access_profiles": [_access_profile(n, p, dates) for n, p in enumerate(catalogue.profiles)],
        "roles": [_role(n, r, dates) for n, r in enumerate(catalogue.roles)],
        "apps": [_app(a) for a in catalogue.apps],
    }
    for name, documents in files.items():
        yield name, [compact_json(document).encode() for document in documents]


class _Dates:
    """The dates of the catalogue's objects: created, modified, synced."""

    def __init__(self, organization: Organization) -> None:
        self._organization = organization

    def of(self, kind: str, number: int) -> Document:
        at, calendar = np.array([number], dtype=np.int64), self._organization.calendar
        age: IntArray = 400 + self._organization.draws.integers(kind, at, 2500)
        changed: IntArray = 1 + self._organization.draws.integers(f"{kind} change", at, 390)
        return {
            "created": calendar.morning_times(kind, at, age)[0],
            "modified": calendar.afternoon_times(kind, at, changed)[0],
            "synced": calendar.morning_times(f"{kind} sync", at, np.zeros_like(at))[0],
        }


def _owner(person: Owner, email: bool = False) -> Document:
    owner: Document = {"type": "IDENTITY", "id": person.id, "name": person.name}
    return owner | ({"email": person.email} if email else {})


def _source(number: int, source: GeneratedSource, dates: _Dates) -> Document:
    known = dates.of("source", number)
    return {
        "id": source.id,
        "name": source.name,
        "description": source.description,
        "owner": _owner(source.owner),
        "features": list(source.features),
        "type": source.type,
        "connector": source.connector,
        "connectorName": source.type,
        "connectionType": source.connection,
        "deleteThreshold": 10,
        "authoritative": number == HR,
        "healthy": number != DIRECTORY + 2,
        "status": "SOURCE_STATE_HEALTHY" if number != DIRECTORY + 2 else "SOURCE_STATE_ERROR_SOURCE",
        "since": known["synced"],
        "created": known["created"],
        "modified": known["modified"],
        "credentialProviderEnabled": False,
        "category": None,
    }


def _profile(organization: Organization, source: GeneratedSource, identities: int, dates: _Dates) -> Document:
    known = dates.of("identity profile", 0)
    return {
        "id": profile_id(organization),
        "name": PROFILE,
        "created": known["created"],
        "modified": known["modified"],
        "description": "Everybody whom Workforce HR knows",
        "owner": _owner(source.owner),
        "priority": 10,
        "authoritativeSource": {"type": "SOURCE"} | reference(source.id, source.name),
        "identityRefreshRequired": False,
        "identityCount": identities,
        "hasTimeBasedAttr": True,
    }


def _entitlement(number: int, entitlement: Entitlement, dates: _Dates) -> Document:
    e = entitlement
    described: Document = {} if e.description is None else {"description": e.description}
    owned: Document = {} if e.owner is None else {"owner": _owner(e.owner)}
    return {
        "id": e.id,
        "name": e.name,
        "displayName": e.name,
        **described,
        **dates.of("entitlement", number),
        "attribute": e.attribute,
        "value": e.value,
        "schema": e.schema,
        "sourceSchemaObjectType": e.schema,
        "source": {"id": e.source.id, "type": "SOURCE", "name": e.source.name},
        "privileged": e.privileged,
        "requestable": not e.privileged,
        "cloudGoverned": False,
        "containsDataAccess": "Shared Files" in e.name,
        **owned,
        "segments": [],
        "segmentCount": 0,
        "tags": ["privileged"] if e.privileged else [],
        "attributes": {"groupType": "Security"} if e.schema == "group" else {},
        "permissions": [{"target": "LEDGER.ENTRIES", "rights": ["SELECT", "INSERT"]}]
        if e.name == "LEDGER_POST"
        else [],
    }


def _held(entitlement: Entitlement) -> Document:
    e = entitlement
    described: Document = {} if e.description is None else {"description": e.description}
    return {
        "hasPermissions": e.name == "LEDGER_POST",
        **described,
        "attribute": e.attribute,
        "value": e.value,
        "schema": e.schema,
        "privileged": e.privileged,
        "id": e.id,
        "name": e.name,
    }


def _access_profile(number: int, profile: AccessProfile, dates: _Dates) -> Document:
    app = profile.app
    apps: list[Document] = []
    if app is not None:
        apps = [
            {"id": app.id, "name": app.name, "description": app.description, "owner": _owner(app.owner, email=True)}
        ]
    return {
        "id": profile.id,
        "name": profile.name,
        "description": profile.description,
        **dates.of("access profile", number),
        "enabled": True,
        "requestable": number % 2 == 0,
        "requestCommentsRequired": number % 4 == 0,
        "owner": _owner(profile.owner, email=True),
        "source": reference(profile.source.id, profile.source.name),
        "entitlements": [_held(e) for e in profile.entitlements],
        "entitlementCount": len(profile.entitlements),
        "segments": [],
        "segmentCount": 0,
        "tags": ["birthright"] if profile.name.endswith("Basics") else [],
        "apps": apps,
    }


def _role(number: int, role: Role, dates: _Dates) -> Document:
    return {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        **dates.of("role", number),
        "enabled": True,
        "requestable": "Project" in role.name,
        "requestCommentsRequired": False,
        "owner": _owner(role.owner, email=True),
        "accessProfiles": [reference(p.id, p.name) for p in role.profiles],
        "accessProfileCount": len(role.profiles),
        "entitlements": [],
        "entitlementCount": 0,
        "segments": [],
        "segmentCount": 0,
        "tags": [],
        "dimensional": False,
    }


def _app(app: App) -> Document:
    return {
        "id": app.id,
        "name": app.name,
        "description": app.description,
        "accountSource": reference(app.source.id, app.source.name),
        "owner": _owner(app.owner, email=True),
        "enabled": app.enabled,
    }
