"""Response body of `/oauth/info`; that of `/oauth/token` is in `whohas_client.contract`."""

from __future__ import annotations

from whohas_client.contract import WireModel


class OAuthEndpoints(WireModel):
    """The URLs of the OAuth endpoints of this installation; an endpoint that it does not have is an empty string."""

    tenantId: str
    tenantName: str
    authorizeEndpoint: str
    tokenEndpoint: str
    cloudDomainUrl: str
    logoutUrl: str
    pod: str
