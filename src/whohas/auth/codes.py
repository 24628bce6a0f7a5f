"""Authorization codes of OAuth 2: one-time codes that a client exchanges for a token after its user signed in.

PKCE (RFC 7636) with S256 is always required, so that a stolen code is of no use without the client's verifier. The
table `sign_in_code` keeps only hashes of codes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from whohas import timeouts
from whohas.auth.clients import ApiClient, Clients
from whohas.auth.users import User
from whohas.db.engine import UTCDateTime, metadata
from whohas.errors import NotFound, Unauthorized

code_table = sa.Table(
    "sign_in_code",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True, comment="SHA-256 of the code, which has 256 random bits"),
    sa.Column("client", sa.String(32), nullable=False),
    sa.Column("person", sa.String(32), nullable=False),
    sa.Column("redirect", sa.Text, nullable=False),
    sa.Column("challenge", sa.String(43), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("expires", UTCDateTime, nullable=False, index=True),
)

CODE_LIFETIME = timedelta(seconds=timeouts.CODE_SECONDS)
CHALLENGE_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}")
"""A PKCE code challenge of the method S256: 32 bytes in base64url without padding."""
VERIFIER_PATTERN = re.compile(r"[A-Za-z0-9._~-]{43,128}")
"""A PKCE code verifier (RFC 7636, 4.1)."""
WRONG_CODE_MESSAGE = "The code is unknown, used or expired, or it is not for this client, address and verifier."


@dataclass(frozen=True, slots=True)
class CodeGrant:
    """The rights that a code stands for: a token for this user at this client, with these scopes."""

    client: ApiClient
    user: User
    scopes: tuple[str, ...]


class AuthorizationCodes:
    """The authorization codes that were issued and not yet redeemed, in the table `sign_in_code`."""

    def __init__(self, database: sa.Engine, clients: Clients) -> None:
        self._database = database
        self._clients = clients

    def issue(self, client: ApiClient, person: User, redirect: str, challenge: str, scopes: tuple[str, ...]) -> str:
        """Return a new code, which is valid for a minute and can be redeemed once; delete expired codes.

        Args:
            client: the application at which the user signed in.
            person: the user who signed in.
            redirect: the `redirect_uri` that the code is sent to; the token request must repeat it.
            challenge: the PKCE challenge of the client; see `CHALLENGE_PATTERN`.
            scopes: the scopes of the token.
        """
        code = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        with self._database.begin() as connection:
            connection.execute(code_table.delete().where(code_table.c.expires < now))
            connection.execute(
                code_table.insert().values(
                    hash=_hash(code),
                    client=client.id,
                    person=person.id,
                    redirect=redirect,
                    challenge=challenge,
                    scopes=list(scopes),
                    expires=now + CODE_LIFETIME,
                )
            )
        return code

    def redeem(self, code: str, client_id: str, redirect: str, verifier: str) -> CodeGrant:
        """Return the rights that a code stands for, and delete the code, even if other arguments are wrong.

        Args:
            code: the code.
            client_id: the client that redeems it.
            redirect: the `redirect_uri` of the token request.
            verifier: the PKCE verifier, whose SHA-256 must be the challenge.

        Raises:
            Unauthorized: the code is unknown, used or expired, the other arguments do not match it, or its client was
                revoked or its user disabled; the message is the same for all of them.
        """
        with self._database.begin() as connection:
            row = connection.execute(code_table.select().where(code_table.c.hash == _hash(code))).one_or_none()
            deleted = connection.execute(code_table.delete().where(code_table.c.hash == _hash(code)))
        remaining = row.expires - datetime.now(UTC) if row is not None else -CODE_LIFETIME
        # more than one lifetime remains if the clock was set back since; two lifetimes, because the clocks of several
        # servers differ a little
        if row is None or deleted.rowcount != 1 or not timedelta(0) <= remaining <= 2 * CODE_LIFETIME:
            raise Unauthorized(WRONG_CODE_MESSAGE)
        digest = urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii", "replace")).digest()).rstrip(b"=").decode()
        verified = VERIFIER_PATTERN.fullmatch(verifier) is not None and hmac.compare_digest(digest, row.challenge)
        if not verified or row.client != client_id or row.redirect != redirect:
            raise Unauthorized(WRONG_CODE_MESSAGE)
        try:
            client, person = self._clients.current_state(row.client, row.person)
        except NotFound:
            raise Unauthorized(WRONG_CODE_MESSAGE) from None
        if person is None or person.disabled is not None or client.revoked is not None:
            raise Unauthorized(WRONG_CODE_MESSAGE)
        return CodeGrant(client, person, tuple(row.scopes))


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
