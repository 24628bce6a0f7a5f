"""Signing in and out.

A user signs in by the authorization code flow of OAuth 2 with PKCE, as at any other program: at the page of this server
(`whohas.api.routes.sign_in`), whose code is redeemed here without a request.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from urllib.parse import quote, unquote, urlencode

from starlette.responses import RedirectResponse, Response

from whohas import timeouts
from whohas.api.actors import remember_claim
from whohas.api.routes.sign_in import CONSOLE_REDIRECT
from whohas.auth import CONSOLE_CLIENT_ID, SCOPE_ALL, session_caller
from whohas.console import session
from whohas.console.view import Pages, View
from whohas.errors import Forbidden, Unauthorized

PAGES = Pages()

CLIENT_NAME = "The web console"
PENDING_COOKIE = "whohas-sign-in-pending"
"""The state and the verifier of a sign-in, and the page that follows it."""

_PENDING = re.compile(r"([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{64})\.(.{0,2000})")
_START_OVER = "Start again from the console's start page."


@PAGES.get("/sign-in", needs=None)
def begin_sign_in(view: View) -> Response:
    """Send the browser to the page where the user signs in."""
    following = session.local_path(view.query.get("next", ""))
    if view.session is not None:
        return view.redirect(following)
    client = view.services.access.clients.get_or_create(CONSOLE_CLIENT_ID, CLIENT_NAME)
    if client.revoked is not None:
        raise Forbidden("Nobody can sign in to the console: its client was revoked (`whohas client list`).")
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": CONSOLE_REDIRECT,
        "scope": SCOPE_ALL,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    response = view.redirect(f"/oauth/authorize?{urlencode(asked)}")
    pending = f"{state}.{verifier}.{quote(following, safe='')}"
    session.set_cookie(view.request, response, PENDING_COOKIE, pending, int(timeouts.CONSOLE_SIGN_IN_SECONDS))
    return response


@PAGES.get("/signed-in", needs=None)
def end_sign_in(view: View) -> Response:
    """Redeem the code of a sign-in, start a session, and send the browser to the page that it asked for first."""
    cookie = view.request.cookies.get(session.cookie_name(view.request, PENDING_COOKIE), "")
    pending = _PENDING.fullmatch(cookie)
    if pending is None or not hmac.compare_digest(pending[1].encode(), view.query.get("state", "").encode()):
        raise Forbidden(f"This sign-in was not begun in this browser, or too long ago. {_START_OVER}")
    if "error" in view.query:
        raise Forbidden(f"The sign-in was refused: {view.query['error'][:200]}. {_START_OVER}")
    access = view.services.access
    try:
        grant = access.codes.redeem(view.query.get("code", ""), CONSOLE_CLIENT_ID, CONSOLE_REDIRECT, pending[2])
    except Unauthorized as error:
        raise Forbidden(f"{error.message} {_START_OVER}") from None
    caller = session_caller(grant.user)
    remember_claim(view.request, caller.name)
    view.request.state.caller = caller
    id = access.sessions.start(caller, view.actor)
    response = view.redirect(session.local_path(unquote(pending[3])))
    session.set_cookie(view.request, response, session.SESSION_COOKIE, id)
    session.delete_cookie(view.request, response, PENDING_COOKIE)
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
    response: Response = RedirectResponse(session.HOME, 303, {"Cache-Control": "no-store"})
    session.delete_cookie(view.request, response, session.SESSION_COOKIE)
    return response
