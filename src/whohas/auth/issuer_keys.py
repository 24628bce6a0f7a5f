"""The public keys of an outside issuer, found by OpenID Connect discovery.

One thread at a time asks the issuer, within one limit of time for all that it sends. Others go on with the keys that
are known; those that need new ones wait for it, a few of them, so that an issuer that is slow holds up nobody else.
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

KEPT_SECONDS = timeouts.ISSUER_KEYS_SECONDS
AGAIN_SECONDS = timeouts.ISSUER_AGAIN_SECONDS
MOST_BYTES = 1 << 20
"""Of a document of the issuer."""
MOST_WAITING = 8
"""Threads that wait for keys that another one fetches; the server has 40 for all requests."""
LEAST_RSA_BITS = 2048

PublicKey = RSAKey | ECKey | OKPKey
Published = tuple[PublicKey, ...]

_PUBLIC = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y")
"""The members of a published key that are read: nothing private, and no certificates."""
_LONGEST_REASON = 300

log = structlog.get_logger("whohas.auth")


class PublishedKeys:
    """The keys of an issuer, as far as they are of use.

    Args:
        issuer: its URL.
    """

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._secure = addresses.parse(issuer, services=True).scheme == "https"
        self._clock = clock
        self._changed = threading.Condition()
        self._known: Published | None = None
        self._fetched = 0.0
        self._tried = -float(AGAIN_SECONDS)
        self._busy = False
        self._waiting = 0

    @property
    def known(self) -> Published | None:
        """The keys that were fetched last; a new object whenever they were fetched again."""
        return self._known

    def current(self) -> Published:
        """Return the keys; fetch them if no keys are known or if they are too old.

        Raises:
            Unavailable: no keys are known, and the issuer does not answer.
        """
        known = self._known
        if known is not None and self._clock() - self._fetched <= KEPT_SECONDS:
            return known
        return self._fetch(known, wait=known is None)

    def newer(self, known: Published) -> Published:
        """Return keys that are newer than those; the same where the issuer was asked a moment ago.

        Raises:
            Unavailable: too many wait for them already.
        """
        return self._fetch(known, wait=True)

    def _fetch(self, known: Published | None, *, wait: bool) -> Published:
        with self._changed:
            if self._busy and wait:
                self._await()
            if self._known is not None and (self._busy or self._known is not known):
                return self._known
            now = self._clock()
            if self._busy or now - self._tried < AGAIN_SECONDS:
                if self._known is None:
                    raise Unavailable(f"The keys of {self._issuer} cannot be fetched; it is asked again in a moment.")
                return self._known
            self._busy, self._tried = True, now
        found: Published | None = None
        fault = ""
        try:
            found, fault = self._answer()
        finally:
            with self._changed:
                if found is not None:
                    self._known, self._fetched = found, now
                self._busy = False
                self._changed.notify_all()
                kept = self._known
        if fault:
            log.warning("keys of the outside issuer not fetched", issuer=self._issuer, reason=fault)
        if kept is None:
            raise Unavailable(f"The keys of {self._issuer} cannot be fetched: {fault}.")
        return kept

    def _await(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise Unavailable(f"The keys of {self._issuer} are being fetched. Try again in a moment.")
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: not self._busy, timeouts.ISSUER_ANSWER_SECONDS + 1)
        finally:
            self._waiting -= 1

    def _answer(self) -> tuple[Published | None, str]:
        import httpx2  # here, for few servers trust an outside issuer

        try:
            return asyncio.run(self._in_time()), ""
        except TimeoutError:
            return None, f"no whole answer within {timeouts.ISSUER_ANSWER_SECONDS} seconds"
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, RecursionError) as error:
            return None, (str(error) or type(error).__name__)[:_LONGEST_REASON].rstrip(".")

    async def _in_time(self) -> Published:
        import httpx2

        async with (
            asyncio.timeout(timeouts.ISSUER_ANSWER_SECONDS),
            httpx2.AsyncClient(timeout=timeouts.ISSUER_ANSWER_SECONDS, follow_redirects=False) as http,
        ):
            found = await _document(http, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._issuer:
                raise ValueError(f"its discovery document is of {found.get('issuer')!r}")
            where = found.get("jwks_uri")
            address = addresses.parsed(where, services=True) if isinstance(where, str) else None
            if address is None or (address.scheme != "https" and self._secure):
                raise ValueError("its keys are not at an https:// address")
            return self._usable((await _document(http, address.text)).get("keys"))

    def _usable(self, published: object) -> Published:
        if not isinstance(published, list):
            raise ValueError("its set of keys has no list of keys")
        listed = cast("list[object]", published)
        keys: list[PublicKey] = []
        passed: list[str] = []
        for one in listed:
            try:
                keys.append(_public_key(one))
            except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
                passed.append(str(error) or type(error).__name__)
        if not keys:
            why = f" ({passed[0]})" if passed else ""
            raise ValueError(f"none of its {len(listed)} keys can be used{why}")
        if passed:
            log.info("keys of the outside issuer passed over", issuer=self._issuer, keys=len(passed), reason=passed[0])
        return tuple(keys)


def _public_key(published: object) -> PublicKey:
    """Return a key that may verify signatures.

    Raises:
        ValueError: the key is not usable, or too weak.
        JoseError: its values are wrong.
    """
    if not isinstance(published, dict):
        raise ValueError("a key that is no object")
    told = cast("dict[str, Any]", published)
    if told.get("kty") not in ("RSA", "EC", "OKP"):
        raise ValueError("a key that is not RSA, EC or OKP")
    operations = told.get("key_ops", ["verify"])
    if told.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        raise ValueError("a key that is not for signatures")
    key = JWKRegistry.import_key({name: told[name] for name in _PUBLIC if name in told})
    if not isinstance(key, PublicKey):
        raise ValueError("a key that is not public")
    if isinstance(key, RSAKey):
        bits = key.get_op_key("verify").key_size
        if bits < LEAST_RSA_BITS:
            raise ValueError(f"an RSA key of {bits} bits, and {LEAST_RSA_BITS:,} are the least")
    return key


async def _document(http: httpx2.AsyncClient, address: str) -> dict[str, Any]:
    # uncompressed, so that few bytes cannot become many
    async with http.stream("GET", address, headers={"Accept-Encoding": "identity"}) as response:
        response.raise_for_status()
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ValueError(f"{address} is compressed, and was not asked to be")
        content = bytearray()
        async for part in response.aiter_raw():
            content += part
            if len(content) > MOST_BYTES:
                raise ValueError(f"{address} is longer than {MOST_BYTES:,} bytes")
    value = json.loads(bytes(content))
    if not isinstance(value, dict):
        raise ValueError(f"{address} is no JSON object")
    return cast("dict[str, Any]", value)
