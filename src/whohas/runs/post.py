"""Posts messages to addresses that somebody else chose: to hosts of the open internet alone, briefly, all at once.

A name is looked up once, every address that it has is judged, and the connection goes to the one that was judged: a
name that changes its address in between leads nowhere. Redirects and the environment's proxies are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from whohas import __version__, timeouts

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
    parts = urlsplit(letter.url)
    host = parts.hostname or ""
    address = await _address(host, parts.port or (443 if parts.scheme == "https" else 80), private)
    literal = f"[{address}]" if ":" in address else address
    named = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port else ""
    request = client.build_request(
        "POST",
        parts._replace(netloc=f"{literal}{port}", fragment="").geturl(),
        content=letter.body,
        headers={
            **letter.headers,
            "Host": f"{named}{port}",
            "Content-Type": "application/json",
            "User-Agent": f"whohas/{__version__}",
        },
        # the certificate must be the name's, though the connection goes to the address
        extensions={"sni_hostname": host},
    )
    answer = await client.send(request, stream=True)
    try:
        status = answer.status_code
        wait = answer.headers.get("retry-after", "")
        seconds = float(wait) if wait.isdecimal() and len(wait) < 7 else 0.0
        return Answer(200 <= status < 300, status, f"HTTP {status}", seconds)
    finally:
        await answer.aclose()  # its body is not read: nobody asked for it


async def _address(host: str, port: int, private: bool) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(sockaddr[0]) for *_, sockaddr in found]
    if not private:
        for address in addresses:
            if not is_public(address):
                raise _Refused(
                    f"{host} is {address}, on this machine or a private network. WHOHAS_HOOK_PRIVATE_TARGETS allows it."
                )
    return addresses[0]


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
