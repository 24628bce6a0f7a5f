"""Sessions of the web console: the table `console_session`, with a hash of each session's id and whose session it is.

The id is 256 random bits in a cookie; only its SHA-256 is stored. The rights of a user of this installation are read at
every request, so that disabling the user or removing a level takes effect at once. Those of a user of an OpenID Connect
provider come from a token of the provider, and are valid as long as that token (`OutsideRights`).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from whohas import timeouts
from whohas.audit import Actor, Event, EventType, write_event
from whohas.auth.callers import SCOPE_ALL, Caller, UserLevel
from whohas.auth.session_table import session_table
from whohas.auth.users import User, person_table, user_from_row
from whohas.errors import Unauthorized

CONSOLE_CLIENT_ID = "c0450137c0450137c0450137c0450137"
"""The id of the client at which users sign in to the web console; it is created at the first sign-in."""

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}")
"""The id of a session: 32 bytes in base64url without padding."""

SESSION_ENDED = "Your session has ended. Sign in again."

_SEEN_INTERVAL = timedelta(seconds=timeouts.CONSOLE_SEEN_SECONDS)


@dataclass(frozen=True, slots=True)
class OutsideRights:
    """The rights of a user of an OpenID Connect provider.

    Attributes:
        caller: the user with the rights.
        end: until when the rights are valid.
        renewal: an encrypted token that gets new rights; None where the provider issues none.
    """

    caller: Caller
    end: datetime
    renewal: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """A session that has not ended, with the present rights of its user.

    Attributes:
        hash: the SHA-256 of its id, in hex.
        caller: the user.
        created: when the user signed in.
        outside: the rights of a user of an OpenID Connect provider, which may be over; None for a user of this
            installation.
    """

    hash: str
    caller: Caller
    created: datetime
    outside: OutsideRights | None = None


class Sessions:
    """The sessions of an installation, in the table `console_session`.

    Args:
        database: the database of the installation.
        idle: seconds without a request after which a session ends.
        lifetime: seconds after which a session ends in any case.
    """

    def __init__(self, database: sa.Engine, idle: int, lifetime: int) -> None:
        self._database = database
        self._idle = timedelta(seconds=idle)
        self._lifetime = timedelta(seconds=lifetime)

    def start(self, user: Caller, by: Actor, outside: OutsideRights | None = None) -> str:
        """Start a session, write an event of it to the audit log, and return its id; delete sessions that have expired.

        Args:
            user: the user who signed in.
            by: the actor that the audit log names.
            outside: the rights of a user of an OpenID Connect provider; None for a user of this installation.
        """
        id = secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        values = {
            "hash": _hash(id),
            "owner": user.id,
            **_outside_values(outside),
            "created": now,
            "seen": now,
            "expires": now + self._lifetime,
        }
        with self._database.begin() as connection:
            connection.execute(session_table.delete().where(session_table.c.expires < now))
            connection.execute(session_table.insert().values(values))
            write_event(connection, Event(EventType.SESSION_STARTED, user.id, by, details={"name": user.name}))
        return id

    def find(self, id: str, *, active: bool = True) -> Session:
        """Return a session with the present rights of its user.

        Args:
            id: the id of the session, as the cookie has it.
            active: whether the user is using the session, so that it does not become idle.

        Raises:
            Unauthorized: the session does not exist or has ended, or its user was disabled.
        """
        if not ID_PATTERN.fullmatch(id):
            raise Unauthorized(SESSION_ENDED)
        hash, now = _hash(id), datetime.now(UTC)
        with self._database.connect() as connection:
            row = connection.execute(session_table.select().where(session_table.c.hash == hash)).one_or_none()
            if row is None or row.expires <= now or row.seen + self._idle <= now:
                raise Unauthorized(SESSION_ENDED)
            outside = _outside(row)
            caller = outside.caller if outside else _user(connection, row.owner)
        # a commit for each request would wake every process that looks for commits
        if active and abs(now - row.seen) >= _SEEN_INTERVAL:
            with self._database.begin() as connection:
                connection.execute(session_table.update().where(session_table.c.hash == hash).values(seen=now))
        return Session(hash, caller, row.created, outside)

    def renew(self, session: Session, outside: OutsideRights) -> Session:
        """Replace the rights of a user of an OpenID Connect provider, and return the session with the new ones."""
        with self._database.begin() as connection:
            mine = session_table.c.hash == session.hash
            connection.execute(session_table.update().where(mine).values(_outside_values(outside)))
        return Session(session.hash, outside.caller, session.created, outside)

    def end(self, session: Session, by: Actor) -> None:
        """End a session, and write an event of it to the audit log.

        Args:
            session: the session.
            by: the actor that the audit log names.
        """
        with self._database.begin() as connection:
            connection.execute(session_table.delete().where(session_table.c.hash == session.hash))
            write_event(connection, _ended(session.caller, by, 1))

    def end_all(self, user: Caller, by: Actor) -> int:
        """End all sessions of a user, with the tokens that renew their rights; return how many there were.

        Args:
            user: the user.
            by: the actor that the audit log names.
        """
        with self._database.begin() as connection:
            ended = connection.execute(session_table.delete().where(session_table.c.owner == user.id)).rowcount
            write_event(connection, _ended(user, by, ended))
        return ended


def _ended(user: Caller, by: Actor, sessions: int) -> Event:
    return Event(EventType.SESSION_ENDED, user.id, by, details={"name": user.name, "sessions": sessions})


def _user(connection: sa.Connection, owner: str) -> Caller:
    row = connection.execute(person_table.select().where(person_table.c.id == owner)).one_or_none()
    if row is None or row.disabled is not None:
        raise Unauthorized(SESSION_ENDED)
    return session_caller(user_from_row(row))


def session_caller(user: User) -> Caller:
    """Return a user of this installation as the caller of a session: with all scopes and the levels of the user."""
    levels, sources = frozenset(user.levels), frozenset(user.sources)
    return Caller(user.id, user.name, frozenset({SCOPE_ALL}), levels, CONSOLE_CLIENT_ID, sources, is_user=True)


def _outside_values(outside: OutsideRights | None) -> dict[str, Any]:
    if outside is None:
        return {"rights": None, "rights_end": None, "renewal": None}
    caller = outside.caller
    rights = {
        "name": caller.name,
        "scopes": sorted(caller.scopes),
        "levels": sorted(caller.levels),
        "sources": sorted(caller.sources),
    }
    return {"rights": rights, "rights_end": outside.end, "renewal": outside.renewal}


def _outside(row: sa.Row[Any]) -> OutsideRights | None:
    if row.rights is None:
        return None
    rights: Mapping[str, Any] = row.rights
    caller = Caller(
        row.owner,
        rights["name"],
        frozenset(rights["scopes"]),
        frozenset(map(UserLevel, rights["levels"])),
        CONSOLE_CLIENT_ID,
        frozenset(rights["sources"]),
        is_user=True,
    )
    return OutsideRights(caller, row.rights_end, row.renewal)


def _hash(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()
