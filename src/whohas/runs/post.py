"""Posts messages to addresses that somebody else chose: to hosts of the open internet alone, briefly, all at once.

A name is looked up once, every address that it has is judged, and the connection goes to the one that was judged: a
name that changes its address in between leads nowhere. Redirects and the environment's proxies are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from whohas import __version__, addresses, timeouts
from whohas.addresses import Address
from whohas.errors import InvalidArguments

if TYPE_CHECKING:
    import httpx2

_LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to post: JSON, with headers of its own."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it.

    Attributes:
        taken: whether the address took it: any 2xx.
        status: of the answer; None where there was none.
        text: what came of it, for people.
        retry_after: seconds that the address asks to be left alone.
    """

    taken: bool
    status: int | None
    text: str
    retry_after: float = 0.0


class _Refused(Exception):
    """The address is none that is posted to; the message says why."""


def post_all(letters: Sequence[Letter], *, private: bool) -> list[Answer]:
    """Posts letters at the same time; an answer to each, in their order.

    Args:
        private: whether addresses of this machine and of private networks are posted to as well.
    """
    return asyncio.run(_post_all(letters, private))


async def _post_all(letters: Sequence[Letter], private: bool) -> list[Answer]:
    import httpx2

    async with httpx2.AsyncClient(
        timeout=httpx2.Timeout(timeouts.HOOK_CONNECT_SECONDS), trust_env=False, follow_redirects=False, http2=False
    ) as client:
        return list(await asyncio.gather(*(_post(client, letter, private) for letter in letters)))


async def _post(client: httpx2.AsyncClient, letter: Letter, private: bool) -> Answer:
    import httpx2

    try:
        async with asyncio.timeout(timeouts.HOOK_ANSWER_SECONDS):
            return await _posted(client, letter, private)
    except TimeoutError:
        return Answer(False, None, f"No answer within {timeouts.HOOK_ANSWER_SECONDS:.0f} seconds.")
    except _Refused as refused:
        return Answer(False, None, str(refused))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, UnicodeError) as error:
        return Answer(False, None, f"{type(error).__name__}: {error}"[:_LONGEST_TEXT])


async def _posted(client: httpx2.AsyncClient, letter: Letter, private: bool) -> Answer:
    try:
        to = addresses.parse(letter.url, services=True)
    except InvalidArguments as error:  # made by an earlier version, which took more
        raise _Refused(error.message) from None
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
        # the certificate must be the name's, though the connection goes to the address
        extensions={"sni_hostname": to.host},
    )
    answer = await client.send(request, stream=True)
    try:
        status = answer.status_code
        wait = answer.headers.get("retry-after", "")
        seconds = float(wait) if wait.isdecimal() and len(wait) < 7 else 0.0
        return Answer(200 <= status < 300, status, f"HTTP {status}", seconds)
    finally:
        await answer.aclose()  # its body is not read: nobody asked for it


async def _address(to: Address, private: bool) -> str:
    """Return the IP address to connect to, once each that the host has was judged."""
    loop = asyncio.get_running_loop()
    found = _judged(to, await loop.getaddrinfo(to.host, to.effective_port, type=socket.SOCK_STREAM), private)
    return found[0]


def check(url: str, *, private: bool) -> Address:
    """Refuse at once an address that no message would be sent to. A name that is unknown now may be known later.

    Raises:
        InvalidArguments: it is no address, or its host is not of the open internet.
    """
    to = addresses.parse(url, services=True)
    if to.fragment:
        raise InvalidArguments(f"{url[:200]!r} has a fragment, which is never sent. Leave out what follows the #.")
    try:
        _judged(to, socket.getaddrinfo(to.host, to.effective_port, type=socket.SOCK_STREAM), private)
    except _Refused as refused:
        raise InvalidArguments(str(refused)) from None
    except (OSError, UnicodeError):
        pass
    return to


def _judged(to: Address, found: Sequence[tuple[Any, ...]], private: bool) -> list[str]:
    """Return the addresses of a host.

    Raises:
        _Refused: one of them is not of the open internet.
    """
    known = [str(sockaddr[0]) for *_, sockaddr in found]
    for address in known:
        if not private and not is_public(address):
            raise _Refused(
                f"{to.host} is {address}, on this machine or a private network. WHOHAS_HOOK_PRIVATE_TARGETS allows it."
            )
    return known


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet, and does not wrap one that does not."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or _translated(ip)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""RFC 6052: an IPv4 address behind a translator."""


def _translated(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _TRANSLATED else None
