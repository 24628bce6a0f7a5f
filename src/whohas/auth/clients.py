"""The programs that may call: an id, a secret that only they know, their scopes, and perhaps the user they act for.

A secret is 256 random bits, so a keyed hash is enough to keep it: nothing can be guessed, and a check costs
microseconds (one official client fetches a token before every call).

A client is one of two things, as published: an application, which acts in its own right, or the personal client (the
"personal access token") of a user, which acts as that user. An application may also be where users sign in.
"""

from __future__ import annotations

import builtins
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

from whohas import addresses
from whohas.addresses import Address
from whohas.audit import Event, Type, Who, write
from whohas.audit.events import SYSTEM
from whohas.auth.people import BESIDE, Person, person_beside, person_of, person_table
from whohas.auth.rights import ALL, DEFAULT, READ, Caller, Level, checked_levels, checked_name, checked_scopes
from whohas.cache import Cache, until_commit
from whohas.database import Instant, metadata
from whohas.errors import InvalidArguments, NotFound, Unauthorized

client_table = sa.Table(
    "client",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True, comment="32 lower-case hex digits"),
    sa.Column("name", sa.String(200), nullable=False, comment="what runs of an application name as their launcher"),
    sa.Column("secret", sa.String(64), nullable=False, comment="HMAC-SHA-256 of the secret, in hex"),
    sa.Column("scopes", sa.JSON, nullable=False, comment="a list of names"),
    sa.Column("created", Instant, nullable=False),
    sa.Column("revoked", Instant, nullable=True, comment="since when it may not call any more"),
    sa.Column("person", sa.ForeignKey("person.id"), nullable=True, comment="the user whom a personal client acts for"),
    sa.Column("levels", sa.JSON, nullable=False, comment="an application's; a personal client has its user's"),
    sa.Column("sources", sa.JSON, nullable=False, comment="ids of the sources that it is held to"),
    sa.Column("redirects", sa.JSON, nullable=False, comment="where users may be sent back to after they signed in"),
    sa.Column("tokens_from", Instant, nullable=False, comment="tokens that were issued before are over"),
)

ID_FORM = re.compile(r"[0-9a-f]{32}")
WRONG_CREDENTIALS = "The client id or the secret is wrong, or the client was revoked."


