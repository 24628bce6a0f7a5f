"""The actor of a request, as the audit log names it."""

from __future__ import annotations

from typing import cast

from starlette.requests import Request
from starlette.types import Scope

from whohas.audit import Actor
from whohas.auth import Caller


def request_actor(request: Request) -> Actor:
    """Return the actor of a request for audit events: the caller, the address of the peer and the tracking id.

    Without an authenticated caller, the kind of the actor is `unknown`.
    """
    return actor_of(request.scope)


def remember_claim(request: Request, tried: str) -> None:
    """Remember the identity that a request claims, for the audit event if the request is denied.

    Args:
        request: a request to sign in or to get a token.
        tried: the name of the user or the id of the client, not yet verified.
    """
    request.state.tried = tried


def actor_of(scope: Scope) -> Actor:
    """Return the actor of a request, as `request_actor` does, from its ASGI scope.

    The scope's state must have the tracking id, which `RequestIdMiddleware` sets.
    """
    state = scope["state"]
    address = str(scope["client"][0]) if scope.get("client") else ""
    tracking_id = cast("str", state["tracking_id"])
    caller: Caller | None = state.get("caller")
    if caller is None:
        return Actor("unknown", address=address, tracking_id=tracking_id)
    kind = "user" if caller.is_user else "client"
    return Actor(kind, caller.name, caller.id, caller.client_id if caller.is_user else "", address, tracking_id)
