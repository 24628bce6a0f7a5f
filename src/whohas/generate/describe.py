"""Generate identities' search documents: columns of text, and the template that they fill."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from whohas.generate import reference_data
from whohas.generate.assignments import Holdings
from whohas.generate.catalogue import HR, Catalogue
from whohas.generate.grants import Grants
from whohas.generate.people import PREHIRE, TERMINATED, Organisation, People
from whohas.generate.rng import Flags, Numbers, Words, every, take, words
from whohas.generate.template import Encoded, Members, Template, Text, Value, encoded, escaped

PROFILE = "Employees"
_TITLES = 60


def booleans(flags: Flags) -> list[str]:
    """Return the flags as JSON: `true` or `false`."""
    return take(words(["false", "true"]), flags.astype(np.int64))


def member(name: str, values: list[str], where: Flags) -> list[str]:
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


def profile_id(organisation: Organisation) -> str:
    """Return the id of the only identity profile."""
    return organisation.draws.ids("identity profile", np.zeros(1, dtype=np.int64))[0]


def _titles() -> Words:
    rows = [[escaped(d.titles[n % len(d.titles)]) for n in range(_TITLES)] for d in reference_data.DEPARTMENTS]
    return np.array(rows, dtype=object)


def _lead_titles() -> Words:
    rows = [[title.format(d.name) for d in reference_data.DEPARTMENTS] for title in reference_data.LEAD_TITLES]
    return np.array(rows, dtype=object)


def _addresses() -> Words:
    rows = [[escaped(o.addresses[n % len(o.addresses)]) for n in range(2)] for o in reference_data.OFFICES]
    return np.array(rows, dtype=object)


_DEPARTMENT = words([d.name for d in reference_data.DEPARTMENTS])
_CODE = words([d.code for d in reference_data.DEPARTMENTS])
_CITY = words([o.city for o in reference_data.OFFICES])
_COUNTRY = words([o.country for o in reference_data.OFFICES])
_REGION = words([o.region for o in reference_data.OFFICES])
_DIAL = words([o.dial for o in reference_data.OFFICES])
_TITLE, _LEAD_TITLE, _ADDRESS = _titles(), _lead_titles(), _addresses()
_STATE = words(["active", "leave", "terminated", "prehire"])
_IDENTITY_STATE = words(["ACTIVE", "INACTIVE_SHORT_TERM", "INACTIVE_LONG_TERM", "INACTIVE_SHORT_TERM"])
_STATUS = words(["ACTIVE", "ERROR", "TERMINATED", "LOCKED", "PENDING", "UNREGISTERED"])
_DESCRIPTION = words([escaped(text) for text in reference_data.DESCRIPTIONS])


def identity_template() -> Template:
    """Return the template of an identity's search document, without its accounts."""
    return Template.of(
        {
            "id": Text("id"),
            "name": Text("alias"),
            "displayName": Text("display"),
            "firstName": Text("given"),
            "lastName": Text("family"),
            "email": Value("email.value"),
            "phone": Members("phone.member"),
            "created": Text("created"),
            "modified": Text("modified"),
            "synced": Text("synced"),
            "inactive": Value("gone"),
            "protected": Value("top"),
            "status": Text("status"),
            "employment": Members("employment"),
            "isManager": Value("lead"),
            "profile": Members("profile"),
            "attributes": {
                "uid": Text("alias"),
                "firstname": Text("given"),
                "lastname": Text("family"),
                "displayName": Text("display"),
                "email": Members("email.member"),
                "department": Text("department"),
                "jobTitle": Text("title"),
                "city": Text("city"),
                "country": Text("country"),
                "location": Text("region"),
                "costCenter": Text("code"),
                "number": Members("number.member"),
                "startDate": Text("start"),
                "endDate": Members("end.member"),
                "note": Members("note.member"),
                "cloudLifecycleState": Text("state"),
                "cloudStatus": Text("status"),
                "identityState": Text("identityState"),
                "cloudAuthoritativeSource": Members("authoritative"),
            },
            "disabled": Value("gone"),
            "locked": Value("locked"),
            "processing": Members("processing"),
            "accountCount": Value("accountCount"),
            "apps": [Value("apps")],
            "appCount": Value("appCount"),
            "access": [Encoded("access")],
            "accessCount": Value("accessCount"),
            "entitlementCount": Value("entitlementCount"),
            "roleCount": Value("roleCount"),
            "accessProfileCount": Value("accessProfileCount"),
            "owns": Members("owns"),
            "tags": Members("tags"),
            "visibleSegments": [],
            "visibleSegmentCount": 0,
        }
    )


