"""A strict parser for HTTP URLs from outside (webhooks, redirects, issuers, collectors) and for HOST:PORT pairs.

Browsers, proxies and libraries parse malformed URLs in different ways: a URL that passes a check may lead to another
host, or inject into the header that it is written into. This parser accepts a subset of RFC 3986 and rejects
everything else: ASCII only, no user or password, no empty port, a host that is a DNS name or an IP address.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from whohas.errors import InvalidArguments

MAX_LENGTH = 2_000
"""Maximum length of a URL, in characters."""

LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")
"""Hosts that always mean this machine."""

_CHARACTERS = r"[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2}"
_HOST = r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>[1-9][0-9]{0,4}))?"
_ADDRESS = re.compile(
    rf"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://{_HOST}"
    rf"(?P<path>(?:/(?:{_CHARACTERS})*)?)(?P<query>(?:\?(?:{_CHARACTERS}|\?)*)?)(?P<fragment>(?:\#(?:{_CHARACTERS}|\?)*)?)"
)
_AUTHORITY = re.compile(_HOST)
_BEFORE_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9._-]+):.*")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SERVICE_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HIGHEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class HttpUrl:
    """A parsed HTTP URL.

    Attributes:
        text: the URL as it was passed to `parse`.
        scheme: `http` or `https`.
        host: in lower case; an IPv6 address has no brackets and its shortest form.
        port: None if the URL has no port.
        path: with its leading slash, or empty.
        query: with its question mark, or empty.
        fragment: with its `#`, or empty.
    """

    text: str
    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    fragment: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, such as `https://acme.example:8443`; safe to write into a header."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port as in the header `Host`: `acme.example:8443`, `[::1]:8437`, or the host alone."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def effective_port(self) -> int:
        """The port to connect to: `port`, or 443 for https and 80 for http."""
        return self.port or (443 if self.scheme == "https" else 80)

    @property
    def is_loopback(self) -> bool:
        """Whether the host is one of `LOOPBACK_HOSTS`."""
        return self.host in LOOPBACK_HOSTS

    @property
    def without_port(self) -> tuple[str, ...]:
        """All parts but the port: equal for two URLs that differ only in their port."""
        return self.scheme, self.host, self.path, self.query, self.fragment


def parse(text: str, *, services: bool = False) -> HttpUrl:
    """Parse an HTTP URL.

    Args:
        text: such as `https://acme.example:8443/back?tab=1`.
        services: also accept host names with underscores, as private networks have them (`otel_collector`).

    Raises:
        InvalidArguments: the URL is malformed; the message says where.
    """
    address = try_parse(text, services=services)
    if address is None:
        raise InvalidArguments(f"{text[:200]!r} is no address: {describe_fault(text, services=services)}.")
    return address


def try_parse(text: str, *, services: bool = False) -> HttpUrl | None:
    """Parse an HTTP URL like `parse`, but return None if it is malformed."""
    match = _ADDRESS.fullmatch(text) if len(text) <= MAX_LENGTH else None
    host = _host(match["host"], services) if match else None
    port = int(match["port"]) if match and match["port"] else None
    if match is None or host is None or (port or 0) > _HIGHEST_PORT:
        return None
    return HttpUrl(text, match["scheme"].lower(), host, port, match["path"], match["query"], match["fragment"])


def parse_host_and_port(text: str) -> tuple[str, int | None]:
    """Parse HOST or HOST:PORT, such as `kafka.acme.example:9092`; return the host and the port or None.

    Raises:
        InvalidArguments: the text is neither.
    """
    match = _AUTHORITY.fullmatch(text)
    host = _host(match["host"], services=True) if match else None
    port = int(match["port"]) if match and match["port"] else None
    if host is None or (port or 0) > _HIGHEST_PORT:
        raise InvalidArguments(f"{text[:200]!r} is no HOST:PORT, such as kafka.acme.example:9092.")
    return host, port


def _host(text: str, services: bool) -> str | None:
    """Return a host in its canonical form, or None if it is neither a DNS name nor an IP address.

    Examples: `acme.EXAMPLE` gives `acme.example`, `[0:0::1]` gives `::1`, `127.0.0.1` stays; `0x7f.1`, `1.2` and
    `a..b` give None.
    """
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            return None
    name = text.lower()
    labels = name.split(".")
    # browsers and the C library read 1.2, 0x7f.1 and 2130706433 as IPv4 addresses; only the dotted form is accepted
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            return None
    form = _SERVICE_LABEL if services else _LABEL
    return name if all(form.fullmatch(label) for label in labels) else None


def describe_fault(text: str, *, services: bool = False) -> str:
    """Return what is wrong with a malformed URL, as a clause for a message; empty if `parse` accepts the URL."""
    if try_parse(text, services=services) is not None:
        return ""
    if len(text) > MAX_LENGTH:
        return f"it has more than {MAX_LENGTH:,} characters"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "it has blanks, control characters or letters beyond ASCII; write them as %XX, and a host's as xn--"
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return "it must begin with https:// or http://, as https://example.com/path does"
    host_and_port = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in host_and_port:
        return "it carries a user or a password, which has no place in an address"
    match = _AUTHORITY.fullmatch(host_and_port)
    if int((match and match["port"]) or 0) > _HIGHEST_PORT or (match is None and _BEFORE_PORT.fullmatch(host_and_port)):
        return "its port is not a number from 1 to 65535"
    if match is not None and _host(match["host"], services) is not None:
        return "its path, query or fragment has a character that must be written as %XX"
    return "its host is neither a plain name, such as console.example, nor an IP address in its usual form"


@contextmanager
def as_value_error() -> Generator[None]:
    """Turn InvalidArguments into ValueError, so that pydantic reports it together with the name of the setting."""
    try:
        yield
    except InvalidArguments as error:
        raise ValueError(error.message.rstrip(".")) from None
