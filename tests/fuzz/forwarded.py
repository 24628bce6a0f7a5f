"""`Host` and what proxies say, held to what the settings page promises: proxies that are trusted are believed, no others."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass

from hypothesis import strategies as st

from fuzz.application import PROXY, STATUSES, Client
from fuzz.drawing import fuzzed, latin
from fuzz.target import Check, measured, single

_CLIENT = Client()
_TRUSTED = (PROXY, "10.1.2.3", "10.1.255.255")
_STRANGERS = ("192.0.2.7", "10.0.0.2", "2001:db8::1", "127.0.0.1")
_NAMES = (
    "reports.example",
    "a-b.example",
    "localhost",
    "10.9.8.7",
    "[2001:db8::1]",
    "otel_collector",
    "x.y.z",
    "REPORTS.Example",
)
_WRONG_HOSTS = (
    "", " ", "a b", "a@b", "a/b", "a?b", "a#b", "a\\b", "a:0", "a:65536", "a:", "a:b", "-a", "a..b", "1.2", "0x7f.1", "[::1",
    "::1", "[1.2.3.4]", "a,b", "a;b", "a\tb", "\xe9", "a%2eb", "http://a", "[fe80::1%25eth0]", "a" * 64 + ".example", "*",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What arrives at the server, and what it should make of it.

    Attributes:
        address: the caller's.
        origin: the server's own address as the caller wrote it; None where the header `Host` is none.
    """

    peer: str
    headers: tuple[tuple[str, str], ...]
    address: str
    origin: str | None


def _ported(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _plain(host: str) -> str:
    name, bracket, _ = host.lower().partition("]")
    return f"[{ipaddress.IPv6Address(name[1:]).compressed}]" if bracket else name


@st.composite
def _requests(draw: st.DrawFn) -> Request:
    peer = draw(st.sampled_from((*_TRUSTED, *_TRUSTED, *_STRANGERS)))
    headers: list[tuple[str, str]] = []
    hops = draw(st.lists(st.sampled_from((*_TRUSTED, *_STRANGERS)), max_size=4))
    written = [_ported(hop, draw(st.sampled_from((None, None, 80, 65_535)))) for hop in hops]
    cut = draw(st.integers(0, len(written)))
    comma = draw(st.sampled_from((", ", ",", " , ")))
    headers += [("x-forwarded-for", comma.join(part)) for part in (written[:cut], written[cut:]) if part]
    proto = draw(st.sampled_from(("", "", "https", "http", " https ", "HTTPS", "gopher", "https,http")))
    if proto:
        headers.append(("x-forwarded-proto", proto))
    for name, value in (("x-forwarded-host", "evil.example"), ("forwarded", "for=192.0.2.9;host=evil.example;proto=https"),
                        ("x-real-ip", "192.0.2.9"), ("x-forwarded-port", "1"), ("x-original-url", "/healthz")):  # fmt: skip
        if draw(st.booleans()):
            headers.append((name, value))
    believed = peer in _TRUSTED
    strangers = [hop for hop in hops if hop not in _TRUSTED]
    address = (strangers[-1] if strangers else hops[0]) if believed and hops else peer
    scheme = "https" if believed and proto.strip() == "https" else "http"
    if draw(st.integers(0, 3)):
        name, port = draw(st.sampled_from(_NAMES)), draw(st.sampled_from((None, 1, 8_437, 65_535)))
        headers.append(("host", name if port is None else f"{name}:{port}"))
        origin = f"{scheme}://{_plain(name)}" + ("" if port is None else f":{port}")
    else:
        headers.append(("host", draw(st.sampled_from(_WRONG_HOSTS))))
        origin = None
    return Request(peer, tuple(headers), address, origin)


def _check(one: Request) -> bool:
    headers = [*one.headers, ("authorization", f"Bearer {_CLIENT.token}")]
    status, found, body = _CLIENT.send("GET", "/oauth/info", headers, peer=one.peer)
    assert _CLIENT.address == one.address, (_CLIENT.address, one.address)
    if one.origin is None:
        assert status == 400, body
        return False
    assert status == 200, body
    assert json.loads(body)["cloudDomainUrl"] == one.origin
    assert ("strict-transport-security" in found) is one.origin.startswith("https://")
    return True


_PIECES = (
    *_TRUSTED, *_STRANGERS, *_NAMES, ",", ":", "[", "]", " ", "unknown", "_hidden", "for=", ";", "https", "http", '"', "@", "/",
    "1.2.3.4:99999999999999999999", "::ffff:10.0.0.1", "\xa0", "\xff", "%0d%0a", "\t", "[::1]:-5", "10.1.0.0/16", "*",
)  # fmt: skip


def _check_text(text: str) -> bool:
    """Send a text in each header, and ask for what shows it again and what records it."""
    header = latin(text)[:15_000]
    statuses = set[int]()
    for name in (
        "x-forwarded-for",
        "x-forwarded-proto",
        "forwarded",
        "host",
        "origin",
        "referer",
        "traceparent",
        "cookie",
    ):
        for path, token in (("/oauth/info", _CLIENT.token), ("/oauth/authorize", ""), ("/v2025/reports/run", header)):
            headers = [(name, header), ("authorization", f"Bearer {token}")]
            status, found, body = measured(len(header), _CLIENT.send, "GET", path, headers)
            assert status in STATUSES, (status, name, body)
            assert not any(letter in value for value in found.values() for letter in "\r\n\0")
            # a caller's host goes into an answer as it was read, or not at all
            if name == "host" and path == "/oauth/info" and status == 200:
                origin = json.loads(body)["cloudDomainUrl"]
                assert origin.isascii()
                assert origin.isprintable()
                assert not set(origin.removeprefix("http://")) & set(" ,;@/?#\\\"'<>"), origin
            statuses.add(status)
    return 200 in statuses


def checks() -> tuple[Check, ...]:
    """Return requests through proxies, and headers of any text."""
    valid = st.lists(st.sampled_from((*_TRUSTED, *_STRANGERS, *_NAMES)), min_size=1, max_size=4).map(", ".join)
    return single(_requests(), _check), fuzzed(valid, _PIECES, _check_text, 15_000)
