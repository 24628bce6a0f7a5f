"""Access tokens: JSON Web Tokens signed with ES256, verified at every call.

The signature of a token is verified once, and its claims are cached. The state of its client and user is read at every
call, so that revoking the client, disabling the user or removing a level takes effect at once.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any, cast

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError

from whohas import timeouts
from whohas.auth.callers import Caller
from whohas.auth.clients import ApiClient, Clients
from whohas.auth.keys import SigningKeys
from whohas.auth.oidc import OIDCIssuer
from whohas.auth.users import User
from whohas.db.cache import Cache
from whohas.errors import NotFound, Unauthorized

ALGORITHM = "ES256"
FETCH_HINT = "Fetch a token from POST /oauth/token."
MAX_TOKEN_BYTES = 16_384
"""The maximum length of a token in bytes; ours have 500, those of OpenID Connect providers a few thousand."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that was just issued; a `repr` does not show its text.

    Attributes:
        text: the signed JSON Web Token.
        expires_in: its lifetime in seconds.
        id: the id of the token, its claim `jti`.
        scopes: its scopes.
    """

    text: str = field(repr=False)
    expires_in: int
    id: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _AccessClaims:
    """The claims of a token of this server, whose signature was verified.

    Attributes:
        key: the id of the key that signed it.
        client: the id of its client.
        person: the id of the user who signed in at the client; None for a token that was issued for id and secret.
        issued: seconds since 1970.
        expires: seconds since 1970.
    """

    key: str
    client: str
    person: str | None
    scopes: frozenset[str]
    issued: float
    expires: float


class AccessTokens:
    """Issues and verifies the access tokens of an installation.

    Attributes:
        issuer: the claim `iss` of the tokens: the name of the organization (WHOHAS_ORG).
        lifetime: the lifetime of a token in seconds. It is long, because most clients fetch only one token.
        outside: the external OpenID Connect provider whose tokens are accepted too; None without one.
    """

    def __init__(
        self, clients: Clients, keys: SigningKeys, *, issuer: str, lifetime: int, outside: OIDCIssuer | None = None
    ) -> None:
        self._clients = clients
        self._keys = keys
        self._verified: Cache[_AccessClaims] = Cache(10_000)
        self.issuer = issuer
        self.lifetime = lifetime
        self.outside = outside

    def issue(
        self, client: ApiClient, person: User | None = None, scopes: tuple[str, ...] | None = None
    ) -> AccessToken:
        """Return a new token, signed with the newest key.

        Args:
            client: the client that gets the token.
            person: the user who signed in at the client; None if the client sent its secret.
            scopes: the scopes of the token; None for all scopes of the client.

        Raises:
            Unavailable: a signing key is damaged, or its folder cannot be read or written.
        """
        now = time.time()
        token_id = uuid.uuid4().hex
        granted = client.scopes if scopes is None else scopes
        acts_for = person or client.user
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": acts_for.id if acts_for else client.id,
            "client_id": client.id,
            "user_name": acts_for.name if acts_for else client.name,
            "scope": list(granted),
            # not before `tokens_valid_from`, which is in the future if the clock was set back since: the token would be
            # refused as one of those that were ended
            "iat": round(max(now, client.tokens_valid_from.timestamp()), 6),
            "exp": int(now) + self.lifetime,
            "jti": token_id,
        }
        if person is not None:
            claims["person"] = person.id
        key = self._keys.signing_key()
        text = jwt.encode({"alg": ALGORITHM, "kid": key.id}, claims, key.key, algorithms=[ALGORITHM])
        return AccessToken(text, self.lifetime, token_id, granted)

    def verify(self, text: str) -> Caller:
        """Return the caller that a token authenticates, with the present levels of its user or application.

        Raises:
            Unauthorized: the token is empty, not a JWT, has another algorithm (such as `none`), is not signed by this
                server, expired or ended, or its client or user does not exist, was revoked or disabled; the message
                says which.
            Unavailable: the token is of the OpenID Connect provider, whose keys cannot be fetched.
        """
        if not text:
            raise Unauthorized(f"The token is empty. {FETCH_HINT}")
        if len(text) > MAX_TOKEN_BYTES or not text.isascii():
            raise Unauthorized(f"JWT validation failed: it is not a JSON Web Token. {FETCH_HINT}")
        if self.outside is not None and _decode_unverified(text, 1).get("iss") == self.outside.name:
            return self.outside.verify(text)
        digest = hashlib.sha256(text.encode()).digest()
        verified = self._verified.get(digest, lambda: self._verify(text))
        if self._keys.find(verified.key) is None:
            raise _wrong_signature()
        if verified.expires <= time.time():
            raise Unauthorized(f"JWT validation failed: JWT is expired. {FETCH_HINT}")
        lifetime = max(self.lifetime, verified.expires - verified.issued)
        if verified.expires - lifetime > time.time() + timeouts.CLOCK_AHEAD_SECONDS:
            raise Unauthorized(
                f"JWT validation failed: it was issued more than a day ahead of this server's clock. {FETCH_HINT}"
            )
        return self._caller(verified)

    def _caller(self, verified: _AccessClaims) -> Caller:
        try:
            client, person = self._clients.current_state(verified.client, verified.person)
        except NotFound:
            raise Unauthorized(
                "JWT validation failed: its client or user does not exist. Use another client of this server "
                "(`whohas client create`)."
            ) from None
        if client.revoked is not None:
            raise Unauthorized(
                f"JWT validation failed: its client {client.name!r} was revoked. Use another client of this server "
                "(`whohas client create`)."
            )
        acts_for = person or client.user
        if acts_for is not None and acts_for.disabled is not None:
            raise Unauthorized(
                f"JWT validation failed: its user {acts_for.name!r} was disabled. `whohas user change NAME --enable` "
                "enables a user again."
            )
        if verified.issued < client.tokens_valid_from.timestamp():
            raise Unauthorized(f"JWT validation failed: the tokens of its client were ended. {FETCH_HINT}")
        return client.caller(person, verified.scopes)

    def _verify(self, text: str) -> _AccessClaims:
        header = _decode_unverified(text, 0)
        if not header:
            raise Unauthorized(f"JWT validation failed: it is not a JSON Web Token. {FETCH_HINT}")
        if header.get("alg") != ALGORITHM:
            raise Unauthorized(f"JWT validation failed: the algorithm must be {ALGORITHM}. {FETCH_HINT}")
        key_id = header.get("kid")
        key = self._keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise _wrong_signature()
        try:
            claims = jwt.decode(text, key.key, algorithms=[ALGORITHM]).claims
        except BadSignatureError:
            raise _wrong_signature() from None
        except UnsupportedAlgorithmError:
            raise Unauthorized(f"JWT validation failed: the algorithm must be {ALGORITHM}. {FETCH_HINT}") from None
        except (JoseError, ValueError):
            raise Unauthorized(f"JWT validation failed: it is not a JSON Web Token. {FETCH_HINT}") from None
        match claims:
            case {
                "iss": self.issuer,
                "client_id": str(client),
                "exp": int(expires),
                "iat": int() | float() as issued,
                "scope": list(scopes),
            }:
                person = claims.get("person")
                return _AccessClaims(
                    key.id, client, person, frozenset(map(str, cast("list[object]", scopes))), issued, expires
                )
            case _:
                raise Unauthorized(f"JWT validation failed: JWT lacks its claims. {FETCH_HINT}")


def _wrong_signature() -> Unauthorized:
    return Unauthorized(f"JWT validation failed: the signature is not this server's. {FETCH_HINT}")


def _decode_unverified(text: str, part: int) -> dict[str, Any]:
    """Decode the header (part 0) or the claims (part 1) of a token without verifying it, to find out who signed it.

    Returns an empty dict if the token has not three parts or the part is not a JSON object.
    """
    parts = text.split(".")
    if len(parts) != 3:
        return {}
    try:
        value = json.loads(urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
