"""The programs that may call: an id, a secret that only they know, and their scopes.

A secret is 256 random bits, so a keyed hash is enough to keep it: nothing can be guessed, and a check costs
microseconds (one official client fetches a token before every call).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from whohas.auth.scopes import ALL, checked_scopes
from whohas.database import Instant, metadata
from whohas.errors import InvalidArguments, NotFound, Unauthorized

client_table = sa.Table(
    "client",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True, comment="32 lower-case hex digits"),
    sa.Column("name", sa.String(200), nullable=False, comment="what runs name as their launcher"),
    sa.Column("secret", sa.String(64), nullable=False, comment="HMAC-SHA-256 of the secret, in hex"),
    sa.Column("scopes", sa.JSON, nullable=False, comment="a list of names"),
    sa.Column("created", Instant, nullable=False),
    sa.Column("revoked", Instant, nullable=True, comment="since when it may not call any more"),
)

ID_FORM = re.compile(r"[0-9a-f]{32}")
WRONG_CREDENTIALS = "The client id or the secret is wrong, or the client was revoked."


@dataclass(frozen=True, slots=True)
class Client:
    """A client as anybody may see it: without its secret.

    Attributes:
        id: 32 lower-case hex digits, the `client_id` of a token request.
        revoked: since when it may not call any more; null while it may.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    revoked: datetime | None


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client with its secret, which is told this once; a `repr` does not show it."""

    client: Client
    secret: str = field(repr=False)


class Clients:
    """The clients of an installation."""

    def __init__(self, database: sa.Engine, key: bytes) -> None:
        self._database = database
        self._key = key

    def create(self, name: str, scopes: Iterable[str] = (ALL,)) -> NewClient:
        """Makes a client and its secret. Several clients may share a name, as while one replaces another.

        Raises:
            InvalidArguments: the name is empty, too long or has control characters, or a scope is unknown.
        """
        name = _checked_name(name)
        client = Client(uuid.uuid4().hex, name, checked_scopes(scopes), datetime.now(UTC), None)
        secret = secrets.token_hex(32)
        with self._database.begin() as connection:
            connection.execute(
                client_table.insert().values(
                    id=client.id,
                    name=client.name,
                    secret=self._hash(secret),
                    scopes=list(client.scopes),
                    created=client.created,
                )
            )
        return NewClient(client, secret)

    def renew(self, client_id: str) -> NewClient:
        """Gives a client a new secret; the old one stops to work, tokens that it has go on.

        Raises:
            NotFound: there is no such client, or it was revoked.
        """
        secret = secrets.token_hex(32)
        with self._database.begin() as connection:
            changed = connection.execute(
                client_table.update()
                .where(client_table.c.id == client_id, client_table.c.revoked.is_(None))
                .values(secret=self._hash(secret))
            )
        if changed.rowcount == 0:
            raise NotFound(f"There is no active client {client_id!r}. `whohas client list` shows them.")
        return NewClient(self.get(client_id), secret)

    def verify(self, client_id: str, secret: str) -> Client:
        """The client whose id and secret these are; takes as long for a wrong id as for a wrong secret.

        Raises:
            Unauthorized: no such client, a wrong secret, or a revoked client; the message does not say which.
        """
        row = self._row(client_id)
        kept = str(row.secret) if row is not None else "0" * 64
        matches = hmac.compare_digest(self._hash(secret), kept)
        if row is None or not matches or row.revoked is not None:
            raise Unauthorized(WRONG_CREDENTIALS)
        return _client(row)

    def get(self, client_id: str) -> Client:
        """A client by its id, revoked or not.

        Raises:
            NotFound: there is no such client.
        """
        row = self._row(client_id)
        if row is None:
            raise NotFound(f"There is no client {client_id!r}. `whohas client list` shows them.")
        return _client(row)

    def list(self) -> list[Client]:
        """All clients, the newest first, revoked ones too."""
        query = client_table.select().order_by(client_table.c.created.desc(), client_table.c.id)
        with self._database.connect() as connection:
            return [_client(row) for row in connection.execute(query)]

    def revoke(self, client_id: str) -> Client:
        """Ends a client's rights at once, those of its tokens too; a second time changes nothing.

        Raises:
            NotFound: there is no such client.
        """
        with self._database.begin() as connection:
            connection.execute(
                client_table.update()
                .where(client_table.c.id == client_id, client_table.c.revoked.is_(None))
                .values(revoked=datetime.now(UTC))
            )
        return self.get(client_id)

    def _row(self, client_id: str) -> sa.Row[Any] | None:
        if not ID_FORM.fullmatch(client_id):
            return None
        with self._database.connect() as connection:
            return connection.execute(client_table.select().where(client_table.c.id == client_id)).one_or_none()

    def _hash(self, secret: str) -> str:
        # surrogates stand for bytes that were no UTF-8: such a secret is wrong, and no reason to fail
        return hmac.new(self._key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _client(row: sa.Row[Any]) -> Client:
    return Client(row.id, row.name, tuple(row.scopes), row.created, row.revoked)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise InvalidArguments("A client's name has 1 to 200 printable characters; it is what runs name as launcher.")
    return name
