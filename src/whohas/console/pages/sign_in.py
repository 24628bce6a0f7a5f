"""Signing in and out.

A user signs in by the authorization code flow of OAuth 2 with PKCE, as at any other program: at the page of this server
(`whohas.api.routes.sign_in`), whose code is redeemed here without a request, or at the OpenID Connect provider, if the
console is registered there (`oidc_client_id`). `/console/sign-in?local=1` leads to the page of this server in any case.

A browser may have begun several sign-ins, one in each of its tabs: each has its own cookie. The second one that ends
keeps the session of the first if both are of the same user, so that the pages of the first tab still work.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import quote, unquote, urlencode

from starlette.responses import Response

from whohas import timeouts
from whohas.api.actors import remember_claim
from whohas.api.routes.oauth import base_url
from whohas.api.routes.sign_in import CONSOLE_REDIRECT
from whohas.auth import CONSOLE_CLIENT_ID, SCOPE_ALL, session_caller
from whohas.console import session
from whohas.console.view import Pages, View
from whohas.errors import Forbidden, Unauthorized, Unavailable

PAGES = Pages()

CLIENT_NAME = "The web console"
PENDING_COOKIE = "whohas-sign-in-pending-"
"""The state and the verifier of a sign-in, and the page that follows it; the name ends with the begin of the state."""
MAX_PENDING = 5
"""The most sign-ins that a browser has cookies of; the request that would be one more deletes the cookies of others."""

SIGNED_OUT = "/console/signed-out"

_PENDING = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{64})\.(local|outside)\.(.{0,2000})")
_MAX_PATH_LENGTH = 2_000
_STATE_IN_NAME = 12
_START_OVER = "Start again from the console's start page."


@PAGES.get("/sign-in", needs=None)
def begin_sign_in(view: View) -> Response:
    """Send the browser to the page where the user signs in."""
    following = session.local_path(view.query.get("next", ""))
    if len(quote(following, safe="")) > _MAX_PATH_LENGTH:
        following = session.HOME  # a cookie could not hold it
    if view.session is not None:
        return view.redirect(following)
    access = view.services.access
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    outside = None if view.query.get("local") else access.outside_sign_in
    if outside is not None:
        address = outside.authorization_address(_redirect_address(view), state, challenge)
    else:
        address = _own_page(view, state, challenge)
    response = view.redirect(address)
    pending = f"{state}.{verifier}.{'outside' if outside else 'local'}.{quote(following, safe='')}"
    others = _pending_cookies(view)
    for name in others[: max(0, len(others) + 1 - MAX_PENDING)]:
        session.delete_cookie(view.request, response, name)
    seconds = int(timeouts.CONSOLE_SIGN_IN_SECONDS)
    session.set_cookie(view.request, response, _pending_cookie(state), pending, seconds)
    return response


def _pending_cookie(state: str) -> str:
    """Return the name of the cookie of a sign-in, without prefix."""
    return f"{PENDING_COOKIE}{state[:_STATE_IN_NAME]}"


def _pending_cookies(view: View) -> list[str]:
    """Return the names of the cookies of sign-ins that the browser has begun, without prefix."""
    start = session.cookie_name(view.request, PENDING_COOKIE)
    return [f"{PENDING_COOKIE}{name[len(start) :]}" for name in view.request.cookies if name.startswith(start)]


def _own_page(view: View, state: str, challenge: str) -> str:
    client = view.services.access.clients.get_or_create(CONSOLE_CLIENT_ID, CLIENT_NAME)
    if client.revoked is not None:
        raise Forbidden("Nobody can sign in to the console: its client was revoked (`whohas client list`).")
    asked = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": CONSOLE_REDIRECT,
        "scope": SCOPE_ALL,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    return f"/oauth/authorize?{urlencode(asked)}"


def _redirect_address(view: View) -> str:
    """Return the address that the provider sends the browser back to; it must be registered there."""
    return f"{base_url(view.request)}{CONSOLE_REDIRECT}"


@PAGES.get("/signed-in", needs=None)
def end_sign_in(view: View) -> Response:
    """Redeem the code of a sign-in, start a session, and send the browser to the page that it asked for first."""
    state = view.query.get("state", "")
    cookie = view.request.cookies.get(session.cookie_name(view.request, _pending_cookie(state)), "")
    pending = _PENDING.fullmatch(cookie)
    if pending is None or not hmac.compare_digest(pending[1].encode(), state.encode("utf-8", "replace")):
        if view.session is not None:  # the address of a sign-in that ended was opened again
            return view.redirect(session.HOME)
        raise Forbidden(f"This sign-in was not begun in this browser, or too long ago. {_START_OVER}")
    if "error" in view.query:
        raise Forbidden(f"The sign-in was refused: {view.query['error'][:200]}. {_START_OVER}")
    access = view.services.access
    code, outside = view.query.get("code", ""), None
    try:
        if pending[3] == "outside" and access.outside_sign_in is not None:
            outside = access.outside_sign_in.redeem(code, _redirect_address(view), pending[2])
            caller = outside.caller
        else:
            caller = session_caller(access.codes.redeem(code, CONSOLE_CLIENT_ID, CONSOLE_REDIRECT, pending[2]).user)
    except Unauthorized as error:
        raise Forbidden(f"{error.message} {_START_OVER}") from None
    remember_claim(view.request, caller.name)
    view.request.state.caller = caller
    response = view.redirect(session.local_path(unquote(pending[4])))
    before = view.session
    if before is None or before.caller.id != caller.id:
        id = access.sessions.start(caller, view.actor, outside)
        session.set_cookie(view.request, response, session.SESSION_COOKIE, id)
        if before is not None:  # of another user: no browser has its cookie any more
            access.sessions.end(before, view.actor)
    elif outside is not None:
        access.sessions.renew(before, outside)
    session.delete_cookie(view.request, response, _pending_cookie(state))
    return response


@PAGES.post("/sign-out", needs="")
def sign_out(view: View) -> Response:
    """End this session, or all sessions of the user if the form says `everywhere`."""
    assert view.session is not None, "the page needs a user"
    sessions = view.services.access.sessions
    if view.fields.get("everywhere"):
        sessions.end_all(view.caller, view.actor)
    else:
        sessions.end(view.session, view.actor)
    # not to the provider at once: browsers follow redirects of a form only to where its policy allows forms to be sent
    response = view.redirect(session.HOME if view.session.outside is None else SIGNED_OUT)
    session.delete_cookie(view.request, response, session.SESSION_COOKIE)
    return response


@PAGES.get("/signed-out", needs=None)
def show_signed_out(view: View) -> Response:
    """Show that the session has ended, and the way to sign out of the OpenID Connect provider too."""
    outside = view.services.access.outside_sign_in
    if view.session is not None or outside is None:
        return view.redirect(session.HOME)
    try:
        address = outside.sign_out_address()
    except Unavailable:
        address = None
    return view.page("signed_out.html", provider=outside.issuer, address=address)
