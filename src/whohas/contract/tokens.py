"""Response bodies of `/oauth/token` and `/oauth/info`."""

from __future__ import annotations

from pydantic import StrictInt

from whohas.contract.reports import WireModel


class TokenResponse(WireModel):
    """An access token with its lifetime, its scopes and its holder.

    All clients read `access_token`, `token_type` and `expires_in`; some also read the other keys, which are those of
    the published service.

    Attributes:
        access_token: the token itself, a JSON Web Token.
        token_type: always `bearer`.
        expires_in: the lifetime of the token in seconds.
        scope: the scopes of the token, separated by spaces.
        tenant_id: the name of the organisation (WHOHAS_ORG), as `org` is.
        user_id: the id of the user or application that the token acts for, as `identity_id` is.
        jti: the id of the token.
    """

    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the kind of token, no secret
    expires_in: StrictInt
    scope: str = ""
    accessType: str = "OFFLINE"
    tenant_id: str = ""
    internal: bool = False
    pod: str = ""
    strong_auth_supported: bool = False
    org: str = ""
    user_id: str = ""
    identity_id: str = ""
    user_name: str = ""
    strong_auth: bool = False
    enabled: bool = True
    jti: str = ""


class OAuthEndpoints(WireModel):
    """The URLs of the OAuth endpoints of this installation; an endpoint that it does not have is an empty string."""

    tenantId: str
    tenantName: str
    authorizeEndpoint: str
    tokenEndpoint: str
    cloudDomainUrl: str
    logoutUrl: str
    pod: str
