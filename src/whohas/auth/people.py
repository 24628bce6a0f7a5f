"""The people who sign in: a name, a password that is kept as scrypt has it, and their levels.

A password is chosen by a human, so a guess must cost something: scrypt with 32 MiB, about a tenth of a second.
Few are checked at a time, so that a storm of sign-ins takes neither all memory nor all processors.
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

from whohas.audit import Event, Type, Who, write
from whohas.audit.events import SYSTEM
from whohas.auth.rights import Level, checked_levels, checked_name
from whohas.database import Instant, metadata
from whohas.errors import Conflict, InvalidArguments, NotFound, Unauthorized

person_table = sa.Table(
    "person",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True, comment="32 lower-case hex digits"),
    sa.Column("name", sa.String(200), nullable=False, unique=True, comment="what they sign in with"),
    sa.Column("password", sa.Text, nullable=True, comment="scrypt$N$r$p$salt$hash; null where they cannot sign in"),
    sa.Column("levels", sa.JSON, nullable=False, comment="a list of names"),
    sa.Column("sources", sa.JSON, nullable=False, comment="ids of the sources of a source administrator"),
    sa.Column("created", Instant, nullable=False),
    sa.Column("disabled", Instant, nullable=True, comment="since when they may do nothing any more"),
)

COST, BLOCK, PARALLEL = 1 << 15, 8, 1
"""N, r and p of scrypt: 32 MiB."""

AT_ONCE = threading.BoundedSemaphore(2)
SHORTEST, LONGEST = 12, 1024
WRONG_SIGN_IN = "The name or the password is wrong."


@dataclass(frozen=True, slots=True)
class Person:
    """A user as anybody may see them: without their password.

    Attributes:
        sources: ids of the sources that a source administrator is held to.
        disabled: since when they may do nothing any more; null while they may.
        signs_in: whether they have a password.
    """

    id: str
    name: str
    levels: tuple[Level, ...]
    sources: tuple[str, ...]
    created: datetime
    disabled: datetime | None
    signs_in: bool


class People:
    """The users of an installation."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def create(
        self,
        name: str,
        levels: Iterable[str] = (),
        sources: Iterable[str] = (),
        password: str | None = None,
        by: Who = SYSTEM,
    ) -> Person:
        """Makes a user; without a password they cannot sign in, but may have personal clients.

        Raises:
            InvalidArguments: the name, a level or the password will not do.
            Conflict: there is a user of that name.
        """
        person = Person(
            uuid.uuid4().hex,
            checked_name(name, "user"),
            checked_levels(levels),
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
                write(connection, _event(Type.USER_CREATED, person, by))
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
        by: Who = SYSTEM,
    ) -> Person:
        """Changes what is given; it holds at once, for tokens that are out too.

        Raises:
            InvalidArguments: a level or the password will not do.
            NotFound: there is no such user.
        """
        values: dict[str, Any] = {}
        if levels is not None:
            values["levels"] = list(checked_levels(levels))
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
                    write(connection, _event(Type.USER_CHANGED, person_of(row), by, changed=sorted(values)))
        return self.named(name)

    def named(self, name: str) -> Person:
        """A user by their name, disabled or not.

        Raises:
            NotFound: there is no such user.
        """
        row = self._row(name)
        if row is None:
            raise NotFound(f"There is no user {name[:200]!r}. `whohas user list` shows them.")
        return person_of(row)

    def sign_in(self, name: str, password: str) -> Person:
        """The user whose name and password these are; takes as long for a wrong name as for a wrong password.

        Raises:
            Unauthorized: no such user, a wrong password, or a disabled user; the message does not say which.
        """
        row = self._row(name) if len(name) <= 200 else None
        kept = row.password if row is not None and row.password else _NOBODY
        matches = len(password) <= LONGEST and _matches(password, kept)
        if row is None or not row.password or not matches or row.disabled is not None:
            raise Unauthorized(WRONG_SIGN_IN)
        return person_of(row)

    def list(self) -> list[Person]:
        """All users by name, disabled ones too."""
        with self._database.connect() as connection:
            return [person_of(row) for row in connection.execute(person_table.select().order_by(person_table.c.name))]

    def _row(self, name: str) -> sa.Row[Any] | None:
        if not name.isprintable():  # NUL and half characters, which a database may not take
            return None
        with self._database.connect() as connection:
            return connection.execute(person_table.select().where(person_table.c.name == name)).one_or_none()


def person_of(row: sa.Row[Any]) -> Person:
    """A row of the table as a user."""
    return _person(row.id, row.name, row.password, row.levels, row.sources, row.created, row.disabled)


BESIDE = tuple(column.label(f"person_{column.name}") for column in person_table.columns)
"""The columns of the table for a query that joins it to another; see `person_beside`."""


def person_beside(row: sa.Row[Any]) -> Person | None:
    """The user of a row with `BESIDE`; None where it was joined to none."""
    found = row[-len(BESIDE) :]
    return None if found[0] is None else _person(*found)


def _person(
    id: str,
    name: str,
    password: str | None,
    levels: list[str],
    sources: list[str],
    created: datetime,
    disabled: datetime | None,
) -> Person:
    return Person(id, name, tuple(map(Level, levels)), tuple(sources), created, disabled, bool(password))


def _event(type: Type, person: Person, by: Who, **more: object) -> Event:
    facts = {
        "name": person.name,
        "levels": list(person.levels),
        "sources": list(person.sources) or None,
        "disabled": person.disabled is not None,
        **more,
    }
    return Event(type, person.id, by, facts=facts)


def _checked_password(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidArguments(f"A password has {SHORTEST} to {LONGEST:,} characters. A sentence makes a good one.")
    return password


def _hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    parts = (salt, _scrypt(password, salt, COST, BLOCK, PARALLEL))
    return "$".join(("scrypt", str(COST), str(BLOCK), str(PARALLEL), *(base64.b64encode(p).decode() for p in parts)))


def _matches(password: str, kept: str) -> bool:
    _, cost, block, parallel, salt, digest = kept.split("$")
    found = _scrypt(password, base64.b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, base64.b64decode(digest))


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    with AT_ONCE:
        return hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=block, p=parallel, maxmem=1 << 26, dklen=32
        )


_NOBODY = f"scrypt${COST}${BLOCK}${PARALLEL}${'A' * 22}==${'A' * 43}="
"""What a wrong name is compared with."""
