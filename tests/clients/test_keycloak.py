"""Keycloak as the OpenID Connect provider, set up by the commands of docs/how-to/sign-in.md."""

from __future__ import annotations

import base64
import html
import json
import re
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx2
import pytest

import asking
from browsing import run_script
from console import HTML, Console, add_user, texts
from keycloak import PASSWORD, REALM, Keycloak, keycloak
from patience import PATIENCE_SECONDS, until
from ports import free_ports
from support import ROOT, Server, result_when_over, serving

SCRIPT = Path(__file__).parent / "scripts" / "keycloak.mjs"
SECTION = (ROOT / "docs" / "how-to" / "sign-in.md").read_text().partition("\n## Keycloak\n")[2].partition("\n## ")[0]
AD = "b0d6d48dbf02c2317764b880d82f079c"
"""The id of Active Directory, the source of the group `ad-team`."""
LEDGER = "7c8377bb1b7dc98a3bdf0eede5d2041f"
USERS = {"olga": ["identity-team"], "rita": ["auditors"], "sam": ["ad-team"], "nobody": []}
"""The groups of each user."""
FOR_USERS = {"defaultClientScopes": ["basic", "profile", "whohas"], "directAccessGrantsEnabled": True}
"""What a client has that gets tokens for users and for whohas."""
ARGUMENTS = {"reportType": "ACCOUNTS", "arguments": {"application": AD, "selectedFormats": ["CSV"]}}

pytestmark = [pytest.mark.client, pytest.mark.xdist_group("keycloak")]


def documented(language: str) -> list[str]:
    """The blocks of the documentation in a language."""
    return [textwrap.dedent(one) for one in re.findall(rf"^ *```{language}\n(.*?)^ *```", SECTION, re.M | re.S)]


