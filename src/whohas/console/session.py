"""The session of a request: its cookie, the user, and the tokens of forms.

The cookie has the id of the session (`whohas.auth.sessions`). Scripts cannot read it, other sites cannot send it with a
POST, and over HTTPS only this host can set it (`__Host-`).
"""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from whohas.api.csrf import CsrfTokens, is_from_here, is_secure
from whohas.auth import Session
from whohas.errors import Forbidden, Unauthorized
from whohas.services import Services

SESSION_COOKIE = "whohas-session"
NOTICE_COOKIE = "whohas-notice"
"""A message for the next page, such as "Run cancelled."."""

HOME = "/console"

_FORM_REFUSED = "Nothing was changed. Go back, load the page again, and send the form again."


def cookie_name(request: Request, name: str) -> str:
    """Return the full name of a cookie: over HTTPS with the prefix `__Host-`, so that only this host can set it."""
    return f"__Host-{name}" if is_secure(request) else name


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int | None = None) -> None:
    """Set a cookie that scripts cannot read.

    Args:
        request: the request.
        response: the response.
        name: the name without prefix.
        value: the value.
        seconds: how long the browser keeps it; None until it is closed.
    """
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=seconds,
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )


def delete_cookie(request: Request, response: Response, name: str) -> None:
    """Delete a cookie; `name` is its name without prefix."""
    response.delete_cookie(
        cookie_name(request, name), path="/", secure=is_secure(request), httponly=True, samesite="lax"
    )


def session_id(request: Request) -> str:
    """Return the id of the session in the cookie; empty without a cookie."""
    return request.cookies.get(cookie_name(request, SESSION_COOKIE), "")


def find_session(request: Request, services: Services, *, active: bool = True) -> Session | None:
    """Return the session of a request; None if it has none or it has ended.

    Rights that came from an OpenID Connect provider are renewed if they are over.

    Args:
        request: the request.
        services: the services of the installation.
        active: whether the user is using the session, so that it does not become idle.

    Raises:
        Unavailable: the provider does not answer.
    """
    if not (id := session_id(request)):
        return None
    try:
        access = services.access
        session = access.sessions.find(id, active=active)
        if session.outside is None:
            return session
        # without the setting nobody can tell whether the rights still hold
        return access.outside_sign_in.renewed(access.sessions, id, session) if access.outside_sign_in else None
    except Unauthorized:
        return None


def form_token(services: Services, id: str) -> str:
    """Return a token for the forms of a page: a random text and its HMAC with the id of the session.

    It is another one for each page, so that the size of a compressed page does not reveal it.

    Args:
        services: the services of the installation.
        id: the id of the session.
    """
    nonce = secrets.token_urlsafe(16)
    return f"{nonce}.{CsrfTokens(services.access.secrets_key).token(nonce, {'session': id})}"


def check_form(request: Request, services: Services, id: str, token: str) -> None:
    """Raise unless a POST comes from a form that this server sent to the same session.

    Args:
        request: the POST.
        services: the services of the installation.
        id: the id of the session.
        token: the token of the form.

    Raises:
        Forbidden: the POST came from another site, or its token is not one of this session.
    """
    if not is_from_here(request):
        raise Forbidden(f"This form was sent by another site. {_FORM_REFUSED}")
    nonce, _, sent = token.partition(".")
    expected = CsrfTokens(services.access.secrets_key).token(nonce, {"session": id})
    if not secrets.compare_digest(expected.encode(), sent.encode("utf-8", "replace")):
        raise Forbidden(f"This form is not one of your session. {_FORM_REFUSED}")


def local_path(text: str) -> str:
    """Return a path of the console that a page may lead to; the start page for any other text.

    A path such as `//evil.example` would lead to another server.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return HOME
    inside = parts.path == HOME or parts.path.startswith(f"{HOME}/")
    return (
        text if inside and not parts.scheme and not parts.netloc and text.isprintable() and "\\" not in text else HOME
    )
