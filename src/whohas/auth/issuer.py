"""An issuer outside, such as Keycloak or Entra ID, whose tokens are taken as our own are.

Its keys are found by OpenID Connect discovery, kept for ten minutes, and fetched once more where a token names a key
that is not among them. Only algorithms with a public key are taken, and only those that are allowed. What a token's
holder may do is told by a mapping from values of its claims to levels; what is not mapped gives nothing.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from whohas import addresses, timeouts
from whohas.auth.rights import Caller, Level, known_scopes
from whohas.cache import Cache
from whohas.errors import InvalidArguments, Unauthorized, Unavailable

if TYPE_CHECKING:
    import httpx2

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""What may be allowed: `none` and shared secrets may not."""

KEPT_SECONDS = timeouts.ISSUER_KEYS_SECONDS
AGAIN_SECONDS = timeouts.ISSUER_AGAIN_SECONDS
TIMEOUT_SECONDS = timeouts.ISSUER_ANSWER_SECONDS
LEEWAY_SECONDS = timeouts.ISSUER_LEEWAY_SECONDS
MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Trust:
    """How far an outside issuer is trusted.

    Attributes:
        issuer: its URL, to the letter as in the claim `iss`; discovery is below it.
        audience: what the claim `aud` must have.
        algorithms: those of `ALGORITHMS` that are allowed.
        name_claim: the claim with a user's name, such as `preferred_username`; a token that has it stands for a user,
            one without for a program.
        levels_claim: the claim with what a holder is, a text or a list; dots lead into objects.
        levels: from a value of that claim to a level.
        sources_claim: the claim with the ids of a source administrator's sources.
        scopes: what each token of this issuer may be used for, beside what its claim `scope` says.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    name_claim: str
    levels_claim: str
    levels: Mapping[str, Level]
    sources_claim: str
    scopes: tuple[str, ...]

    def __post_init__(self) -> None:
        try:
            address = addresses.parse(self.issuer, services=True)
        except InvalidArguments as error:
            raise InvalidArguments(f"WHOHAS_OIDC_ISSUER is wrong. {error.message}") from None
        if not (address.scheme == "https" or address.loopback) or address.query or address.fragment:
            raise InvalidArguments(
                f"The outside issuer {self.issuer!r} must be an https:// address, without a query and a fragment."
            )
        if not self.audience:
            raise InvalidArguments("An outside issuer needs an audience: set WHOHAS_OIDC_AUDIENCE.")
        wrong = sorted(set(self.algorithms) - set(ALGORITHMS)) or ([] if self.algorithms else ["none at all"])
        if wrong:
            raise InvalidArguments(f"WHOHAS_OIDC_ALGORITHMS has {', '.join(wrong)}. Use {', '.join(ALGORITHMS)}.")
        unknown = sorted(set(self.scopes) - set(known_scopes))
        if unknown:
            raise InvalidArguments(f"WHOHAS_OIDC_SCOPES has {', '.join(unknown)}. Use {', '.join(known_scopes)}.")


@dataclass(frozen=True, slots=True)
class _Said:
    caller: Caller
    expires: float


class Issuer:
    """Checks the tokens of an outside issuer.

    Attributes:
        name: its URL.
    """

    def __init__(self, trust: Trust, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = trust.issuer
        self._secure = addresses.parse(trust.issuer, services=True).scheme == "https"
        self._trust = trust
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._tried = -float(AGAIN_SECONDS)
        # fetched keys may be other ones: each token is then proven again
        self._said: Cache[_Said] = Cache(10_000, version=lambda: self._key_set(again=False))
        self._claims = JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": trust.issuer},
            aud={"essential": True, "value": trust.audience},
            sub={"essential": True},
            exp={"essential": True},
        )

    def verify(self, text: str) -> Caller:
        """The caller whom a token stands for.

        Raises:
            Unauthorized: forged, expired, not yet valid, for another audience, or without what is needed.
            Unavailable: the issuer's keys are not at hand, and it does not answer.
        """
        digest = hashlib.sha256(text.encode()).digest()
        said = self._said.get(digest, lambda: self._read(text))
        if said.expires + LEEWAY_SECONDS <= time.time():
            raise Unauthorized("JWT validation failed: JWT is expired.")
        return said.caller

    def _read(self, text: str) -> _Said:
        try:
            keys = self._key_set(again=False)
            try:
                token = jwt.decode(text, keys, algorithms=list(self._trust.algorithms))
            except (JoseError, ValueError):
                fresh = self._key_set(again=True)  # it may have new keys
                if fresh is keys:
                    raise
                token = jwt.decode(text, fresh, algorithms=list(self._trust.algorithms))
        except (JoseError, ValueError):
            raise Unauthorized(f"JWT validation failed: it is not a token of {self.name}.") from None
        return _Said(self._caller(token.claims), token.claims["exp"])

    def _caller(self, claims: dict[str, Any]) -> Caller:
        try:
            self._claims.validate(claims)  # nbf and iat too, where they are given
        except ClaimError as error:
            raise Unauthorized(f"JWT validation failed: {_fault(error, claims)} ({error.description}).") from None
        subject: str = claims["sub"]
        named = claims.get(self._trust.name_claim)
        user = isinstance(named, str) and bool(named.strip()) and named.isprintable()
        scopes = [scope for text in _texts(claims.get("scope")) for scope in text.split()]
        owner = hashlib.sha256(f"{self.name}\n{subject}".encode()).hexdigest()[:32]
        values = _texts(_at(claims, self._trust.levels_claim))
        return Caller(
            id=owner,
            name=str(named).strip()[:200] if user else f"client {owner[:8]}",
            scopes=frozenset([*self._trust.scopes, *(scope for scope in scopes if scope in known_scopes)]),
            levels=frozenset(self._trust.levels[value] for value in values if value in self._trust.levels),
            client=owner,
            sources=frozenset(_texts(_at(claims, self._trust.sources_claim))),
            user=user,
        )

    def _key_set(self, *, again: bool) -> KeySet:
        # no `Cache`: old keys serve for as long as the issuer does not answer, and it is not asked all the time
        with self._lock:
            now = self._clock()
            old = self._keys is None or now - self._fetched > KEPT_SECONDS
            if (old or again) and now - self._tried >= AGAIN_SECONDS:
                self._tried = now
                import httpx2  # here, for few servers trust an outside issuer

                try:
                    self._keys, self._fetched = self._fetch(), now
                except (httpx2.HTTPError, ValueError, KeyError, TypeError, JoseError, RecursionError) as error:
                    if self._keys is None:
                        raise Unavailable(f"The keys of {self.name} cannot be fetched: {error}.") from error
            if self._keys is None:
                raise Unavailable(f"The keys of {self.name} cannot be fetched; it is asked again in a moment.")
            return self._keys

    def _fetch(self) -> KeySet:
        import httpx2

        with httpx2.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False) as http:
            found = _json(http, f"{self.name.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.name:
                raise ValueError(f"its discovery document is of {found.get('issuer')!r}")
            address = addresses.parsed(str(found["jwks_uri"]), services=True)
            if address is None or (address.scheme != "https" and self._secure):
                raise ValueError("its keys are not at an https:// address")
            published = _json(http, address.text)
        public = [
            key
            for key in cast("list[dict[str, Any]]", published["keys"])
            if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"
        ]
        return KeySet.import_key_set({"keys": cast("Any", public)})


def _json(http: httpx2.Client, address: str) -> dict[str, Any]:
    with http.stream("GET", address) as response:
        response.raise_for_status()
        content = b""
        for part in response.iter_bytes():
            content += part
            if len(content) > MOST_BYTES:
                raise ValueError(f"{address} is longer than {MOST_BYTES:,} bytes")
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError(f"{address} is no JSON object")
    return cast("dict[str, Any]", value)


def _fault(error: ClaimError, claims: Mapping[str, Any]) -> str:
    match error:
        case ExpiredTokenError():
            return "JWT is expired"
        case ClaimError(claim="iss" | "aud"):
            return "it is for another audience"
        case ClaimError(claim="nbf" | "iat") if isinstance(claims[error.claim], int | float):
            return "JWT is not valid yet"
        case _:
            return "JWT lacks its claims"


def _texts(value: object) -> list[str]:
    values = cast("list[object]", value) if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _at(claims: Mapping[str, Any], path: str) -> object:
    """A claim by its name; where there is none, dots lead into objects, as in `realm_access.roles`."""
    if path in claims:
        return claims[path]
    found: object = claims
    for name in path.split("."):
        found = cast("dict[str, object]", found).get(name) if isinstance(found, dict) else None
    return found
