"""CSRF protection of the sign-in form. Without it another site could sign a user in as somebody else, unnoticed.

A POST must pass both checks:

- **Fetch metadata.** The header `Sec-Fetch-Site` says which site a POST came from, and no page can change it; browsers
  send it over HTTPS and to the local machine. If it is missing, the header `Origin`, if sent, must be this server.
  Programs that are not browsers send neither.
- **A signed double-submit cookie.** The page has a hidden token: the HMAC of a random cookie and the fields of the
  request to sign in (client, redirect address, state, challenge). Another site can neither read the page nor set the
  cookie, and a token of another browser or request does not match. No state is stored, so that any server of the
  installation can check the page of another.
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

TOKEN_FIELD = "form_token"  # noqa: S105 - a name, no secret
"""The name of the hidden form field with the token."""

_NONCE = re.compile(r"[A-Za-z0-9_-]{43}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_START_OVER = "Go back to the program that you came from, and sign in from there again."


class CsrfTokens:
    """Creates and checks the CSRF tokens of one installation.

    Args:
        key: a secret that all servers of the installation share; the HMAC key is derived from it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"sign-in form", sha256)

    def nonce(self, request: Request) -> str:
        """Return the nonce in the browser's cookie; if it is missing or malformed, a new one.

        A nonce is 32 random bytes as 43 characters. Call `set_cookie` with it: the cookie is reused because the browser
        may have several sign-in pages open.
        """
        nonce = request.cookies.get(_cookie(request), "")
        return nonce if _NONCE.fullmatch(nonce) else secrets.token_urlsafe(32)

    def token(self, nonce: str, fields: Mapping[str, str]) -> str:
        """Return the token of a page.

        Args:
            nonce: the nonce in the browser's cookie.
            fields: the fields of the request to sign in.
        """
        message = json.dumps([nonce, sorted(fields.items())]).encode()
        return urlsafe_b64encode(hmac.digest(self._key, message, sha256)).rstrip(b"=").decode()

    def set_cookie(self, request: Request, response: Response, nonce: str) -> None:
        """Set the cookie with the nonce on a response. The browser deletes it at the end of its session."""
        response.set_cookie(_cookie(request), nonce, path="/", secure=is_secure(request), httponly=True, samesite="lax")

    def check(self, request: Request, fields: Mapping[str, str], token: str) -> None:
        """Raise unless a POST comes from a sign-in page that this server sent to the same browser.

        Args:
            request: the POST.
            fields: the fields of the request to sign in, without name and password.
            token: the token that was posted; empty if it was not.

        Raises:
            Forbidden: the POST came from another site, the cookie is missing, or the token does not match.
        """
        if not is_from_here(request):
            raise Forbidden(f"This form was sent by another site than this one, so nobody was signed in. {_START_OVER}")
        nonce = request.cookies.get(_cookie(request), "")
        if not _NONCE.fullmatch(nonce):
            raise Forbidden(
                "Your browser did not send the cookie of this page, so nobody was signed in. Allow cookies of this "
                f"server. {_START_OVER}"
            )
        if not hmac.compare_digest(self.token(nonce, fields).encode(), token.encode("utf-8", "replace")):
            raise Forbidden(f"This form is not the one that you were given, so nobody was signed in. {_START_OVER}")


def is_from_here(request: Request) -> bool:
    """Return whether a POST was sent by a page of this server, by its fetch metadata or else its origin."""
    sites, origins = request.headers.getlist("sec-fetch-site"), request.headers.getlist("origin")
    if sites:
        # `none`: the user, not a page, sent it. `Origin` is not compared here: behind a proxy the host may differ
        return sites in (["same-origin"], ["none"])
    if not origins:
        return True
    origin = addresses.try_parse(origins[0], services=True) if len(origins) == 1 else None
    here = addresses.try_parse(f"{request.scope['scheme']}://{request.headers.get('host', '')}", services=True)
    if origin is None or here is None or origin.path or origin.query or origin.fragment:
        return False
    # compare hosts and ports, not schemes: with a TLS proxy the browser sends `Origin: https://r.example`, and this
    # server sees `http` and `Host: r.example`; both ports are then the default of the browser's scheme, 443
    default = _DEFAULT_PORTS[origin.scheme]
    return (origin.host, origin.port or default) == (here.host, here.port or default)


def is_secure(request: Request) -> bool:
    """Return whether a request came over HTTPS, so that cookies can be restricted to it."""
    return request.scope["scheme"] == "https"


def _cookie(request: Request) -> str:
    # browsers accept the prefix __Host- only over HTTPS, from this host itself and not from its sibling domains
    return "__Host-whohas-sign-in" if is_secure(request) else "whohas-sign-in"
