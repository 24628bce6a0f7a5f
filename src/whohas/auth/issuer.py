"""An issuer outside, such as Keycloak or Entra ID, whose tokens are taken as our own are.

Its keys (`issuer_keys`) are kept for ten minutes, and fetched once more where none of them signed a token. Only
algorithms with a public key are taken, and only those that are allowed. What a token's holder may do is told by a
mapping from values of its claims to levels; what is not mapped gives nothing.
"""

from __future__ import annotations

import hashlib
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from joserfc.jwt import JWTClaimsRegistry

from whohas import addresses, timeouts
from whohas.auth.issuer_keys import AGAIN_SECONDS, KEPT_SECONDS, Published, PublishedKeys
from whohas.auth.rights import Caller, Level, known_scopes
from whohas.cache import Cache
from whohas.errors import InvalidArguments, Unauthorized

__all__ = ["AGAIN_SECONDS", "ALGORITHMS", "KEPT_SECONDS", "LEEWAY_SECONDS", "Issuer", "Trust"]

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""What may be allowed: `none` and shared secrets may not."""

LEEWAY_SECONDS = timeouts.ISSUER_LEEWAY_SECONDS
MOST_NAMESAKES = 8
"""Keys of one id that a token is tried with: an issuer may publish one of each kind under the same id."""


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
        self._trust = trust
        self._keys = PublishedKeys(trust.issuer, clock)
        # fetched keys may be other ones: each token is then proven again
        self._said: Cache[_Said] = Cache(10_000, version=lambda: self._keys.known)
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
        keys = self._keys.current()
        said = self._said.get(digest, lambda: self._read(text, keys))
        if said.expires + LEEWAY_SECONDS <= time.time():
            raise Unauthorized("JWT validation failed: JWT is expired.")
        return said.caller

    def _read(self, text: str, keys: Published) -> _Said:
        algorithm, key_id = self._header(text)
        claims = _claims_of(text, algorithm, key_id, keys)
        if claims is None:
            fresh = self._keys.newer(keys)  # it may have new keys
            claims = None if fresh is keys else _claims_of(text, algorithm, key_id, fresh)
        if claims is None:
            raise self._not_theirs()
        return _Said(self._caller(claims), claims["exp"])

    def _header(self, text: str) -> tuple[str, str | None]:
        """The algorithm and the key that a token names; what it says of other keys and where to find them is nothing.

        Raises:
            Unauthorized: it names none that is allowed, or asks for more than a signature.
        """
        try:
            header = json.loads(urlsafe_b64decode(text.partition(".")[0] + "==="), object_pairs_hook=_once)
        except (ValueError, RecursionError):
            raise self._not_theirs() from None
        match header:
            case {"crit": _} | {"b64": _}:
                raise Unauthorized(
                    "JWT validation failed: its header has `crit` or `b64`, and no extension is understood."
                )
            case {"alg": str(algorithm)} if algorithm in self._trust.algorithms:
                key_id = header.get("kid")
                if key_id is None or isinstance(key_id, str):
                    return algorithm, key_id
            case _:
                pass
        raise self._not_theirs()

    def _not_theirs(self) -> Unauthorized:
        return Unauthorized(f"JWT validation failed: it is not a token of {self.name}.")

    def _caller(self, claims: dict[str, Any]) -> Caller:
        try:
            self._claims.validate(claims)  # nbf and iat too, where they are given
        except ClaimError as error:
            raise Unauthorized(f"JWT validation failed: {_fault(error, claims)} ({error.description}).") from None
        subject: str = claims["sub"]
        if not _is_text(subject):
            raise Unauthorized("JWT validation failed: JWT lacks its claims (Claim 'sub' is no valid Unicode).")
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
            # no id of a source has what a database might not take
            sources=frozenset(one for one in _texts(_at(claims, self._trust.sources_claim)) if one.isprintable()),
            user=user,
        )


def _claims_of(text: str, algorithm: str, key_id: str | None, keys: Published) -> dict[str, Any] | None:
    """What a token says, proven by one of the keys; None where none of them signed it."""
    named = [key for key in keys if key.kid == key_id] if key_id is not None else list(keys if len(keys) == 1 else ())
    for key in named[:MOST_NAMESAKES]:
        if key.get("alg", algorithm) != algorithm:
            continue
        try:
            return jwt.decode(text, key, algorithms=[algorithm], decoder_cls=_Decoder).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            continue
    return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ: of two equal ones another reader might believe the other (RFC 7515, 4; 7519, 4).

    Raises:
        ValueError: two are equal.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


class _Decoder(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__(object_pairs_hook=_once)


def _is_text(value: str) -> bool:
    """Whether it is Unicode: JSON can spell halves of characters."""
    return not any("\ud800" <= letter <= "\udfff" for letter in value)


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
