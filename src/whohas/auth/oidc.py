"""Verification of the tokens of an external OpenID Connect provider, such as Keycloak or Entra ID.

The public keys of the provider (`oidc_keys`) are cached for ten minutes, and fetched again if no cached key signed a
token. Only asymmetric algorithms are accepted, and of these only the configured ones. A configured mapping from the
values of a claim to levels gives a token its rights; values that are not mapped give no rights.
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
from whohas.auth.callers import Caller, UserLevel, known_scopes
from whohas.auth.oidc_keys import CACHE_SECONDS, REFETCH_SECONDS, ProviderKeys, PublicKeys
from whohas.db.cache import Cache
from whohas.errors import InvalidArguments, Unauthorized

__all__ = ["ALGORITHMS", "CACHE_SECONDS", "LEEWAY_SECONDS", "REFETCH_SECONDS", "OIDCConfig", "OIDCIssuer"]

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""The signature algorithms that WHOHAS_OIDC_ALGORITHMS may name: no `none`, and none with a shared secret."""

LEEWAY_SECONDS = timeouts.ISSUER_LEEWAY_SECONDS
MAX_KEYS_TRIED = 8
"""The most keys that a token's signature is checked against: a provider may publish several keys under one id, for
example one of each type."""


@dataclass(frozen=True, slots=True)
class OIDCConfig:
    """The settings of an external OpenID Connect provider (WHOHAS_OIDC_*), checked when an object is created.

    Attributes:
        issuer: the URL of the provider, exactly as in the claim `iss`; its discovery document is below it.
        audience: the value that the claim `aud` must be or contain.
        algorithms: the allowed signature algorithms, some of `ALGORITHMS`.
        user_name_claim: the claim with the name of a user, such as `preferred_username`. A token that has it
            authenticates a user, a token without it an application; so does a token of a service account of Keycloak.
        levels_claim: the claim with roles or groups, a string or a list of strings. Dots lead into nested objects, as
            in `realm_access.roles`.
        levels: the level for each value of that claim that gives rights.
        sources_claim: the claim with the ids of the sources of a source administrator; dots as in `levels_claim`.
        scopes: scopes that every token of the provider has, in addition to those of its claim `scope`.

    Raises:
        InvalidArguments: a setting is wrong or missing; the message names it.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    user_name_claim: str
    levels_claim: str
    levels: Mapping[str, UserLevel]
    sources_claim: str
    scopes: tuple[str, ...]

    def __post_init__(self) -> None:
        try:
            address = addresses.parse(self.issuer, services=True)
        except InvalidArguments as error:
            raise InvalidArguments(f"WHOHAS_OIDC_ISSUER is wrong. {error.message}") from None
        if not (address.scheme == "https" or address.is_loopback) or address.query or address.fragment:
            raise InvalidArguments(
                f"WHOHAS_OIDC_ISSUER is {self.issuer!r}. It must be an https:// address without a query and a fragment."
            )
        if not self.audience:
            raise InvalidArguments("WHOHAS_OIDC_ISSUER is set without an audience. Set WHOHAS_OIDC_AUDIENCE too.")
        wrong = sorted(set(self.algorithms) - set(ALGORITHMS)) or ([] if self.algorithms else ["no algorithm"])
        if wrong:
            raise InvalidArguments(f"WHOHAS_OIDC_ALGORITHMS has {', '.join(wrong)}. Use {', '.join(ALGORITHMS)}.")
        unknown = sorted(set(self.scopes) - set(known_scopes))
        if unknown:
            raise InvalidArguments(f"WHOHAS_OIDC_SCOPES has {', '.join(unknown)}. Use {', '.join(known_scopes)}.")


@dataclass(frozen=True, slots=True)
class _VerifiedClaims:
    caller: Caller
    expires: float


class OIDCIssuer:
    """Verifies the access tokens of one external OpenID Connect provider.

    Args:
        trust: the settings of the provider.
        clock: monotonic time in seconds.

    Attributes:
        name: the URL of the provider, as in the claim `iss` of its tokens.
    """

    def __init__(self, trust: OIDCConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = trust.issuer
        self._trust = trust
        self._keys = ProviderKeys(trust.issuer, clock)
        # newly fetched keys may differ, so that every token has to be verified again
        self._verified: Cache[_VerifiedClaims] = Cache(10_000, version=lambda: self._keys.cached)
        self._claims = JWTClaimsRegistry(
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": trust.issuer},
            aud={"essential": True, "value": trust.audience},
            sub={"essential": True},
            exp={"essential": True},
        )

    def verify(self, text: str) -> Caller:
        """Return the caller that a token authenticates.

        Verified tokens are cached, at most 10,000, until the provider's keys are fetched again.

        Args:
            text: the token, a signed JSON Web Token.

        Raises:
            Unauthorized: the token is not signed by the provider, expired, not yet valid, for another audience, or
                lacks a required claim.
            Unavailable: no keys of the provider are cached and they cannot be fetched, or too many requests wait for
                them.
        """
        return self.verify_until(text)[0]

    def verify_until(self, text: str) -> tuple[Caller, float]:
        """Return the caller that a token authenticates, as `verify` does, and when the token expires.

        Returns:
            The caller, and the claim `exp` in seconds since 1970.
        """
        digest = hashlib.sha256(text.encode()).digest()
        keys = self._keys.get()
        verified = self._verified.get(digest, lambda: self._verify(text, keys))
        if verified.expires + LEEWAY_SECONDS <= time.time():
            raise Unauthorized(f"JWT validation failed: JWT is expired. {self._remedy}")
        return verified.caller, verified.expires

    def _verify(self, text: str, keys: PublicKeys) -> _VerifiedClaims:
        algorithm, key_id = self._header(text)
        claims = _claims_of(text, algorithm, key_id, keys)
        if claims is None:
            fresh = self._keys.refetch(keys)  # the provider may have rotated its keys since
            claims = None if fresh is keys else _claims_of(text, algorithm, key_id, fresh)
        if claims is None:
            raise self._foreign()
        return _VerifiedClaims(self._caller(claims), claims["exp"])

    def _header(self, text: str) -> tuple[str, str | None]:
        """Return the algorithm and the key id of a token's header.

        Keys in the header itself, and addresses of keys (`jwk`, `jku`, `x5u`), are ignored: a forger would name theirs.

        Raises:
            Unauthorized: the header cannot be read, its algorithm is not allowed, or it requires an extension (`crit`,
                `b64`).
        """
        try:
            header = json.loads(urlsafe_b64decode(text.partition(".")[0] + "==="), object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            raise self._foreign() from None
        match header:
            case {"crit": _} | {"b64": _}:
                raise Unauthorized(
                    "JWT validation failed: its header has `crit` or `b64`, and no extension is understood. "
                    f"{self._remedy}"
                )
            case {"alg": str(algorithm)} if algorithm in self._trust.algorithms:
                key_id = header.get("kid")
                if key_id is None or isinstance(key_id, str):
                    return algorithm, key_id
            case _:
                pass
        raise self._foreign()

    def _foreign(self) -> Unauthorized:
        return Unauthorized(f"JWT validation failed: it is not a token of {self.name}. {self._remedy}")

    @property
    def _remedy(self) -> str:
        return (
            f"Get a new token from {self.name}, for the audience of this server (WHOHAS_OIDC_AUDIENCE). If claims are "
            "missing, that provider must be configured to send them."
        )

    def _caller(self, claims: dict[str, Any]) -> Caller:
        try:
            self._claims.validate(claims)  # also checks nbf and iat if the token has them
        except ClaimError as error:
            why = f"{_fault(error, claims)} ({error.description})"
            raise Unauthorized(f"JWT validation failed: {why}. {self._remedy}") from None
        subject: str = claims["sub"]
        if not _is_text(subject):
            why = "JWT lacks its claims (Claim 'sub' is no valid Unicode)"
            raise Unauthorized(f"JWT validation failed: {why}. {self._remedy}")
        user_name = claims.get(self._trust.user_name_claim)
        named = isinstance(user_name, str) and bool(user_name.strip()) and user_name.isprintable()
        scopes = [scope for text in _texts(claims.get("scope")) for scope in text.split()]
        owner = hashlib.sha256(f"{self.name}\n{subject}".encode()).hexdigest()[:32]
        values = _texts(_at(claims, self._trust.levels_claim))
        return Caller(
            id=owner,
            name=str(user_name).strip()[:200] if named else f"client {owner[:8]}",
            scopes=frozenset([*self._trust.scopes, *(scope for scope in scopes if scope in known_scopes)]),
            levels=frozenset(self._trust.levels[value] for value in values if value in self._trust.levels),
            client_id=owner,
            # ids of sources are printable; others may have characters that a database rejects, such as NUL
            sources=frozenset(id for id in _texts(_at(claims, self._trust.sources_claim)) if id.isprintable()),
            is_user=named and not _is_service_account(claims, str(user_name)),
        )


def _claims_of(text: str, algorithm: str, key_id: str | None, keys: PublicKeys) -> dict[str, Any] | None:
    """Return the claims of a token if one of the keys signed it, else None.

    Keys with the token's key id are tried. A token without a key id is accepted only if the provider has a single key.
    """
    sole_key = keys if len(keys) == 1 else ()
    candidates = [key for key in keys if key.kid == key_id] if key_id is not None else list(sole_key)
    for key in candidates[:MAX_KEYS_TRIED]:
        if key.get("alg", algorithm) != algorithm:
            continue
        try:
            return jwt.decode(text, key, algorithms=[algorithm], decoder_cls=_Decoder).claims
        except (JoseError, ValueError, TypeError, RecursionError):
            continue
    return None


def _is_service_account(claims: Mapping[str, Any], user_name: str) -> bool:
    """Return whether the user is one that Keycloak made for a client: `service-account-` and the id of the client."""
    client = claims.get("client_id", claims.get("azp"))
    return isinstance(client, str) and user_name.casefold() == f"service-account-{client}".casefold()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object, whose names must be unique (RFC 7515, 4; RFC 7519, 4).

    Of two members of the same name another program might use the other one.

    Raises:
        ValueError: a name occurs twice.
    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


class _Decoder(json.JSONDecoder):
    def __init__(self) -> None:
        super().__init__(object_pairs_hook=_unique)


def _is_text(value: str) -> bool:
    """Return whether a string is valid Unicode: JSON can escape single surrogates, as in `"\\ud800"`."""
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
    return [text for text in values if isinstance(text, str)]


def _at(claims: Mapping[str, Any], path: str) -> object:
    """Return the claim of this name, else the value at this path of nested objects, else None.

    For example `realm_access.roles` finds 1 in `{"realm_access.roles": 1}` and 2 in `{"realm_access": {"roles": 2}}`.
    """
    if path in claims:
        return claims[path]
    value: object = claims
    for name in path.split("."):
        value = cast("dict[str, object]", value).get(name) if isinstance(value, dict) else None
    return value
