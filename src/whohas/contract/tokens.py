"""The bodies of `/oauth/token` and `/oauth/info`."""

from __future__ import annotations

from pydantic import StrictInt

from whohas.contract.reports import WireModel


class TokenResponse(WireModel):
    """A token and what it stands for. Clients need the first three keys; some read the booleans and the rest.

    Attributes:
        expires_in: seconds.
        scope: names separated by blanks.
        jti: the token's own id.
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


class OAuthInfo(WireModel):
    """Where a client finds the endpoints of this installation."""

    tenantId: str
    tenantName: str
    authorizeEndpoint: str
    tokenEndpoint: str
    cloudDomainUrl: str
    logoutUrl: str
    pod: str
