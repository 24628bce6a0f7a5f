"""Authentication and authorization: clients, users, access tokens, and the rights that each route needs.

`clients` and `users` keep the accounts, `keys` the signing keys, `tokens` issues and verifies access tokens, `oidc`
verifies those of an OpenID Connect provider, `codes` keeps authorization codes, `throttle` counts calls and wrong
passwords, `permissions` compares the rights of a caller with those that a route needs. `open_access` sets all of it up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from whohas.auth.callers import ALL, DEFAULT, Caller, Level, checked_levels, known_scopes
from whohas.auth.clients import Client, Clients, NewClient
from whohas.auth.codes import Codes, Grant
from whohas.auth.keys import Keys, SigningKeys, open_keys, public_set
from whohas.auth.oidc import Issuer, Trust
from whohas.auth.owners import owner_of
from whohas.auth.permissions import ROUTES, Needs, check_access
from whohas.auth.throttle import Guesses, RateLimit, open_counts
from whohas.auth.tokens import Token, Tokens
from whohas.auth.users import People, Person
from whohas.errors import InvalidArguments
from whohas.settings import Settings

__all__ = [
    "ALL",
    "DEFAULT",
    "ROUTES",
    "Access",
    "Caller",
    "Client",
    "Clients",
    "Codes",
    "Grant",
    "Guesses",
    "Issuer",
    "Keys",
    "Level",
    "Needs",
    "NewClient",
    "People",
    "Person",
    "RateLimit",
    "SigningKeys",
    "Token",
    "Tokens",
    "Trust",
    "check_access",
    "known_scopes",
    "open_access",
    "open_keys",
    "owner_of",
    "public_set",
]

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Access:
    """The parts of authentication and authorization of one installation, on one database and one home folder.

    Attributes:
        keys: the keys that sign access tokens.
        guesses: limits wrong client secrets and wrong passwords.
        rate_limit: limits the calls of a client.
        secrets: 32 bytes: the HMAC key that client secrets are hashed with; the secrets of webhooks and the key of
            the sign-in form's tokens are derived from it.
    """

    clients: Clients
    people: People
    codes: Codes
    tokens: Tokens
    keys: SigningKeys
    guesses: Guesses
    rate_limit: RateLimit
    secrets: bytes = field(repr=False)


def open_access(settings: Settings, database: sa.Engine) -> Access:
    """Set up authentication and authorization; create the keys in the home folder if they do not exist.

    Raises:
        Unavailable: a key file is damaged, or the folder of the keys cannot be read or written; the message names it.
        InvalidArguments: a setting of the OpenID Connect provider (WHOHAS_OIDC_*) is wrong or missing.
    """
    keys = open_keys(settings.home, lifetime=settings.token_lifetime, period=settings.token_key_days * DAY)
    clients = Clients(database, keys.secrets)
    issuer = _open_issuer(settings)
    tokens = Tokens(clients, keys.signing, issuer=settings.org, lifetime=settings.token_lifetime, outside=issuer)
    counts = open_counts(database)
    return Access(
        clients,
        People(database),
        Codes(database, clients),
        tokens,
        keys.signing,
        Guesses(counts),
        RateLimit(counts, settings.rate_limit),
        keys.secrets,
    )


def _open_issuer(settings: Settings) -> Issuer | None:
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_issuer == settings.org:
        raise InvalidArguments(
            f"WHOHAS_OIDC_ISSUER and WHOHAS_ORG are both {settings.org!r}. Set them to different values: the claim "
            "`iss` shows by them whether a token is from the provider or from this server."
        )
    levels: dict[str, Level] = {}
    for pair in settings.oidc_levels:
        value, _, level = pair.rpartition("=")
        if not value:
            raise InvalidArguments(f"WHOHAS_OIDC_LEVELS has {pair!r}; write value=LEVEL, as in auditors=REPORT_ADMIN.")
        levels[value] = checked_levels([level])[0]
    return Issuer(
        Trust(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience or "",
            algorithms=settings.oidc_algorithms,
            name_claim=settings.oidc_name_claim,
            levels_claim=settings.oidc_levels_claim,
            levels=levels,
            sources_claim=settings.oidc_sources_claim,
            scopes=settings.oidc_scopes,
        )
    )
