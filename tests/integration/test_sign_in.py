"""People sign in with the authorization code flow and PKCE; nobody is sent where they should not go."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

import asking
from support import Server, serving
from whohas.auth.clients import client_table
from whohas.auth.throttle import MAX_WRONG
from whohas.services import open_services
from whohas.settings import Settings

BACK = "https://console.example/back?tab=1"
NATIVE = "http://127.0.0.1:1/cb"
SLOPPY = (
    "https://;form-action *",
    "https://a b.example/",
    "https://u:p@evil.example/",
    "http://[::1",
    "",
    "https://x:y/",
)
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Console:
    """A program at which people sign in."""

    url: str
    client_id: str
    client_secret: str
    verifier: str

    @property
    def asked(self) -> dict[str, str]:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": BACK,
            "state": 'x"><script>',
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }

    def page(self, **changed: str) -> httpx2.Response:
        return asking.get(f"{self.url}/oauth/authorize", params={**self.asked, **changed})

    def sign_in(
        self,
        user: str = "ann",
        password: str = PASSWORD,
        *,
        headers: Mapping[str, str] | None = None,
        entered: Mapping[str, str] | None = None,
        **changed: str,
    ) -> httpx2.Response:
        """Fetch the page as a browser does, and post its form; `entered` replaces fields of it."""
        with asking.Client() as browser:
            page = browser.get(f"{self.url}/oauth/authorize", params={**self.asked, **changed})
            form = {**self.asked, **changed, **hidden_fields(page.text), "user": user, "password": password}
            return browser.post(f"{self.url}/oauth/authorize", data={**form, **(entered or {})}, headers=headers)

    def code(self, **changed: str) -> str:
        response = self.sign_in(**changed)
        assert response.status_code == 303, response.text
        return parse_qs(urlsplit(response.headers["Location"]).query)["code"][0]

    def redeem(self, code: str, **changed: str) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": code,
            "redirect_uri": BACK,
            "code_verifier": self.verifier,
            **changed,
        }
        return asking.post(f"{self.url}/oauth/token", data=form)


def hidden_fields(page: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in re.findall(r'hidden" name="(\w+)" value="(.*?)">', page)}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("sign in") / "home") as server:
        yield server


@pytest.fixture(scope="module")
def console(running: Server) -> Iterator[Console]:
    with open_services(Settings(home=running.home)) as services:
        services.access.users.create("ann", ["REPORT_ADMIN"], password=PASSWORD)
        made = services.access.clients.create("The console", ["sp:scopes:all"], redirects=[BACK, NATIVE])
        # as a version did that took more
        with services.database.begin() as connection:
            mine = client_table.c.id == made.client.id
            connection.execute(client_table.update().where(mine).values(redirects=[BACK, NATIVE, *SLOPPY]))
    yield Console(running.url, made.client.id, made.secret, secrets.token_urlsafe(48))


def test_a_user_signs_in_and_the_token_acts_for_them(console: Console) -> None:
    page = console.page()
    assert page.status_code == 200
    fields = hidden_fields(page.text)
    assert fields.pop("form_token")
    assert fields == console.asked, "the form carries the request"
    sent = console.sign_in()
    assert sent.status_code == 303
    back = urlsplit(sent.headers["Location"])
    answer = parse_qs(back.query)
    assert (back.scheme, back.netloc, back.path) == ("https", "console.example", "/back")
    assert (answer["tab"], answer["state"]) == (["1"], ['x"><script>'])
    token = console.redeem(answer["code"][0]).raise_for_status().json()
    assert (token["user_name"], token["scope"]) == ("ann", "sp:scopes:all")
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    cancel = asking.post(f"{console.url}/v2025/reports/{'0' * 32}/cancel", headers=headers)
    assert cancel.status_code == 404, "a user may cancel; there is no such run"


def test_the_page_carries_no_script_and_cannot_be_framed(console: Console) -> None:
    page = console.page()
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' https://console.example;" in policy
    assert page.headers["Cache-Control"] == "no-store"
    assert "<script" not in page.text
    style = re.search(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert style is not None
    assert base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode() in policy


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "0" * 32},
        {"client_id": "../x"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": BACK + "\r\nX-Evil: 1"},
        {"redirect_uri": "//console.example/back?tab=1"},
        {"redirect_uri": ""},
        *({"redirect_uri": address} for address in SLOPPY),
        {"redirect_uri": "http://127.0.0.1:1;frame-ancestors */cb"},
        {"redirect_uri": "http://127.0.0.1:\u2028/cb"},
        {"redirect_uri": "http://127.0.0.1:\u0661/cb"},
        {"redirect_uri": "http://127.0.0.1:99999/cb"},
        {"redirect_uri": "http://u:p@127.0.0.1:1/cb"},
        {"redirect_uri": "http://127.0.0.1:1/cb\x85"},
    ],
)
def test_an_unknown_program_or_address_gets_no_redirect(console: Console, changed: dict[str, str]) -> None:
    for response in (console.page(**changed), console.sign_in(**changed)):
        assert response.status_code == 400
        assert "form-action 'self';" in response.headers["Content-Security-Policy"]
        assert "Location" not in response.headers
        assert "program that sent you here" in response.text
        assert "password" not in response.text


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "everything"}, "invalid_scope"),
    ],
)
def test_a_wrong_request_returns_with_the_code_of_rfc_6749(
    console: Console, changed: dict[str, str], error: str
) -> None:
    for response in (console.page(**changed), console.sign_in(**changed)):
        assert response.status_code == 303
        assert parse_qs(urlsplit(response.headers["Location"]).query)["error"] == [error]


def test_a_policy_has_the_parsed_address_alone(console: Console) -> None:
    page = console.page(redirect_uri="http://127.0.0.1:54321/cb")
    assert "form-action 'self' http://127.0.0.1:54321; frame-ancestors" in page.headers["Content-Security-Policy"]


def test_a_query_that_was_registered_stays_as_it_is(console: Console) -> None:
    back = console.sign_in(state="a b").headers["Location"]
    assert back.startswith(f"{BACK}&code=") and back.endswith("&state=a+b")
    native = console.sign_in(redirect_uri="http://127.0.0.1:2/cb").headers["Location"]
    assert native.startswith("http://127.0.0.1:2/cb?code=")


@pytest.mark.parametrize(
    ("headers", "entered"),
    [
        ({"Origin": "https://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({"Sec-Fetch-Site": "cross-site"}, {}),
        ({"Sec-Fetch-Site": "same-site"}, {}),
        ({"Cookie": "whohas-sign-in="}, {}),
        ({}, {"form_token": ""}),
        ({}, {"form_token": "x" * 43}),
        ({}, {"state": "of another page"}),
        ({}, {"redirect_uri": NATIVE}),
    ],
)
def test_a_form_of_another_site_signs_nobody_in(
    console: Console, headers: dict[str, str], entered: dict[str, str]
) -> None:
    refused = console.sign_in(headers=headers, entered=entered)
    assert refused.status_code == 403
    assert "Location" not in refused.headers and "nobody was signed in" in refused.text


def test_a_form_without_its_page_signs_nobody_in(console: Console) -> None:
    form = {**console.asked, "user": "ann", "password": PASSWORD}
    assert asking.post(f"{console.url}/oauth/authorize", data=form).status_code == 403
    token = hidden_fields(console.page().text)
    assert asking.post(f"{console.url}/oauth/authorize", data={**form, **token}).status_code == 403, "no cookie"


def test_a_browsers_own_post_signs_in(console: Console) -> None:
    for headers in ({"Origin": console.url}, {"Origin": console.url, "Sec-Fetch-Site": "same-origin"}):
        assert console.sign_in(headers=headers).status_code == 303
    assert console.page().headers["Referrer-Policy"] == "same-origin", "else a browser's Origin is null"


def test_a_code_is_good_once(console: Console) -> None:
    code = console.code()
    assert console.redeem(code).status_code == 200
    again = console.redeem(code)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "x" * 64},
        {"code_verifier": ""},
        {"redirect_uri": "https://console.example/back"},
        {"client_id": "0" * 32},
        {"code": "guessed"},
        {"code": "\0"},
    ],
)
def test_a_code_is_bound_to_its_request_and_used_once(console: Console, changed: dict[str, str]) -> None:
    code = console.code()
    refused = console.redeem(**{"code": code, **changed})
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    if "code" not in changed:
        assert console.redeem(code).status_code == 400


def test_the_programs_secret_is_optional_but_a_wrong_one_refused(console: Console) -> None:
    assert console.redeem(console.code(), client_secret=console.client_secret).status_code == 200
    assert console.redeem(console.code(), client_secret="wrong").status_code == 400


def test_a_token_has_fewer_scopes_where_fewer_were_asked_for(console: Console) -> None:
    token = console.redeem(console.code(scope="sp:report:read")).json()
    assert token["scope"] == "sp:report:read"
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    start = asking.post(f"{console.url}/v2025/reports/run", json={"reportType": "IDENTITIES"}, headers=headers)
    assert start.status_code == 403
    read = asking.get(f"{console.url}/v2025/reports/{'0' * 32}/result", headers=headers)
    assert read.status_code == 404


def test_whoever_guesses_a_password_waits_and_the_page_says_so(console: Console) -> None:
    for _ in range(MAX_WRONG):
        wrong = console.sign_in("bob", "a wrong password")
        assert wrong.status_code == 401
        assert "The name or the password is wrong." in wrong.text
    waits = console.sign_in("bob", "a wrong password")
    assert waits.status_code == 429
    assert 0 < int(waits.headers["Retry-After"]) <= 300
    assert console.sign_in().status_code == 303, "others do not wait"


def test_guessing_a_clients_secret_delays_only_the_guesser(console: Console) -> None:
    form = {"grant_type": "client_credentials", "client_id": "f" * 32}
    statuses = [
        asking.post(f"{console.url}/oauth/token", data={**form, "client_secret": f"x{number}"}).status_code
        for number in range(MAX_WRONG + 1)
    ]
    assert statuses == [401] * MAX_WRONG + [429]
    right = {"client_id": console.client_id, "client_secret": console.client_secret}
    for _ in range(120):
        assert asking.post(f"{console.url}/oauth/token", data={**form, **right}).status_code == 200


def test_neither_passwords_nor_codes_nor_tokens_are_in_the_log(console: Console, running: Server) -> None:
    code = console.code()
    token = console.redeem(code).json()["access_token"]
    log = running.log.read_text()
    for secret in (PASSWORD, code, token, console.client_secret, running.client_secret, console.verifier):
        assert secret not in log
    assert '"path": "/oauth/authorize"' in log


def test_a_personal_client_is_no_place_to_sign_in_at(console: Console, running: Server) -> None:
    assert replace(console, client_id=running.client_id).page().status_code == 400