class Installation:
    """The documentation with the addresses of this machine in the place of the examples."""

    def __init__(self, provider: Keycloak, url: str) -> None:
        self.provider = provider
        self._addresses = {"https://login.acme.example": provider.url, "https://reports.acme.example": url}

    def told(self, text: str) -> str:
        for example, address in self._addresses.items():
            text = text.replace(example, address)
        return text

    def run(self, command: str, **variables: str) -> str:
        """Run a documented command, and return what it prints."""
        told = {**self.provider.environment, **variables}
        script = ["bash", "-euo", "pipefail", "-c", self.told(command)]
        done = subprocess.run(script, env=told, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    with keycloak(tmp_path_factory.mktemp("keycloak") / "keycloak") as running:
        running.add_group("auditors")
        running.add_group("identity-team")
        running.add_group("ad-team", sources=[AD])
        for name, groups in USERS.items():
            running.add_user(name, groups)
        yield running


@pytest.fixture(scope="module")
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def installation(provider: Keycloak, port: int) -> Installation:
    return Installation(provider, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def secrets(installation: Installation, provider: Keycloak) -> dict[str, str]:
    """The secrets of the documented clients, after the documented commands; and clients for the tests."""
    sign_in, scope, console, program, _ = documented("sh")
    installation.run(sign_in)
    installation.run(scope)
    secrets = {"whohas-console": installation.run(console), "nightly-export": installation.run(program)}
    # so that the rights of a session end within a test
    attributes = {**provider.find("clients", "whohas-console")["attributes"], "access.token.lifespan": "3"}
    provider.change("clients", "whohas-console", attributes=attributes)
    provider.add_client("terminal", **FOR_USERS)
    provider.add_client("elsewhere", defaultClientScopes=["basic", "profile"], directAccessGrantsEnabled=True)
    provider.add_client("brief", attributes={"access.token.lifespan": "1"}, **FOR_USERS)
    provider.add_client("curves", attributes={"access.token.signed.response.alg": "ES256"}, **FOR_USERS)
    provider.add_client("weak", attributes={"access.token.signed.response.alg": "PS256"}, **FOR_USERS)
    return secrets


@pytest.fixture(scope="module")
def expired(provider: Keycloak, secrets: dict[str, str]) -> str:
    """A token that was issued for a second."""
    return user_token(provider, "olga", "brief")


@pytest.fixture(scope="module")
def running(
    installation: Installation, secrets: dict[str, str], expired: str, port: int, acme_copy: Path
) -> Iterator[Server]:
    (settings,) = documented("toml")
    settings = installation.told(settings).replace("the secret that step 3 printed", secrets["whohas-console"])
    (acme_copy / "whohas.toml").write_text(settings)
    with serving(acme_copy, port) as server:
        yield server


@pytest.fixture(scope="module")
def acme_copy(acme_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import shutil

    return shutil.copytree(acme_home, tmp_path_factory.mktemp("whohas") / "home")


@pytest.fixture
def bearer(running: Server) -> Iterator[Callable[[str], httpx2.Client]]:
    """Makes an HTTP client of the API with a token of Keycloak."""
    clients: list[httpx2.Client] = []

    def client(token: str) -> httpx2.Client:
        headers = {"Authorization": f"Bearer {token}"}
        clients.append(asking.Client(base_url=f"{running.url}/v2025", headers=headers))
        return clients[-1]

    yield client
    for one in clients:
        one.close()


def user_token(provider: Keycloak, user: str, client: str = "terminal") -> str:
    return provider.token(grant_type="password", client_id=client, username=user, password=PASSWORD)


@contextmanager
def signed_in(running: Server, user: str) -> Iterator[Console]:
    """A client of the console whose user has signed in at Keycloak."""
    # Keycloak's cookies are `Secure`, which browsers send to the loopback address over HTTP too
    cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
    with asking.Client(base_url=running.url, headers=HTML, follow_redirects=True, cookies=cookies) as http:
        page = http.get("/console/sign-in")
        (action,) = re.findall(r'<form id="kc-form-login".*?action="(.*?)"', page.text, re.DOTALL)
        page = http.post(html.unescape(action), data={"username": user, "password": PASSWORD})
        assert (page.status_code, page.url.path) == (200, "/console"), texts(page.text)
        yield Console(http)


def detail(response: httpx2.Response) -> str:
    """What a refusal of the API says."""
    return response.json()["error"]


def test_user_signs_in_and_out_in_a_browser(running: Server, provider: Keycloak) -> None:
    run_script(SCRIPT, running.url, KEYCLOAK=provider.url, USER="olga", PASSWORD=PASSWORD)


@pytest.mark.parametrize(
    ("user", "pages"),
    [
        ("olga", {"/reports": 200, "/users": 200, "/audit": 200}),
        ("rita", {"/reports": 200, "/users": 403, "/audit": 403}),
        ("sam", {"/reports": 200, "/users": 403, "/audit": 403}),
        ("nobody", {"": 200, "/reports": 403, "/users": 403}),
    ],
)
def test_groups_decide_what_the_console_shows(running: Server, user: str, pages: dict[str, int]) -> None:
    with signed_in(running, user) as console:
        assert f"<summary>{user}</summary>" in console.get("").text
        assert {path: console.http.get(f"/console{path}").status_code for path in pages} == pages


def test_groups_decide_what_the_api_allows(provider: Keycloak, bearer: Callable[[str], httpx2.Client]) -> None:
    ledger = {**ARGUMENTS, "arguments": {**ARGUMENTS["arguments"], "application": LEDGER}}  # pyright: ignore[reportGeneralTypeIssues]
    started: dict[str, tuple[int, int]] = {}
    for user in USERS:
        http = bearer(user_token(provider, user))
        started[user] = tuple(http.post("/reports/run", json=body).status_code for body in (ARGUMENTS, ledger))  # pyright: ignore[reportArgumentType]
    assert started == {"olga": (200, 200), "rita": (200, 200), "sam": (200, 403), "nobody": (403, 403)}


def test_program_runs_a_report_with_its_own_token(
    installation: Installation, secrets: dict[str, str], provider: Keycloak, bearer: Callable[[str], httpx2.Client]
) -> None:
    client = provider.find("clients", "nightly-export")["id"]
    account = provider.admin("GET", f"/{REALM}/clients/{client}/service-account-user").json()["id"]
    provider.join(account, "auditors")
    answer = json.loads(installation.run(documented("sh")[-1], SECRET=secrets["nightly-export"]))
    http = bearer(answer["access_token"])
    run = http.post("/reports/run", json=ARGUMENTS).raise_for_status().json()
    assert result_when_over(http, run["id"], prefix="")["status"] == "SUCCESS"
    assert http.get(f"/reports/{run['id']}", params={"fileFormat": "csv"}).text.count("\n") > 300
    assert http.post(f"/reports/{run['id']}/cancel").status_code == 403, "only users may cancel"


def test_service_account_is_a_program_whatever_its_scopes(
    provider: Keycloak, bearer: Callable[[str], httpx2.Client]
) -> None:
    fields: dict[str, Any] = {"publicClient": False, "secret": "s3cret", "serviceAccountsEnabled": True}
    provider.add_client("with-profile", **fields, defaultClientScopes=["basic", "profile", "whohas"])
    client = provider.find("clients", "with-profile")["id"]
    provider.join(provider.admin("GET", f"/{REALM}/clients/{client}/service-account-user").json()["id"], "auditors")
    token = provider.token(grant_type="client_credentials", client_id="with-profile", client_secret="s3cret")
    assert claims(token)["preferred_username"] == "service-account-with-profile"
    http = bearer(token)
    run = http.post("/reports/run", json=ARGUMENTS).raise_for_status().json()
    assert http.post(f"/reports/{run['id']}/cancel").status_code == 403


def test_token_for_another_audience_is_refused(provider: Keycloak, bearer: Callable[[str], httpx2.Client]) -> None:
    refused = bearer(user_token(provider, "olga", "elsewhere")).post("/reports/run", json=ARGUMENTS)
    assert refused.status_code == 401
    assert "another audience" in detail(refused) and "WHOHAS_OIDC_AUDIENCE" in detail(refused)


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_changed_or_foreign_token_is_refused(provider: Keycloak, bearer: Callable[[str], httpx2.Client]) -> None:
    header, _, signature = (token := user_token(provider, "nobody")).split(".")
    payload = encoded({**claims(token), "groups": ["/identity-team"]})
    form = {
        "grant_type": "password",
        "client_id": "admin-cli",
        "username": "admin",
        "password": "the first administrator's",
    }
    master = asking.post(f"{provider.url}/realms/master/protocol/openid-connect/token", data=form).json()
    forged = {
        "changed": f"{header}.{payload}.{signature}",
        "unsigned": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{payload}.",
        "of another realm": master["access_token"],
    }
    answers = {name: bearer(token).post("/reports/run", json=ARGUMENTS) for name, token in forged.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(forged, 401)
    assert "it is not a token of" in detail(answers["changed"])


def test_expired_token_is_refused(expired: str, bearer: Callable[[str], httpx2.Client]) -> None:
    http = bearer(expired)
    until(lambda: http.post("/reports/run", json=ARGUMENTS).status_code == 401)
    assert "JWT is expired" in detail(http.post("/reports/run", json=ARGUMENTS))


def test_algorithm_must_be_configured(provider: Keycloak, bearer: Callable[[str], httpx2.Client]) -> None:
    add_key(provider, "ecdsa-generated", ecdsaEllipticCurveKey=["P-256"])
    http = bearer(user_token(provider, "rita", "curves"))
    until(lambda: http.post("/reports/run", json=ARGUMENTS).status_code == 200)
    assert bearer(user_token(provider, "rita", "weak")).post("/reports/run", json=ARGUMENTS).status_code == 401


def add_key(provider: Keycloak, kind: str, **config: list[str]) -> None:
    """Give the realm a key that it signs with from now on."""
    realm = provider.admin("GET", f"/{REALM}").json()["id"]
    fixed = {"priority": ["200"], "enabled": ["true"], "active": ["true"]}
    key = {"name": f"new {kind}", "providerId": kind, "providerType": "org.keycloak.keys.KeyProvider"}
    provider.admin("POST", f"/{REALM}/components", {**key, "parentId": realm, "config": {**fixed, **config}})


def test_rotated_key_is_used_without_a_restart(provider: Keycloak, bearer: Callable[[str], httpx2.Client]) -> None:
    before = user_token(provider, "rita")
    assert bearer(before).post("/reports/run", json=ARGUMENTS).status_code == 200
    listed = provider.admin("GET", f"/{REALM}/components", None).json()
    old = [one for one in listed if one["providerId"] == "rsa-generated"]
    add_key(provider, "rsa-generated")
    after = bearer(user_token(provider, "rita"))
    until(lambda: after.post("/reports/run", json=ARGUMENTS).status_code == 200)
    assert bearer(before).post("/reports/run", json=ARGUMENTS).status_code == 200, "its key is still published"
    for one in old:
        provider.admin("DELETE", f"/{REALM}/components/{one['id']}")
    add_key(provider, "rsa-generated", priority=["300"])
    newest = bearer(user_token(provider, "rita"))
    until(lambda: newest.post("/reports/run", json=ARGUMENTS).status_code == 200)
    assert bearer(before).post("/reports/run", json=ARGUMENTS).status_code == 401, "its key was withdrawn"


def test_sign_out_everywhere_ends_every_session(running: Server) -> None:
    with signed_in(running, "olga") as one, signed_in(running, "olga") as other, signed_in(running, "rita") as rita:
        page = one.http.post("/console/sign-out", data={"form_token": form_token(one), "everywhere": "true"})
        assert "You are signed out" in texts(page.text)
        other.http.follow_redirects = False
        assert other.http.get("/console/runs").status_code == 303
        assert rita.get("/runs").status_code == 200, "another user stays"


def form_token(console: Console) -> str:
    from console import hidden_fields

    return hidden_fields(console.get("").text)["form_token"]


def test_user_who_leaves_a_group_loses_its_rights(running: Server, provider: Keycloak) -> None:
    provider.add_user("paul", ["identity-team"])
    with signed_in(running, "paul") as console:
        assert console.get("/users").status_code == 200
        user, group = provider.find("users", "paul")["id"], provider.find("groups", "identity-team")["id"]
        provider.admin("DELETE", f"/{REALM}/users/{user}/groups/{group}")
        until(lambda: console.http.get("/console/users").status_code == 403)


def test_disabled_user_is_out(running: Server, provider: Keycloak) -> None:
    provider.add_user("quinn", ["identity-team"])
    with signed_in(running, "quinn") as console:
        console.http.follow_redirects = False
        assert console.get("/users").status_code == 200
        provider.change("users", "quinn", enabled=False)
        until(lambda: console.http.get("/console/users").status_code == 303)
        console.http.follow_redirects = True
        page = console.http.get("/console/sign-in")
        assert page.url.host == "127.0.0.1" and page.url.path.startswith(f"/realms/{REALM}/"), "it has to be begun anew"


def test_keycloak_that_stops_is_named_and_may_come_back(
    running: Server, provider: Keycloak, bearer: Callable[[str], httpx2.Client]
) -> None:
    add_user(running, "ann", "ORG_ADMIN")
    http = bearer(user_token(provider, "rita"))
    with signed_in(running, "olga") as console, asking.Client(base_url=running.url, headers=HTML) as other:
        provider.stop()
        page = until(lambda: found if (found := console.http.get("/console/runs")).status_code == 503 else None)
        assert page is not None and f"{provider.issuer} does not answer" in texts(page.text)
        refused = other.get("/console/sign-in")
        assert (refused.status_code, "does not answer" in texts(refused.text)) == (503, True)
        assert http.post("/reports/run", json=ARGUMENTS).status_code == 200, "a token is checked with the known keys"
        assert Console(other).follow(other.get("/console/sign-in?local=1")).status_code == 200, "own users sign in"
        provider.start()
        assert until(lambda: console.http.get("/console/runs").status_code == 200), "the session goes on"
