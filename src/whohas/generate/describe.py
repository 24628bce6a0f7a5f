"""Generate identities' search documents: columns of text, and the template that they fill."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from whohas.generate import reference_data
from whohas.generate.assignments import Assignments
from whohas.generate.catalogue import HR, AccessCatalog
from whohas.generate.grants import AccessBundles
from whohas.generate.people import PREHIRE, TERMINATED, IdentityChunk, Organization
from whohas.generate.rng import BoolArray, IntArray, TextArray, choose, one_in, text_array
from whohas.generate.template import EncodedSlot, MembersSlot, Template, TextSlot, ValueSlot, compact_json, json_escaped

PROFILE = "Employees"
_TITLES = 60


def json_booleans(flags: BoolArray) -> list[str]:
    """Return the flags as JSON: `true` or `false`."""
    return choose(text_array(["false", "true"]), flags.astype(np.int64))


def json_member(name: str, values: list[str], where: BoolArray) -> list[str]:
    """Return `,"name":"value"` for each value for which `where` is true, else an empty text.

    Args:
        name: the member's name.
        values: texts, escaped for JSON.
        where: whether each document has the member.
    """
    pairs = zip(values, where.tolist(), strict=True)
    return [f',"{name}":"{value}"' if there else "" for value, there in pairs]


def reference(id: str, name: str) -> dict[str, str]:
    """Return a reference to an object."""
    return {"id": id, "name": name}


def profile_id(organization: Organization) -> str:
    """Return the id of the only identity profile."""
    return organization.draws.ids("identity profile", np.zeros(1, dtype=np.int64))[0]


def _titles() -> TextArray:
    rows = [[json_escaped(d.titles[n % len(d.titles)]) for n in range(_TITLES)] for d in reference_data.DEPARTMENTS]
    return np.array(rows, dtype=object)


def _lead_titles() -> TextArray:
    rows = [[title.format(d.name) for d in reference_data.DEPARTMENTS] for title in reference_data.LEAD_TITLES]
    return np.array(rows, dtype=object)


def _addresses() -> TextArray:
    rows = [[json_escaped(o.addresses[n % len(o.addresses)]) for n in range(2)] for o in reference_data.OFFICES]
    return np.array(rows, dtype=object)


_DEPARTMENT = text_array([d.name for d in reference_data.DEPARTMENTS])
_CODE = text_array([d.code for d in reference_data.DEPARTMENTS])
_CITY = text_array([o.city for o in reference_data.OFFICES])
_COUNTRY = text_array([o.country for o in reference_data.OFFICES])
_REGION = text_array([o.region for o in reference_data.OFFICES])
_DIAL = text_array([o.dial for o in reference_data.OFFICES])
_TITLE, _LEAD_TITLE, _ADDRESS = _titles(), _lead_titles(), _addresses()
_STATE = text_array(["active", "leave", "terminated", "prehire"])
_IDENTITY_STATE = text_array(["ACTIVE", "INACTIVE_SHORT_TERM", "INACTIVE_LONG_TERM", "INACTIVE_SHORT_TERM"])
_STATUS = text_array(["ACTIVE", "ERROR", "TERMINATED", "LOCKED", "PENDING", "UNREGISTERED"])
_DESCRIPTION = text_array([json_escaped(text) for text in reference_data.DESCRIPTIONS])


def identity_template() -> Template:
    """Return the template of an identity's search document, without its accounts."""
    return Template.of(
        {
            "id": TextSlot("id"),
            "name": TextSlot("alias"),
            "displayName": TextSlot("display"),
            "firstName": TextSlot("given"),
            "lastName": TextSlot("family"),
            "email": ValueSlot("email.value"),
            "phone": MembersSlot("phone.member"),
            "created": TextSlot("created"),
            "modified": TextSlot("modified"),
            "synced": TextSlot("synced"),
            "inactive": ValueSlot("gone"),
            "protected": ValueSlot("top"),
            "status": TextSlot("status"),
            "employment": MembersSlot("employment"),
            "isManager": ValueSlot("lead"),
            "profile": MembersSlot("profile"),
            "attributes": {
                "uid": TextSlot("alias"),
                "firstname": TextSlot("given"),
                "lastname": TextSlot("family"),
                "displayName": TextSlot("display"),
                "email": MembersSlot("email.member"),
                "department": TextSlot("department"),
                "jobTitle": TextSlot("title"),
                "city": TextSlot("city"),
                "country": TextSlot("country"),
                "location": TextSlot("region"),
                "costCenter": TextSlot("code"),
                "number": MembersSlot("number.member"),
                "startDate": TextSlot("start"),
                "endDate": MembersSlot("end.member"),
                "note": MembersSlot("note.member"),
                "cloudLifecycleState": TextSlot("state"),
                "cloudStatus": TextSlot("status"),
                "identityState": TextSlot("identityState"),
                "cloudAuthoritativeSource": MembersSlot("authoritative"),
            },
            "disabled": ValueSlot("gone"),
            "locked": ValueSlot("locked"),
            "processing": MembersSlot("processing"),
            "accountCount": ValueSlot("accountCount"),
            "apps": [ValueSlot("apps")],
            "appCount": ValueSlot("appCount"),
            "access": [EncodedSlot("access")],
            "accessCount": ValueSlot("accessCount"),
            "entitlementCount": ValueSlot("entitlementCount"),
            "roleCount": ValueSlot("roleCount"),
            "accessProfileCount": ValueSlot("accessProfileCount"),
            "owns": MembersSlot("owns"),
            "tags": MembersSlot("tags"),
            "visibleSegments": [],
            "visibleSegmentCount": 0,
        }
    )


