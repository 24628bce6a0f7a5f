"""The present rights of the owner of a stored object, for work without a request: when a schedule is due.

An owner is the user or application whose id is stored with the object (`Caller.id`). Users and applications of an
external OpenID Connect provider have no rows here: their rights are known only from the tokens that they send.
"""

from __future__ import annotations

import sqlalchemy as sa

from whohas.auth.callers import SCOPE_ALL, Caller
from whohas.auth.clients import ApiClient, find_client
from whohas.auth.users import person_table, user_from_row
from whohas.errors import Forbidden

_REMEDY = "Let somebody else create it again."


def find_owner(connection: sa.Connection, owner: str) -> Caller | None:
    """Return an owner as a caller with the present levels and sources; None if no user or application has that id.

    A user gets all scopes, an application those of its client.

    Args:
        connection: a connection to the database of the installation.
        owner: the id of a user or an application, as in `Caller.id`.

    Raises:
        Forbidden: the user was disabled, or the application was revoked.
    """
    row = connection.execute(person_table.select().where(person_table.c.id == owner)).one_or_none()
    if row is not None:
        person = user_from_row(row)
        if person.disabled is not None:
            raise Forbidden(f"The user {person.name!r}, whose it is, was disabled. {_REMEDY}")
        scopes, levels = frozenset({SCOPE_ALL}), frozenset(person.levels)
        return Caller(person.id, person.name, scopes, levels, person.id, frozenset(person.sources), is_user=True)
    client: ApiClient | None = find_client(connection, owner)
    if client is None:
        return None
    if client.revoked is not None:
        raise Forbidden(f"The client {client.name!r}, whose it is, was revoked. {_REMEDY}")
    return client.caller()
