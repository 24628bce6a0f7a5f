"""Generate accounts that belong to identities: columns of text, and the templates of their JSON documents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from whohas.generate import reference_data
from whohas.generate.assignments import AccountKind, Assignments
from whohas.generate.catalogue import CRM, DIRECTORY, HR, LEDGER, AccessCatalog
from whohas.generate.describe import json_booleans, json_member
from whohas.generate.grants import AccessBundles
from whohas.generate.people import IdentityChunk, Organization
from whohas.generate.rng import IntArray, choose, one_in, text_array
from whohas.generate.template import MembersSlot, Template, TextSlot, ValueSlot

_CONTRACT = text_array(["permanent", "permanent", "permanent", "fixed-term", "part-time, 60 %", ""])
_ZONE = text_array(["Europe/Berlin", "America/Toronto", "Asia/Singapore"])


def account_template(
    catalogue: AccessCatalog, key: str, source: int, attributes: Mapping[str, object], correlated: bool = True
) -> Template:
    """Return the template of an account's document.

    Args:
        catalogue: the catalogue, for the source's facts.
        key: prefix of the names of the columns that fill the template, such as `ledger`.
        source: index of the source.
        attributes: the object `attributes` of the document, with slots.
        correlated: whether the document names an identity.
    """
    s = catalogue.sources[source]
    identity: dict[str, object] = {
        "identityId": TextSlot("id"),
        "cloudLifecycleState": TextSlot("state"),
        "identityState": TextSlot("identityState"),
        "identity": {"id": TextSlot("id"), "type": "IDENTITY", "name": TextSlot("display")},
    }
    return Template.of(
        {
            "id": TextSlot(f"{key}.id"),
            "name": TextSlot(f"{key}.name"),
            "created": TextSlot(f"{key}.created"),
            "modified": TextSlot(f"{key}.modified"),
            "sourceId": s.id,
            "sourceName": s.name,
            **(identity if correlated else {}),
            "connectionType": s.connection,
            "isMachine": ValueSlot(f"{key}.machine"),
            "attributes": attributes,
            "authoritative": source == HR,
            "description": ValueSlot(f"{key}.description"),
            "disabled": ValueSlot(f"{key}.disabled"),
            "locked": ValueSlot(f"{key}.locked"),
            "nativeIdentity": TextSlot(f"{key}.native"),
            "systemAccount": False,
            "uncorrelated": not correlated,
            "uuid": ValueSlot(f"{key}.uuid"),
            "manuallyCorrelated": ValueSlot(f"{key}.chosen"),
            "hasEntitlements": ValueSlot(f"{key}.entitled"),
            "features": ", ".join(s.features),
            "origin": TextSlot(f"{key}.origin"),
            "privileged": ValueSlot(f"{key}.privileged"),
            "passwordLastSet": MembersSlot(f"{key}.password"),
            "ownerIdentity": MembersSlot(f"{key}.owner"),
        }
    )


HR_ATTRIBUTES: dict[str, object] = {
    "firstName": TextSlot("given"),
    "lastName": TextSlot("family"),
    "displayName": TextSlot("display"),
    "email": TextSlot("email"),
    "phone": MembersSlot("phone.member"),
    "department": TextSlot("department"),
    "costCenter": TextSlot("code"),
    "jobTitle": TextSlot("title"),
    "location": TextSlot("city"),
    "country": TextSlot("country"),
    "address": TextSlot("address"),
    "managerNumber": MembersSlot("boss.member"),
    "startDate": TextSlot("start"),
    "endDate": MembersSlot("end.member"),
    "contract": TextSlot("contract"),
}
DIRECTORY_ATTRIBUTES: dict[str, object] = {
    "sAMAccountName": TextSlot("directory.name"),
    "userPrincipalName": TextSlot("directory.principal"),
    "displayName": TextSlot("display"),
    "mail": TextSlot("directory.mail"),
    "department": TextSlot("department"),
    "title": TextSlot("title"),
    "l": TextSlot("city"),
    "memberOf": [ValueSlot("directory.groups")],
    "userAccountControl": TextSlot("directory.control"),
    "telephoneNumber": MembersSlot("directory.phone"),
    "lastLogon": MembersSlot("directory.logon"),
    "description": MembersSlot("directory.note"),
    "extensionAttribute4": MembersSlot("directory.extension"),
}
ADMIN_ATTRIBUTES: dict[str, object] = {
    "sAMAccountName": TextSlot("admin.name"),
    "displayName": TextSlot("admin.name"),
    "memberOf": [ValueSlot("admin.groups")],
    "userAccountControl": TextSlot("admin.control"),
    "adminCount": "1",
}
LEDGER_ATTRIBUTES: dict[str, object] = {
    "USERNAME": TextSlot("ledger.name"),
    "ACCOUNT_STATUS": TextSlot("ledger.status"),
    "ROLES": [ValueSlot("ledger.roles")],
    "PROFILE": "DEFAULT",
    "LAST_LOGIN": MembersSlot("ledger.logon"),
    "COMMENTS": MembersSlot("ledger.comment"),
}
CRM_ATTRIBUTES: dict[str, object] = {
    "username": TextSlot("crm.name"),
    "email": TextSlot("crm.name"),
    "active": TextSlot("crm.active"),
    "profile": ValueSlot("crm.profile"),
    "permissionSets": [ValueSlot("crm.permissions")],
    "timeZone": TextSlot("crm.zone"),
    "signature": MembersSlot("crm.signature"),
}


def account_templates(catalogue: AccessCatalog) -> dict[str, Template]:
    """Return the template of each kind of account, by the key of its columns."""
    kinds = {
        "hr": (HR, {"employeeNumber": TextSlot("hr.native"), **HR_ATTRIBUTES}),
        "former": (HR, {"employeeNumber": TextSlot("former.native"), **HR_ATTRIBUTES}),
        "directory": (DIRECTORY, DIRECTORY_ATTRIBUTES),
        "admin": (DIRECTORY, ADMIN_ATTRIBUTES),
        "ledger": (LEDGER, LEDGER_ATTRIBUTES),
        "crm": (CRM, CRM_ATTRIBUTES),
    }
    return {key: account_template(catalogue, key, source, shape) for key, (source, shape) in kinds.items()}


def common_account_columns(
    organization: Organization, kind: AccountKind, at: IntArray, oldest: IntArray
) -> dict[str, list[str]]:
    """Return the columns that every kind of account has.

    Args:
        organization: the organization.
        kind: the accounts; its key is the prefix of the columns' names.
        at: numbers of the accounts.
        oldest: for each account, the largest number of days since it was created.
    """
    key, draws, calendar, size = kind.key, organization.draws, organization.calendar, at.size
    age = np.maximum(oldest - draws.integers(f"{key} age", at, 30), 2)
    changed = 1 + draws.integers(f"{key} changed", at, np.minimum(age - 1, 200))
    password = 1 + draws.integers(f"{key} password", at, np.minimum(age - 1, 900))
    provisioned = draws.booleans(f"{key} provisioned", at, 0 if kind.source == HR else 400)
    ids = draws.ids(f"account {key}", at)
    dated = kind.source in (DIRECTORY, LEDGER)
    set_ = calendar.afternoon_times(f"{key} password", at, password) if dated else [""] * size
    return {
        f"{key}.id": ids,
        f"{key}.created": calendar.morning_times(f"{key} created", at, age),
        f"{key}.modified": calendar.afternoon_times(f"{key} modified", at, changed),
        f"{key}.machine": ["false"] * size,
        f"{key}.description": ["null"] * size,
        f"{key}.disabled": json_booleans(kind.disabled),
        f"{key}.locked": json_booleans(kind.locked),
        f"{key}.chosen": json_booleans(kind.manually_correlated),
        f"{key}.privileged": json_booleans(kind.privileged),
        f"{key}.uuid": [f'"{{{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}}}"' for i in ids]
        if kind.source == DIRECTORY
        else ["null"] * size,
        f"{key}.origin": choose(text_array(["AGGREGATED", "PROVISIONED"]), provisioned.astype(np.int64)),
        f"{key}.password": json_member("passwordLastSet", set_, np.full(size, dated)),
        f"{key}.owner": [""] * size,
        f"{key}.entitled": ["false"] * size,
    }


def account_columns(
    organization: Organization,
    grants: AccessBundles,
    people: IdentityChunk,
    holdings: Assignments,
    identity: Mapping[str, list[str]],
) -> dict[str, list[str]]:
    """Return the columns of all accounts of some identities.

    Args:
        organization: the organization.
        grants: the bundles of access, as pieces of JSON.
        people: the identities.
        holdings: their accounts and access.
        identity: the identities' columns, from `identity_columns`.
    """
    p, h, access, draws = people, holdings, holdings.access, organization.draws
    calendar = organization.calendar
    columns: dict[str, list[str]] = {}
    for kind in h.kinds:
        columns |= common_account_columns(organization, kind, p.numbers, p.days_since_created)

    groups = _listed(
        choose(grants.basics.values, access.basics),
        choose(grants.projects.values, access.project),
        choose(grants.projects.values, access.other_project),
        choose(grants.powers.values, access.powers),
    )
    roles = _listed(choose(grants.ledger.values, access.ledger), choose(grants.books.values, access.book))
    off = text_array(["512", "514"])
    described = one_in(p.numbers, 30, 11)
    notes = json_member("description", identity["description"], described)
    alias, upper = identity["alias"], [a.upper() for a in identity["alias"]]
    mails = zip(identity["email"], draws.booleans("upper mail", p.numbers, 50).tolist(), strict=True)
    logon = calendar.afternoon_times(
        "logon", p.numbers, 1 + draws.integers("logon", p.numbers, np.minimum(p.days_since_created - 1, 120))
    )
    places = zip(identity["common"], identity["department"], identity["city"], strict=True)
    states = np.where(
        h.ledger.locked, 1, np.where(h.ledger.disabled, 2, draws.integers("expired", p.numbers, 20) // 19 * 3)
    )
    pairs = zip(identity["description"], described.tolist(), strict=True)
    return columns | {
        "contract": choose(_CONTRACT, draws.integers("contract", p.numbers, len(_CONTRACT))),
        "boss.member": json_member("managerNumber", identity["boss.number"], p.manager >= 0),
        "hr.native": identity["number"],
        "hr.name": identity["display"],
        "former.native": ["F" + number[1:] for number in identity["number"]],
        "former.name": identity["display"],
        "directory.native": [f"CN={c},OU={d},OU={o},{reference_data.DIRECTORY}" for c, d, o in places],
        "directory.name": alias,
        "directory.principal": [f"{a}@corp.{reference_data.DOMAIN}" for a in alias],
        "directory.mail": [mail.upper() if shout else mail for mail, shout in mails],
        "directory.groups": groups,
        "directory.entitled": ["true" if group else "false" for group in groups],
        "directory.control": choose(off, h.directory.disabled.astype(np.int64)),
        "directory.phone": json_member(
            "telephoneNumber", identity["phone"], draws.booleans("desk phone", p.numbers, 600)
        ),
        "directory.logon": json_member("lastLogon", logon, draws.booleans("has logged on", p.numbers, 930)),
        "directory.note": notes,
        "directory.description": [f'"{text}"' if there else "null" for text, there in pairs],
        "directory.extension": json_member(
            "extensionAttribute4", identity["code"], draws.booleans("extension", p.numbers, 150)
        ),
        "admin.native": [f"CN=adm-{a},OU=Admins,{reference_data.DIRECTORY}" for a in alias],
        "admin.name": [f"adm-{a}" for a in alias],
        "admin.groups": _listed(choose(grants.powers.values, access.admin_powers)),
        "admin.entitled": ["true"] * p.numbers.size,
        "admin.control": choose(off, h.admin.disabled.astype(np.int64)),
        "ledger.native": ["U" + number for number in identity["number"]],
        "ledger.name": upper,
        "ledger.status": choose(text_array(["OPEN", "LOCKED", "DISABLED", "EXPIRED"]), states),
        "ledger.roles": roles,
        "ledger.entitled": ["true"] * p.numbers.size,
        "ledger.logon": json_member("LAST_LOGIN", logon, draws.booleans("ledger logon", p.numbers, 850)),
        "ledger.comment": json_member("COMMENTS", identity["description"], one_in(p.numbers, 21, 4)),
        "crm.native": [f"005{id[:15]}" for id in columns["crm.id"]],
        "crm.name": [f"{a}@{reference_data.DOMAIN}" for a in alias],
        "crm.active": json_booleans(~h.crm.disabled),
        "crm.profile": [text[1:] for text in choose(grants.crm.values, access.crm)],
        "crm.permissions": [text[1:] for text in choose(grants.permissions.values, access.permissions)],
        "crm.entitled": ["true"] * p.numbers.size,
        "crm.zone": choose(_ZONE, p.numbers % len(_ZONE)),
        "crm.signature": json_member(
            "signature",
            [
                f"{display}\\n{title}, {reference_data.COMPANY}"
                for display, title in zip(identity["display"], identity["title"], strict=True)
            ],
            draws.booleans("signature", p.numbers, 120),
        ),
    }  # fmt: skip


def _listed(*pieces: list[str]) -> list[str]:
    return ["".join(texts)[1:] for texts in zip(*pieces, strict=True)]