def identity_columns(
    organization: Organization, catalogue: AccessCatalog, owns: Mapping[int, str], people: IdentityChunk
) -> dict[str, list[str]]:
    """Return the columns of identities, apart from those of their access.

    Args:
        organization: the organization.
        catalogue: its sources.
        owns: the members for owned objects by the owner's number, from `ownership_members`.
        people: the identities.
    """
    p, draws, calendar = people, organization.draws, organization.calendar
    names, bosses = organization.names(p.numbers), np.maximum(p.manager, 0)
    boss_ids, boss_names = organization.ids(bosses), organization.names(bosses)
    gone, employed = p.state == TERMINATED, p.manager >= 0
    from_hr = p.orphan_reason <= 1
    emails = [f"{a}@{reference_data.DOMAIN}" for a in names.alias]
    emails = ["" if less else email for email, less in zip(emails, p.without_email.tolist(), strict=True)]
    numbers_ = [f"{number + 100:07d}" for number in p.numbers.tolist()]
    lines = (draws.integers("phone", p.numbers, 9000) + 1000).tolist()
    phones = [f"{dial} {line}" for dial, line in zip(choose(_DIAL, p.office), lines, strict=True)]
    ended = 1 + draws.integers("ended", p.numbers, np.maximum(np.minimum(p.days_since_start - 2, 700), 1))
    status = np.select(
        [p.failed, gone, p.locked, p.state == PREHIRE, draws.booleans("unregistered", p.numbers, 80)],
        [1, 2, 3, 4, 5],
        0,
    )
    hr = catalogue.sources[HR]
    profile = "," + compact_json(
        {"identityProfile": reference(profile_id(organization), PROFILE), "source": reference(hr.id, hr.name)}
    )[1:-1]  # fmt: skip
    description = choose(_DESCRIPTION, draws.integers("description", p.numbers, len(_DESCRIPTION)))
    return {
        "id": organization.ids(p.numbers),
        "plain": names.plain,
        "display": names.display,
        "given": names.given,
        "family": names.family,
        "alias": names.alias,
        "common": names.common,
        "email": emails,
        "email.value": [f'"{email}"' if email else "null" for email in emails],
        "email.member": json_member("email", emails, ~p.without_email),
        "phone.member": json_member("phone", phones, draws.booleans("phone known", p.numbers, 800)),
        "phone": phones,
        "number": numbers_,
        "number.member": json_member("identificationNumber", numbers_, from_hr),
        "created": calendar.morning_times("created", p.numbers, p.days_since_created),
        "modified": calendar.afternoon_times("modified", p.numbers, p.days_since_changed),
        "synced": calendar.morning_times("synced", p.numbers, np.zeros_like(p.numbers)),
        "gone": json_booleans(gone),
        "top": json_booleans(p.numbers == 0),
        "lead": json_booleans(p.is_manager),
        "locked": json_booleans(p.locked),
        "status": choose(_STATUS, status),
        "state": choose(_STATE, p.state),
        "identityState": choose(_IDENTITY_STATE, p.state),
        "department": choose(_DEPARTMENT, p.department),
        "code": choose(_CODE, p.department),
        "city": choose(_CITY, p.office),
        "country": choose(_COUNTRY, p.office),
        "region": choose(_REGION, p.office),
        "address": _ADDRESS[p.office, draws.integers("address", p.numbers, 2)].tolist(),
        "title": _title(organization, p),
        "start": calendar.dates(p.days_since_start),
        "end.member": json_member("endDate", calendar.dates(ended), gone),
        "note.member": json_member("note", description, one_in(p.numbers, 73, 55)),
        "description": description,
        "authoritative": [f',"cloudAuthoritativeSource":"{hr.id}"' if there else "" for there in from_hr.tolist()],
        "profile": [profile if there else "" for there in from_hr.tolist()],
        "boss.id": boss_ids,
        "boss.alias": boss_names.alias,
        "boss.display": boss_names.display,
        "boss.number": [f"{number + 100:07d}" for number in bosses.tolist()],
        "employment": [
            (f',"employeeNumber":"{number}"' if known else "")
            + (f',"manager":{{"id":"{id}","name":"{alias}","displayName":"{display}"}}' if led else "")
            for number, known, led, id, alias, display in zip(
                numbers_,
                from_hr.tolist(),
                employed.tolist(),
                boss_ids,
                boss_names.alias,
                boss_names.display,
                strict=True,
            )
        ],
        "processing": _processing(organization, p),
        "owns": [owns.get(number, "") for number in p.numbers.tolist()],
        "tags": _tags(p),
    }


