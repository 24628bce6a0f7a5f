"""Who may call: clients, the tokens that they get, and the scopes that their calls need."""

from __future__ import annotations

import sqlalchemy as sa

from whohas.auth.clients import Client, Clients, NewClient
from whohas.auth.keys import Keys, open_keys
from whohas.auth.scopes import Operation, check_scope, known_scopes
from whohas.auth.tokens import Caller, Token, Tokens
from whohas.settings import Settings

__all__ = [
    "Caller",
    "Client",
    "Clients",
    "Keys",
    "NewClient",
    "Operation",
    "Token",
    "Tokens",
    "check_scope",
    "known_scopes",
    "open_auth",
    "open_keys",
]


def open_auth(settings: Settings, database: sa.Engine) -> tuple[Clients, Tokens]:
    """Clients and tokens of an installation; makes the keys in the home folder where there are none.

    Raises:
        Unavailable: a key file is damaged or cannot be written; the message names it.
    """
    keys = open_keys(settings.home)
    clients = Clients(database, keys.secrets)
    return clients, Tokens(clients, keys.signing, issuer=settings.org, lifetime=settings.token_lifetime)
