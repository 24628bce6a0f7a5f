"""Holds every route to the table of access: one that is not in it is not served."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import Request

from whohas.auth import ROUTES, Caller, check_access


async def allowed(request: Request) -> None:
    """Lets a caller pass to the route of a request; a dependency of the whole application.

    Raises:
        Forbidden: the table of access does not allow it.
    """
    name = request.scope["route"].name
    if ROUTES.get(name, True) is not None:
        check_access(caller_of(request), name)


def caller_of(request: Request) -> Caller:
    """Who makes the request; the guard has put it there."""
    caller: Caller = request.state.caller
    return caller


def open_paths(app: FastAPI) -> frozenset[str]:
    """The paths that answer without a token, as the table says.

    Raises:
        RuntimeError: a route is not in the table; say there what it needs. What is no operation of the API, such as a
            mounted application, is not asked for its caller's rights, and may be served only where all is open.
    """
    found: set[str] = set()
    for route in iter_route_contexts(app.routes):
        name, path = str(route.name), str(route.path)
        if name not in ROUTES or (ROUTES[name] is not None and not isinstance(route.original_route, APIRoute)):
            raise RuntimeError(f"The route {name!r} at {path} is not in the table of access (whohas.auth.access).")
        if ROUTES[name] is None:
            found.add(path)
    return frozenset(found)
