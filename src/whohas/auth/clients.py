"""OAuth clients: the table `client`, with the id, the hashed secret, the scopes and the redirect addresses of each.

As in the published API there are two kinds of clients. An application acts for itself, with its own levels and
sources; users may also sign in at it if it has redirect addresses. A personal client (the "personal access token") acts
for a user, with the levels and sources of the user.

A secret is 256 random bits and is stored as an HMAC-SHA-256. Such a secret cannot be guessed, so a slow hash as for
passwords is not needed, and a check takes microseconds: one official client fetches a token before every call.
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
from whohas.addresses import HttpUrl
from whohas.audit import Actor, Event, EventType, write_event
from whohas.audit.events import SYSTEM
from whohas.auth.callers import (
    SCOPE_ALL,
    SCOPE_DEFAULT,
    SCOPE_READ,
    Caller,
    UserLevel,
    validate_levels,
    validate_name,
    validate_scopes,
)
from whohas.auth.users import JOIN_COLUMNS, User, person_table, user_from_join, user_from_row
from whohas.db.cache import Cache, cache_until_commit
from whohas.db.engine import UTCDateTime, insert_for, metadata
from whohas.errors import InvalidArguments, NotFound, Unauthorized

client_table = sa.Table(
    "client",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True, comment="32 lower-case hex digits"),
    sa.Column("name", sa.String(200), nullable=False, comment="what runs of an application name as their launcher"),
    sa.Column("secret", sa.String(64), nullable=False, comment="HMAC-SHA-256 of the secret, in hex"),
    sa.Column("scopes", sa.JSON, nullable=False, comment="a list of names"),
    sa.Column("created", UTCDateTime, nullable=False),
    sa.Column("revoked", UTCDateTime, nullable=True, comment="since when it may not call any more"),
    sa.Column("person", sa.ForeignKey("person.id"), nullable=True, comment="the user whom a personal client acts for"),
    sa.Column("levels", sa.JSON, nullable=False, comment="an application's; a personal client has its user's"),
    sa.Column("sources", sa.JSON, nullable=False, comment="ids of the sources that it is held to"),
    sa.Column("redirects", sa.JSON, nullable=False, comment="where users may be sent back to after they signed in"),
    sa.Column("tokens_from", UTCDateTime, nullable=False, comment="tokens that were issued before are over"),
)

ID_PATTERN = re.compile(r"[0-9a-f]{32}")
WRONG_CREDENTIALS = "The client id or the secret is wrong, or the client was revoked."


@dataclass(frozen=True, slots=True)
class ApiClient:
    """A client, without its secret.

    Attributes:
        id: 32 lower-case hex digits, the `client_id` of a token request.
        name: the name that runs of an application show as their launcher; several clients may have the same.
        created: when it was created.
        revoked: when it was revoked; None while it may be used.
        user: the user that a personal client acts for; None for an application.
        levels: the levels of an application; empty for a personal client, which has those of its user.
        sources: ids of the sources that an application with a source administrator's levels is restricted to; see
            `Caller.restricted_to_sources`. No effect with other levels.
        redirect_uris: the addresses that users may be redirected to after they signed in.
        tokens_valid_from: tokens that were issued before this time are not valid.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    created: datetime
    revoked: datetime | None
    user: User | None
    levels: tuple[UserLevel, ...]
    sources: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    tokens_valid_from: datetime

    def caller(self, person: User | None = None, scopes: Iterable[str] | None = None) -> Caller:
        """Return the caller that a token of this client authenticates.

        Args:
            person: the user who signed in at the client; None for a token that was issued for id and secret.
            scopes: the scopes of the token; None for all scopes of the client. Scopes that the client does not have
                are left out, unless it has `sp:scopes:all` or `sp:scopes:default`.
        """
        granted = frozenset(self.scopes)
        if scopes is not None:
            requested = frozenset(scopes)
            granted = requested if granted & {SCOPE_ALL, SCOPE_DEFAULT} else granted & requested
        acts_for = person or self.user
        if acts_for is None:
            return Caller(self.id, self.name, granted, frozenset(self.levels), self.id, frozenset(self.sources))
        levels, sources = frozenset(acts_for.levels), frozenset(acts_for.sources)
        return Caller(acts_for.id, acts_for.name, granted, levels, self.id, sources, is_user=True)

    def match_redirect(self, text: str) -> HttpUrl | None:
        """Return the parsed `redirect_uri` of a request if users may be redirected to it, else None.

        It must be equal to a registered address, character by character. Only the port of a loopback address may differ
        (RFC 8252, 7.3): with `http://127.0.0.1/cb` registered, `http://127.0.0.1:5000/cb` is accepted. A registered
        address that is not valid any more, because an older version of whohas checked less, matches nothing.
        """
        address = _redirect(text)
        if address is None:
            return None
        registered = [parsed for parsed in map(_redirect, self.redirect_uris) if parsed is not None]
        same = text in self.redirect_uris or any(
            known.is_loopback and known.without_port == address.without_port for known in registered
        )
        return address if same else None


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client with its new secret, which cannot be read again later; a `repr` does not show it."""

    client: ApiClient
    secret: str = field(repr=False)


class Clients:
    """The clients of an installation, in the table `client`.

    Args:
        database: the database of the installation.
        key: the HMAC key that secrets are hashed with.
    """

    def __init__(self, database: sa.Engine, key: bytes) -> None:
        self._database = database
        self._key = key
        self._current: Cache[tuple[ApiClient, User | None]] = cache_until_commit(database)

    def create(
        self,
        name: str,
        scopes: Iterable[str] = (SCOPE_READ,),
        *,
        person: User | None = None,
        levels: Iterable[str] = (),
        sources: Iterable[str] = (),
        redirects: Iterable[str] = (),
        by: Actor = SYSTEM,
    ) -> NewClient:
        """Create a client with a random secret, and write an event of it to the audit log.

        The defaults give the fewest rights: an application that may only read, without levels. Several clients may
        have the same name, for example while one replaces another.

        Args:
            name: 1 to 200 printable characters.
            person: the user whose personal client it is; None for an application.
            levels: levels of an application; ignored for a personal client.
            sources: ids of the sources that an application with a source administrator's levels is restricted to; see
                `Caller.restricted_to_sources`. No effect with other levels, or for a personal client. They need not be
                loaded.
            redirects: the addresses that users may be redirected to after they signed in at the client.
            by: the actor that the audit log names.

        Raises:
            InvalidArguments: the name has the wrong form, there is no scope, a scope or a level is unknown, or a
                redirect address has a fragment or is neither https:// nor on this machine.
        """
        now = datetime.now(UTC)
        client = ApiClient(
            uuid.uuid4().hex,
            validate_name(name, "client"),
            validate_scopes(scopes),
            now,
            None,
            person,
            validate_levels(levels) if person is None else (),
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
            "redirects": list(client.redirect_uris),
            "tokens_from": client.tokens_valid_from,
        }
        with self._database.begin() as connection:
            connection.execute(client_table.insert().values(values))
            write_event(connection, _event(EventType.CLIENT_CREATED, client, by))
        return NewClient(client, secret)

    def get_or_create(self, client_id: str, name: str) -> ApiClient:
        """Return the application with a fixed id, revoked or not; create it if it does not exist.

        It has all scopes and no levels, and nobody knows its secret: users sign in at it, and it does nothing alone.

        Args:
            client_id: the id, 32 lower-case hex digits.
            name: the name of a new client.
        """
        with self._database.begin() as connection:
            now = datetime.now(UTC)
            values = {
                "id": client_id,
                "name": name,
                "secret": self._hash(secrets.token_hex(32)),
                "scopes": [SCOPE_ALL],
                "created": now,
                "levels": [],
                "sources": [],
                "redirects": [],
                "tokens_from": now.replace(microsecond=0),
            }
            new = insert_for(connection, client_table).values(values).on_conflict_do_nothing()
            if connection.execute(new.returning(client_table.c.id)).first() is not None:
                write_event(connection, _event(EventType.CLIENT_CREATED, _read(connection, client_id), SYSTEM))
            return _read(connection, client_id)

    def rotate_secret(self, client_id: str, *, end_tokens: bool = False, by: Actor = SYSTEM) -> NewClient:
        """Replace the secret of a client, and write an event of it to the audit log. The old secret stops working.

        Args:
            client_id: the client.
            end_tokens: whether tokens that the client has already stop working too.
            by: the actor that the audit log names.

        Raises:
            NotFound: the client does not exist or was revoked.
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
            write_event(connection, _event(EventType.CLIENT_ROTATED, client, by, tokensEnded=end_tokens))
        return NewClient(client, secret)

    def verify(self, client_id: str, secret: str) -> ApiClient:
        """Return the client that has this id and secret.

        An unknown id takes as long as a wrong secret, so that the time does not show which ids exist.

        Raises:
            Unauthorized: the client does not exist, the secret is wrong, the client was revoked, or its user was
                disabled; the message is the same for all of them.
        """
        row = self._row(client_id)
        stored_hash = str(row.secret) if row is not None else "0" * 64
        matches = hmac.compare_digest(self._hash(secret), stored_hash)
        if row is None or not matches:
            raise Unauthorized(WRONG_CREDENTIALS)
        client = _client(row, self._person(row.person))
        if client.revoked is not None or (client.user and client.user.disabled):
            raise Unauthorized(WRONG_CREDENTIALS)
        return client

    def current_state(self, client_id: str, person_id: str | None) -> tuple[ApiClient, User | None]:
        """Return the current state of a client and of the user who signed in at it; called for every request.

        On SQLite the result is cached until the next commit.

        Args:
            client_id: the client, revoked or not.
            person_id: the user, disabled or not; None for a token that was issued for id and secret.

        Raises:
            NotFound: the client or the user does not exist.
        """
        return self._current.get((client_id, person_id), lambda: self._read_standing(client_id, person_id))

    def _read_standing(self, client_id: str, person_id: str | None) -> tuple[ApiClient, User | None]:
        with self._database.connect() as connection:
            row = connection.execute(_WITH_PERSON, {"id": client_id}).one_or_none()
        if row is None:
            raise NotFound(f"There is no client {client_id[:64]!r}. `whohas client list` shows them.")
        client = _client(row, user_from_join(row))
        person = self._person(person_id)
        if person_id is not None and person is None:
            raise NotFound(f"There is no user with the id {person_id[:64]!r}. `whohas user list` shows them.")
        return client, person

    def get(self, client_id: str) -> ApiClient:
        """Return a client by its id, revoked or not.

        Raises:
            NotFound: the client does not exist.
        """
        row = self._row(client_id)
        if row is None:
            raise NotFound(f"There is no client {client_id[:64]!r}. `whohas client list` shows them.")
        return _client(row, self._person(row.person))

    def list(self) -> builtins.list[ApiClient]:
        """Return all clients, the newest first, including those that were revoked."""
        query = client_table.select().order_by(client_table.c.created.desc(), client_table.c.id)
        with self._database.connect() as connection:
            people = {row.id: user_from_row(row) for row in connection.execute(person_table.select())}
            return [_client(row, people.get(row.person)) for row in connection.execute(query)]

    def revoke(self, client_id: str, by: Actor = SYSTEM) -> ApiClient:
        """Revoke a client and all its tokens at once, and write an event of it to the audit log.

        A client that was revoked before stays as it is, and no event is written.

        Raises:
            NotFound: the client does not exist.
        """
        with self._database.begin() as connection:
            changed = connection.execute(
                client_table.update()
                .where(client_table.c.id == client_id, client_table.c.revoked.is_(None))
                .values(revoked=datetime.now(UTC))
            )
            if changed.rowcount:
                write_event(connection, _event(EventType.CLIENT_REVOKED, _read(connection, client_id), by))
        return self.get(client_id)

    def _row(self, client_id: str) -> sa.Row[Any] | None:
        if not ID_PATTERN.fullmatch(client_id):
            return None
        with self._database.connect() as connection:
            return connection.execute(_ONE_CLIENT, {"id": client_id}).one_or_none()

    def _person(self, person_id: str | None) -> User | None:
        if person_id is None:
            return None
        with self._database.connect() as connection:
            row = connection.execute(_ONE_PERSON, {"id": person_id}).one_or_none()
        return None if row is None else user_from_row(row)

    def _hash(self, secret: str) -> str:
        # a surrogate stands for a byte that was not UTF-8; without "surrogatepass" it would raise, not just be wrong
        return hmac.new(self._key, secret.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def find_client(connection: sa.Connection, client_id: str) -> ApiClient | None:
    """Return a client by its id, revoked or not; None if it does not exist."""
    row = connection.execute(_WITH_PERSON, {"id": client_id}).one_or_none()
    return None if row is None else _client(row, user_from_join(row))


def _read(connection: sa.Connection, client_id: str) -> ApiClient:
    client = find_client(connection, client_id)
    assert client is not None, "it was written in this transaction"
    return client


def _event(type: EventType, client: ApiClient, by: Actor, **more: object) -> Event:
    facts = {
        "name": client.name,
        "scopes": list(client.scopes),
        "levels": list(client.user.levels if client.user else client.levels),
        "sources": list(client.user.sources if client.user else client.sources) or None,
        "user": client.user.name if client.user else None,
        **more,
    }
    return Event(type, client.id, by, details=facts)


_ONE_CLIENT = client_table.select().where(client_table.c.id == sa.bindparam("id"))
_WITH_PERSON = (
    sa.select(*client_table.columns, *JOIN_COLUMNS)
    .outerjoin(person_table)
    .where(client_table.c.id == sa.bindparam("id"))
)
_ONE_PERSON = person_table.select().where(person_table.c.id == sa.bindparam("id"))


def _client(row: sa.Row[Any], person: User | None) -> ApiClient:
    return ApiClient(
        row.id,
        row.name,
        tuple(row.scopes),
        row.created,
        row.revoked,
        person,
        tuple(UserLevel(name) for name in row.levels),
        tuple(row.sources),
        tuple(row.redirects),
        row.tokens_from,
    )


def _checked_redirect(text: str) -> str:
    if _redirect(text) is None:
        wrong = addresses.describe_fault(text) or (
            "it must be https://…, or http:// on this machine (127.0.0.1), without a fragment"
        )
        raise InvalidArguments(f"{text[:200]!r} is no address to send users back to: {wrong}.")
    return text


def _redirect(text: str) -> HttpUrl | None:
    """Parse an address that users may be redirected to; None if it is not https:// or loopback, or has a fragment."""
    address = addresses.try_parse(text)
    if address is None or address.fragment or not (address.scheme == "https" or address.is_loopback):
        return None
    return address
