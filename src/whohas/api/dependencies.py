"""What the routes share: the services and the caller of a request, and authorization by the table of access.

The table (`whohas.auth.permissions`) must contain every route.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.requests import Request

from whohas.auth import ROUTES, Caller, check_access

if TYPE_CHECKING:
    from whohas.services import Services


async def authorize(request: Request) -> None:
    """Check that the caller of a request has the rights that its route needs; a dependency of every route.

    Raises:
        Forbidden: the caller lacks a scope or level, or the route is for users only.
    """
    name = request.scope["route"].name
    if ROUTES.get(name, True) is not None:
        check_access(caller_of(request), name)


def caller_of(request: Request) -> Caller:
    """Return the authenticated caller of a request, which `AuthenticationMiddleware` has stored in its state.

    Only for routes that need a token.

    Raises:
        AttributeError: the route is public, so that nobody was authenticated.
    """
    caller: Caller = request.state.caller
    return caller


def services_of(request: Request) -> Services:
    """Return the services of the application that a request is for, which `create_app` has stored in its state."""
    services: Services = request.app.state.services
    return services


def public_paths(app: FastAPI) -> frozenset[str]:
    """Return the paths that need no token according to the table of access.

    Raises:
        RuntimeError: a route is not in the table; add it there with the rights that it needs. Also a route that needs
            rights but is not a FastAPI operation, such as a mounted application: the dependency `authorize` does not
            run for it, so that its caller would not be authorized.
    """
    paths: set[str] = set()
    for route in iter_route_contexts(app.routes):
        name, path = str(route.name), str(route.path)
        if name not in ROUTES or (ROUTES[name] is not None and not isinstance(route.original_route, APIRoute)):
            raise RuntimeError(f"The route {name!r} at {path} is not in the table of access (whohas.auth.permissions).")
        if ROUTES[name] is None:
            paths.add(path)
    return frozenset(paths)
