"""Generate audit events, one for each identity, and account activities: an access request for one identity in five."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from whohas.generate.catalogue import DIRECTORY, Catalogue
from whohas.generate.people import Organisation, People
from whohas.generate.rng import Flags, Words, every, take, words
from whohas.generate.template import Members, Template, Text, Value, encoded, escaped


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of event, with the values of its document. `actor` is `boss`, `self` or `system`."""

    name: str
    type: str
    action: str
    operation: str
    status: str
    technical: str
    stack: str
    actor: str
    objects: tuple[str, ...]


_ACCESS, _PROVISIONING, _LOGIN = "ACCESS_REQUEST", "PROVISIONING", "AUTH"
_SIGN_IN, _ACCOUNT = ("AUTHENTICATION",), ("ACCOUNT",)
_EVENTS = (
    _Kind("Request Access", _ACCESS, "AccessRequest", "REQUEST", "STARTED", "ACCESS_REQUEST_STARTED", "sds", "boss",
          ("ACCESS", "REQUEST")),
    _Kind("Create Account Passed", _PROVISIONING, "CreateAccount", "CREATE", "PASSED", "ACCOUNT_CREATE_PASSED", "tpe",
          "system", _ACCOUNT),
    _Kind("Modify Account Passed", _PROVISIONING, "ModifyAccount", "MODIFY", "PASSED", "ACCOUNT_MODIFY_PASSED", "tpe",
          "system", _ACCOUNT),
    _Kind("Add Entitlement Passed", "ACCESS_ITEM", "AddEntitlement", "ADD", "PASSED", "ENTITLEMENT_ADD_PASSED", "tpe",
          "system", ("ENTITLEMENT",)),
    _Kind("Disable Account Failed", _PROVISIONING, "DisableAccount", "DISABLE", "FAILED", "ACCOUNT_DISABLE_FAILED",
          "tpe", "system", _ACCOUNT),
    _Kind("Change Password Passed", "PASSWORD_ACTIVITY", "ChangePassword", "CHANGE", "PASSED", "PASSWORD_CHANGE_PASSED",
          "pwd", "self", ("PASSWORD",)),
    _Kind("Request Authentication Passed", _LOGIN, "AUTHENTICATION-103", "REQUEST", "PASSED",
          "AUTHENTICATION_REQUEST_PASSED", "oathkeeper", "self", _SIGN_IN),
    _Kind("Request Authentication Failed", _LOGIN, "AUTHENTICATION-304", "REQUEST", "FAILED",
          "AUTHENTICATION_REQUEST_FAILED", "oathkeeper", "self", _SIGN_IN),
)  # fmt: skip
_ACTORS = words([event.actor for event in _EVENTS])
_OBJECTS = words([encoded(event.objects) for event in _EVENTS])
_COMMON = (1, 2, 2, 2, 3, 3, 3, 4, 5, 5, 6, 6, 6, 6, 6, 7)
_COMMENTS = ("", "Needed for the audit, please", 'As "discussed"\nwith Réception', "=see request 0042")


def _field(name: str) -> Words:
    return words([getattr(event, name) for event in _EVENTS])


def event_template() -> Template:
    """Return the template of an audit event's document."""
    return Template.of(
        {
            "id": Text("event.id"),
            "name": Text("event.name"),
            "created": Text("event.created"),
            "synced": Text("event.synced"),
            "action": Text("event.action"),
            "type": Text("event.type"),
            "actor": {"name": Text("event.actor")},
            "target": {"name": Text("alias")},
            "stack": Text("event.stack"),
            "trackingNumber": Text("tracking"),
            "ipAddress": Members("event.address"),
            "details": Text("event.details"),
            "attributes": {
                "sourceName": Text("event.source"),
                "accountName": Members("event.account"),
                "interface": Members("event.interface"),
            },
            "objects": Value("event.objects"),
            "operation": Text("event.operation"),
            "status": Text("event.status"),
            "technicalName": Text("event.technical"),
        }
    )


def activity_template(catalogue: Catalogue) -> Template:
    """Return the template of an account activity: a request for a directory group, and its outcome."""
    directory = catalogue.sources[DIRECTORY]
    source = {"id": directory.id, "name": directory.name, "type": directory.type}
    request = {"name": "memberOf", "op": "Add", "value": Value("request.value")}
    return Template.of(
        {
            "id": Text("activity.id"),
            "action": "Access Request",
            "created": Text("event.created"),
            "modified": Text("event.synced"),
            "synced": Text("event.synced"),
            "stage": "Completed",
            "status": Text("request.status"),
            "requester": {"id": Text("requester.id"), "name": Text("requester"), "type": "Identity"},
            "recipient": {"id": Text("id"), "name": Text("alias"), "type": "Identity"},
            "trackingNumber": Text("tracking"),
            "errors": [Value("request.errors")],
            "warnings": [Value("request.warnings")],
            "approvals": [
                {
                    "comments": [Value("request.comments")],
                    "modified": Text("event.synced"),
                    "owner": {"id": Text("boss.id"), "name": Text("boss.alias"), "type": "Identity"},
                    "result": Text("request.approval"),
                    "attributeRequest": request,
                    "source": source,
                }
            ],
            "originalRequests": [
                {
                    "accountId": Text("directory.native"),
                    "op": "Modify",
                    "result": {"status": Text("request.original")},
                    "attributeRequests": [request],
                    "source": source,
                }
            ],
            "expansionItems": [],
            "accountRequests": [
                {
                    "accountId": Text("directory.native"),
                    "op": "Modify",
                    "result": {"status": Text("request.result"), "errors": [Value("request.errors")]},
                    "attributeRequests": [request],
                    "provisioningTarget": source,
                    "source": source,
                }
            ],
            "sources": directory.name,
        }
    )


