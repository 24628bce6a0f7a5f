"""Authorization codes: what a user who signed in is sent back with, to be traded for a token once.

PKCE (RFC 7636) with S256 is always needed, so that a stolen code is worth nothing.
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
from whohas.auth.clients import Client, Clients
from whohas.auth.people import Person
from whohas.database import Instant, metadata
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
    sa.Column("expires", Instant, nullable=False, index=True),
)

LIFETIME = timedelta(seconds=timeouts.CODE_SECONDS)
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
WRONG_CODE = "The code is unknown, used or expired, or it is not for this client, address and verifier."


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code was traded for: a token for this user at this client, with these scopes."""

    client: Client
    person: Person
    scopes: tuple[str, ...]


class Codes:
    """The codes that are out."""

    def __init__(self, database: sa.Engine, clients: Clients) -> None:
        self._database = database
        self._clients = clients

    def issue(self, client: Client, person: Person, redirect: str, challenge: str, scopes: tuple[str, ...]) -> str:
        """A new code, valid for a minute and one use. Old ones that nobody used are forgotten."""
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
                    expires=now + LIFETIME,
                )
            )
        return code

    def redeem(self, code: str, client_id: str, redirect: str, verifier: str) -> Grant:
        """What a code stands for; it is used up, also where the rest of the request is wrong.

        Raises:
            Unauthorized: it is not good, or its client or user may not call any more; the message does not say which.
        """
        with self._database.begin() as connection:
            row = connection.execute(code_table.select().where(code_table.c.hash == _hash(code))).one_or_none()
            used = connection.execute(code_table.delete().where(code_table.c.hash == _hash(code)))
        left = row.expires - datetime.now(UTC) if row is not None else -LIFETIME
        # more is left than a lifetime where the clock was set back; those of several servers differ a little
        if row is None or used.rowcount != 1 or not timedelta(0) <= left <= 2 * LIFETIME:
            raise Unauthorized(WRONG_CODE)
        proof = urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii", "replace")).digest()).rstrip(b"=").decode()
        proven = VERIFIER.fullmatch(verifier) is not None and hmac.compare_digest(proof, row.challenge)
        if not proven or row.client != client_id or row.redirect != redirect:
            raise Unauthorized(WRONG_CODE)
        try:
            client, person = self._clients.standing(row.client, row.person)
        except NotFound:
            raise Unauthorized(WRONG_CODE) from None
        if person is None or person.disabled is not None or client.revoked is not None:
            raise Unauthorized(WRONG_CODE)
        return Grant(client, person, tuple(row.scopes))


def _hash(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
