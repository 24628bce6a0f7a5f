"""An identity: who it is, its accounts, and its access with the paths by which it has it.

The rights are those of the reports on identities: who may start a run may look, but users who are restricted to sources
may not, because the page shows accounts of all sources. Looking is an audit event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from whohas import audit
from whohas.console.access_graph import access_graph, draw
from whohas.console.identities import IdentityDetails, read_identity
from whohas.console.lookups import lookup_slot
from whohas.console.view import Pages, View
from whohas.errors import Forbidden, NotFound

PAGES = Pages()

_LONGEST_ID = 1_000

_GROUPS: Mapping[str, Mapping[str, str]] = {
    "Person": {
        "displayName": "Display name",
        "name": "Unique name",
        "firstName": "Given name",
        "lastName": "Family name",
        "email": "Email",
        "phone": "Telephone",
        "employeeNumber": "Employee number",
    },
    "State and manager": {
        "status": "Status",
        "lifecycleState": "Lifecycle state",
        "inactive": "No longer in use",
        "disabled": "May not sign in",
        "locked": "Locked",
        "protected": "Protected from changes",
        "processingState": "Processing",
        "processingMessage": "Processing message",
    },
    "Origin": {
        "identityProfileName": "Identity profile",
        "sourceName": "Authoritative source",
        "created": "Created",
        "modified": "Modified",
        "synced": "Last processed",
        "id": "Id",
    },
}


@PAGES.get("/identities/{id}", needs="startReport")
def show_identity(view: View, id: str) -> Response:
    """Show an identity of the newest data."""
    if view.caller.restricted_to_sources:
        raise Forbidden(
            "You administer sources, and the page of an identity shows its access on all sources. Run the report "
            "ACCOUNTS on one of your sources instead."
        )
    snapshot = view.services.warehouse.snapshot()
    try:
        if len(id) > _LONGEST_ID:
            raise NotFound("The id is too long to be one of an identity.")
        with lookup_slot():
            identity = read_identity(id, snapshot, view.services.settings.spill_path)
    except NotFound as error:
        return view.page("identity_missing.html", 404, text=error.message, snapshot=snapshot)
    event = audit.Event(audit.EventType.IDENTITY_VIEWED, identity.id, view.actor, details={"snapshot": snapshot.number})
    view.record_look(lambda: view.write_event(event))
    return view.page(
        "identity.html",
        identity=identity,
        groups=_groups(identity),
        drawing=draw(access_graph(identity), f"Access of {identity.name}, and through what"),
        snapshot=snapshot,
        roles={bundle.id: bundle.name for bundle in identity.bundles if bundle.kind == "role"},
    )


def _groups(identity: IdentityDetails) -> dict[str, list[tuple[str, Any]]]:
    """Return the facts of an identity by group, each with its label, without those that are empty or not so."""
    return {
        group: [
            (label, identity.facts[name])
            for name, label in labels.items()
            if identity.facts[name] not in (None, "", False)
        ]
        for group, labels in _GROUPS.items()
    }
