"""Declaring a page: `Pages` collects the functions of one module, `View` is what such a function gets.

A module of `whohas.console.pages`::

    PAGES = Pages(Link("Runs", "/console/runs", order=30))

    @PAGES.get("/runs", needs="getTaskStatusList")
    def show_runs(view: View) -> Response:
        return view.page("runs.html", runs=...)

    @PAGES.post("/runs/{id}/cancel", needs="cancelReport")
    def cancel_run(view: View, id: str) -> Response:
        view.services.runs.cancel(validate_run_id(id), view.caller, view.actor)
        return view.redirect(f"/console/runs/{id}", "The run was cancelled.")
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast
from urllib.parse import quote, unquote, urlencode

import anyio.to_thread
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from whohas import timeouts
from whohas.api.actors import request_actor
from whohas.api.csrf import TOKEN_FIELD
from whohas.audit import Actor, Event, write_event
from whohas.auth import CONSOLE_ACTIONS, ROUTES, Caller, Session, check_access
from whohas.console import rendering, session
from whohas.console.path_segments import decode_segment
from whohas.errors import Forbidden, InvalidArguments
from whohas.services import Services

NO_STORE = "no-store"
_FORM_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 2_000
_LONGEST_NOTICE = 1_000

PageFunction = Callable[..., Response | Awaitable[Response]]


class NotSignedIn(Exception):
    """A page that needs a user was requested without a session; the browser is sent to the sign-in."""


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the navigation.

    Attributes:
        text: its text.
        path: where it leads; it is marked as the current one on every page below this path.
        order: entries are sorted by this number.
        group: the heading of the group that it is in; empty for the first group.
    """

    text: str
    path: str
    order: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A method and path of the console.

    Attributes:
        method: GET or POST.
        path: the full path, such as `/console/runs/{id}`.
        needs: the name of the route of the API whose rights a caller needs (`ROUTES` or `CONSOLE_ACTIONS`); empty if
            any user may call it; None if it is public.
        function: the function that answers.
        link: the entry of the navigation under which the page is.
    """

    method: str
    path: str
    needs: str | None
    function: PageFunction
    link: Link | None


class Pages:
    """The routes of one module of `whohas.console.pages`.

    Args:
        link: the entry of the navigation; None for pages without one.
    """

    def __init__(self, link: Link | None = None) -> None:
        self.link = link
        self.routes: list[PageRoute] = []

    def get(self, path: str, *, needs: str | None) -> Callable[[PageFunction], PageFunction]:
        """Register a function for GET.

        It is called in a thread with the view and the parameters of the path; an `async` function on the event loop.

        Args:
            path: the path below `/console`, such as `/runs/{id}`; empty for the start page.
            needs: as in `PageRoute`.

        Raises:
            ValueError: `needs` names no route of the API with rights.
        """
        return self._register("GET", path, needs)

    def post(self, path: str, *, needs: str | None) -> Callable[[PageFunction], PageFunction]:
        """Register a function for POST; `get` describes the arguments. The token of the form was checked before."""
        return self._register("POST", path, needs)

    def _register(self, method: str, path: str, needs: str | None) -> Callable[[PageFunction], PageFunction]:
        if needs and ROUTES.get(needs) is None and needs not in CONSOLE_ACTIONS:
            raise ValueError(f"{needs!r} is not in the table of access (whohas.auth.permissions).")

        def register(function: PageFunction) -> PageFunction:
            self.routes.append(PageRoute(method, f"{session.HOME}{path}", needs, function, self.link))
            return function

        return register


@dataclass
class View:
    """A request to a page, with what the page needs to answer it.

    Attributes:
        request: the request.
        services: the services of the installation.
        session: the session of the user; None on a public page without one.
        form: the fields of a POST; empty for a GET.
        route: the route of the page.
        navigation: the entries of the navigation with the route that each leads to.
        looks: functions that write the audit events of looking at data; see `record_look`.
    """

    request: Request
    services: Services
    session: Session | None
    form: FormData
    route: PageRoute
    navigation: Sequence[tuple[Link, PageRoute]] = field(default=(), repr=False)
    looks: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]], repr=False)

    @property
    def caller(self) -> Caller:
        """The user.

        Raises:
            NotSignedIn: nobody is signed in.
        """
        if self.session is None:
            raise NotSignedIn
        return self.session.caller

    @property
    def actor(self) -> Actor:
        """The actor for the audit log."""
        return request_actor(self.request)

    @property
    def query(self) -> QueryParams:
        """The query of the address."""
        return self.request.query_params

    @cached_property
    def fields(self) -> Mapping[str, str]:
        """The texts of the form by name, the last one of each name, without surrounding spaces."""
        return {name: value.strip() for name, value in self.form.multi_items() if isinstance(value, str)}

    def texts(self, name: str) -> list[str]:
        """Return the texts of all fields of the form that have a name, such as those of checkboxes; none is empty."""
        return [value for value in self.form.getlist(name) if isinstance(value, str) and value]

    @property
    def is_partial(self) -> bool:
        """Whether htmx requests a part of a page, to put it into the page that is shown."""
        return "hx-request" in self.request.headers

    def may(self, route: str) -> bool:
        """Return whether the user may do what a route of the API does; see `whohas.auth.ROUTES`."""
        if self.session is None:
            return False
        try:
            check_access(self.session.caller, route)
        except Forbidden:
            return False
        return True

    def record_look(self, write: Callable[[], None]) -> None:
        """Have an audit event written that the user looks at data, before the page is sent.

        No event is written for a response without data: to HEAD, or an error.

        Args:
            write: writes the event. If it raises, the page is not sent.
        """
        self.looks.append(write)

    def write_event(self, event: Event) -> None:
        """Write an audit event in a separate transaction."""
        with self.services.database.begin() as connection:
            write_event(connection, event)

    def page(self, template: str, status: int = 200, **context: Any) -> Response:
        """Return the response with a page.

        Args:
            template: the name of the template, which extends `layout.html`.
            status: the status code.
            context: the variables of the template, in addition to `view`.
        """
        notice = self._notice() if status < 400 else ""
        response = Response(
            rendering.render(template, view=self, notice=notice, **context), status, media_type="text/html"
        )
        response.headers["Cache-Control"] = NO_STORE
        if notice:
            session.delete_cookie(self.request, response, session.NOTICE_COOKIE)
        return response

    def part(self, template: str, **context: Any) -> Response:
        """Return the response with a part of a page, for htmx; the arguments are those of `page`."""
        return Response(
            rendering.render(template, view=self, **context),
            media_type="text/html",
            headers={"Cache-Control": NO_STORE},
        )

    def redirect(self, path: str, notice: str = "") -> Response:
        """Return the redirect to a page after a POST.

        Args:
            path: the path, such as `/console/runs`.
            notice: a message that the page shows, such as "The run was cancelled."; empty for none.
        """
        response = RedirectResponse(path, 303, {"Cache-Control": NO_STORE})
        if notice:
            text = quote(notice[:_LONGEST_NOTICE])
            session.set_cookie(
                self.request, response, session.NOTICE_COOKIE, text, int(timeouts.CONSOLE_NOTICE_SECONDS)
            )
        return response

    def address(self, **changed: object) -> str:
        """Return the address of this page with changed parameters of its query; None removes a parameter.

        For example `view.address(page=2)` for a link to the second page that keeps the filter.
        """
        kept = [(name, value) for name, value in self.query.multi_items() if name not in changed]
        added = [(name, str(value)) for name, value in changed.items() if value is not None]
        query = urlencode([*kept, *added])
        return f"{self.request.url.path}?{query}" if query else self.request.url.path

    @property
    def links(self) -> list[tuple[str, list[tuple[Link, bool]]]]:
        """The navigation: groups of entries that the user may open, each with whether the page is under it."""
        groups: dict[str, list[tuple[Link, bool]]] = {}
        for link, route in self.navigation:
            if self.session is not None and (not route.needs or self.may(route.needs)):
                groups.setdefault(link.group, []).append((link, link == self.route.link))
        return list(groups.items())

    @cached_property
    def form_token(self) -> str:
        """The token that each form of the page must send; the macro `token` writes it."""
        return session.form_token(self.services, session.session_id(self.request))

    def _notice(self) -> str:
        return unquote(self.request.cookies.get(session.cookie_name(self.request, session.NOTICE_COOKIE), ""))


async def answer(
    route: PageRoute, request: Request, services: Services, navigation: Sequence[tuple[Link, PageRoute]]
) -> Response:
    """Return the response of a page, after the checks of the session, of the user's rights and of the form's token.

    Args:
        route: the route that matches the request.
        request: the request.
        services: the services of the installation.
        navigation: the entries of the navigation.

    Raises:
        NotSignedIn: the page needs a user, and there is no session.
        Forbidden: the user lacks a right, or the form is not one of this session.
        InvalidArguments: the form cannot be read.
    """
    form = await _form(request) if request.method == "POST" else FormData()

    def begin() -> View:
        if request.method in ("GET", "HEAD"):
            _refuse_embedded(request)
        found = session.find_session(request, services)
        view = View(request, services, found, form, route, navigation)
        if found is not None:
            request.state.caller = found.caller
        if route.needs is not None:
            check = view.caller  # raises NotSignedIn
            if route.needs:
                check_access(check, route.needs)
            if request.method == "POST":
                session.check_form(request, services, session.session_id(request), str(form.get(TOKEN_FIELD, "")))
        return view

    parameters = {name: decode_segment(value) for name, value in request.path_params.items()}
    if inspect.iscoroutinefunction(route.function):
        view = await anyio.to_thread.run_sync(begin)
        response = await cast("Awaitable[Response]", route.function(view, **parameters))
        if view.looks:
            await anyio.to_thread.run_sync(_record_looks, view, response)
        return response

    def call() -> Response:
        view = begin()
        response = cast("Response", route.function(view, **parameters))
        _record_looks(view, response)
        return response

    return await anyio.to_thread.run_sync(call)


def _record_looks(view: View, response: Response) -> None:
    if view.request.method != "HEAD" and response.status_code < 400:
        for write in view.looks:
            write()


def _refuse_embedded(request: Request) -> None:
    """Refuse a request that a page of another origin makes by itself, such as for an image.

    Reading is an act too: it costs time, and looking at rows or searching is an audit event in the user's name. A link
    that the user follows to the console is accepted.

    Raises:
        Forbidden: the browser says that another origin requests it, and not to show it as a page.
    """
    site, mode = request.headers.get("sec-fetch-site", "none"), request.headers.get("sec-fetch-mode", "navigate")
    if site not in ("none", "same-origin") and mode != "navigate":
        raise Forbidden("A page of another server requested this. Open the console itself.")


async def _form(request: Request) -> FormData:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM_TYPE:
        raise InvalidArguments(f"The body is no form of a page. Send {_FORM_TYPE}.")
    form = await request.form(max_fields=_MAX_FIELDS, max_files=0)
    for name, value in form.multi_items():
        if isinstance(value, str) and ("\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value)):
            raise InvalidArguments(f"The field {name[:60]!r} has characters that cannot be stored. Leave them out.")
    return form
