"""Authentication and authorization: clients, users, access tokens, and the rights that each route needs.

`clients` and `users` keep the accounts, `keys` the signing keys, `tokens` issues and verifies access tokens, `oidc`
verifies those of an OpenID Connect provider, `codes` keeps authorization codes, `sessions` the sessions of the web
console, `oidc_sign_in` signs users in to it at a provider, `throttle` counts calls and wrong passwords, `permissions`
compares the rights of a caller with those that a route needs. `open_access` sets all of it up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from whohas.auth.callers import SCOPE_ALL, SCOPE_DEFAULT, Caller, UserLevel, known_scopes, validate_levels
from whohas.auth.clients import ApiClient, Clients, NewClient
from whohas.auth.codes import AuthorizationCodes, CodeGrant
from whohas.auth.key_store import KeyTable
from whohas.auth.keys import InstallationKeys, SigningKeys, open_keys, public_key_set
from whohas.auth.oidc import OIDCConfig, OIDCIssuer
from whohas.auth.oidc_sign_in import OIDCSignIn
from whohas.auth.owners import find_owner
from whohas.auth.permissions import CONSOLE_ACTIONS, ROUTES, RoutePermission, check_access
from whohas.auth.sessions import CONSOLE_CLIENT_ID, OutsideRights, Session, Sessions, session_caller
from whohas.auth.throttle import LoginThrottle, RateLimit, open_window_counter
from whohas.auth.tokens import AccessToken, AccessTokens
from whohas.auth.users import User, Users
from whohas.errors import InvalidArguments
from whohas.object_stores import open_store
from whohas.settings import Settings

__all__ = [
    "CONSOLE_ACTIONS",
    "CONSOLE_CLIENT_ID",
    "ROUTES",
    "SCOPE_ALL",
    "SCOPE_DEFAULT",
    "AccessToken",
    "AccessTokens",
    "ApiClient",
    "AuthServices",
    "AuthorizationCodes",
    "Caller",
    "Clients",
    "CodeGrant",
    "InstallationKeys",
    "LoginThrottle",
    "NewClient",
    "OIDCConfig",
    "OIDCIssuer",
    "OIDCSignIn",
    "OutsideRights",
    "RateLimit",
    "RoutePermission",
    "Session",
    "Sessions",
    "SigningKeys",
    "User",
    "UserLevel",
    "Users",
    "check_access",
    "find_owner",
    "known_scopes",
    "open_access",
    "open_keys",
    "public_key_set",
    "session_caller",
]

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class AuthServices:
    """The parts of authentication and authorization of one installation, on one database and one home folder.

    Attributes:
        keys: the keys that sign access tokens.
        outside_sign_in: signs users in to the console at an OpenID Connect provider; None without one.
        login_throttle: limits wrong client secrets and wrong passwords.
        rate_limit: limits the calls of a client.
        secrets_key: 32 bytes: the HMAC key that client secrets are hashed with; the secrets of webhooks and the key of
            the sign-in form's tokens are derived from it.
    """

    clients: Clients
    users: Users
    codes: AuthorizationCodes
    sessions: Sessions
    outside_sign_in: OIDCSignIn | None
    tokens: AccessTokens
    keys: SigningKeys
    login_throttle: LoginThrottle
    rate_limit: RateLimit
    secrets_key: bytes = field(repr=False)


def open_access(settings: Settings, database: sa.Engine) -> AuthServices:
    """Set up authentication and authorization; create the keys if they do not exist.

    Raises:
        Unavailable: a key is damaged, or the folder of the keys cannot be read or written; the message names it.
        InvalidArguments: a setting of the OpenID Connect provider (WHOHAS_OIDC_*) is wrong or missing.
    """
    shared = database.dialect.name == "postgresql" and not settings.files_address.is_local
    keys = open_keys(
        settings.home,
        KeyTable(database, open_store(settings.files_address)) if shared else None,
        lifetime=settings.token_lifetime,
        period=settings.token_key_days * DAY_SECONDS,
    )
    clients = Clients(database, keys.secrets_key)
    issuer = _open_issuer(settings)
    tokens = AccessTokens(clients, keys.signing, issuer=settings.org, lifetime=settings.token_lifetime, outside=issuer)
    counts = open_window_counter(database)
    return AuthServices(
        clients,
        Users(database),
        AuthorizationCodes(database, clients),
        Sessions(database, settings.console_idle_seconds, settings.console_session_seconds),
        _open_sign_in(settings, issuer, keys.secrets_key),
        tokens,
        keys.signing,
        LoginThrottle(counts),
        RateLimit(counts, settings.rate_limit),
        keys.secrets_key,
    )


def _open_sign_in(settings: Settings, issuer: OIDCIssuer | None, key: bytes) -> OIDCSignIn | None:
    if settings.oidc_client_id is None:
        return None
    if issuer is None:
        raise InvalidArguments("WHOHAS_OIDC_CLIENT_ID is set without an issuer. Set WHOHAS_OIDC_ISSUER too.")
    secret = settings.oidc_client_secret.get_secret_value() if settings.oidc_client_secret else ""
    return OIDCSignIn(issuer, settings.oidc_client_id, secret, settings.oidc_client_scopes, key)


def _open_issuer(settings: Settings) -> OIDCIssuer | None:
    if settings.oidc_issuer is None:
        return None
    if settings.oidc_issuer == settings.org:
        raise InvalidArguments(
            f"WHOHAS_OIDC_ISSUER and WHOHAS_ORG are both {settings.org!r}. Set them to different values: the claim "
            "`iss` shows by them whether a token is from the provider or from this server."
        )
    levels: dict[str, UserLevel] = {}
    for pair in settings.oidc_levels:
        value, _, level = pair.rpartition("=")
        if not value:
            raise InvalidArguments(f"WHOHAS_OIDC_LEVELS has {pair!r}; write value=LEVEL, as in auditors=REPORT_ADMIN.")
        levels[value] = validate_levels([level])[0]
    return OIDCIssuer(
        OIDCConfig(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience or "",
            algorithms=settings.oidc_algorithms,
            user_name_claim=settings.oidc_name_claim,
            levels_claim=settings.oidc_levels_claim,
            levels=levels,
            sources_claim=settings.oidc_sources_claim,
            scopes=settings.oidc_scopes,
        )
    )
