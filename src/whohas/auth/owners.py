"""What the owner of something that is kept may do now, though they do not call: of a schedule that is due.

An owner is a user or an application, by the id that `Caller.id` has. Those of an outside issuer are not kept here: what
they may do is known from their tokens alone.
"""

from __future__ import annotations

import sqlalchemy as sa

from whohas.auth.clients import Client, client_of
from whohas.auth.people import person_of, person_table
from whohas.auth.rights import ALL, Caller
from whohas.errors import Forbidden


def owner_of(connection: sa.Connection, owner: str) -> Caller | None:
    """Return an owner with the rights that they have now; None where nobody here has that id.

    Raises:
        Forbidden: the user was disabled, or the application revoked.
    """
    row = connection.execute(person_table.select().where(person_table.c.id == owner)).one_or_none()
    if row is not None:
        person = person_of(row)
        if person.disabled is not None:
            raise Forbidden(f"The user {person.name!r}, whose it is, was disabled.")
        scopes, levels = frozenset({ALL}), frozenset(person.levels)
        return Caller(person.id, person.name, scopes, levels, person.id, frozenset(person.sources), user=True)
    client: Client | None = client_of(connection, owner)
    if client is None:
        return None
    if client.revoked is not None:
        raise Forbidden(f"The client {client.name!r}, whose it is, was revoked.")
    return client.caller()
