"""Web addresses that others chose, read strictly in one place: `http://` and `https://`, and a host with a port.

Browsers, proxies and libraries read sloppy addresses in different ways, so that one that looks harmless to a check may
lead elsewhere, or change the header that it is written into. What is not exactly of the form below is no address here.
The form is RFC 3986's, narrowed: no user, no blank port, hosts as DNS and IP have them, ASCII throughout.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from whohas.errors import InvalidArguments

LONGEST = 2_000
"""Characters of an address."""

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Hosts that are this machine and no other."""

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
class Address:
    """An address that was read.

    Attributes:
        text: as it was given.
        scheme: `http` or `https`.
        host: in lower case; an IPv6 address is without brackets, in its shortest form.
        port: as it was given; None where it is the scheme's own.
        path: with its slash; empty where there is none.
        query: with its question mark; empty where there is none.
        fragment: with its hash; empty where there is none.
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
        """Scheme, host and port, with no character that has a meaning in a header."""
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        """Host and port as an address and the header `Host` have them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def effective_port(self) -> int:
        """The port that is connected to."""
        return self.port or (443 if self.scheme == "https" else 80)

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine."""
        return self.host in LOOPBACK

    @property
    def without_port(self) -> tuple[str, ...]:
        """What two addresses have in common that differ in their port alone."""
        return self.scheme, self.host, self.path, self.query, self.fragment


def parse(text: str, *, services: bool = False) -> Address:
    """Read an address.

    Args:
        text: such as `https://console.example:8443/back?tab=1`.
        services: whether names of a network of one's own, which may have underscores (`otel_collector`), are hosts.

    Raises:
        InvalidArguments: it is not exactly of the form; the message says what is wrong with it.
    """
    address = parsed(text, services=services)
    if address is None:
        raise InvalidArguments(f"{text[:200]!r} is no address: {fault(text, services=services)}.")
    return address


def parsed(text: str, *, services: bool = False) -> Address | None:
    """Read an address; None where it is none."""
    found = _ADDRESS.fullmatch(text) if len(text) <= LONGEST else None
    host = _host(found["host"], services) if found else None
    port = int(found["port"]) if found and found["port"] else None
    if found is None or host is None or (port or 0) > _HIGHEST_PORT:
        return None
    return Address(text, found["scheme"].lower(), host, port, found["path"], found["query"], found["fragment"])


def authority(text: str) -> tuple[str, int | None]:
    """Read a host with a port, or without one, such as `kafka.acme.example:9092`.

    Raises:
        InvalidArguments: it is none.
    """
    found = _AUTHORITY.fullmatch(text)
    host = _host(found["host"], services=True) if found else None
    port = int(found["port"]) if found and found["port"] else None
    if host is None or (port or 0) > _HIGHEST_PORT:
        raise InvalidArguments(f"{text[:200]!r} is no HOST:PORT, such as kafka.acme.example:9092.")
    return host, port


def _host(text: str, services: bool) -> str | None:
    """Return a host in its one form; None where it is none."""
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            return None
    name = text.lower()
    labels = name.split(".")
    # browsers and the C library read 1.2, 0x7f.1 and 2130706433 as IPv4 addresses: the plain form alone is one here
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            return None
    form = _SERVICE_LABEL if services else _LABEL
    return name if all(form.fullmatch(label) for label in labels) else None


def fault(text: str, *, services: bool = False) -> str:
    """Say what is wrong with a text that is no address; empty where it is one."""
    if parsed(text, services=services) is not None:
        return ""
    if len(text) > LONGEST:
        return f"it has more than {LONGEST:,} characters"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "it has blanks, control characters or letters beyond ASCII; write them as %XX, and a host's as xn--"
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        return "it must begin with https:// or http://, as https://example.com/path does"
    place = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in place:
        return "it carries a user or a password, which has no place in an address"
    found = _AUTHORITY.fullmatch(place)
    if int((found and found["port"]) or 0) > _HIGHEST_PORT or (found is None and _BEFORE_PORT.fullmatch(place)):
        return "its port is not a number from 1 to 65535"
    if found is not None and _host(found["host"], services) is not None:
        return "its path, query or fragment has a character that must be written as %XX"
    return "its host is neither a plain name, such as console.example, nor an IP address in its usual form"


@contextmanager
def as_value_error() -> Generator[None]:
    """Make an error of ours one of a value, so that it is told with the setting's name."""
    try:
        yield
    except InvalidArguments as error:
        raise ValueError(error.message.rstrip(".")) from None
