"""Sends webhook messages, protected against server-side request forgery (SSRF): users choose the addresses.

A host name is resolved once. If any of its IP addresses is not public, nothing is sent; else the connection is made to
the first one, not to the name, so that a name that resolves differently a moment later (DNS rebinding) has no effect.
Redirects are not followed, and proxies of the environment are not used.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from whohas import __version__, addresses, timeouts
from whohas.addresses import HttpUrl
from whohas.errors import InvalidArguments

if TYPE_CHECKING:
    import httpx2

_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to post.

    Attributes:
        url: the address of the receiver.
        body: JSON in UTF-8.
        headers: headers beyond Host, Content-Type and User-Agent: the id, timestamp and signature.
    """

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The result of posting a message.

    Attributes:
        accepted: whether the receiver accepted it: any status 2xx.
        status: the HTTP status; None where there was no response.
        detail: the status or the error, for people.
        retry_after: the seconds of the response's Retry-After header; 0 without one.
    """

    accepted: bool
    status: int | None
    detail: str
    retry_after: float = 0.0


class _RefusedAddress(Exception):
    """The address is malformed or not public; the message says why."""


def send_all(letters: Sequence[Delivery], *, private: bool) -> list[DeliveryResult]:
    """Post messages concurrently, and return a result for each, in the same order. Errors are results too.

    Args:
        private: whether addresses of this machine and of private networks are allowed.
    """
    return asyncio.run(_post_all(letters, private))


async def _post_all(letters: Sequence[Delivery], private: bool) -> list[DeliveryResult]:
    import httpx2

    async with httpx2.AsyncClient(
        timeout=httpx2.Timeout(timeouts.HOOK_CONNECT_SECONDS), trust_env=False, follow_redirects=False, http2=False
    ) as client:
        return list(await asyncio.gather(*(_post(client, letter, private) for letter in letters)))


async def _post(client: httpx2.AsyncClient, letter: Delivery, private: bool) -> DeliveryResult:
    import httpx2

    try:
        async with asyncio.timeout(timeouts.HOOK_RESPONSE_SECONDS):
            return await _posted(client, letter, private)
    except TimeoutError:
        return DeliveryResult(False, None, f"No answer within {timeouts.HOOK_RESPONSE_SECONDS:.0f} seconds.")
    except _RefusedAddress as refused:
        return DeliveryResult(False, None, str(refused))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
        return DeliveryResult(False, None, f"{type(error).__name__}: {error}"[:_LONGEST_TEXT])


async def _posted(client: httpx2.AsyncClient, letter: Delivery, private: bool) -> DeliveryResult:
    try:
        to = addresses.parse(letter.url, services=True)
    except InvalidArguments as error:  # the webhook was created by an earlier version, which accepted more addresses
        raise _RefusedAddress(error.message) from None
    address = await _address(to, private)
    connected = replace(to, host=address)
    request = client.build_request(
        "POST",
        f"{connected.origin}{to.path}{to.query}",
        content=letter.body,
        headers={
            **letter.headers,
            "Host": to.authority,
            "Content-Type": "application/json",
            "User-Agent": f"whohas/{__version__}",
        },
        # the connection is made to the IP address, but the certificate must be valid for the host name
        extensions={"sni_hostname": to.host},
    )
    answer = await client.send(request, stream=True)
    try:
        status = answer.status_code
        wait = answer.headers.get("retry-after", "")
        seconds = float(wait) if wait.isdecimal() and len(wait) < 7 else 0.0
        return DeliveryResult(200 <= status < 300, status, f"HTTP {status}", seconds)
    finally:
        await answer.aclose()  # without reading the body, which may be endless


async def _address(to: HttpUrl, private: bool) -> str:
    """Return the IP address to connect to: the first of the host, once all of them are known to be allowed."""
    loop = asyncio.get_running_loop()
    resolved = await loop.getaddrinfo(to.host, to.effective_port, type=socket.SOCK_STREAM)
    return _require_public(to, resolved, private)[0]


def check_target(url: str, *, private: bool) -> HttpUrl:
    """Check an address when a webhook is created, and return it parsed.

    A host name that does not resolve now is accepted, because it may resolve later.

    Args:
        private: whether addresses of this machine and of private networks are allowed.

    Raises:
        InvalidArguments: the address is malformed or has a fragment, or its host is not public.
    """
    to = addresses.parse(url, services=True)
    if to.fragment:
        raise InvalidArguments(f"{url[:200]!r} has a fragment, which is never sent. Leave out what follows the #.")
    try:
        _require_public(to, socket.getaddrinfo(to.host, to.effective_port, type=socket.SOCK_STREAM), private)
    except _RefusedAddress as refused:
        raise InvalidArguments(str(refused)) from None
    except (OSError, UnicodeError):
        pass
    return to


def _require_public(to: HttpUrl, resolved: Sequence[tuple[Any, ...]], private: bool) -> list[str]:
    """Return the IP addresses of a host.

    Args:
        resolved: the result of `getaddrinfo`.

    Raises:
        _RefusedAddress: one of them is not public, and private ones are not allowed.
    """
    ip_addresses = [str(sockaddr[0]) for *_, sockaddr in resolved]
    for address in ip_addresses:
        if not private and not is_public(address):
            raise _RefusedAddress(
                f"{to.host} is {address}, on this machine or a private network. WHOHAS_HOOK_PRIVATE_TARGETS allows it."
            )
    return ip_addresses


def is_public(address: str) -> bool:
    """Return whether an IP address is globally routable and not multicast.

    An IPv6 address that embeds an IPv4 address (IPv4-mapped, 6to4, Teredo, NAT64) is judged by that address:
    `::ffff:10.0.0.1` is not public.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or _nat64_address(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""RFC 6052: the well-known prefix of NAT64, whose last 32 bits are an IPv4 address."""


def _nat64_address(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