def requested(people: People, with_directory: Flags) -> Flags:
    """Return whether there is an access request, one flag for each identity.

    Args:
        people: the identities.
        with_directory: whether each has a directory account, without which it gets no request.
    """
    return every(people.at, 5, 2) & with_directory


def happening_columns(
    organisation: Organisation,
    catalogue: Catalogue,
    people: People,
    requests: Flags,
    columns: Mapping[str, list[str]],
) -> dict[str, list[str]]:
    """Return the columns of events and access requests.

    Args:
        organisation: the organisation.
        catalogue: its sources and entitlements.
        people: the identities.
        requests: whether there is an access request for each, from `requested`.
        columns: the identities' columns, from `identity_columns`.
    """
    p, draws, calendar = people, organisation.draws, organisation.calendar
    kind = np.where(requests, 0, np.array(_COMMON)[draws.pick("event", p.at, len(_COMMON))])
    ago = draws.pick("event day", p.at, 360) + 1
    actors = take(_ACTORS, kind)
    led = (p.boss >= 0).tolist()
    requesters = list(zip(columns["boss.id"], columns["boss.alias"], columns["id"], columns["alias"], led, strict=True))
    tracking = draws.ids("tracking", p.at)
    requester = [boss if led_ else self for _, boss, _, self, led_ in requesters]
    address = draws.pick("address of event", p.at, 250 * 250).tolist()
    end = draws.pick("request end", p.at, 100)
    ends = np.select([end < 8, end < 14], [1, 2], 0)
    groups = words([encoded(e.value) for e in catalogue.projects])
    comments = draws.pick("comment", p.at, len(_COMMENTS))
    texts = [escaped(text) for text in _COMMENTS]
    commented = zip(comments.tolist(), columns["boss.display"], calendar.late("event sync", p.at, ago), strict=True)
    source_names = words([source.name for source in catalogue.sources])
    concerned = np.where(kind == 0, DIRECTORY, draws.pick("event source", p.at, len(source_names) - 1) + 1)
    return {
        "event.id": draws.ids("event", p.at),
        "event.name": take(_field("name"), kind),
        "event.type": take(_field("type"), kind),
        "event.action": take(_field("action"), kind),
        "event.operation": take(_field("operation"), kind),
        "event.status": take(_field("status"), kind),
        "event.technical": take(_field("technical"), kind),
        "event.stack": take(_field("stack"), kind),
        "event.actor": [
            {"system": "System", "boss": asked}.get(who, self)
            for who, asked, self in zip(actors, requester, columns["alias"], strict=True)
        ],
        "event.created": calendar.early("event", p.at, ago),
        "event.synced": calendar.late("event sync", p.at, ago),
        "event.details": [text[::-1] for text in tracking],
        "event.address": [
            f',"ipAddress":"10.20.{n // 250}.{n % 250 + 1}"' if who == "self" else ""
            for n, who in zip(address, actors, strict=True)
        ],
        "event.source": take(source_names, concerned),
        "event.account": [
            f',"accountName":"{alias}"' if who != "self" else ""
            for alias, who in zip(columns["alias"], actors, strict=True)
        ],
        "event.interface": take(words(["", ',"interface":"Identity Refresh"', ',"interface":"API, v2"']), p.at % 3),
        "event.objects": take(_OBJECTS, kind),
        "tracking": tracking,
        "activity.id": draws.ids("activity", p.at),
        "requester": requester,
        "requester.id": [boss if led_ else self for boss, _, self, _, led_ in requesters],
        "request.value": take(groups, draws.pick("request group", p.at, len(groups))),
        "request.status": take(words(["Complete", "Failure", "Incomplete"]), ends),
        "request.approval": take(words(["Finished", "Finished", "Rejected"]), ends),
        "request.original": take(words(["Approved", "Approved", "Rejected"]), ends),
        "request.result": take(words(["committed", "failed", "not sent"]), ends),
        "request.errors": take(words(["", encoded('LDAP 50: "insufficient rights",\nretry later'), ""]), ends),
        "request.warnings": take(words(["", '"The group is nested"']), (end > 95).astype(np.int64)),
        "request.comments": [
            f'{{"comment":"{texts[n]}","commenter":"{who}","date":"{when}"}}' if n else "" for n, who, when in commented
        ],
    }  # fmt: skip
