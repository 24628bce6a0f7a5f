"""Generate audit events, one for each identity, and account activities: an access request for one identity in five."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from whohas.generate.catalogue import DIRECTORY, AccessCatalog
from whohas.generate.people import IdentityChunk, Organization
from whohas.generate.rng import BoolArray, TextArray, choose, one_in, text_array
from whohas.generate.template import MembersSlot, Template, TextSlot, ValueSlot, compact_json, json_escaped


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
_ACTORS = text_array([event.actor for event in _EVENTS])
_OBJECTS = text_array([compact_json(event.objects) for event in _EVENTS])
_COMMON = (1, 2, 2, 2, 3, 3, 3, 4, 5, 5, 6, 6, 6, 6, 6, 7)
_COMMENTS = ("", "Needed for the audit, please", 'As "discussed"\nwith Réception', "=see request 0042")


def _field(name: str) -> TextArray:
    return text_array([getattr(event, name) for event in _EVENTS])


def event_template() -> Template:
    """Return the template of an audit event's document."""
    return Template.of(
        {
            "id": TextSlot("event.id"),
            "name": TextSlot("event.name"),
            "created": TextSlot("event.created"),
            "synced": TextSlot("event.synced"),
            "action": TextSlot("event.action"),
            "type": TextSlot("event.type"),
            "actor": {"name": TextSlot("event.actor")},
            "target": {"name": TextSlot("alias")},
            "stack": TextSlot("event.stack"),
            "trackingNumber": TextSlot("tracking"),
            "ipAddress": MembersSlot("event.address"),
            "details": TextSlot("event.details"),
            "attributes": {
                "sourceName": TextSlot("event.source"),
                "accountName": MembersSlot("event.account"),
                "interface": MembersSlot("event.interface"),
            },
            "objects": ValueSlot("event.objects"),
            "operation": TextSlot("event.operation"),
            "status": TextSlot("event.status"),
            "technicalName": TextSlot("event.technical"),
        }
    )


def activity_template(catalogue: AccessCatalog) -> Template:
    """Return the template of an account activity: a request for a directory group, and its outcome."""
    directory = catalogue.sources[DIRECTORY]
    source = {"id": directory.id, "name": directory.name, "type": directory.type}
    request = {"name": "memberOf", "op": "Add", "value": ValueSlot("request.value")}
    return Template.of(
        {
            "id": TextSlot("activity.id"),
            "action": "Access Request",
            "created": TextSlot("event.created"),
            "modified": TextSlot("event.synced"),
            "synced": TextSlot("event.synced"),
            "stage": "Completed",
            "status": TextSlot("request.status"),
            "requester": {"id": TextSlot("requester.id"), "name": TextSlot("requester"), "type": "Identity"},
            "recipient": {"id": TextSlot("id"), "name": TextSlot("alias"), "type": "Identity"},
            "trackingNumber": TextSlot("tracking"),
            "errors": [ValueSlot("request.errors")],
            "warnings": [ValueSlot("request.warnings")],
            "approvals": [
                {
                    "comments": [ValueSlot("request.comments")],
                    "modified": TextSlot("event.synced"),
                    "owner": {"id": TextSlot("boss.id"), "name": TextSlot("boss.alias"), "type": "Identity"},
                    "result": TextSlot("request.approval"),
                    "attributeRequest": request,
                    "source": source,
                }
            ],
            "originalRequests": [
                {
                    "accountId": TextSlot("directory.native"),
                    "op": "Modify",
                    "result": {"status": TextSlot("request.original")},
                    "attributeRequests": [request],
                    "source": source,
                }
            ],
            "expansionItems": [],
            "accountRequests": [
                {
                    "accountId": TextSlot("directory.native"),
                    "op": "Modify",
                    "result": {"status": TextSlot("request.result"), "errors": [ValueSlot("request.errors")]},
                    "attributeRequests": [request],
                    "provisioningTarget": source,
                    "source": source,
                }
            ],
            "sources": directory.name,
        }
    )


def has_access_request(people: IdentityChunk, with_directory: BoolArray) -> BoolArray:
    """Return whether there is an access request, one flag for each identity.

    Args:
        people: the identities.
        with_directory: whether each has a directory account, without which it gets no request.
    """
    return one_in(people.numbers, 5, 2) & with_directory


