"""Users sign in to the console at an OpenID Connect provider, with the rights that it gives, as long as it does."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

import asking
from console import HTML, Console, add_user, texts
from issuers import AUDIENCE, OutsideIssuer, new_key, outside_issuer
from support import Server, serving
from whohas.auth.session_table import session_table
from whohas.errors import InvalidArguments
from whohas.services import open_services
from whohas.settings import Settings


@dataclass
class Provider:
    """A provider that knows one user; `groups` and `refused` may be changed."""

    issuer: OutsideIssuer
    groups: list[str] = field(default_factory=lambda: ["admins"])
    refused: bool = False
    lifetime: int = 300
    user: str | None = "olga"
    challenges: dict[str, str] = field(default_factory=dict[str, str])
    redirect: str = ""
    renewals: list[str] = field(default_factory=list[str])
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    def authorize(self, address: str) -> str:
        """What the provider's page does for a user who is known there: the address with the code."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert (asked["client_id"], asked["response_type"], asked["scope"]) == ("console", "code", "openid profile")
        assert asked["code_challenge_method"] == "S256"
        code, self.redirect = secrets.token_hex(8), asked["redirect_uri"]
        self.challenges[code] = asked["code_challenge"]
        return f"{self.redirect}?code={code}&state={asked['state']}"

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        self.asked.append(form)
        assert base64.b64decode(authorization.removeprefix("Basic ")) == b"console:s3cret%2F"
        if form["grant_type"] == "authorization_code":
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            right = self.challenges.pop(form["code"], None) == challenge and form["redirect_uri"] == self.redirect
        else:
            right = form["refresh_token"] in self.renewals
            if right:
                self.renewals.remove(form["refresh_token"])
        if not right or self.refused:
            return 400, {"error": "invalid_grant"}
        self.renewals.append(secrets.token_hex(8))
        claims = {"preferred_username": self.user, "groups": self.groups, "exp": int(time.time()) + self.lifetime}
        return 200, {"access_token": self.issuer.sign(**claims), "refresh_token": self.renewals[-1]}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with outside_issuer() as issuer:
        provider = Provider(issuer)
        issuer.token_endpoint = provider.token
        issuer.discovery = {
            "issuer": issuer.url,
            "jwks_uri": f"{issuer.url}/keys",
            "authorization_endpoint": f"{issuer.url}/authorize",
            "token_endpoint": f"{issuer.url}/token",
            "end_session_endpoint": f"{issuer.url}/logout",
        }
        yield provider


