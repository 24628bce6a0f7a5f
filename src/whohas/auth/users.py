"""User accounts: the table `person`, with the name, the hashed password, the levels and the sources of each user.

People choose passwords that can be guessed, so a guess must be expensive: passwords are hashed with scrypt, which takes
32 MiB and about a tenth of a second. At most two are hashed at the same time, so that many sign-ins at once do not use
up memory and processors.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from whohas.audit import Actor, Event, EventType, write_event
from whohas.audit.events import SYSTEM
from whohas.auth.callers import UserLevel, validate_levels, validate_name
from whohas.auth.session_table import session_table
from whohas.db.engine import UTCDateTime, metadata
from whohas.errors import Conflict, InvalidArguments, NotFound, Unauthorized

person_table = sa.Table(
    "person",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True, comment="32 lower-case hex digits"),
    sa.Column("name", sa.String(200), nullable=False, unique=True, comment="what they sign in with"),
    sa.Column("password", sa.Text, nullable=True, comment="scrypt$N$r$p$salt$hash; null where they cannot sign in"),
    sa.Column("levels", sa.JSON, nullable=False, comment="a list of names"),
    sa.Column("sources", sa.JSON, nullable=False, comment="ids of the sources of a source administrator"),
    sa.Column("created", UTCDateTime, nullable=False),
    sa.Column("disabled", UTCDateTime, nullable=True, comment="since when they may do nothing any more"),
)

SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 1
"""The parameters N, r and p of scrypt (RFC 7914); 128 * N * r bytes are 32 MiB."""

HASHING_SLOTS = threading.BoundedSemaphore(2)
"""Limits how many passwords are hashed at the same time."""
MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH = 12, 1024
"""The minimum and maximum length of a password in characters."""
WRONG_SIGN_IN_MESSAGE = "The name or the password is wrong."


@dataclass(frozen=True, slots=True)
class User:
    """A user account, without its password.

    Attributes:
        id: 32 lower-case hex digits.
        name: the unique name that the user signs in with; runs show it as their launcher.
        levels: the levels of the user, which limit all tokens.
        sources: ids of the sources that a source administrator is restricted to.
        created: when the account was created.
        disabled: when the account was disabled; None while it is enabled.
        has_password: whether the user has a password.
    """

    id: str
    name: str
    levels: tuple[UserLevel, ...]
    sources: tuple[str, ...]
    created: datetime
    disabled: datetime | None
    has_password: bool


class Users:
    """The users of an installation, in the table `person`."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def create(
        self,
        name: str,
        levels: Iterable[str] = (),
        sources: Iterable[str] = (),
        password: str | None = None,
        by: Actor = SYSTEM,
    ) -> User:
        """Create a user, and write an event of it to the audit log.

        Args:
            name: 1 to 200 printable characters.
            levels: the levels of the user; without any, the user has the fewest rights.
            sources: ids of the sources that a source administrator is restricted to.
            password: 12 to 1,024 characters; without one the user cannot sign in, but may have personal clients.
            by: the actor that the audit log names.

        Raises:
            InvalidArguments: the name or the password has the wrong form, or a level is unknown.
            Conflict: a user of that name exists.
        """
        person = User(
            uuid.uuid4().hex,
            validate_name(name, "user"),
            validate_levels(levels),
            tuple(dict.fromkeys(sources)),
            datetime.now(UTC),
            None,
            password is not None,
        )
        values = {
            "id": person.id,
            "name": person.name,
            "password": None if password is None else _hashed(_checked_password(password)),
            "levels": list(person.levels),
            "sources": list(person.sources),
            "created": person.created,
        }
        try:
            with self._database.begin() as connection:
                connection.execute(person_table.insert().values(values))
                write_event(connection, _event(EventType.USER_CREATED, person, by))
        except IntegrityError:
            raise Conflict(f"There is a user {name!r} already. `whohas user list` shows them.") from None
        return person

    def change(
        self,
        name: str,
        *,
        levels: Iterable[str] | None = None,
        sources: Iterable[str] | None = None,
        password: str | None = None,
        disabled: bool | None = None,
        by: Actor = SYSTEM,
    ) -> User:
        """Change the given properties of a user, and write an event of it to the audit log.

        The change takes effect at once, also for tokens that were issued before. A new password, and disabling the
        account, also end the user's sessions of the web console for good.

        Args:
            name: the name of the user.
            levels: the new levels; None to keep the present ones, as for all arguments below.
            sources: the new ids of sources.
            password: the new password, 12 to 1,024 characters.
            disabled: True to disable the account, False to enable it again.
            by: the actor that the audit log names.

        Raises:
            InvalidArguments: a level is unknown, or the password is too short or too long.
            NotFound: the user does not exist.
        """
        values: dict[str, Any] = {}
        if levels is not None:
            values["levels"] = list(validate_levels(levels))
        if sources is not None:
            values["sources"] = list(dict.fromkeys(sources))
        if password is not None:
            values["password"] = _hashed(_checked_password(password))
        if disabled is not None:
            values["disabled"] = datetime.now(UTC) if disabled else None
        if values:
            with self._database.begin() as connection:
                connection.execute(person_table.update().where(person_table.c.name == name).values(values))
                row = connection.execute(person_table.select().where(person_table.c.name == name)).one_or_none()
                if row is not None:
                    if password is not None or disabled:
                        connection.execute(session_table.delete().where(session_table.c.owner == row.id))
                    write_event(
                        connection, _event(EventType.USER_CHANGED, user_from_row(row), by, changed=sorted(values))
                    )
        return self.get(name)

    def get(self, name: str) -> User:
        """Return a user by name, disabled or not.

        Raises:
            NotFound: the user does not exist.
        """
        row = self._row(name)
        if row is None:
            raise NotFound(f"There is no user {name[:200]!r}. `whohas user list` shows them.")
        return user_from_row(row)

    def sign_in(self, name: str, password: str) -> User:
        """Return the user that has this name and password.

        An unknown name takes as long as a wrong password, so that the time does not show which names exist.

        Raises:
            Unauthorized: the user does not exist, has no password or another one, or was disabled; the message is the
                same for all of them.
        """
        row = self._row(name) if len(name) <= 200 else None
        stored = row.password if row is not None and row.password else _DUMMY_HASH
        matches = len(password) <= MAX_PASSWORD_LENGTH and _matches(password, stored)
        if row is None or not row.password or not matches or row.disabled is not None:
            raise Unauthorized(WRONG_SIGN_IN_MESSAGE)
        return user_from_row(row)

    def list(self) -> list[User]:
        """Return all users ordered by name, including those that were disabled."""
        with self._database.connect() as connection:
            return [
                user_from_row(row) for row in connection.execute(person_table.select().order_by(person_table.c.name))
            ]

    def _row(self, name: str) -> sa.Row[Any] | None:
        if not name.isprintable():  # databases reject NUL and single surrogates
            return None
        with self._database.connect() as connection:
            return connection.execute(person_table.select().where(person_table.c.name == name)).one_or_none()


