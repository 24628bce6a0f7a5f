"""Addresses of others: one strict form, whatever browsers and libraries would make of a sloppy one."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whohas import addresses
from whohas.errors import InvalidArguments

GOOD = {
    "https://console.example": "https://console.example",
    "https://console.example/back?tab=1&x=%2F": "https://console.example",
    "HTTPS://Console.EXAMPLE/Back": "https://console.example",
    "http://127.0.0.1:54321/cb": "http://127.0.0.1:54321",
    "http://[::1]:8/cb": "http://[::1]:8",
    "https://[2001:DB8:0:0:0:0:0:1]/": "https://[2001:db8::1]",
    "https://xn--bcher-kva.example/": "https://xn--bcher-kva.example",
    "https://a.example:65535/#part": "https://a.example:65535",
    "https://a.example/b;c,d'e(f)": "https://a.example",
    "https://1a.example/": "https://1a.example",
    "https://localhost?x": "https://localhost",
}
BAD = [
    "", " ", "https", "https:", "https:/", "https://", "https:///back", "https:console.example", "//console.example/",
    "ftp://a.example/", "javascript:alert(1)", "data:text/html,x", "httpss://a.example/", " https://a.example/",
    "https://a.example/ ", "https://a b.example/", "https://a.example/\r\nX: y", "https://a.example/\n", "https://a\0b/",
    "https://a.example\t/", "https://a.example/\x7f", "https://ä.example/", "https://a.example/ä", "https://a。example/",
    "https://a.example:/", "https://a.example:0/", "https://a.example:080/", "https://a.example:65536/",
    "https://a.example:99999999999999999999/", "https://a.example:-1/", "https://a.example:+1/", "https://a.example:1e3/",
    "https://a.example:1;x/", "https://a.example:%31/", "https://a.example:1\u2028/", "https://a.example:%E2%80%A8/",
    "https://a.example:\u0661/", "http://127.0.0.1:1;frame-ancestors */cb", "http://127.0.0.1:1;frame-ancestors%20*/cb",
    "https://;form-action *", "https://;form-action", "https://*/", "https://*.a.example/", "https://a,b.example/",
    "https://a'b.example/", 'https://a"b.example/', "https://a;b/", "https://u:p@evil.example/", "https://u@a.example/",
    "https://@a.example/", "https://a.example@evil.example/", "https://a.example\\@evil.example/", "https://a.example\\b",
    "https://a_b.example/", "https://-a.example/", "https://a-.example/", "https://a..example/", "https://.a.example/",
    "https://a.example./", f"https://{'a' * 64}.example/", f"https://{'a.' * 127}example/", "https://%61.example/",
    "https://[::1/", "https://::1/", "https://[]/", "https://[::1%25eth0]/", "https://[::1%eth0]/", "https://[1.2.3.4]/",
    "https://[v1.x]/", "https://[::g]/", "https://[::1]x/", "https://[::1]:/", "https://1.2.3/", "https://127.1/",
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://127.0.0.01/", "https://256.1.1.1/",
    "https://1.2.3.4.5/", "https://a.0x1/", "https://a.1/", "https://a.example/%", "https://a.example/%zz",
    "https://a.example/<x>", "https://a.example/|", "https://a.example/{x}", "https://a.example/`", "https://a.example/^",
    "https://a.example/?a=[1]", "https://a.example/#a#b", f"https://a.example/{'x' * 2000}",
]  # fmt: skip


@pytest.mark.parametrize(("text", "origin"), GOOD.items())
def test_a_plain_address_is_read(text: str, origin: str) -> None:
    address = addresses.parse(text)
    assert (address.text, address.origin) == (text, origin)
    assert addresses.describe_fault(text) == ""


@pytest.mark.parametrize("text", BAD)
def test_what_is_not_exactly_an_address_is_none(text: str) -> None:
    assert addresses.try_parse(text) is None
    with pytest.raises(InvalidArguments, match=r"^.{1,220} is no address: [ih]\w* .{10,}\.$"):
        addresses.parse(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("https://u:p@a.example/", "a user or a password"),
        ("https://a.example:0/", "port is not a number from 1 to 65535"),
        ("https://a.example:70000/", "port is not a number from 1 to 65535"),
        ("https://a.example:1;x/", "port is not a number from 1 to 65535"),
        ("https://a b/", "blanks, control characters"),
        ("ftp://a.example/", "must begin with https://"),
        ("https://;form-action", "its host is neither"),
        ("https://a.example/{x}", "written as %XX"),
        (f"https://a.example/{'x' * 2000}", "more than 2,000 characters"),
    ],
)
def test_the_message_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(InvalidArguments, match=says):
        addresses.parse(text)


def test_names_with_underscores_are_hosts_of_services_alone() -> None:
    assert addresses.try_parse("http://otel_collector:4318") is None
    assert addresses.parse("http://otel_collector:4318", services=True).host == "otel_collector"


@pytest.mark.parametrize("text", ["kafka.acme.example:9092", "kafka_1", "10.0.0.1:9092", "[::1]:9092"])
def test_a_host_with_a_port_is_read(text: str) -> None:
    host, port = addresses.parse_host_and_port(text)
    assert text.strip("[") in {host, f"{host}:{port}", f"{host}]:{port}"}


@pytest.mark.parametrize(
    "text", ["", ":9092", "a:0", "a:99999", "a:b", "a b:1", "a:1:2", "u@a:1", "a/b", "a:1\n", "::1"]
)
def test_what_is_no_host_with_a_port_is_refused(text: str) -> None:
    with pytest.raises(InvalidArguments, match="no HOST:PORT"):
        addresses.parse_host_and_port(text)


@given(
    st.text(st.sampled_from(string.printable + "é\u2028\u3002\x80\ud800"), max_size=40),
    st.sampled_from(["", "h", "/", ":1"]),
)
def test_no_text_puts_more_than_an_origin_into_a_header(text: str, before: str) -> None:
    address = addresses.try_parse(f"https://{before}{text}")
    if address is not None:
        assert set(address.origin) <= set(string.ascii_lowercase + string.digits + "-.:/[]")
        assert address.text.isascii() and address.text.isprintable() and " " not in address.text
        assert address.port is None or 1 <= address.port <= 65_535
