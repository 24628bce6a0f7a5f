"""Users: who may sign in, and with which levels. For those who may do what the operator of the server does.

Users cannot disable themselves here, so that the last administrator cannot lock everybody out by mistake.
"""

from __future__ import annotations

import secrets

from starlette.responses import Response

from whohas.auth.callers import UserLevel
from whohas.console.view import Link, Pages, View
from whohas.errors import Conflict, InvalidArguments
from whohas.warehouse.catalog import read_catalog

PAGES = Pages(Link("Users", "/console/users", order=90, group="Administration"))

_PASSWORD_BYTES = 18


@PAGES.get("/users", needs="manageUsers")
def show_users(view: View) -> Response:
    """Show all users, and the form for a new one."""
    return _page(view)


@PAGES.post("/users", needs="manageUsers")
def add_user(view: View) -> Response:
    """Create a user with a random password, and show it once."""
    password = secrets.token_urlsafe(_PASSWORD_BYTES)
    try:
        user = view.services.access.users.create(
            view.fields.get("name", ""), view.texts("level"), known_sources(view), password, view.actor
        )
    except InvalidArguments as error:
        return _page(view, error.message)
    except Conflict as error:
        return _page(view, error.message, 409)
    return _secret(view, user.name, password, "The user was created")


def known_sources(view: View) -> list[str]:
    """Return the ids of the sources that a form chooses.

    Raises:
        InvalidArguments: a source is not loaded.
    """
    known = {source.id for source in read_catalog(view.services.warehouse.snapshot()).sources}
    chosen = view.texts("source")
    for source in chosen:
        if source not in known:
            raise InvalidArguments(f"There is no source with the id {source[:100]!r}. Choose one of the list.")
    return list(chosen)


@PAGES.post("/users/password", needs="manageUsers")
def new_password(view: View) -> Response:
    """Give a user a new random password, and show it once."""
    name, password = view.fields.get("name", ""), secrets.token_urlsafe(_PASSWORD_BYTES)
    view.services.access.users.get(name)  # raises NotFound before anything is changed
    view.services.access.users.change(name, password=password, by=view.actor)
    return _secret(view, name, password, "The user has a new password")


@PAGES.post("/users/levels", needs="manageUsers")
def change_levels(view: View) -> Response:
    """Replace the levels of a user."""
    name, levels = view.fields.get("name", ""), view.texts("level")
    if name == view.caller.name and UserLevel.ORG_ADMIN not in levels:
        raise Conflict("You cannot take the level ORG_ADMIN from yourself. Another administrator can.")
    user = view.services.access.users.change(name, levels=levels, by=view.actor)
    return view.redirect("/console/users", f"{user.name} has now: {', '.join(user.levels) or 'no level'}.")


@PAGES.post("/users/disable", needs="manageUsers")
def disable_user(view: View) -> Response:
    """Disable a user: sessions, tokens and personal clients end at once."""
    name = view.fields.get("name", "")
    if name == view.caller.name:
        raise Conflict("You cannot disable yourself. Another administrator can.")
    user = view.services.access.users.change(name, disabled=True, by=view.actor)
    return view.redirect("/console/users", f"{user.name} is disabled, and signed out everywhere.")


@PAGES.post("/users/enable", needs="manageUsers")
def enable_user(view: View) -> Response:
    """Enable a disabled user again."""
    user = view.services.access.users.change(view.fields.get("name", ""), disabled=False, by=view.actor)
    return view.redirect("/console/users", f"{user.name} is enabled again.")


def _secret(view: View, name: str, password: str, title: str) -> Response:
    return view.page(
        "secret.html",
        title=title,
        lead="Give the password to the user on a safe way.",
        facts={"User": name, "Password": password},
        back="/console/users",
    )


def _page(view: View, error: str = "", status: int = 400) -> Response:
    services = view.services
    sources = [(source.id, source.name) for source in read_catalog(services.warehouse.snapshot()).sources]
    return view.page(
        "users.html",
        status if error else 200,
        users=services.access.users.list(),
        levels=[(level.value, level.value) for level in UserLevel],
        sources=sources,
        names=dict(sources),
        chosen={name: view.texts(name) for name in ("level", "source")},
        fields={"name": view.fields.get("name", "")},
        error=error,
        place="level" if "level" in error else "name",
    )