@pytest.fixture(scope="module")
def running(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {
        "WHOHAS_OIDC_ISSUER": provider.issuer.url,
        "WHOHAS_OIDC_AUDIENCE": AUDIENCE,
        "WHOHAS_OIDC_LEVELS": "admins=ORG_ADMIN,desk=HELPDESK",
        "WHOHAS_OIDC_CLIENT_ID": "console",
        "WHOHAS_OIDC_CLIENT_SECRET": "s3cret/",
    }
    with serving(tmp_path_factory.mktemp("provider") / "home", **settings) as server:
        yield server


@pytest.fixture
def http(running: Server, provider: Provider) -> Iterator[httpx2.Client]:
    provider.groups, provider.refused, provider.user, provider.lifetime = ["admins"], False, "olga", 300
    with asking.Client(base_url=running.url, headers=HTML) as http:
        yield http


def sign_in(http: httpx2.Client, provider: Provider, path: str = "/console") -> httpx2.Response:
    sent = http.get("/console/sign-in", params={"next": path})
    assert sent.headers["Location"].startswith(f"{provider.issuer.url}/authorize?")
    return http.get(provider.authorize(sent.headers["Location"]))


def end_rights(server: Server) -> None:
    """As if the lifetime of the token had passed."""
    with open_services(Settings(home=server.home)) as services, services.database.begin() as connection:
        connection.execute(session_table.update().values(rights_end=datetime.now(UTC)))


def test_user_of_the_provider_signs_in(running: Server, provider: Provider, http: httpx2.Client) -> None:
    back = sign_in(http, provider, "/console/runs")
    assert back.headers["Location"] == "/console/runs"
    page = http.get("/console").text
    assert "<summary>olga</summary>" in page and "ORG_ADMIN" in page
    assert provider.redirect == f"{running.url}/console/signed-in"


def test_no_token_of_the_provider_is_readable(running: Server, provider: Provider, http: httpx2.Client) -> None:
    sign_in(http, provider)
    with open_services(Settings(home=running.home)) as services, services.database.connect() as connection:
        rows = str(connection.execute(session_table.select()).all())
    assert provider.renewals and not any(token in rows for token in provider.renewals)
    assert all(token not in http.get("/console").text for token in provider.renewals)


def test_lower_rights_apply_when_they_are_renewed(running: Server, provider: Provider, http: httpx2.Client) -> None:
    sign_in(http, provider)
    assert http.get("/console/reports").status_code == 200
    provider.groups = ["desk"]
    end_rights(running)
    assert http.get("/console/reports").status_code == 403
    assert provider.asked[-1]["grant_type"] == "refresh_token"
    assert http.get("/console").status_code == 200, "the new refresh token is kept"
    end_rights(running)
    assert "HELPDESK" in http.get("/console").text


def test_user_disabled_at_the_provider_is_out(running: Server, provider: Provider, http: httpx2.Client) -> None:
    sign_in(http, provider)
    provider.refused = True
    end_rights(running)
    assert "Sign in" in texts(http.get("/console").text)


def test_sign_out_leads_to_that_of_the_provider(running: Server, provider: Provider, http: httpx2.Client) -> None:
    sign_in(http, provider)
    console = Console(http)
    page = console.follow(console.post("/sign-out"))
    assert f'href="{provider.issuer.url}/logout?client_id=console"' in page.text
    assert http.get("/console/runs").status_code == 303, "the session has ended"


def test_sign_out_of_an_own_user_leads_to_the_start(running: Server) -> None:
    add_user(running, "ann", "ORG_ADMIN")
    with asking.Client(base_url=running.url, headers=HTML) as http:
        console = Console(http)
        console.sign_in("ann", local=True)
        assert console.post("/sign-out").headers["Location"] == "/console"


def test_provider_that_is_down_is_named_at_the_sign_in(
    running: Server, provider: Provider, http: httpx2.Client
) -> None:
    provider.issuer.up = False
    try:
        refused = http.get("/console/sign-in")
    finally:
        provider.issuer.up = True
    assert refused.status_code == 503 and f"The discovery document of {provider.issuer.url}" in texts(refused.text)


def test_provider_that_is_down_keeps_nobody_in(running: Server, provider: Provider, http: httpx2.Client) -> None:
    sign_in(http, provider)
    end_rights(running)

    def down(form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        return 503, {}

    provider.issuer.token_endpoint = down
    try:
        assert http.get("/console/runs").status_code == 503
    finally:
        provider.issuer.token_endpoint = provider.token
    assert http.get("/console/runs").status_code == 200


@pytest.mark.parametrize("change", [{"code": "wrong"}, {"state": "wrong"}, {"error": "access_denied"}])
def test_wrong_answer_of_a_browser_signs_nobody_in(
    provider: Provider, http: httpx2.Client, change: dict[str, str]
) -> None:
    sent = http.get("/console/sign-in").headers["Location"]
    back = httpx2.URL(provider.authorize(sent))
    refused = http.get(back, params={**back.params, **change})
    assert refused.status_code == 403
    assert "whohas-session" not in http.cookies


def test_token_of_somebody_else_signs_nobody_in(provider: Provider, http: httpx2.Client) -> None:
    def forged(form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        return 200, {"access_token": provider.issuer.sign(new_key(), preferred_username="olga", groups=["admins"])}

    provider.issuer.token_endpoint = forged
    try:
        assert sign_in(http, provider).status_code == 403
    finally:
        provider.issuer.token_endpoint = provider.token
    provider.user = None  # a program
    refused = sign_in(http, provider)
    assert refused.status_code == 403 and "Only users can sign in" in refused.text


def test_own_users_sign_in_beside_the_provider(running: Server) -> None:
    add_user(running, "ann", "ORG_ADMIN")
    with asking.Client(base_url=running.url, headers=HTML) as http:
        assert http.get("/console/sign-in?local=1").headers["Location"].startswith("/oauth/authorize?")
        assert "<summary>ann</summary>" in Console(http).sign_in("ann", local=True).text


def test_client_id_needs_an_issuer(tmp_path: Path) -> None:
    from ready import ready

    ready(tmp_path / "home")
    settings = Settings(home=tmp_path / "home", oidc_client_id="console")
    with (
        pytest.raises(InvalidArguments, match="WHOHAS_OIDC_CLIENT_ID is set without an issuer"),
        open_services(settings),
    ):
        raise AssertionError("it was opened")
