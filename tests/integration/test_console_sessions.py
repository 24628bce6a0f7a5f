"""The console: who gets in, for how long, and what its pages may do in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

import asking
from console import HTML, PASSWORD, Console, add_user, audited, hidden_fields, signed_in, texts
from support import Server, serving
from whohas.auth import CONSOLE_CLIENT_ID
from whohas.auth.session_table import session_table
from whohas.services import open_services
from whohas.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    add_user(server, "ann", "ORG_ADMIN")
    add_user(server, "hal", "HELPDESK")


@pytest.fixture
def ann(server: Server) -> Iterator[Console]:
    with signed_in(server) as console:
        yield console


def test_root_is_a_page_only_for_browsers(server: Server) -> None:
    browser = asking.get(server.url, headers=HTML)
    assert (browser.status_code, browser.headers["Location"]) == (303, "/console")
    assert browser.headers["Vary"] == "Accept"
    for accept in ("*/*", "application/json", "text/html;q=0.1, application/json", ""):
        program = asking.get(server.url, headers={"Accept": accept})
        assert program.status_code == 401
        assert program.json()["error"].startswith("The Authorization header is missing.")
    with server.http() as http:
        assert http.get("/").status_code == 404


def test_start_page_welcomes_before_the_sign_in(server: Server) -> None:
    page = asking.get(f"{server.url}/console", headers=HTML)
    assert "Who has what?" in page.text
    assert 'href="/console/sign-in"' in page.text


def test_sign_in_leads_to_the_page_asked_for(server: Server) -> None:
    with asking.Client(base_url=server.url, headers=HTML) as http:
        refused = http.get("/console/sign-in?next=/console/runs")
        assert refused.headers["Location"].startswith("/oauth/authorize?response_type=code&")
        console = Console(http)
        assert str(console.sign_in("ann", following="/console?a=b").url).endswith("/console?a=b")


@pytest.mark.parametrize("following", ["https://evil.example/", "//evil.example", "/v3/reports", "/console\\@evil", ""])
def test_sign_in_never_leads_elsewhere(server: Server, following: str) -> None:
    with asking.Client(base_url=server.url, headers=HTML) as http:
        assert str(Console(http).sign_in("ann", following=following).url) == f"{server.url}/console"


def test_session_cookie_is_kept_from_scripts(server: Server) -> None:
    with asking.Client(base_url=server.url, headers=HTML) as http:
        page = Console(http).follow(http.get("/console/sign-in"))
        fields = {**hidden_fields(page.text), "user": "ann", "password": PASSWORD}
        back = http.post("/oauth/authorize", data=fields).headers["Location"]
        assert back.startswith("/console/signed-in?code=")
        cookies = http.get(back).headers.get_list("set-cookie")
        cookie = next(cookie for cookie in cookies if cookie.startswith("whohas-session="))
        assert re.fullmatch(r"whohas-session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", cookie)


def test_cookies_over_https_are_of_this_host_only(tmp_path: Path) -> None:
    forwarded = {**HTML, "X-Forwarded-Proto": "https"}
    with serving(tmp_path / "home", WHOHAS_TRUSTED_PROXIES="127.0.0.1") as proxied:
        add_user(proxied, "ann", "ORG_ADMIN")
        kept: dict[str, str] = {}

        def sent(method: str, path: str, form: dict[str, str] | None = None) -> httpx2.Response:
            cookie = "; ".join(f"{name}={value}" for name, value in kept.items())
            response = asking.request(
                method, f"{proxied.url}{path}", data=form, headers={**forwarded, "Cookie": cookie}
            )
            for line in response.headers.get_list("set-cookie"):
                assert re.match(r"__Host-[\w-]+=", line) and "; Secure" in line and "HttpOnly" in line, line
                name, _, value = line.partition(";")[0].partition("=")
                kept[name] = value
            return response

        page = sent("GET", sent("GET", "/console/sign-in").headers["Location"])
        form = {**hidden_fields(page.text), "user": "ann", "password": PASSWORD}
        sent("GET", sent("POST", "/oauth/authorize", form).headers["Location"])
        assert "__Host-whohas-session" in kept
        assert "Sign out" in sent("GET", "/console").text


def test_console_can_be_turned_off(tmp_path: Path) -> None:
    with serving(tmp_path / "home", WHOHAS_CONSOLE="false") as server:
        for path in ("/", "/console", "/console/sign-in"):
            assert asking.get(f"{server.url}{path}", headers=HTML).status_code == 401


def test_nothing_of_a_console_turned_off_is_reachable(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with serving(home) as server:
        add_user(server, "ann", "ORG_ADMIN")
        with signed_in(server) as console:
            id = console.http.cookies["whohas-session"]
            begun = console.http.get("/console/sign-in?local=1", headers={"Cookie": "none=1"}).headers["Location"]
            style = re.findall(r'href="(/console/static/[^"]+)"', console.get("").text)[0]
    with serving(home, WHOHAS_CONSOLE="false") as server:
        for path in ("/console/runs", "/console/signed-in?code=x&state=y", style):
            answer = asking.get(f"{server.url}{path}", headers={**HTML, "Cookie": f"whohas-session={id}"})
            assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json"), path
        assert begun.startswith("/oauth/authorize?")
        assert "is not known to this server" in asking.get(f"{server.url}{begun}", headers=HTML).text
        fields = {**dict(httpx2.URL(begun).params), "user": "ann", "password": PASSWORD}
        assert asking.post(f"{server.url}/oauth/authorize", data=fields).status_code == 400
        for accept in (HTML["Accept"], "*/*", "application/json"):
            root = asking.get(server.url, headers={"Accept": accept})
            assert root.status_code == 401 and "Location" not in root.headers
            assert root.json()["error"].startswith("The Authorization header is missing.")
        with server.http() as http:
            assert http.get("/", headers=HTML).status_code == 404


def begin(console: Console, following: str = "/console") -> dict[str, str]:
    """Open the sign-in page as another tab of a browser; the hidden fields of its form."""
    page = console.follow(console.http.get("/console/sign-in", params={"next": following}))
    return hidden_fields(page.text)


def finish(console: Console, fields: dict[str, str], user: str = "ann") -> httpx2.Response:
    sent = console.http.post("/oauth/authorize", data={**fields, "user": user, "password": PASSWORD})
    return console.follow(sent)


def test_sign_ins_of_two_tabs_both_finish(server: Server) -> None:
    with asking.Client(base_url=server.url, headers=HTML, follow_redirects=False) as http:
        console = Console(http)
        first, second = begin(console, "/console/runs"), begin(console, "/console/reports")
        page = finish(console, first)
        assert page.url.path == "/console/runs"
        token = hidden_fields(page.text)["form_token"]
        assert finish(console, second).url.path == "/console/reports"
        assert not [name for name in http.cookies if "pending" in name]
        # the form of the first tab is still one of the session
        assert http.post("/console/sign-out", data={"form_token": token}).headers["Location"] == "/console"


def test_second_tab_of_another_user_replaces_the_session(server: Server) -> None:
    with asking.Client(base_url=server.url, headers=HTML, follow_redirects=False) as http:
        console = Console(http)
        first, second = begin(console), begin(console)
        token = hidden_fields(finish(console, first).text)["form_token"]
        old = http.cookies["whohas-session"]
        assert "hal" in texts(finish(console, second, "hal").text)
        refused = http.post("/console/sign-out", data={"form_token": token})
        assert "load the page again" in refused.text and refused.status_code == 403
        http.cookies.clear()
        http.cookies.set("whohas-session", old)
        assert "Sign out" not in console.get("").text


def test_finished_sign_in_opened_again_leads_to_the_start(server: Server) -> None:
    with asking.Client(base_url=server.url, headers=HTML, follow_redirects=False) as http:
        console = Console(http)
        sent = http.post("/oauth/authorize", data={**begin(console), "user": "ann", "password": PASSWORD})
        back = sent.headers["Location"]
        assert console.follow(sent).url.path == "/console"
        assert http.get(back).headers["Location"] == "/console"


def test_many_begun_sign_ins_leave_few_cookies(server: Server) -> None:
    with asking.Client(base_url=server.url, headers=HTML, follow_redirects=False) as http:
        console = Console(http)
        begun = [begin(console) for _ in range(9)]
        assert len([name for name in http.cookies if "pending" in name]) == 5
        oldest = http.post("/oauth/authorize", data={**begun[0], "user": "ann", "password": PASSWORD})
        refused = console.follow(oldest)
        assert refused.status_code == 403 and "Start again from the console's start page" in texts(refused.text)
        assert "Sign out" in finish(console, begun[-1]).text


@pytest.mark.parametrize("state", ["", "é", "\ud800", "a;b=c", "x" * 5_000])
def test_hostile_state_of_a_sign_in_is_refused(server: Server, state: str) -> None:
    encoded = state.encode("utf-8", "surrogatepass")
    answer = asking.get(f"{server.url}/console/signed-in", params={"code": "x", "state": encoded}, headers=HTML)
    assert answer.status_code == 403 and "not begun in this browser" in answer.text


def test_code_is_worthless_in_another_browser(server: Server) -> None:
    with asking.Client(base_url=server.url, headers=HTML) as victim, asking.Client(headers=HTML) as thief:
        page = Console(victim).follow(victim.get("/console/sign-in"))
        fields = {**hidden_fields(page.text), "user": "ann", "password": PASSWORD}
        back = victim.post("/oauth/authorize", data=fields).headers["Location"]
        refused = thief.get(f"{server.url}{back}")
        assert refused.status_code == 403
        assert "not begun in this browser" in refused.text
        assert "whohas-session" not in thief.cookies


def test_only_a_hash_of_the_session_is_stored(server: Server, ann: Console) -> None:
    id = ann.http.cookies["whohas-session"]
    with open_services(Settings(home=server.home)) as services, services.database.connect() as connection:
        rows = [tuple(map(str, row)) for row in connection.execute(session_table.select())]
    assert rows and not any(id in value for row in rows for value in row)


@pytest.mark.parametrize("column", ["seen", "expires"])
def test_session_ends_when_idle_or_old(server: Server, ann: Console, column: str) -> None:
    assert "Sign out" in ann.get("").text
    with open_services(Settings(home=server.home)) as services, services.database.begin() as connection:
        past = datetime.now(UTC) - timedelta(hours=2)
        connection.execute(session_table.update().values({column: past}))
    assert "Sign in" in texts(ann.get("").text)


def test_disabling_a_user_ends_the_open_session(server: Server) -> None:
    add_user(server, "dan", "ORG_ADMIN")
    with signed_in(server, "dan") as console, open_services(Settings(home=server.home)) as services:
        assert "Sign out" in console.get("").text
        services.access.users.change("dan", disabled=True)
        assert "Sign out" not in console.get("").text


@pytest.mark.parametrize("change", [{"disabled": True}, {"password": "another correct horse"}])
def test_ended_sessions_never_come_back(server: Server, change: dict[str, Any]) -> None:
    name = f"back-{next(iter(change))}"
    add_user(server, name, "ORG_ADMIN")
    with signed_in(server, name) as console, open_services(Settings(home=server.home)) as services:
        console.get("/runs")
        services.access.users.change(name, **change)
        console.get("/runs", status=303)
        services.access.users.change(name, disabled=False)
        console.get("/runs", status=303)


def test_nobody_gets_a_token_of_the_console(server: Server) -> None:
    fields = {
        "grant_type": "authorization_code",
        "client_id": CONSOLE_CLIENT_ID,
        "code": "x",
        "code_verifier": "y" * 43,
    }
    refused = asking.post(f"{server.url}/oauth/token", data=fields)
    assert refused.status_code == 400 and "web console" in refused.text


@pytest.mark.parametrize("following", ["//[", "http://[::1", "//evil\u2100", "/console/search?query=" + "a" * 4_000])
def test_odd_paths_after_the_sign_in_lead_to_the_start(server: Server, following: str) -> None:
    with asking.Client(base_url=server.url, headers=HTML, follow_redirects=False) as http:
        assert Console(http).sign_in("ann", following=following).url.path == "/console"


def test_pages_of_other_origins_cannot_embed_requests(ann: Console) -> None:
    embedded = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    ann.get("/search?query=email:ceo*", status=403, headers=embedded)
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    ann.get("/runs", headers=followed)


def test_lower_level_applies_to_the_open_session(server: Server) -> None:
    add_user(server, "lou", "REPORT_ADMIN")
    with signed_in(server, "lou") as console, open_services(Settings(home=server.home)) as services:
        assert 'href="/console/reports"' in console.get("").text
        services.access.users.change("lou", levels=["HELPDESK"])
        assert 'href="/console/reports"' not in console.get("").text


def test_sign_out_ends_this_session_only(server: Server, ann: Console) -> None:
    with signed_in(server) as other:
        id = ann.http.cookies["whohas-session"]
        ann.post("/sign-out")
        ann.http.cookies.set("whohas-session", id)
        assert "Sign out" not in ann.get("").text
        assert "Sign out" in other.get("").text


def test_sign_out_everywhere_ends_all_sessions(server: Server, ann: Console) -> None:
    with signed_in(server) as other, signed_in(server, "hal") as hal:
        ann.post("/sign-out", {"everywhere": "true"})
        assert "Sign out" not in other.get("").text
        assert "Sign out" in hal.get("").text


def test_post_needs_the_token_of_the_session(ann: Console, server: Server) -> None:
    with signed_in(server, "hal") as hal:
        foreign = hidden_fields(hal.get("").text)["form_token"]
    for token in ("", "x", "x.y", foreign):
        refused = ann.http.post("/console/sign-out", data={"form_token": token})
        assert refused.status_code == 403
        assert "not one of your session" in refused.text
    assert "Sign out" in ann.get("").text


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}],
)
def test_post_of_another_site_is_refused(ann: Console, headers: dict[str, str]) -> None:
    token = hidden_fields(ann.get("").text)["form_token"]
    refused = ann.http.post("/console/sign-out", data={"form_token": token}, headers=headers)
    assert refused.status_code == 403
    assert "sent by another site" in refused.text


def test_bearer_token_opens_no_page(server: Server) -> None:
    with server.http() as http:
        assert "Sign out" not in http.get("/console", headers=HTML).text


def test_session_opens_no_route_of_the_api(ann: Console) -> None:
    assert ann.http.get("/v2025/task-status").status_code == 401


def test_unknown_page_is_an_html_404(ann: Console) -> None:
    page = ann.get("/no-such-page", 404)
    assert page.headers["content-type"].startswith("text/html")
    assert "There is no such page" in page.text


def test_pages_have_no_inline_script_or_style(ann: Console) -> None:
    for page in (ann.get(""), ann.get("/no-such-page", 404)):
        policy = page.headers["Content-Security-Policy"]
        assert "script-src 'self'; style-src 'self';" in policy and "unsafe" not in policy
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=\"/)|javascript:", page.text)


def test_assets_are_cached_for_ever_by_their_hash(ann: Console) -> None:
    addresses = re.findall(r'(?:href|src)="(/console/static/[^"]+)"', ann.get("").text)
    assert {address.rpartition("/")[2] for address in addresses} == {"icon.svg", "pages.css", "pages.js"}
    for address in addresses:
        asset = ann.http.get(address)
        assert asset.status_code == 200
        assert asset.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert asset.headers["Content-Encoding"] == "gzip"
    wrong = re.sub(r"static/\w+/", f"static/{'0' * 16}/", addresses[0])
    assert ann.http.get(wrong).status_code == 404


def test_first_screen_is_under_120_kilobytes(ann: Console) -> None:
    page = ann.get("", headers={"Accept-Encoding": "gzip"})
    total = int(page.headers["Content-Length"])
    for address in set(re.findall(r'(?:href|src)="(/console/static/[^"]+)"', page.text)):
        total += int(ann.http.head(address).headers["Content-Length"])
    assert total < 120_000


def test_console_is_not_in_the_description_of_the_api(server: Server) -> None:
    assert not [path for path in asking.get(f"{server.url}/openapi.json").json()["paths"] if "console" in path]


def test_sign_ins_and_sign_outs_are_audited(server: Server, ann: Console) -> None:
    ann.post("/sign-out", {"everywhere": "true"})
    audited(server, lambda event: event["type"] == "whohas.session.started" and event["subject"] == user_id(server))
    ended = audited(server, lambda event: event["type"] == "whohas.session.ended")
    assert ended["data"]["actor"]["name"] == "ann"


def user_id(server: Server) -> str:
    with open_services(Settings(home=server.home)) as services:
        return services.access.users.get("ann").id
