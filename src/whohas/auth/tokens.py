"""Access tokens: JSON Web Tokens signed with ES256, checked at every call.

What a token says is settled once and remembered for as long as it is valid; what its client and its user may do is
read at every call, so that revoking one, disabling the other or taking a level away works at once.
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
from whohas.auth.clients import Client, Clients
from whohas.auth.issuer import Issuer
from whohas.auth.keys import SigningKeys
from whohas.auth.people import Person
from whohas.auth.rights import Caller
from whohas.cache import Cache
from whohas.errors import NotFound, Unauthorized

ALGORITHM = "ES256"
FETCH = "Fetch a token from POST /oauth/token."
LONGEST = 16_384
"""Bytes of a token; ours have 500, those of outside issuers a few thousand."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token just issued; a `repr` does not show its text.

    Attributes:
        expires_in: seconds that it is valid.
        id: the token's own id, its `jti`.
    """

    text: str = field(repr=False)
    expires_in: int
    id: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Said:
    """What a token of ours says, found true."""

    key: str
    client: str
    person: str | None
    scopes: frozenset[str]
    issued: float
    expires: float


class Tokens:
    """Issues and checks the tokens of an installation.

    Attributes:
        issuer: the organisation's name, as the claim `iss` has it.
        lifetime: seconds; long, for most clients fetch one token and never a second.
        outside: an issuer whose tokens are taken too; null for none.
    """

    def __init__(
        self, clients: Clients, keys: SigningKeys, *, issuer: str, lifetime: int, outside: Issuer | None = None
    ) -> None:
        self._clients = clients
        self._keys = keys
        self._said: Cache[_Said] = Cache(10_000)
        self.issuer = issuer
        self.lifetime = lifetime
        self.outside = outside

    def issue(self, client: Client, person: Person | None = None, scopes: tuple[str, ...] | None = None) -> Token:
        """A token that stands for a client, or for a user who signed in at it, with some or all of its scopes."""
        now = time.time()
        token_id = uuid.uuid4().hex
        granted = client.scopes if scopes is None else scopes
        acts_for = person or client.person
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": acts_for.id if acts_for else client.id,
            "client_id": client.id,
            "user_name": acts_for.name if acts_for else client.name,
            "scope": list(granted),
            # the clock may have been set back since the tokens of before were ended
            "iat": round(max(now, client.tokens_from.timestamp()), 6),
            "exp": int(now) + self.lifetime,
            "jti": token_id,
        }
        if person is not None:
            claims["person"] = person.id
        key = self._keys.newest()
        text = jwt.encode({"alg": ALGORITHM, "kid": key.id}, claims, key.key, algorithms=[ALGORITHM])
        return Token(text, self.lifetime, token_id, granted)

    def verify(self, text: str) -> Caller:
        """The caller whom a token stands for.

        Raises:
            Unauthorized: empty, no JWT, another algorithm (`none` too), forged, expired, or of a client or a user that
                was revoked, disabled or never was; the message says which.
            Unavailable: it is of the outside issuer, and that does not answer.
        """
        if not text:
            raise Unauthorized(f"The token is empty. {FETCH}")
        if len(text) > LONGEST or not text.isascii():
            raise Unauthorized(f"JWT validation failed: it is not a JSON Web Token. {FETCH}")
        if self.outside is not None and _unproven(text, 1).get("iss") == self.outside.name:
            return self.outside.verify(text)
        digest = hashlib.sha256(text.encode()).digest()
        said = self._said.get(digest, lambda: self._read(text))
        if self._keys.find(said.key) is None:
            raise _forged()
        if said.expires <= time.time():
            raise Unauthorized(f"JWT validation failed: JWT is expired. {FETCH}")
        lifetime = max(self.lifetime, said.expires - said.issued)
        if said.expires - lifetime > time.time() + timeouts.CLOCK_AHEAD_SECONDS:
            raise Unauthorized(
                f"JWT validation failed: it was issued more than a day ahead of this server's clock. {FETCH}"
            )
        return self._caller(said)

    def _caller(self, said: _Said) -> Caller:
        try:
            client, person = self._clients.standing(said.client, said.person)
        except NotFound:
            raise Unauthorized("JWT validation failed: its client or user does not exist.") from None
        if client.revoked is not None:
            raise Unauthorized(f"JWT validation failed: its client {client.name!r} was revoked.")
        acts_for = person or client.person
        if acts_for is not None and acts_for.disabled is not None:
            raise Unauthorized(f"JWT validation failed: its user {acts_for.name!r} was disabled.")
        if said.issued < client.tokens_from.timestamp():
            raise Unauthorized(f"JWT validation failed: the tokens of its client were ended. {FETCH}")
        return client.caller(person, said.scopes)

    def _read(self, text: str) -> _Said:
        header = _unproven(text, 0)
        if not header:
            raise Unauthorized(f"JWT validation failed: it is not a JSON Web Token. {FETCH}")
        if header.get("alg") != ALGORITHM:
            raise Unauthorized(f"JWT validation failed: the algorithm must be {ALGORITHM}. {FETCH}")
        key_id = header.get("kid")
        key = self._keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise _forged()
        try:
            claims = jwt.decode(text, key.key, algorithms=[ALGORITHM]).claims
        except BadSignatureError:
            raise _forged() from None
        except UnsupportedAlgorithmError:
            raise Unauthorized(f"JWT validation failed: the algorithm must be {ALGORITHM}. {FETCH}") from None
        except (JoseError, ValueError):
            raise Unauthorized(f"JWT validation failed: it is not a JSON Web Token. {FETCH}") from None
        match claims:
            case {
                "iss": self.issuer,
                "client_id": str(client),
                "exp": int(expires),
                "iat": int() | float() as issued,
                "scope": list(scopes),
            }:
                person = claims.get("person")
                return _Said(key.id, client, person, frozenset(map(str, cast("list[object]", scopes))), issued, expires)
            case _:
                raise Unauthorized(f"JWT validation failed: JWT lacks its claims. {FETCH}")


def _forged() -> Unauthorized:
    return Unauthorized(f"JWT validation failed: the signature is not this server's. {FETCH}")


def _unproven(text: str, part: int) -> dict[str, Any]:
    """A part of a token as it says by itself, to know who must prove it; empty where it is none."""
    parts = text.split(".")
    if len(parts) != 3:
        return {}
    try:
        value = json.loads(urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4)))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
