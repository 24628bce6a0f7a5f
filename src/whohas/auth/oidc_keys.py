"""The cached public keys of an external OpenID Connect provider, fetched by OpenID Connect discovery.

Only one thread at a time fetches keys, with one time limit for discovery document and key set together. Other threads
continue with the cached keys. A thread that needs newer keys waits for the fetching one; at most `MAX_WAITING_THREADS`
threads wait, so that a slow provider cannot block the threads that serve other requests.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from whohas import addresses, timeouts
from whohas.errors import Unavailable

if TYPE_CHECKING:
    import httpx2

CACHE_SECONDS = timeouts.ISSUER_KEYS_SECONDS
REFETCH_SECONDS = timeouts.ISSUER_RETRY_SECONDS
MAX_DOCUMENT_BYTES = 1 << 20
"""The maximum size in bytes of the discovery document and of the key set."""
MAX_WAITING_THREADS = 8
"""The most threads that wait while another one fetches keys; the server has 40 threads for all requests."""
MIN_RSA_BITS = 2048
"""The minimum size of an RSA key in bits (RFC 7518, 3.3)."""

PublicKey = RSAKey | ECKey | OKPKey
PublicKeys = tuple[PublicKey, ...]

_PUBLIC = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y")
"""The members of a JSON Web Key that are read: no private ones and no certificates."""
_LONGEST_REASON = 300
"""The maximum length in characters of a reason in a message or log line; the provider may have chosen its text."""

log = structlog.get_logger("whohas.auth")


class ProviderKeys:
    """The cache of the usable public keys of a provider; safe from many threads.

    Args:
        issuer: the URL of the provider; its discovery document is at `/.well-known/openid-configuration` below it.
        clock: monotonic time in seconds.
    """

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._secure = addresses.parse(issuer, services=True).scheme == "https"
        self._clock = clock
        self._changed = threading.Condition()
        self._known: PublicKeys | None = None
        self._fetched_at = 0.0
        self._attempted_at = -float(REFETCH_SECONDS)
        self._fetching = False
        self._waiting = 0

    @property
    def cached(self) -> PublicKeys | None:
        """The cached keys, or None before the first fetch; a new object after each successful fetch."""
        return self._known

    def get(self) -> PublicKeys:
        """Return the cached keys; fetch them first if none were fetched yet or if they are older than `CACHE_SECONDS`.

        If keys that are too old cannot be fetched again, they continue to be returned.

        Raises:
            Unavailable: no keys are cached, and they cannot be fetched.
        """
        known = self._known
        if known is not None and self._clock() - self._fetched_at <= CACHE_SECONDS:
            return known
        return self._fetch(known, wait=known is None)

    def refetch(self, known: PublicKeys) -> PublicKeys:
        """Fetch the keys again, and return them.

        Return the cached keys if another thread has already replaced `known`, if the last attempt to fetch keys was
        less than `REFETCH_SECONDS` ago, or if fetching fails.

        Args:
            known: the keys that did not verify a token.

        Raises:
            Unavailable: too many threads wait for keys already.
        """
        return self._fetch(known, wait=True)

    def _fetch(self, known: PublicKeys | None, *, wait: bool) -> PublicKeys:
        with self._changed:
            if self._fetching and wait:
                self._await_other()
            if self._known is not None and (self._fetching or self._known is not known):
                return self._known
            now = self._clock()
            if self._fetching or now - self._attempted_at < REFETCH_SECONDS:
                if self._known is None:
                    raise Unavailable(
                        f"The signing keys of {self._issuer} cannot be fetched now. Try again in a few seconds."
                    )
                return self._known
            self._fetching, self._attempted_at = True, now
        fetched: PublicKeys | None = None
        fault = ""
        try:
            fetched, fault = self._download()
        finally:
            with self._changed:
                if fetched is not None:
                    self._known, self._fetched_at = fetched, now
                self._fetching = False
                self._changed.notify_all()
                current = self._known
        if fault:
            log.warning("keys of the outside issuer not fetched", issuer=self._issuer, reason=fault)
        if current is None:
            raise Unavailable(
                f"The keys of {self._issuer} cannot be fetched: {fault}. Check that it answers, and the address "
                "(WHOHAS_OIDC_ISSUER)."
            )
        return current

    def _await_other(self) -> None:
        if self._waiting >= MAX_WAITING_THREADS:
            raise Unavailable(f"The keys of {self._issuer} are being fetched. Try again in a moment.")
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: not self._fetching, timeouts.ISSUER_RESPONSE_SECONDS + 1)
        finally:
            self._waiting -= 1

    def _download(self) -> tuple[PublicKeys | None, str]:
        """Return the keys and an empty text, or None and the reason of the failure."""
        import httpx2  # here, because importing it takes time and few servers have an external provider

        try:
            return asyncio.run(self._discover()), ""
        except TimeoutError:
            return None, f"no complete answer within {timeouts.ISSUER_RESPONSE_SECONDS} seconds"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
            return None, (str(error) or type(error).__name__)[:_LONGEST_REASON].rstrip(".")

    async def _discover(self) -> PublicKeys:
        """Fetch the discovery document, then the key set that it names, within `ISSUER_RESPONSE_SECONDS` in all.

        Raises:
            TimeoutError: the provider is too slow.
            ValueError: a document is not what it must be; the message says how.
            HTTPError: a request failed.
        """
        import httpx2

        async with (
            asyncio.timeout(timeouts.ISSUER_RESPONSE_SECONDS),
            httpx2.AsyncClient(timeout=timeouts.ISSUER_RESPONSE_SECONDS, follow_redirects=False) as http,
        ):
            discovery = await _document(http, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if discovery.get("issuer") != self._issuer:
                raise ValueError(f"its discovery document is of {discovery.get('issuer')!r}")
            jwks_uri = discovery.get("jwks_uri")
            address = addresses.try_parse(jwks_uri, services=True) if isinstance(jwks_uri, str) else None
            if address is None or (address.scheme != "https" and self._secure):
                raise ValueError("its keys are not at an https:// address")
            return self._usable((await _document(http, address.text)).get("keys"))

    def _usable(self, published: object) -> PublicKeys:
        if not isinstance(published, list):
            raise ValueError("its set of keys has no list of keys")
        listed = cast("list[object]", published)
        keys: list[PublicKey] = []
        faults: list[str] = []
        for member in listed:
            try:
                keys.append(_public_key(member))
            except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
                faults.append(str(error) or type(error).__name__)
        if not keys:
            why = f" ({faults[0]})" if faults else ""
            raise ValueError(f"none of its {len(listed)} keys can be used{why}")
        if faults:
            log.info("keys of the outside issuer passed over", issuer=self._issuer, keys=len(faults), reason=faults[0])
        return tuple(keys)


def _public_key(published: object) -> PublicKey:
    """Import a JSON Web Key that can verify signatures.

    Raises:
        ValueError: the key is not public, not for signatures, of another type than RSA, EC and OKP, or too weak.
        JoseError: its values are wrong.
    """
    if not isinstance(published, dict):
        raise ValueError("a key that is no object")
    members = cast("dict[str, Any]", published)
    if members.get("kty") not in ("RSA", "EC", "OKP"):
        raise ValueError("a key that is not RSA, EC or OKP")
    operations = members.get("key_ops", ["verify"])
    if members.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("a key that is not for signatures")
    key = JWKRegistry.import_key({name: members[name] for name in _PUBLIC if name in members})
    if not isinstance(key, PublicKey):
        raise ValueError("a key that is not public")
    if isinstance(key, RSAKey):
        bits = key.get_op_key("verify").key_size
        if bits < MIN_RSA_BITS:
            raise ValueError(f"an RSA key of {bits} bits; the minimum is {MIN_RSA_BITS:,}")
    return key


async def _document(http: httpx2.AsyncClient, address: str) -> dict[str, Any]:
    """Fetch a JSON object.

    Raises:
        ValueError: the body is compressed, longer than `MAX_DOCUMENT_BYTES`, or not a JSON object.
        HTTPError: the request failed, or its status is not 2xx.
    """
    # no compression: a few compressed bytes could expand to gigabytes
    async with http.stream("GET", address, headers={"Accept-Encoding": "identity"}) as response:
        response.raise_for_status()
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ValueError(f"{address} is compressed, although the request asked for no compression")
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > MAX_DOCUMENT_BYTES:
                raise ValueError(f"{address} is longer than {MAX_DOCUMENT_BYTES:,} bytes")
    value = json.loads(bytes(content))
    if not isinstance(value, dict):
        raise ValueError(f"{address} is not a JSON object")
    return cast("dict[str, Any]", value)
