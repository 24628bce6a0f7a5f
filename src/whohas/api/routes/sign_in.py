"""The sign-in page `/oauth/authorize`: the authorization code flow of OAuth 2 with PKCE (RFC 6749, 4.1; RFC 7636).

A registered application (`whohas client create NAME --redirect URL`) sends the user's browser here with an
authorization request. The user signs in on the page, and the browser is redirected to the application with a code. If
the client or its redirect address is not registered, the browser is never redirected; an error page is shown.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from whohas.addresses import HttpUrl
from whohas.api import csrf
from whohas.api.actors import remember_claim
from whohas.api.csrf import CsrfTokens
from whohas.api.dependencies import services_of
from whohas.api.errors import remember_denial_reason
from whohas.api.routes.oauth import TokenFields, client_address, token_scopes
from whohas.auth import CONSOLE_CLIENT_ID, ApiClient
from whohas.auth.codes import CHALLENGE_PATTERN
from whohas.errors import Forbidden, InvalidArguments, NotFound, QuotaExceeded, Unauthorized
from whohas.services import Services

STYLE = (
    ":root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1d232b;--soft:#5a6472;--line:#767f8c;"
    "--bad:#a3120c}@media (prefers-color-scheme:dark){:root{--page:#12161c;--card:#1a2029;--ink:#e3e8ef;--soft:#a2adbb;"
    "--line:#7d899a;--bad:#ff9f97}}"
    "body{font:15px/1.5 system-ui,sans-serif;margin:0;display:grid;place-items:center;min-height:100vh;"
    "background:var(--page);color:var(--ink)}main{box-sizing:border-box;background:var(--card);padding:2rem;"
    "border-radius:.6rem;width:min(23rem,100vw - 2rem);box-shadow:0 1px 4px #0003}h1{font-size:1.3rem;margin:0 0 .5rem}"
    "p{margin:0 0 1rem;color:var(--soft)}label{display:block;margin:.75rem 0 .25rem;font-weight:550}"
    "input{box-sizing:border-box;width:100%;padding:.5rem .7rem;font:inherit;border:1px solid var(--line);"
    "border-radius:.4rem;background:var(--card);color:inherit}button{margin-top:1.5rem;width:100%;padding:.6rem;"
    "font:inherit;font-weight:550;border:0;border-radius:.4rem;background:#0b57a4;color:#fff}"
    ":focus-visible{outline:2px solid #4b93dd;outline-offset:2px}p[role=alert]{color:var(--bad)}"
)
PAGE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign in to whohas</title>
<style>{{ style | safe }}</style>
<main>
<h1>Sign in to whohas</h1>
{% if message %}<p role="alert">{{ message }}</p>{% endif %}
{% if fields is not none %}
<p>{{ client }} asks you to sign in.</p>
<form method="post" action="authorize">
{% for name, value in fields.items() %}<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}
<label for="user">Name</label>
<input id="user" name="user" autocomplete="username" autofocus required maxlength="200">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024">
<button>Sign in</button>
</form>
{% endif %}
</main>
</html>
"""
)
CONSOLE_REDIRECT = "/console/signed-in"
"""The `redirect_uri` of the web console."""

# the fields of an authorization request; the form repeats them as hidden fields
REQUEST_FIELDS = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
)
MAX_FIELD_LENGTH = 2_000
"""The maximum length of a field in characters; the `state` of most applications has a few dozen."""


@dataclass(frozen=True, slots=True)
class _AuthorizationRequest:
    """An authorization request whose client and redirect address are registered.

    Attributes:
        client: the application.
        redirect: the parsed `redirect_uri`; None for the web console, whose `redirect_uri` is a path of this server.
        fields: the fields of the request, those of `REQUEST_FIELDS` that it has.
    """

    client: ApiClient
    redirect: HttpUrl | None
    fields: Mapping[str, str]

    def redirect_back(self, **answer: str) -> Response:
        """Return the redirect to the application with these parameters and the `state` of the request."""
        state = {"state": self.fields["state"]} if "state" in self.fields else {}
        query = self.redirect.query if self.redirect else ""
        separator = "?" if not query else "" if query == "?" else "&"
        address = f"{self.fields['redirect_uri']}{separator}{urlencode([*answer.items(), *state.items()])}"
        return RedirectResponse(address, 303, {"Cache-Control": "no-store"})


router = APIRouter(tags=["Token"])


@router.get(
    "/oauth/authorize",
    name="authorize",
    summary="The page where a user signs in (authorization code with PKCE)",
    response_class=HTMLResponse,
)
def show_sign_in_page(request: Request) -> Response:
    """Show the form for name and password, if the authorization request is valid."""
    services = services_of(request)
    access = services.access
    try:
        asked = _asked(services, dict(request.query_params))
    except InvalidArguments as error:
        return _page(None, error.message, 400)
    return _refused(asked) or _form(request, CsrfTokens(access.secrets_key), asked)


