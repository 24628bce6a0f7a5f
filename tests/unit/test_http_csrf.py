"""The sign-in form is taken from its own page, in the browser that was given it, and from nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.requests import Request
from starlette.responses import Response

from whohas.api.csrf import CsrfTokens
from whohas.errors import Forbidden

FIELDS = {"client_id": "0" * 32, "redirect_uri": "https://console.example/back", "state": "x"}
TOKENS = CsrfTokens(b"k" * 32)
HOST = "reports.example:8437"


def request(headers: Mapping[str, str] | list[tuple[str, str]] = {}, scheme: str = "http") -> Request:  # noqa: B006
    pairs = list(headers.items()) if isinstance(headers, Mapping) else headers
    if not any(name == "host" for name, _ in pairs):
        pairs = [*pairs, ("host", HOST)]
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in pairs]
    return Request({"type": "http", "method": "POST", "path": "/", "scheme": scheme, "headers": raw})


def page(scheme: str = "http") -> tuple[str, str]:
    """A cookie and a token, as a page gives them."""
    asked = request(scheme=scheme)
    nonce, response = TOKENS.nonce(asked), Response()
    TOKENS.set_cookie(asked, response, nonce)
    return response.headers["set-cookie"], TOKENS.token(nonce, FIELDS)


def post(scheme: str = "http", **headers: str) -> None:
    cookie, token = page(scheme)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    TOKENS.check(request({"cookie": cookie.split(";")[0], **named}, scheme), FIELDS, token)


def test_a_post_of_the_page_itself_passes() -> None:
    post()
    post(origin=f"http://{HOST}")
    post(origin="http://reports.example:8437", sec_fetch_site="same-origin")
    post(sec_fetch_site="none")


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://reports.example", "reports.example"),
        ("https://reports.example", "reports.example:443"),
        ("https://reports.example:443", "reports.example"),
        ("http://[::1]:8437", "[::1]:8437"),
        ("http://REPORTS.example", "reports.EXAMPLE"),
    ],
)
def test_the_origin_is_compared_behind_a_proxy_too(origin: str, host: str) -> None:
    post(origin=origin, host=host)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example", "null", "", "http://reports.example", "http://reports.example:8438",
        "https://reports.example", "http://reports.example.evil.example:8437", "http://evil.example:8437",
        f"http://u@{HOST}", f"http://{HOST}/", f"http://{HOST}, http://{HOST}", f"http://{HOST}?x", f"ftp://{HOST}",
        "file://", f"http://{HOST};x", "http://reports.example:8437\u2028", "*", "chrome-extension://abc",
    ],
)  # fmt: skip
def test_a_foreign_origin_is_refused(origin: str) -> None:
    with pytest.raises(Forbidden, match="another site"):
        post(origin=origin)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "Same-Origin", "same-origin, cross-site", "x"])
def test_a_foreign_site_is_refused_whatever_the_origin(site: str) -> None:
    with pytest.raises(Forbidden, match="another site"):
        post(sec_fetch_site=site, origin=f"http://{HOST}")


def test_two_origins_or_sites_are_none() -> None:
    cookie, token = page()
    for name, value in (("origin", f"http://{HOST}"), ("sec-fetch-site", "same-origin")):
        twice = [("cookie", cookie.split(";")[0]), (name, value), (name, value)]
        with pytest.raises(Forbidden, match="another site"):
            TOKENS.check(request(twice), FIELDS, token)


def test_a_missing_or_changed_cookie_is_refused() -> None:
    cookie, token = page()
    name, _, value = cookie.split(";")[0].partition("=")
    for wrong in ("", f"other={value}", f"{name}=", f"{name}={value[:-1]}", f"{name}={value}x", f"{name}={'.' * 43}"):
        with pytest.raises(Forbidden, match="cookie"):
            TOKENS.check(request({"cookie": wrong}), FIELDS, token)


def test_a_missing_wrong_or_foreign_token_is_refused() -> None:
    cookie, token = page()
    _, of_another_browser = page()
    mine = request({"cookie": cookie.split(";")[0]})
    of_another_server = CsrfTokens(b"x" * 32).token(cookie.split(";")[0].partition("=")[2], FIELDS)
    for wrong in ("", token[:-1], f"{token}=", token.swapcase(), "\ud800", "ä", of_another_browser, of_another_server):
        with pytest.raises(Forbidden, match="not the one"):
            TOKENS.check(mine, FIELDS, wrong)
    for changed in ({**FIELDS, "state": "y"}, {**FIELDS, "client_id": "1" * 32}, {"client_id": "0" * 32}):
        with pytest.raises(Forbidden, match="not the one"):
            TOKENS.check(mine, changed, token)
    TOKENS.check(mine, FIELDS, token)


def test_the_cookie_is_for_this_host_and_no_script() -> None:
    plain, secure = page()[0], page("https")[0]
    for cookie in (plain, secure):
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
    assert "Secure" not in plain, "a browser would drop it over plain HTTP"
    assert secure.startswith("__Host-") and "Secure" in secure.split("; ")
    post("https", origin=f"https://{HOST}")


def test_pages_that_are_open_at_once_share_the_cookie() -> None:
    cookie = page()[0].split(";")[0]
    again = request({"cookie": cookie})
    assert TOKENS.nonce(again) == cookie.partition("=")[2]
    assert TOKENS.nonce(request({"cookie": f"{cookie}x"})) != cookie.partition("=")[2]
