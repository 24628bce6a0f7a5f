"""Keeps other sites from posting the sign-in form: they would sign a user in as somebody else, unnoticed.

A post must pass both of these:

- **The browser's own word.** `Sec-Fetch-Site` says where a post came from, and no page can change it; browsers send it
  to HTTPS and to this machine. Where it is missing, `Origin` must be this server. Programs that are no browser send
  neither.
- **A signed token**, bound to a cookie and to the very request of the page (client, address, state, challenge): the
  signed double-submit cookie. Another site can neither read the page nor set the cookie, and a token of another
  browser or request is worth nothing. No state is kept, so that any server can answer for a page of another.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from whohas import addresses
from whohas.errors import Forbidden

FIELD = "form_token"
"""The hidden field of the form."""

_NONCE = re.compile(r"[A-Za-z0-9_-]{43}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_START_OVER = "Go back to the program that you came from, and sign in from there again."


class FormTokens:
    """The tokens of one installation.

    Args:
        key: secret, and the same for all its servers.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"sign-in form", sha256)

    def nonce(self, request: Request) -> str:
        """Return what the browser's cookie has, or a new one: several pages may be open in it."""
        found = request.cookies.get(_cookie(request), "")
        return found if _NONCE.fullmatch(found) else secrets.token_urlsafe(32)

    def token(self, nonce: str, fields: Mapping[str, str]) -> str:
        """Return the token of a page for a browser and a request."""
        message = json.dumps([nonce, sorted(fields.items())]).encode()
        return urlsafe_b64encode(hmac.digest(self._key, message, sha256)).rstrip(b"=").decode()

    def give(self, request: Request, response: Response, nonce: str) -> None:
        """Set the cookie that a page's token is bound to. It ends with the browser's session."""
        response.set_cookie(_cookie(request), nonce, path="/", secure=_secure(request), httponly=True, samesite="lax")

    def check(self, request: Request, fields: Mapping[str, str], token: str) -> None:
        """Refuse a post that did not come from a page of this server in the same browser.

        Args:
            fields: of the request to sign in, without what the user entered.
            token: what came with them.

        Raises:
            Forbidden: it came from another site, or its token is missing or of another page.
        """
        if not _from_here(request):
            raise Forbidden(f"This form was sent by another site than this one, so nobody was signed in. {_START_OVER}")
        nonce = request.cookies.get(_cookie(request), "")
        if not _NONCE.fullmatch(nonce):
            raise Forbidden(
                "Your browser did not send the cookie of this page, so nobody was signed in. Allow cookies of this "
                f"server. {_START_OVER}"
            )
        if not hmac.compare_digest(self.token(nonce, fields).encode(), token.encode("utf-8", "replace")):
            raise Forbidden(f"This form is not the one that you were given, so nobody was signed in. {_START_OVER}")


def _from_here(request: Request) -> bool:
    sites, origins = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
    if sites:
        # `none`: the user did it without a page. `Origin` is not compared then: a proxy may have changed the host
        return sites in (["same-origin"], ["none"])
    if not origins:
        return True
    origin = addresses.parsed(origins[0], services=True) if len(origins) == 1 else None
    here = addresses.parsed(f"{request.scope['scheme']}://{request.headers.get('host', '')}", services=True)
    if origin is None or here is None or origin.path or origin.query or origin.fragment:
        return False
    # a proxy may speak HTTPS for this server: what is left out is the default of the scheme that the browser uses
    default = _DEFAULT_PORTS[origin.scheme]
    return (origin.host, origin.port or default) == (here.host, here.port or default)


def _secure(request: Request) -> bool:
    return request.scope["scheme"] == "https"


def _cookie(request: Request) -> str:
    # browsers let nobody but this host set a cookie with that prefix, which needs HTTPS
    return "__Host-whohas-sign-in" if _secure(request) else "whohas-sign-in"