def _title(organization: Organization, people: IdentityChunk) -> list[str]:
    p = people
    ordinary = _TITLE[p.department, organization.draws.integers("title", p.numbers, _TITLES)]
    return np.where(
        p.is_manager, _LEAD_TITLE[np.minimum(p.level, len(_LEAD_TITLE) - 1), p.department], ordinary
    ).tolist()


def _processing(organization: Organization, people: IdentityChunk) -> list[str]:
    texts, failed = [""] * people.numbers.size, np.flatnonzero(people.failed)
    at = people.numbers[failed]
    draws = organization.draws
    stages = draws.integers("stage", at, len(reference_data.STAGES)).tolist()
    retries = draws.integers("retries", at, 4).tolist()
    dates = organization.calendar.afternoon_times("failed", at, 1 + draws.integers("failed", at, 20))
    for index, chosen, retry, date in zip(failed.tolist(), stages, retries, dates, strict=True):
        stage, message, trace = reference_data.STAGES[chosen]
        details = {"date": date, "stage": stage, "retryCount": retry, "stackTrace": trace, "message": message}
        texts[index] = f',"processingState":"ERROR","processingDetails":{compact_json(details)}'
    return texts


def _tags(people: IdentityChunk) -> list[str]:
    sets = [(), ("executive",), ("audit-2026", "contractor"), ("audit-2026",)]
    texts = ["," + compact_json({"tags": tags, "tagsCount": len(tags)})[1:-1] if tags else "" for tags in sets]
    chosen = np.select([people.numbers < 13, people.orphan_reason == 2, one_in(people.numbers, 37, 36)], [1, 2, 3], 0)
    return choose(text_array(texts), chosen)


def access_summary_columns(
    catalogue: AccessCatalog, grants: AccessBundles, holdings: Assignments, columns: Mapping[str, list[str]]
) -> dict[str, list[str]]:
    """Return the columns of identities that describe their access: counts and applications.

    Args:
        catalogue: the applications.
        grants: the bundles of access.
        holdings: the identities' accounts and access.
        columns: the accounts' columns, from `account_columns`.
    """
    h = holdings
    held = h.access.of(grants)
    counts = np.sum([pieces.counts[at] for pieces, at in held], axis=0)
    usable = [(h.directory, catalogue.apps[0]), (h.ledger, catalogue.apps[1]), (h.crm, catalogue.apps[2])]
    apps: list[list[str]] = []
    for kind, app in usable:
        before = compact_json({"id": app.id, "name": app.name, "source": reference(app.source.id, app.source.name)})[
            :-1
        ]
        rows = zip(columns[f"{kind.key}.id"], columns[f"{kind.key}.native"], kind.present.tolist(), strict=True)
        apps.append(
            [f',{before},"account":{{"id":"{id}","accountId":"{native}"}}}}' if has else "" for id, native, has in rows]
        )
    return {
        "accessCount": _texts(counts.sum(axis=1)),
        "entitlementCount": _texts(counts[:, 0]),
        "accessProfileCount": _texts(counts[:, 1]),
        "roleCount": _texts(counts[:, 2]),
        "apps": ["".join(texts)[1:] for texts in zip(*apps, strict=True)],
        "appCount": _texts(np.sum([kind.present for kind, _ in usable], axis=0)),
        "accountCount": _texts(np.sum([kind.present for kind in h.kinds], axis=0)),
    }


def access_column(grants: AccessBundles, holdings: Assignments) -> list[bytes]:
    """Return the access items of each identity: JSON objects separated by commas, in UTF-8."""
    pieces = [part.access[at].tolist() for part, at in holdings.access.of(grants)]
    return [b"".join(items)[1:] for items in zip(*pieces, strict=True)]


def ownership_members(catalogue: AccessCatalog) -> dict[int, str]:
    """Return the members `owns` and `ownsCount` of the documents of owners, by the owner's number."""
    c, things = catalogue, dict[int, dict[str, list[dict[str, str]]]]()
    everything = (
        [("sources", s) for s in c.sources]
        + [("entitlements", e) for e in c.entitlements]
        + [("accessProfiles", p) for p in c.profiles]
        + [("roles", r) for r in c.roles]
        + [("apps", a) for a in c.apps]
    )
    for kind, thing in everything:
        if thing.owner is not None:
            things.setdefault(thing.owner.number, {}).setdefault(kind, []).append(reference(thing.id, thing.name))
    return {
        number: "," + compact_json({"owns": [kinds], "ownsCount": sum(map(len, kinds.values()))})[1:-1]
        for number, kinds in things.items()
    }


def _texts(values: IntArray) -> list[str]:
    return [str(value) for value in values.tolist()]