@router.post("/oauth/authorize", name="signIn", include_in_schema=False)
def sign_in(request: Request, fields: TokenFields) -> Response:
    """Check name and password, and redirect the browser to the application with an authorization code.

    If they are wrong, the form is shown again with the error.
    """
    services = services_of(request)
    access = services.access
    try:
        asked = _asked(services, fields)
    except InvalidArguments as error:
        return _page(None, error.message, 400)
    refused = _refused(asked)
    if refused is not None:
        return refused
    tokens = CsrfTokens(access.secrets_key)
    name, address = fields.get("user", "").strip(), client_address(request)
    remember_claim(request, name)
    try:
        tokens.check(request, asked.fields, fields.get(csrf.TOKEN_FIELD, ""))
        access.login_throttle.check(name, address, person=True)
        person = access.users.sign_in(name, fields.get("password", ""))
    except QuotaExceeded as error:
        return _form(request, tokens, asked, error.message, 429, {"Retry-After": str(error.retry_after)})
    except Forbidden as error:
        remember_denial_reason(request.scope, error.message)
        return _page(None, error.message, 403)
    except Unauthorized as error:
        access.login_throttle.count_wrong_password(name, address)
        remember_denial_reason(request.scope, error.message)
        return _form(request, tokens, asked, error.message, 401)
    scopes = token_scopes(asked.client, fields.get("scope", ""))
    code = access.codes.issue(asked.client, person, fields["redirect_uri"], fields["code_challenge"], scopes)
    return asked.redirect_back(code=code)


def _form(
    request: Request,
    tokens: CsrfTokens,
    asked: _AuthorizationRequest,
    message: str = "",
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the page with the form and its CSRF token; the other arguments are those of `_page`."""
    nonce = tokens.nonce(request)
    response = _page(asked, message, status, headers, tokens.token(nonce, asked.fields))
    tokens.set_cookie(request, response, nonce)
    return response


def _asked(services: Services, fields: Mapping[str, str]) -> _AuthorizationRequest:
    client_id, redirect = fields.get("client_id", ""), fields.get("redirect_uri", "")
    try:
        client = services.access.clients.get(client_id)
    except NotFound:
        client = None
    is_off = client_id == CONSOLE_CLIENT_ID and not services.settings.console
    if client is None or client.revoked is not None or client.user is not None or is_off:
        raise InvalidArguments(
            "The program that sent you here is not known to this server. Ask an administrator to register it "
            "(`whohas client create`)."
        )
    # the console may be reached by many addresses, so its own is a path, which the browser completes
    is_console = client.id == CONSOLE_CLIENT_ID and redirect == CONSOLE_REDIRECT
    address = None if is_console else client.match_redirect(redirect)
    if address is None and not is_console:
        raise InvalidArguments(
            "The program that sent you here gave a redirect address that is not registered. Ask an "
            "administrator to register it (`whohas client create --redirect`)."
        )
    return _AuthorizationRequest(client, address, {name: fields[name] for name in REQUEST_FIELDS if name in fields})


def _refused(asked: _AuthorizationRequest) -> Response | None:
    """Return the error response to an authorization request with another fault, or None if it is valid.

    The error is sent to the application by a redirect (RFC 6749, 4.1.2.1); a request that is too long gets an error
    page.
    """
    fields = asked.fields
    if any(len(value) > MAX_FIELD_LENGTH for value in fields.values()):
        long = (
            f"The request of the program that sent you here has a field of more than {MAX_FIELD_LENGTH:,} characters."
        )
        return _page(None, f"{long} Ask the makers of the program to shorten it.", 400)
    if fields.get("response_type") != "code":
        return asked.redirect_back(error="unsupported_response_type")
    if fields.get("code_challenge_method") != "S256" or not CHALLENGE_PATTERN.fullmatch(
        fields.get("code_challenge", "")
    ):
        return asked.redirect_back(error="invalid_request", error_description="PKCE with S256 is needed")
    try:
        token_scopes(asked.client, fields.get("scope", ""))
    except Forbidden:
        return asked.redirect_back(error="invalid_scope")
    return None


def _page(
    asked: _AuthorizationRequest | None,
    message: str,
    status: int,
    headers: Mapping[str, str] | None = None,
    token: str = "",
) -> Response:
    """Return the page with the form, or without it if there is no request.

    Args:
        asked: the authorization request; None for an error page without a form.
        message: an error to show; empty for none.
        status: the status code.
        headers: additional headers.
        token: the CSRF token of the form.
    """
    fields = None if asked is None else {**asked.fields, csrf.TOKEN_FIELD: token}
    text = PAGE.render(style=STYLE, message=message, fields=fields, client=asked and asked.client.name)
    # the POST is answered by a redirect, to which some browsers apply the page's `form-action` as well
    redirect = f" {_source(asked.redirect)}" if asked and asked.redirect else ""
    style = b64encode(sha256(STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'{redirect}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    # with no-referrer, the default of this server, browsers would post the form with `Origin: null`
    referrer = {"Referrer-Policy": "same-origin"} if asked else {}
    page_headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store", **referrer}
    return HTMLResponse(text, status, {**(headers or {}), **page_headers})


def _source(address: HttpUrl) -> str:
    """Return the origin of an address as a source expression of a Content-Security-Policy.

    CSP has no syntax for IPv6 addresses; for these the scheme alone (`http:`) is allowed.
    """
    return f"{address.scheme}:" if ":" in address.host else address.origin