def activity_columns(
    organization: Organization,
    catalogue: AccessCatalog,
    people: IdentityChunk,
    requests: BoolArray,
    columns: Mapping[str, list[str]],
) -> dict[str, list[str]]:
    """Return the columns of events and access requests.

    Args:
        organization: the organization.
        catalogue: its sources and entitlements.
        people: the identities.
        requests: whether there is an access request for each, from `has_access_request`.
        columns: the identities' columns, from `identity_columns`.
    """
    p, draws, calendar = people, organization.draws, organization.calendar
    kind = np.where(requests, 0, np.array(_COMMON)[draws.integers("event", p.numbers, len(_COMMON))])
    ago = draws.integers("event day", p.numbers, 360) + 1
    actors = choose(_ACTORS, kind)
    led = (p.manager >= 0).tolist()
    requesters = list(zip(columns["boss.id"], columns["boss.alias"], columns["id"], columns["alias"], led, strict=True))
    tracking = draws.ids("tracking", p.numbers)
    requester = [boss if led_ else self for _, boss, _, self, led_ in requesters]
    address = draws.integers("address of event", p.numbers, 250 * 250).tolist()
    end = draws.integers("request end", p.numbers, 100)
    ends = np.select([end < 8, end < 14], [1, 2], 0)
    groups = text_array([compact_json(e.value) for e in catalogue.projects])
    comments = draws.integers("comment", p.numbers, len(_COMMENTS))
    texts = [json_escaped(text) for text in _COMMENTS]
    commented = zip(
        comments.tolist(), columns["boss.display"], calendar.afternoon_times("event sync", p.numbers, ago), strict=True
    )
    source_names = text_array([source.name for source in catalogue.sources])
    concerned = np.where(kind == 0, DIRECTORY, draws.integers("event source", p.numbers, len(source_names) - 1) + 1)
    return {
        "event.id": draws.ids("event", p.numbers),
        "event.name": choose(_field("name"), kind),
        "event.type": choose(_field("type"), kind),
        "event.action": choose(_field("action"), kind),
        "event.operation": choose(_field("operation"), kind),
        "event.status": choose(_field("status"), kind),
        "event.technical": choose(_field("technical"), kind),
        "event.stack": choose(_field("stack"), kind),
        "event.actor": [
            {"system": "System", "boss": asked}.get(who, self)
            for who, asked, self in zip(actors, requester, columns["alias"], strict=True)
        ],
        "event.created": calendar.morning_times("event", p.numbers, ago),
        "event.synced": calendar.afternoon_times("event sync", p.numbers, ago),
        "event.details": [text[::-1] for text in tracking],
        "event.address": [
            f',"ipAddress":"10.20.{n // 250}.{n % 250 + 1}"' if who == "self" else ""
            for n, who in zip(address, actors, strict=True)
        ],
        "event.source": choose(source_names, concerned),
        "event.account": [
            f',"accountName":"{alias}"' if who != "self" else ""
            for alias, who in zip(columns["alias"], actors, strict=True)
        ],
        "event.interface": choose(
            text_array(["", ',"interface":"Identity Refresh"', ',"interface":"API, v2"']), p.numbers % 3
        ),
        "event.objects": choose(_OBJECTS, kind),
        "tracking": tracking,
        "activity.id": draws.ids("activity", p.numbers),
        "requester": requester,
        "requester.id": [boss if led_ else self for boss, _, self, _, led_ in requesters],
        "request.value": choose(groups, draws.integers("request group", p.numbers, len(groups))),
        "request.status": choose(text_array(["Complete", "Failure", "Incomplete"]), ends),
        "request.approval": choose(text_array(["Finished", "Finished", "Rejected"]), ends),
        "request.original": choose(text_array(["Approved", "Approved", "Rejected"]), ends),
        "request.result": choose(text_array(["committed", "failed", "not sent"]), ends),
        "request.errors": choose(
            text_array(["", compact_json('LDAP 50: "insufficient rights",\nretry later'), ""]), ends
        ),
        "request.warnings": choose(text_array(["", '"The group is nested"']), (end > 95).astype(np.int64)),
        "request.comments": [
            f'{{"comment":"{texts[n]}","commenter":"{who}","date":"{when}"}}' if n else "" for n, who, when in commented
        ],
    }  # fmt: skip
