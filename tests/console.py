"""A signed-in browser without a browser: an HTTP client with the cookies of the console, and the forms of its pages."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urljoin

import httpx2

import asking
from auditing import lines
from patience import until
from support import Server
from whohas.services import open_services
from whohas.settings import Settings

PASSWORD = "correct horse battery"
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def add_user(server: Server, name: str, *levels: str, sources: tuple[str, ...] = ()) -> None:
    """Create a user with `PASSWORD`, unless there is one of the name."""
    with open_services(Settings(home=server.home)) as services:
        if name not in {user.name for user in services.access.users.list()}:
            services.access.users.create(name, levels, sources, PASSWORD)


@contextmanager
def signed_in(server: Server, user: str = "ann") -> Iterator[Console]:
    """A client whose user has signed in to the console of a server."""
    with asking.Client(base_url=server.url, headers=HTML, follow_redirects=False) as http:
        console = Console(http)
        console.sign_in(user)
        yield console


class Console:
    """A client of the console; `http` has its cookies."""

    def __init__(self, http: httpx2.Client) -> None:
        self.http = http

    def sign_in(
        self, user: str, password: str = PASSWORD, following: str = "/console", *, local: bool = False
    ) -> httpx2.Response:
        """Sign in as a browser does, `local` where there is a provider too; the response to the last redirect."""
        asked = {"next": following, **({"local": "1"} if local else {})}
        page = self.follow(self.http.get("/console/sign-in", params=asked))
        assert page.status_code == 200, page.text
        sent = self.http.post("/oauth/authorize", data={**hidden_fields(page.text), "user": user, "password": password})
        return self.follow(sent)

    def follow(self, response: httpx2.Response) -> httpx2.Response:
        """Follow redirects to their end."""
        while response.status_code == 303:
            response = self.http.get(urljoin(str(response.url), response.headers["Location"]))
        return response

    def get(self, path: str, status: int = 200, **options: object) -> httpx2.Response:
        """GET a page."""
        response = self.http.get(f"/console{path}", **options)  # pyright: ignore[reportArgumentType]
        assert response.status_code == status, response.text
        return response

    def post(self, path: str, fields: Mapping[str, object] | None = None, status: int = 303) -> httpx2.Response:
        """POST a form with the token of a page."""
        token = hidden_fields(self.get("").text)["form_token"]
        data = {"form_token": token, **(fields or {})}
        response = self.http.post(f"/console{path}", data=data)  # pyright: ignore[reportArgumentType]
        assert response.status_code == status, response.text
        return response


def audited(server: Server, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The newest audit event that is wanted, once it is in the log of a server."""

    def found() -> dict[str, Any] | None:
        return next((event for event in reversed(lines(server.home / "audit.ndjson")) if wanted(event)), None)

    return until(found) or {}


def hidden_fields(page: str) -> dict[str, str]:
    """The hidden fields of the forms of a page, by name."""
    return {name: html.unescape(value) for name, value in re.findall(r'hidden" name="(\w+)" value="(.*?)">', page)}


def texts(page: str) -> str:
    """The text of a page without tags, and with single spaces."""
    return " ".join(html.unescape(re.sub(r"<(script|style).*?</\1>|<[^>]*>", " ", page, flags=re.DOTALL)).split())