def identity_columns(
    organisation: Organisation, catalogue: Catalogue, owns: Mapping[int, str], people: People
) -> dict[str, list[str]]:
    """Return the columns of identities, apart from those of their access.

    Args:
        organisation: the organisation.
        catalogue: its sources.
        owns: the members for owned objects by the owner's number, from `owned`.
        people: the identities.
    """
    p, draws, calendar = people, organisation.draws, organisation.calendar
    names, bosses = organisation.names(p.at), np.maximum(p.boss, 0)
    boss_ids, boss_names = organisation.ids(bosses), organisation.names(bosses)
    gone, employed = p.state == TERMINATED, p.boss >= 0
    from_hr = p.orphan <= 1
    emails = [f"{a}@{reference_data.DOMAIN}" for a in names.alias]
    emails = ["" if less else email for email, less in zip(emails, p.mailless.tolist(), strict=True)]
    numbers_ = [f"{number + 100:07d}" for number in p.at.tolist()]
    lines = (draws.pick("phone", p.at, 9000) + 1000).tolist()
    phones = [f"{dial} {line}" for dial, line in zip(take(_DIAL, p.office), lines, strict=True)]
    ended = 1 + draws.pick("ended", p.at, np.maximum(np.minimum(p.started - 2, 700), 1))
    status = np.select(
        [p.failed, gone, p.locked, p.state == PREHIRE, draws.chance("unregistered", p.at, 80)], [1, 2, 3, 4, 5], 0
    )
    hr = catalogue.sources[HR]
    profile = "," + encoded(
        {"identityProfile": reference(profile_id(organisation), PROFILE), "source": reference(hr.id, hr.name)}
    )[1:-1]  # fmt: skip
    description = take(_DESCRIPTION, draws.pick("description", p.at, len(_DESCRIPTION)))
    return {
        "id": organisation.ids(p.at),
        "plain": names.plain,
        "display": names.display,
        "given": names.given,
        "family": names.family,
        "alias": names.alias,
        "common": names.common,
        "email": emails,
        "email.value": [f'"{email}"' if email else "null" for email in emails],
        "email.member": member("email", emails, ~p.mailless),
        "phone.member": member("phone", phones, draws.chance("phone known", p.at, 800)),
        "phone": phones,
        "number": numbers_,
        "number.member": member("identificationNumber", numbers_, from_hr),
        "created": calendar.early("created", p.at, p.created),
        "modified": calendar.late("modified", p.at, p.changed),
        "synced": calendar.early("synced", p.at, np.zeros_like(p.at)),
        "gone": booleans(gone),
        "top": booleans(p.at == 0),
        "lead": booleans(p.lead),
        "locked": booleans(p.locked),
        "status": take(_STATUS, status),
        "state": take(_STATE, p.state),
        "identityState": take(_IDENTITY_STATE, p.state),
        "department": take(_DEPARTMENT, p.department),
        "code": take(_CODE, p.department),
        "city": take(_CITY, p.office),
        "country": take(_COUNTRY, p.office),
        "region": take(_REGION, p.office),
        "address": _ADDRESS[p.office, draws.pick("address", p.at, 2)].tolist(),
        "title": _title(organisation, p),
        "start": calendar.dates(p.started),
        "end.member": member("endDate", calendar.dates(ended), gone),
        "note.member": member("note", description, every(p.at, 73, 55)),
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
        "processing": _processing(organisation, p),
        "owns": [owns.get(number, "") for number in p.at.tolist()],
        "tags": _tags(p),
    }


def _title(organisation: Organisation, people: People) -> list[str]:
    p = people
    ordinary = _TITLE[p.department, organisation.draws.pick("title", p.at, _TITLES)]
    return np.where(p.lead, _LEAD_TITLE[np.minimum(p.level, len(_LEAD_TITLE) - 1), p.department], ordinary).tolist()


def _processing(organisation: Organisation, people: People) -> list[str]:
    texts, failed = [""] * people.at.size, np.flatnonzero(people.failed)
    at = people.at[failed]
    draws = organisation.draws
    stages = draws.pick("stage", at, len(reference_data.STAGES)).tolist()
    retries = draws.pick("retries", at, 4).tolist()
    dates = organisation.calendar.late("failed", at, 1 + draws.pick("failed", at, 20))
    for index, chosen, retry, date in zip(failed.tolist(), stages, retries, dates, strict=True):
        stage, message, trace = reference_data.STAGES[chosen]
        details = {"date": date, "stage": stage, "retryCount": retry, "stackTrace": trace, "message": message}
        texts[index] = f',"processingState":"ERROR","processingDetails":{encoded(details)}'
    return texts


def _tags(people: People) -> list[str]:
    sets = [(), ("executive",), ("audit-2026", "contractor"), ("audit-2026",)]
    texts = ["," + encoded({"tags": tags, "tagsCount": len(tags)})[1:-1] if tags else "" for tags in sets]
    chosen = np.select([people.at < 13, people.orphan == 2, every(people.at, 37, 36)], [1, 2, 3], 0)
    return take(words(texts), chosen)


def holding_columns(
    catalogue: Catalogue, grants: Grants, holdings: Holdings, columns: Mapping[str, list[str]]
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
        before = encoded({"id": app.id, "name": app.name, "source": reference(app.source.id, app.source.name)})[:-1]
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


def access_column(grants: Grants, holdings: Holdings) -> list[bytes]:
    """Return the access items of each identity: JSON objects separated by commas, in UTF-8."""
    pieces = [part.access[at].tolist() for part, at in holdings.access.of(grants)]
    return [b"".join(items)[1:] for items in zip(*pieces, strict=True)]


def owned(catalogue: Catalogue) -> dict[int, str]:
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
        number: "," + encoded({"owns": [kinds], "ownsCount": sum(map(len, kinds.values()))})[1:-1]
        for number, kinds in things.items()
    }


def _texts(values: Numbers) -> list[str]:
    return [str(value) for value in values.tolist()]
