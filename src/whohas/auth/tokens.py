"""Access tokens: JSON Web Tokens signed with ES256, checked at every call."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey

from whohas.auth.clients import Client, Clients
from whohas.errors import NotFound, Unauthorized

ALGORITHM = "ES256"
FETCH = "Fetch a token from POST /oauth/token."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call.

    Attributes:
        id: the client's id.
        name: what a run that it starts names as launcher.
    """

    id: str
    name: str
    scopes: frozenset[str]


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


class Tokens:
    """Issues and checks the tokens of an installation.

    Attributes:
        issuer: the organisation's name, as the claim `iss` has it.
        lifetime: seconds; long, for most clients fetch one token and never a second.
    """

    def __init__(self, clients: Clients, key: ECKey, *, issuer: str, lifetime: int) -> None:
        self._clients = clients
        self._key = key
        self.issuer = issuer
        self.lifetime = lifetime

    def issue(self, client: Client) -> Token:
        """A token that stands for a client, with its scopes as they are now."""
        now = int(time.time())
        token_id = uuid.uuid4().hex
        claims: dict[str, Any] = {
            "iss": self.issuer,
            "sub": client.id,
            "client_id": client.id,
            "user_name": client.name,
            "scope": list(client.scopes),
            "iat": now,
            "exp": now + self.lifetime,
            "jti": token_id,
        }
        text = jwt.encode({"alg": ALGORITHM}, claims, self._key, algorithms=[ALGORITHM])
        return Token(text, self.lifetime, token_id)

    def verify(self, text: str) -> Caller:
        """The caller whom a token stands for. Reads the client's row, so that revoking works at once.

        Raises:
            Unauthorized: empty, no JWT, another algorithm (`none` too), forged, expired, or of a client that
                was revoked or never was; the message says which.
        """
        if not text:
            raise Unauthorized(f"The token is empty. {FETCH}")
        claims = self._claims(text)
        expires, client_id = claims.get("exp"), claims.get("sub")
        if not isinstance(expires, int) or not isinstance(client_id, str):
            raise Unauthorized(f"JWT validation failed: JWT lacks its claims. {FETCH}")
        if expires <= time.time():
            raise Unauthorized(f"JWT validation failed: JWT is expired. {FETCH}")
        try:
            client = self._clients.get(client_id)
        except NotFound:
            raise Unauthorized("JWT validation failed: its client does not exist.") from None
        if client.revoked is not None:
            raise Unauthorized(f"JWT validation failed: its client {client.name!r} was revoked.")
        return Caller(client.id, client.name, frozenset(claims.get("scope", ())) & frozenset(client.scopes))

    def _claims(self, text: str) -> dict[str, Any]:
        try:
            return jwt.decode(text, self._key, algorithms=[ALGORITHM]).claims
        except BadSignatureError:
            raise Unauthorized(f"JWT validation failed: the signature is not this server's. {FETCH}") from None
        except UnsupportedAlgorithmError:
            raise Unauthorized(f"JWT validation failed: the algorithm must be {ALGORITHM}. {FETCH}") from None
        except (JoseError, ValueError):
            raise Unauthorized(f"JWT validation failed: it is not a JSON Web Token. {FETCH}") from None