def user_from_row(row: sa.Row[Any]) -> User:
    """Return a row of the table `person` as a user."""
    return _person(row.id, row.name, row.password, row.levels, row.sources, row.created, row.disabled)


JOIN_COLUMNS = tuple(column.label(f"person_{column.name}") for column in person_table.columns)
"""The columns of `person`, labelled `person_…`, to be the last ones of a query that joins another table to it; see
`user_from_join`."""


def user_from_join(row: sa.Row[Any]) -> User | None:
    """Return the user of a row whose last columns are `JOIN_COLUMNS`; None if the outer join found no user."""
    columns = row[-len(JOIN_COLUMNS) :]
    return None if columns[0] is None else _person(*columns)


def _person(
    id: str,
    name: str,
    password: str | None,
    levels: list[str],
    sources: list[str],
    created: datetime,
    disabled: datetime | None,
) -> User:
    return User(id, name, tuple(map(UserLevel, levels)), tuple(sources), created, disabled, bool(password))


def _event(type: EventType, person: User, by: Actor, **more: object) -> Event:
    facts = {
        "name": person.name,
        "levels": list(person.levels),
        "sources": list(person.sources) or None,
        "disabled": person.disabled is not None,
        **more,
    }
    return Event(type, person.id, by, details=facts)


def _checked_password(password: str) -> str:
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidArguments(
            f"A password has {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH:,} characters. A sentence makes a good one."
        )
    return password


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    parts = (salt, _scrypt(password, salt, SCRYPT_N, SCRYPT_R, SCRYPT_P))
    return "$".join(
        ("scrypt", str(SCRYPT_N), str(SCRYPT_R), str(SCRYPT_P), *(base64.b64encode(p).decode() for p in parts))
    )


def _matches(password: str, stored: str) -> bool:
    _, cost, block, parallel, salt, digest = stored.split("$")
    computed = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(computed, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    with HASHING_SLOTS:
        return hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=block, p=parallel, maxmem=1 << 26, dklen=32
        )


_DUMMY_HASH = f"scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${'A' * 22}==${'A' * 43}="
"""A hash that no password has: an unknown name is verified against it, which takes as long as a known one."""
