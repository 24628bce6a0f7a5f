"""Clients: programs that call the API. For those who may do what the operator of the server does."""

from __future__ import annotations

from starlette.responses import Response

from whohas.auth import CONSOLE_CLIENT_ID, NewClient
from whohas.auth.callers import SCOPE_READ, UserLevel, known_scopes
from whohas.console.pages.users import known_sources
from whohas.console.view import Link, Pages, View
from whohas.errors import Conflict, InvalidArguments, NotFound
from whohas.warehouse.catalog import read_catalog

PAGES = Pages(Link("Clients", "/console/clients", order=80, group="Administration"))


@PAGES.get("/clients", needs="manageClients")
def show_clients(view: View) -> Response:
    """Show all clients, and the form for a new one."""
    return _page(view)


@PAGES.post("/clients", needs="manageClients")
def add_client(view: View) -> Response:
    """Create a client, and show its secret once."""
    levels, sources = view.texts("level"), known_sources(view)
    user = view.fields.get("user", "")
    services = view.services
    try:
        if user and (levels or sources):
            raise InvalidArguments("A personal client has the levels and sources of its user: choose none here.")
        made = services.access.clients.create(
            view.fields.get("name", ""),
            view.texts("scope"),
            person=services.access.users.get(user) if user else None,
            levels=levels,
            sources=sources,
            by=view.actor,
        )
    except (InvalidArguments, NotFound) as error:
        return _page(view, error.message)
    return _secret(view, made, "The client was created")


@PAGES.post("/clients/{id}/rotate", needs="manageClients")
def rotate_secret(view: View, id: str) -> Response:
    """Give a client a new secret, and show it once. The old one stops working."""
    _refuse_own(id)
    made = view.services.access.clients.rotate_secret(id, by=view.actor)
    return _secret(view, made, "The client has a new secret")


@PAGES.post("/clients/{id}/revoke", needs="manageClients")
def revoke_client(view: View, id: str) -> Response:
    """Revoke a client and its tokens."""
    _refuse_own(id)
    client = view.services.access.clients.revoke(id, view.actor)
    return view.redirect("/console/clients", f"The client {client.name} is revoked, and its tokens are over.")


def _refuse_own(id: str) -> None:
    if id == CONSOLE_CLIENT_ID:
        raise Conflict("This client is the web console itself: nobody could sign in without it.")


def _secret(view: View, made: NewClient, title: str) -> Response:
    return view.page(
        "secret.html",
        title=title,
        lead="Programs send the id and the secret to /oauth/token.",
        facts={"Name": made.client.name, "Client id": made.client.id, "Client secret": made.secret},
        back="/console/clients",
    )


def _page(view: View, error: str = "") -> Response:
    services = view.services
    return view.page(
        "clients.html",
        400 if error else 200,
        clients=services.access.clients.list(),
        users=[user for user in services.access.users.list() if user.disabled is None],
        scopes=[(scope, scope) for scope in known_scopes],
        levels=[(level.value, level.value) for level in UserLevel],
        sources=[(source.id, source.name) for source in read_catalog(services.warehouse.snapshot()).sources],
        chosen={name: view.texts(name) for name in ("level", "source")}
        | {"scope": view.texts("scope") if error else [SCOPE_READ]},
        fields={"name": view.fields.get("name", ""), "user": view.fields.get("user", "")},
        error=error,
        place=next((place for place in ("scope", "level") if place in error), "name") if error else "",
        own=CONSOLE_CLIENT_ID,
    )
