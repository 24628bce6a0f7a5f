"""The console as an ASGI application: finds the page of a request, and answers errors with a page."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from urllib.parse import urlencode

import anyio.to_thread
from starlette.datastructures import FormData, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import whohas.console.pages
from whohas.api.errors import error_response
from whohas.api.routes.events import RunEvents
from whohas.console import session
from whohas.console.assets import PATH as ASSETS_PATH
from whohas.console.assets import asset_response
from whohas.console.report_preview import PreviewLog
from whohas.console.row_tables import RowTables
from whohas.console.view import NO_STORE, Link, NotSignedIn, PageRoute, Pages, View, answer
from whohas.errors import NotFound, WhohasError
from whohas.services import Services

SIGN_IN = "/console/sign-in"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    # with no-referrer, the default of this server, browsers would post forms with `Origin: null`
    "Referrer-Policy": "same-origin",
}
"""Headers of every response of the console: scripts and styles come from this server only, none are in a page."""

_TITLES = {
    400: "This cannot be done as asked",
    403: "You may not do this",
    404: "There is no such page",
    405: "This is not a page to open",
    409: "This cannot be done now",
    413: "This is too long",
    429: "Too much at once",
    503: "Not available now",
}
_SMALLEST_ZIPPED = 1_000

_INTERNAL = "An internal fault occurred. The server's log has it under {}."
_UNAVAILABLE = "The server's database or disk is not available now. Try again in a minute."


@cache
def all_pages() -> tuple[Pages, ...]:
    """Return the `PAGES` of every module of `whohas.console.pages`."""
    package = whohas.console.pages
    modules = (importlib.import_module(f"{package.__name__}.{m.name}") for m in pkgutil.iter_modules(package.__path__))
    return tuple(module.PAGES for module in modules if hasattr(module, "PAGES"))


def create_console(services: Services, watch: RunEvents) -> ASGIApp:
    """Return the console of an installation, whose services the caller opens and closes.

    Args:
        services: the services.
        watch: the live updates of runs, which the console shares with the API.
    """
    navigation = tuple(sorted(_navigation(), key=lambda entry: entry[0].order))
    rows = RowTables(services.settings, services.artefacts)
    previews = PreviewLog()

    def endpoint(page: PageRoute) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            request.state.watch, request.state.rows, request.state.previews = watch, rows, previews
            request.scope["route"] = route_of[page.method, page.path]  # for the metrics
            try:
                return await answer(page, request, services, navigation)
            except NotSignedIn:
                return _to_sign_in(request)
            except ClientDisconnect:
                raise  # nobody is there to read a page
            except Exception as error:
                return await anyio.to_thread.run_sync(_error_page, error, request, services, page, navigation)

        return respond

    routes = [page for pages in all_pages() for page in pages.routes]
    # paths without parameters first, so that `/runs/new` is not taken for the id of a run
    routes.sort(key=lambda page: ("{" in page.path, page.path))
    route_of = {
        (page.method, page.path): Route(page.path, endpoint(page), methods=[page.method], name="console")
        for page in routes
    }

    async def asset(request: Request) -> Response:
        try:
            return asset_response(request, request.path_params["hash"], request.path_params["name"])
        except NotFound as error:
            return Response(error.message, 404, media_type="text/plain")

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        page = PageRoute("GET", scope["path"], None, Response, None)
        error = NotFound(f"There is no page {scope['path'][:200]!r}.")
        response = await anyio.to_thread.run_sync(_error_page, error, request, services, page, navigation)
        await response(scope, receive, send)

    router = Router(
        [Route(f"{ASSETS_PATH}/{{hash}}/{{name:path}}", asset), *route_of.values()],
        redirect_slashes=False,
        default=nothing,
    )

    async def answer_errors(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await router(scope, receive, send)
        except HTTPException as error:  # the page takes another method
            request = Request(scope, receive, send)
            page = PageRoute("GET", scope["path"], None, Response, None)
            response = await anyio.to_thread.run_sync(_error_page, error, request, services, page, navigation)
            await response(scope, receive, send)

    return _WithHeaders(GZipMiddleware(answer_errors, minimum_size=_SMALLEST_ZIPPED))


def _navigation() -> Iterator[tuple[Link, PageRoute]]:
    for pages in all_pages():
        for route in pages.routes:
            if pages.link and route.path == pages.link.path and route.method == "GET":
                yield pages.link, route


def _to_sign_in(request: Request) -> Response:
    """Send the browser to the sign-in, and from there to the page that was requested."""
    if "hx-request" in request.headers or request.headers.get("sec-fetch-mode") in ("cors", "same-origin"):
        # a script asked: it gets no page of another address, but the message to load its page again
        return Response(
            "Your session has ended. Load the page again.",
            403,
            {"HX-Refresh": "true", "Cache-Control": NO_STORE},
            "text/plain",
        )
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = path if request.method in ("GET", "HEAD") else session.HOME
    return RedirectResponse(f"{SIGN_IN}?{urlencode({'next': wanted})}", 303, {"Cache-Control": NO_STORE})


def _error_page(
    error: Exception,
    request: Request,
    services: Services,
    page: PageRoute,
    navigation: tuple[tuple[Link, PageRoute], ...],
) -> Response:
    """Return the page for an error; its status is that of the API, its text the message of the error."""
    plain = error_response(error, request.scope)  # also logs a fault
    status = plain.status_code
    headers = {name: plain.headers[name] for name in ("Retry-After", "Content-Range", "Allow") if name in plain.headers}
    if isinstance(error, WhohasError):
        text = error.message
    elif isinstance(error, HTTPException):
        text = error.detail
    else:
        text = _UNAVAILABLE if status == 503 else _INTERNAL.format(request.state.tracking_id)
    try:
        found = session.find_session(request, services)
    except Exception:  # the database may be what fails
        found = None
    view = View(request, services, found, FormData(), page, navigation)
    response = view.page("error.html", status, title=_TITLES.get(status, "Something went wrong"), text=text)
    response.headers.update(headers)
    return response


class _WithHeaders:
    """Adds the headers of the console to each response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, with_headers)
