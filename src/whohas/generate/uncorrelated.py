"""Generate uncorrelated accounts: services, people who left, batch jobs, partners, forgotten administrators."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whohas.generate import reference_data
from whohas.generate.accounts import account_template, common_account_columns
from whohas.generate.assignments import AccountKind
from whohas.generate.catalogue import CRM, DIRECTORY, LEDGER, AccessCatalog
from whohas.generate.describe import json_member
from whohas.generate.grants import AccessBundles
from whohas.generate.people import Organization
from whohas.generate.rng import BoolArray, IntArray, choose, one_in, text_array
from whohas.generate.template import MembersSlot, TextSlot, ValueSlot, compact_json, json_escaped

IDENTITIES_PER_ACCOUNT = {"service": 40, "leaver": 75, "lost admin": 150, "batch": 60, "partner": 50}
"""The kinds of uncorrelated accounts. There is one account for each of this number of identities, and at least one."""
_SOURCES = {"service": DIRECTORY, "leaver": DIRECTORY, "lost admin": DIRECTORY, "batch": LEDGER, "partner": CRM}
_WORK = text_array(["backup", "scanner", "sql", "print", "sync", "monitor", "deploy", "=report"])
_PURPOSE = text_array(
    [json_escaped(text) for text in ("Nightly backup, tapes 1-4", 'Owner "unknown"', "", *reference_data.DESCRIPTIONS)]
)


def uncorrelated_accounts(
    organization: Organization, catalogue: AccessCatalog, grants: AccessBundles, chunk: int
) -> Iterator[tuple[AccountKind, list[bytes]]]:
    """Generate the uncorrelated accounts of the fictional organization.

    Yields:
        The kind of a chunk of accounts (see `IDENTITIES_PER_ACCOUNT`), and their lines for `accounts.ndjson`.

    Args:
        organization: the organization.
        catalogue: its sources and entitlements.
        grants: the sets of entitlements that an account can hold, as JSON text.
        chunk: the largest number of accounts in a chunk.
    """
    for kind, period in IDENTITIES_PER_ACCOUNT.items():
        total = max(1, organization.identities // period)
        for start in range(0, total, chunk):
            at = np.arange(start, min(start + chunk, total))
            yield _lines(organization, catalogue, grants, kind, at)


def _lines(
    organization: Organization, catalogue: AccessCatalog, grants: AccessBundles, kind: str, at: IntArray
) -> tuple[AccountKind, list[bytes]]:
    draws, everyone, nobody = organization.draws, np.ones(at.size, dtype=bool), np.zeros(at.size, dtype=bool)
    disabled = draws.booleans(f"{kind} off", at, {"leaver": 400, "partner": 200}.get(kind, 60))
    held = AccountKind(
        key=kind,
        source=_SOURCES[kind],
        present=everyone,
        disabled=disabled,
        locked=draws.booleans(f"{kind} locked", at, 0 if kind == "partner" else 80) & ~disabled,
        manually_correlated=nobody,
        privileged=_privileged(kind, at),
    )
    columns = common_account_columns(organization, held, at, 60 + draws.integers(f"{kind} oldest", at, 2900))
    attributes, more = _attributes(organization, catalogue, grants, held, at)
    template = account_template(catalogue, kind, held.source, attributes, correlated=False)
    return held, list(template.lines(columns | more))


def _privileged(kind: str, at: IntArray) -> BoolArray:
    return {"service": one_in(at, 3, 0), "lost admin": one_in(at, 1, 0)}.get(kind, one_in(at, 1, 1))


def _attributes(
    organization: Organization, catalogue: AccessCatalog, grants: AccessBundles, held: AccountKind, at: IntArray
) -> tuple[dict[str, object], dict[str, list[str]]]:
    kind, draws = held.key, organization.draws
    unknown = organization.names(at + organization.identities)
    numbers = at.tolist()
    control = choose(text_array(["512", "514"]), held.disabled.astype(np.int64))
    purpose = choose(_PURPOSE, draws.integers(f"{kind} purpose", at, len(_PURPOSE)))
    powers = choose(
        grants.powers.values, np.where(held.privileged, at % grants.powers.empty_bundle, grants.powers.empty_bundle)
    )
    in_directory: dict[str, object] = {
        "sAMAccountName": TextSlot("account"),
        "memberOf": [ValueSlot("rights")],
        "userAccountControl": TextSlot("control"),
        "description": MembersSlot("purpose"),
    }
    match kind:
        case "service":
            names = [f"svc-{work}-{n:03d}" for work, n in zip(choose(_WORK, at % len(_WORK)), numbers, strict=True)]
            owner = catalogue.sources[DIRECTORY].owner
            owners = (
                "," + compact_json({"ownerIdentity": {"type": "IDENTITY", "id": owner.id, "name": owner.name}})[1:-1]
            )
            return in_directory | {"servicePrincipalName": ValueSlot("principals")}, {
                **_named(kind, names, [f"CN={n},OU=Service Accounts,{reference_data.DIRECTORY}" for n in names]),
                f"{kind}.machine": ["true"] * at.size,
                f"{kind}.owner": [owners if n % 2 else "" for n in numbers],
                f"{kind}.description": [f'"{text}"' if text else "null" for text in purpose],
                "principals": [f'["HOST/{n}","HTTP/{n}.corp.{reference_data.DOMAIN}:8443"]' for n in names],
                "control": control,
                "purpose": json_member("description", purpose, one_in(at, 2, 0)),
                **_rights(kind, powers),
            }
        case "leaver":
            everybody = "," + compact_json(catalogue.staff[0].value)
            return in_directory | {"displayName": TextSlot("display")}, {
                **_named(
                    kind, unknown.alias, [f"CN={c},OU=Leavers,{reference_data.DIRECTORY}" for c in unknown.common]
                ),
                "display": unknown.display,
                "control": control,
                "purpose": json_member("description", purpose, one_in(at, 3, 1)),
                **_rights(kind, [everybody if n % 3 else "" for n in numbers]),
            }
        case "lost admin":
            names = [f"adm-{alias}" for alias in unknown.alias]
            return in_directory | {"adminCount": "1"}, {
                **_named(kind, names, [f"CN={n},OU=Admins,{reference_data.DIRECTORY}" for n in names]),
                "control": control,
                "purpose": [""] * at.size,
                **_rights(kind, powers),
            }
        case "batch":
            names = [f"BATCH_{n:03d}" if n % 3 else unknown.alias[i].upper() for i, n in enumerate(numbers)]
            bundles = choose(grants.ledger.values, draws.integers("batch roles", at, grants.ledger.empty_bundle - 1))
            return {
                "USERNAME": TextSlot("account"),
                "ACCOUNT_STATUS": TextSlot("status"),
                "ROLES": [ValueSlot("rights")],
                "PROFILE": "BATCH, no expiry",
            }, {
                **_named(kind, names, [f"B{n:07d}" for n in numbers]),
                "status": choose(
                    text_array(["OPEN", "LOCKED", "DISABLED"]), np.where(held.locked, 1, held.disabled * 2)
                ),
                **_rights(kind, bundles),
            }
        case _:
            names = [f"{alias}@partner.example" for alias in unknown.alias]
            return {
                "username": TextSlot("account"),
                "email": TextSlot("account"),
                "active": TextSlot("active"),
                "profile": "Read Only",
                "permissionSets": [],
                "partnerCompany": TextSlot("partner"),
            }, {
                **_named(kind, names, [f"00P{n:015d}" for n in numbers]),
                "active": ["false" if off else "true" for off in held.disabled.tolist()],
                "partner": choose(text_array(["Globex, Ltd.", 'Initech \\"East\\"', "Umbra & Söhne", ""]), at % 4),
                f"{kind}.entitled": ["true"] * at.size,
            }


def _named(kind: str, names: list[str], native: list[str]) -> dict[str, list[str]]:
    return {"account": names, f"{kind}.name": names, f"{kind}.native": native}


def _rights(kind: str, pieces: list[str]) -> dict[str, list[str]]:
    return {
        "rights": [piece[1:] for piece in pieces],
        f"{kind}.entitled": ["true" if piece else "false" for piece in pieces],
    }
