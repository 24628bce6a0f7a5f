"""Generate accounts that belong to identities: columns of text, and the templates of their JSON documents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from whohas.generate import reference_data
from whohas.generate.assignments import Held, Holdings
from whohas.generate.catalogue import CRM, DIRECTORY, HR, LEDGER, Catalogue
from whohas.generate.describe import booleans, member
from whohas.generate.grants import Grants
from whohas.generate.people import Organisation, People
from whohas.generate.rng import Numbers, every, take, words
from whohas.generate.template import Members, Template, Text, Value

_CONTRACT = words(["permanent", "permanent", "permanent", "fixed-term", "part-time, 60 %", ""])
_ZONE = words(["Europe/Berlin", "America/Toronto", "Asia/Singapore"])


def account_template(
    catalogue: Catalogue, key: str, source: int, attributes: Mapping[str, object], correlated: bool = True
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
        "identityId": Text("id"),
        "cloudLifecycleState": Text("state"),
        "identityState": Text("identityState"),
        "identity": {"id": Text("id"), "type": "IDENTITY", "name": Text("display")},
    }
    return Template.of(
        {
            "id": Text(f"{key}.id"),
            "name": Text(f"{key}.name"),
            "created": Text(f"{key}.created"),
            "modified": Text(f"{key}.modified"),
            "sourceId": s.id,
            "sourceName": s.name,
            **(identity if correlated else {}),
            "connectionType": s.connection,
            "isMachine": Value(f"{key}.machine"),
            "attributes": attributes,
            "authoritative": source == HR,
            "description": Value(f"{key}.description"),
            "disabled": Value(f"{key}.disabled"),
            "locked": Value(f"{key}.locked"),
            "nativeIdentity": Text(f"{key}.native"),
            "systemAccount": False,
            "uncorrelated": not correlated,
            "uuid": Value(f"{key}.uuid"),
            "manuallyCorrelated": Value(f"{key}.chosen"),
            "hasEntitlements": Value(f"{key}.entitled"),
            "features": ", ".join(s.features),
            "origin": Text(f"{key}.origin"),
            "privileged": Value(f"{key}.privileged"),
            "passwordLastSet": Members(f"{key}.password"),
            "ownerIdentity": Members(f"{key}.owner"),
        }
    )


HR_ATTRIBUTES: dict[str, object] = {
    "firstName": Text("given"),
    "lastName": Text("family"),
    "displayName": Text("display"),
    "email": Text("email"),
    "phone": Members("phone.member"),
    "department": Text("department"),
    "costCenter": Text("code"),
    "jobTitle": Text("title"),
    "location": Text("city"),
    "country": Text("country"),
    "address": Text("address"),
    "managerNumber": Members("boss.member"),
    "startDate": Text("start"),
    "endDate": Members("end.member"),
    "contract": Text("contract"),
}
DIRECTORY_ATTRIBUTES: dict[str, object] = {
    "sAMAccountName": Text("directory.name"),
    "userPrincipalName": Text("directory.principal"),
    "displayName": Text("display"),
    "mail": Text("directory.mail"),
    "department": Text("department"),
    "title": Text("title"),
    "l": Text("city"),
    "memberOf": [Value("directory.groups")],
    "userAccountControl": Text("directory.control"),
    "telephoneNumber": Members("directory.phone"),
    "lastLogon": Members("directory.logon"),
    "description": Members("directory.note"),
    "extensionAttribute4": Members("directory.extension"),
}
ADMIN_ATTRIBUTES: dict[str, object] = {
    "sAMAccountName": Text("admin.name"),
    "displayName": Text("admin.name"),
    "memberOf": [Value("admin.groups")],
    "userAccountControl": Text("admin.control"),
    "adminCount": "1",
}
LEDGER_ATTRIBUTES: dict[str, object] = {
    "USERNAME": Text("ledger.name"),
    "ACCOUNT_STATUS": Text("ledger.status"),
    "ROLES": [Value("ledger.roles")],
    "PROFILE": "DEFAULT",
    "LAST_LOGIN": Members("ledger.logon"),
    "COMMENTS": Members("ledger.comment"),
}
CRM_ATTRIBUTES: dict[str, object] = {
    "username": Text("crm.name"),
    "email": Text("crm.name"),
    "active": Text("crm.active"),
    "profile": Value("crm.profile"),
    "permissionSets": [Value("crm.permissions")],
    "timeZone": Text("crm.zone"),
    "signature": Members("crm.signature"),
}


def account_templates(catalogue: Catalogue) -> dict[str, Template]:
    """Return the template of each kind of account, by the key of its columns."""
    kinds = {
        "hr": (HR, {"employeeNumber": Text("hr.native"), **HR_ATTRIBUTES}),
        "former": (HR, {"employeeNumber": Text("former.native"), **HR_ATTRIBUTES}),
        "directory": (DIRECTORY, DIRECTORY_ATTRIBUTES),
        "admin": (DIRECTORY, ADMIN_ATTRIBUTES),
        "ledger": (LEDGER, LEDGER_ATTRIBUTES),
        "crm": (CRM, CRM_ATTRIBUTES),
    }
    return {key: account_template(catalogue, key, source, shape) for key, (source, shape) in kinds.items()}


def common_columns(organisation: Organisation, kind: Held, at: Numbers, oldest: Numbers) -> dict[str, list[str]]:
    """Return the columns that every kind of account has.

    Args:
        organisation: the organisation.
        kind: the accounts; its key is the prefix of the columns' names.
        at: numbers of the accounts.
        oldest: for each account, the largest number of days since it was created.
    """
    key, draws, calendar, size = kind.key, organisation.draws, organisation.calendar, at.size
    age = np.maximum(oldest - draws.pick(f"{key} age", at, 30), 2)
    changed = 1 + draws.pick(f"{key} changed", at, np.minimum(age - 1, 200))
    password = 1 + draws.pick(f"{key} password", at, np.minimum(age - 1, 900))
    provisioned = draws.chance(f"{key} provisioned", at, 0 if kind.source == HR else 400)
    ids = draws.ids(f"account {key}", at)
    dated = kind.source in (DIRECTORY, LEDGER)
    set_ = calendar.late(f"{key} password", at, password) if dated else [""] * size
    return {
        f"{key}.id": ids,
        f"{key}.created": calendar.early(f"{key} created", at, age),
        f"{key}.modified": calendar.late(f"{key} modified", at, changed),
        f"{key}.machine": ["false"] * size,
        f"{key}.description": ["null"] * size,
        f"{key}.disabled": booleans(kind.disabled),
        f"{key}.locked": booleans(kind.locked),
        f"{key}.chosen": booleans(kind.chosen),
        f"{key}.privileged": booleans(kind.privileged),
        f"{key}.uuid": [f'"{{{i[:8]}-{i[8:12]}-{i[12:16]}-{i[16:20]}-{i[20:]}}}"' for i in ids]
        if kind.source == DIRECTORY
        else ["null"] * size,
        f"{key}.origin": take(words(["AGGREGATED", "PROVISIONED"]), provisioned.astype(np.int64)),
        f"{key}.password": member("passwordLastSet", set_, np.full(size, dated)),
        f"{key}.owner": [""] * size,
        f"{key}.entitled": ["false"] * size,
    }


def account_columns(
    organisation: Organisation,
    grants: Grants,
    people: People,
    holdings: Holdings,
    identity: Mapping[str, list[str]],
) -> dict[str, list[str]]:
    """Return the columns of all accounts of some identities.

    Args:
        organisation: the organisation.
        grants: the bundles of access, as pieces of JSON.
        people: the identities.
        holdings: their accounts and access.
        identity: the identities' columns, from `identity_columns`.
    """
    p, h, access, draws = people, holdings, holdings.access, organisation.draws
    calendar = organisation.calendar
    columns: dict[str, list[str]] = {}
    for kind in h.kinds:
        columns |= common_columns(organisation, kind, p.at, p.created)

    groups = _listed(
        take(grants.basics.values, access.basics),
        take(grants.projects.values, access.project),
        take(grants.projects.values, access.other_project),
        take(grants.powers.values, access.powers),
    )
    roles = _listed(take(grants.ledger.values, access.ledger), take(grants.books.values, access.book))
    off = words(["512", "514"])
    described = every(p.at, 30, 11)
    notes = member("description", identity["description"], described)
    alias, upper = identity["alias"], [a.upper() for a in identity["alias"]]
    mails = zip(identity["email"], draws.chance("upper mail", p.at, 50).tolist(), strict=True)
    logon = calendar.late("logon", p.at, 1 + draws.pick("logon", p.at, np.minimum(p.created - 1, 120)))
    places = zip(identity["common"], identity["department"], identity["city"], strict=True)
    states = np.where(h.ledger.locked, 1, np.where(h.ledger.disabled, 2, draws.pick("expired", p.at, 20) // 19 * 3))
    pairs = zip(identity["description"], described.tolist(), strict=True)
    return columns | {
        "contract": take(_CONTRACT, draws.pick("contract", p.at, len(_CONTRACT))),
        "boss.member": member("managerNumber", identity["boss.number"], p.boss >= 0),
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
        "directory.control": take(off, h.directory.disabled.astype(np.int64)),
        "directory.phone": member("telephoneNumber", identity["phone"], draws.chance("desk phone", p.at, 600)),
        "directory.logon": member("lastLogon", logon, draws.chance("has logged on", p.at, 930)),
        "directory.note": notes,
        "directory.description": [f'"{text}"' if there else "null" for text, there in pairs],
        "directory.extension": member("extensionAttribute4", identity["code"], draws.chance("extension", p.at, 150)),
        "admin.native": [f"CN=adm-{a},OU=Admins,{reference_data.DIRECTORY}" for a in alias],
        "admin.name": [f"adm-{a}" for a in alias],
        "admin.groups": _listed(take(grants.powers.values, access.admin_powers)),
        "admin.entitled": ["true"] * p.at.size,
        "admin.control": take(off, h.admin.disabled.astype(np.int64)),
        "ledger.native": ["U" + number for number in identity["number"]],
        "ledger.name": upper,
        "ledger.status": take(words(["OPEN", "LOCKED", "DISABLED", "EXPIRED"]), states),
        "ledger.roles": roles,
        "ledger.entitled": ["true"] * p.at.size,
        "ledger.logon": member("LAST_LOGIN", logon, draws.chance("ledger logon", p.at, 850)),
        "ledger.comment": member("COMMENTS", identity["description"], every(p.at, 21, 4)),
        "crm.native": [f"005{id[:15]}" for id in columns["crm.id"]],
        "crm.name": [f"{a}@{reference_data.DOMAIN}" for a in alias],
        "crm.active": booleans(~h.crm.disabled),
        "crm.profile": [text[1:] for text in take(grants.crm.values, access.crm)],
        "crm.permissions": [text[1:] for text in take(grants.permissions.values, access.permissions)],
        "crm.entitled": ["true"] * p.at.size,
        "crm.zone": take(_ZONE, p.at % len(_ZONE)),
        "crm.signature": member(
            "signature",
            [
                f"{display}\\n{title}, {reference_data.COMPANY}"
                for display, title in zip(identity["display"], identity["title"], strict=True)
            ],
            draws.chance("signature", p.at, 120),
        ),
    }  # fmt: skip


def _listed(*pieces: list[str]) -> list[str]:
    return ["".join(texts)[1:] for texts in zip(*pieces, strict=True)]