@dataclass(frozen=True, slots=True)
class Client:
    """A client as anybody may see it: without its secret.

    Attributes:
        id: 32 lower-case hex digits, the `client_id` of a token request.
        revoked: since when it may not call any more; null while it may.
        person: the user whom it acts for; null for an application.
        levels: an application's; empty for a personal client, which has its user's.
        sources: ids of the sources that an application is held to.
        redirects: where users may be sent back to after they signed in.
        tokens_from: tokens that were issued before this are over.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    revoked: datetime | None
    person: Person | None
    levels: tuple[Level, ...]
    sources: tuple[str, ...]
    redirects: tuple[str, ...]
    tokens_from: datetime

    def caller(self, person: Person | None = None, scopes: Iterable[str] | None = None) -> Caller:
        """Who calls with a token of this client, perhaps for a user who signed in at it, with some of its scopes."""
        held = frozenset(self.scopes)
        if scopes is not None:
            asked = frozenset(scopes)
            held = asked if held & {ALL, DEFAULT} else held & asked
        acts_for = person or self.person
        if acts_for is None:
            return Caller(self.id, self.name, held, frozenset(self.levels), self.id, frozenset(self.sources))
        levels, sources = frozenset(acts_for.levels), frozenset(acts_for.sources)
        return Caller(acts_for.id, acts_for.name, held, levels, self.id, sources, user=True)

    def sends_back_to(self, text: str) -> Address | None:
        """Return the address that a user may be sent back to; None where they may not.

        It is one that was registered, to the letter; on the machine itself the port may be another (RFC 8252, 7.3).
        One that was registered before addresses were read strictly, and is none, is good for nobody.
        """
        address = _redirect(text)
        if address is None:
            return None
        known = [found for found in map(_redirect, self.redirects) if found is not None]
        same = text in self.redirects or any(
            found.loopback and found.without_port == address.without_port for found in known
        )
        return address if same else None


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
        self._standing: Cache[tuple[Client, Person | None]] = until_commit(database)

    def create(
        self,
        name: str,
        scopes: Iterable[str] = (READ,),
        *,
        person: Person | None = None,
        levels: Iterable[str] = (),
        sources: Iterable[str] = (),
        redirects: Iterable[str] = (),
        by: Who = SYSTEM,
    ) -> NewClient:
        """Makes a client and its secret. Several clients may share a name, as while one replaces another.

        What is not given is the least that there is: a client that may only read, and an application of no level.

        Args:
            person: the user whose personal client it is; it then has their levels and sources.
            by: who the audit trail says made it.

        Raises:
            InvalidArguments: the name will not do, a scope or a level is unknown, or an address is none.
        """
        now = datetime.now(UTC)
        client = Client(
            uuid.uuid4().hex,
            checked_name(name, "client"),
            checked_scopes(scopes),
            now,
            None,
            person,
            checked_levels(levels) if person is None else (),
            tuple(dict.fromkeys(sources)),
            tuple(map(_checked_redirect, redirects)),
            now.replace(microsecond=0),
        )
        secret = secrets.token_hex(32)
        values = {
            "id": client.id,
            "name": client.name,
            "secret": self._hash(secret),
            "scopes": list(client.scopes),
            "created": client.created,
            "person": person.id if person else None,
            "levels": list(client.levels),
            "sources": list(client.sources),
            "redirects": list(client.redirects),
            "tokens_from": client.tokens_from,
        }
        with self._database.begin() as connection:
            connection.execute(client_table.insert().values(values))
            write(connection, _event(Type.CLIENT_CREATED, client, by))
        return NewClient(client, secret)

    def renew(self, client_id: str, *, end_tokens: bool = False, by: Who = SYSTEM) -> NewClient:
        """Gives a client a new secret; the old one stops to work, tokens that it has go on unless they are to end.

        Raises:
            NotFound: there is no such client, or it was revoked.
        """
        secret = secrets.token_hex(32)
        values: dict[str, Any] = {"secret": self._hash(secret)}
        if end_tokens:
            values["tokens_from"] = datetime.now(UTC)
        with self._database.begin() as connection:
            changed = connection.execute(
                client_table.update()
                .where(client_table.c.id == client_id, client_table.c.revoked.is_(None))
                .values(values)
            )
            if changed.rowcount == 0:
                raise NotFound(f"There is no active client {client_id[:64]!r}. `whohas client list` shows them.")
            client = _read(connection, client_id)
            write(connection, _event(Type.CLIENT_ROTATED, client, by, tokensEnded=end_tokens))
        return NewClient(client, secret)

    def verify(self, client_id: str, secret: str) -> Client:
        """The client whose id and secret these are; takes as long for a wrong id as for a wrong secret.

        Raises:
            Unauthorized: no such client, a wrong secret, or a revoked client; the message does not say which.
        """
        row = self._row(client_id)
        kept = str(row.secret) if row is not None else "0" * 64
        matches = hmac.compare_digest(self._hash(secret), kept)
        if row is None or not matches:
            raise Unauthorized(WRONG_CREDENTIALS)
        client = _client(row, self._person(row.person))
        if client.revoked is not None or (client.person and client.person.disabled):
            raise Unauthorized(WRONG_CREDENTIALS)
        return client

    def standing(self, client_id: str, person_id: str | None) -> tuple[Client, Person | None]:
        """A client and the user who signed in at it, as they are now; asked for at every call.

        Raises:
            NotFound: there is no such client or user.
        """
        return self._standing.get((client_id, person_id), lambda: self._stand(client_id, person_id))

    def _stand(self, client_id: str, person_id: str | None) -> tuple[Client, Person | None]:
        with self._database.connect() as connection:
            row = connection.execute(_WITH_PERSON, {"id": client_id}).one_or_none()
        if row is None:
            raise NotFound(f"There is no client {client_id[:64]!r}.")
        client = _client(row, person_beside(row))
        person = self._person(person_id)
        if person_id is not None and person is None:
            raise NotFound("There is no such user.")
        return client, person

    def get(self, client_id: str) -> Client:
        """A client by its id, revoked or not.

        Raises:
            NotFound: there is no such client.
        """
        row = self._row(client_id)
        if row is None:
            raise NotFound(f"There is no client {client_id[:64]!r}. `whohas client list` shows them.")
        return _client(row, self._person(row.person))

    def list(self) -> builtins.list[Client]:
        """All clients, the newest first, revoked ones too."""
        query = client_table.select().order_by(client_table.c.created.desc(), client_table.c.id)
        with self._database.connect() as connection:
            people = {row.id: person_of(row) for row in connection.execute(person_table.select())}
            return [_client(row, people.get(row.person)) for row in connection.execute(query)]

    def revoke(self, client_id: str, by: Who = SYSTEM) -> Client:
        """Ends a client's rights at once, those of its tokens too; a second time changes nothing.

        Raises:
            NotFound: there is no such client.
        """
        with self._database.begin() as connection:
            changed = connection.execute(
                client_table.update()
                .where(client_table.c.id == client_id, client_table.c.revoked.is_(None))
                .values(revoked=datetime.now(UTC))
            )
            if changed.rowcount:
                write(connection, _event(Type.CLIENT_REVOKED, _read(connection, client_id), by))
        return self.get(client_id)

    def _row(self, client_id: str) -> sa.Row[Any] | None:
        if not ID_FORM.fullmatch(client_id):
            return None
        with self._database.connect() as connection:
            return connection.execute(_ONE_CLIENT, {"id": client_id}).one_or_none()

    def _person(self, person_id: str | None) -> Person | None:
        if person_id is None:
            return None
        with self._database.connect() as connection:
            row = connection.execute(_ONE_PERSON, {"id": person_id}).one_or_none()
        return None if row is None else person_of(row)

    def _hash(self, secret: str) -> str:
        # surrogates stand for bytes that were no UTF-8: such a secret is wrong, and no reason to fail
        return hmac.new(self._key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def client_of(connection: sa.Connection, client_id: str) -> Client | None:
    """A client by its id, revoked or not; None where there is none."""
    row = connection.execute(_WITH_PERSON, {"id": client_id}).one_or_none()
    return None if row is None else _client(row, person_beside(row))


def _read(connection: sa.Connection, client_id: str) -> Client:
    client = client_of(connection, client_id)
    assert client is not None, "it was written in this transaction"
    return client


def _event(type: Type, client: Client, by: Who, **more: object) -> Event:
    facts = {
        "name": client.name,
        "scopes": list(client.scopes),
        "levels": list(client.person.levels if client.person else client.levels),
        "sources": list(client.person.sources if client.person else client.sources) or None,
        "user": client.person.name if client.person else None,
        **more,
    }
    return Event(type, client.id, by, facts=facts)


_ONE_CLIENT = client_table.select().where(client_table.c.id == sa.bindparam("id"))
_WITH_PERSON = (
    sa.select(*client_table.columns, *BESIDE).outerjoin(person_table).where(client_table.c.id == sa.bindparam("id"))
)
_ONE_PERSON = person_table.select().where(person_table.c.id == sa.bindparam("id"))


def _client(row: sa.Row[Any], person: Person | None) -> Client:
    return Client(
        row.id,
        row.name,
        tuple(row.scopes),
        row.created,
        row.revoked,
        person,
        tuple(Level(name) for name in row.levels),
        tuple(row.sources),
        tuple(row.redirects),
        row.tokens_from,
    )


def _checked_redirect(text: str) -> str:
    if _redirect(text) is None:
        wrong = addresses.fault(text) or "it must be https://…, or http:// on this machine (127.0.0.1), and no fragment"
        raise InvalidArguments(f"{text[:200]!r} is no address to send users back to: {wrong}.")
    return text


def _redirect(text: str) -> Address | None:
    """Read an address that users may be sent back to; None where it is none."""
    address = addresses.parsed(text)
    if address is None or address.fragment or not (address.scheme == "https" or address.loopback):
        return None
    return address
