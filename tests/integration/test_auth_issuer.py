"""An outside issuer: a real one over HTTP, whose tokens are taken as far as they are trusted, and no further."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from issuers import AUDIENCE, OutsideIssuer, new_key, outside_issuer
from whohas.auth import OIDCConfig, OIDCIssuer, UserLevel
from whohas.auth.oidc import CACHE_SECONDS, LEEWAY_SECONDS, REFETCH_SECONDS
from whohas.errors import InvalidArguments, Unauthorized, Unavailable


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def outside() -> Iterator[OutsideIssuer]:
    with outside_issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def issuer(outside: OutsideIssuer, clock: Clock) -> OIDCIssuer:
    return OIDCIssuer(trust(outside.url), clock=clock)


def trust(url: str) -> OIDCConfig:
    return OIDCConfig(
        issuer=url,
        audience=AUDIENCE,
        algorithms=("RS256", "ES256"),
        user_name_claim="preferred_username",
        levels_claim="realm_access.roles",
        levels={"auditors": UserLevel.REPORT_ADMIN, "ad-team": UserLevel.SOURCE_ADMIN},
        sources_claim="sources",
        scopes=("sp:report:read",),
    )


def test_claims_become_a_name_levels_sources_and_scopes(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    caller = issuer.verify(
        outside.sign(
            preferred_username="ann",
            realm_access={"roles": ["ad-team", "something else"]},
            sources=["ad"],
            scope="openid sp:report:manage",
        )
    )
    assert (caller.name, caller.is_user, caller.levels) == ("ann", True, {UserLevel.SOURCE_ADMIN})
    assert (caller.sources, caller.scopes) == ({"ad"}, {"sp:report:read", "sp:report:manage"})
    assert len(caller.id) == 32


@pytest.mark.parametrize(
    ("claims", "is_user"),
    [
        ({"preferred_username": "service-account-nightly", "client_id": "nightly"}, False),
        ({"preferred_username": "service-account-nightly", "azp": "Nightly"}, False),
        ({"preferred_username": "service-account-nightly", "azp": "console"}, True),
        ({"preferred_username": "nightly", "azp": "nightly"}, True),
    ],
)
def test_service_account_of_keycloak_is_a_program(
    outside: OutsideIssuer, issuer: OIDCIssuer, claims: dict[str, str], is_user: bool
) -> None:
    caller = issuer.verify(outside.sign(**claims))
    assert (caller.name, caller.is_user) == (claims["preferred_username"], is_user)


def test_what_is_not_mapped_gives_nothing(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    caller = issuer.verify(outside.sign(realm_access={"roles": ["ORG_ADMIN", "REPORT_ADMIN"]}, scope="admin"))
    assert (caller.levels, caller.scopes, caller.is_user) == (frozenset(), {"sp:report:read"}, False)


def test_keys_are_fetched_again_only_for_an_unknown_key(
    outside: OutsideIssuer, issuer: OIDCIssuer, clock: Clock
) -> None:
    for number in range(5):
        issuer.verify(outside.sign(sub=f"u-{number}"))
    assert len(outside.asked) == 2, "discovery and keys"
    outside.keys.insert(0, new_key())
    with pytest.raises(Unauthorized):
        issuer.verify(outside.sign())
    assert len(outside.asked) == 2, "it was asked a moment ago"
    clock.now += REFETCH_SECONDS
    issuer.verify(outside.sign())
    assert len(outside.asked) == 4


def test_a_withdrawn_key_is_rejected_even_for_tokens_seen_before(
    outside: OutsideIssuer, issuer: OIDCIssuer, clock: Clock
) -> None:
    token = outside.sign()
    issuer.verify(token)
    outside.keys[:] = [new_key()]
    issuer.verify(token)
    clock.now += CACHE_SECONDS + 1
    with pytest.raises(Unauthorized):
        issuer.verify(token)


def test_an_unreachable_issuer_keeps_known_callers_and_is_asked_rarely(
    outside: OutsideIssuer, issuer: OIDCIssuer, clock: Clock
) -> None:
    outside.up = False
    for _ in range(3):
        with pytest.raises(Unavailable, match="cannot be fetched"):
            issuer.verify(outside.sign())
    assert len(outside.asked) == 1
    outside.up = True
    clock.now += REFETCH_SECONDS
    issuer.verify(outside.sign())
    outside.up = False
    clock.now += CACHE_SECONDS + 1
    issuer.verify(outside.sign(sub="another"))


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": None}, "lacks its claims"),
        ({"exp": "soon"}, "lacks its claims"),
        ({"exp": True}, "lacks its claims"),
        ({"nbf": int(time.time()) + 86_400}, "not valid yet"),
        ({"aud": "another"}, "another audience"),
        ({"aud": ["another", 5]}, "another audience"),
        ({"aud": None}, "another audience"),
        ({"iss": "https://evil.example"}, "another audience"),
        ({"sub": None}, "lacks its claims"),
        ({"sub": 5}, "lacks its claims"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    outside: OutsideIssuer, issuer: OIDCIssuer, claims: dict[str, Any], says: str
) -> None:
    with pytest.raises(Unauthorized, match=says):
        issuer.verify(outside.sign(**claims))


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"exp": float("nan")}, "lacks its claims .*'exp' must be a NumericDate"),
        ({"exp": float("inf")}, "lacks its claims .*'exp' must be a NumericDate"),
        ({"exp": [int(time.time()) + 60]}, "lacks its claims .*'exp'"),
        ({"nbf": "tomorrow"}, "lacks its claims .*'nbf' must be a NumericDate"),
        ({"iat": int(time.time()) + 86_400}, "not valid yet .*issued in the future"),
        ({"iat": "now"}, "lacks its claims .*'iat'"),
        ({"sub": ""}, "lacks its claims .*'sub'"),
        ({"iss": 5}, "another audience .*'iss'"),
        ({"aud": []}, "another audience .*'aud'"),
        ({"aud": [AUDIENCE, 5]}, "another audience .*'aud' must be an array"),
        ({"aud": {AUDIENCE: True}}, "another audience .*'aud'"),
    ],
)
def test_a_refusal_names_the_claim(
    outside: OutsideIssuer, issuer: OIDCIssuer, claims: dict[str, Any], says: str
) -> None:
    with pytest.raises(Unauthorized, match=says):
        issuer.verify(outside.sign(**claims))


def test_clocks_may_differ_by_half_a_minute(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    now = int(time.time())
    issuer.verify(outside.sign(exp=now - LEEWAY_SECONDS // 2))
    issuer.verify(outside.sign(nbf=now + LEEWAY_SECONDS // 2, iat=now + LEEWAY_SECONDS // 2))
    issuer.verify(outside.sign(aud=["another", AUDIENCE], exp=now + 0.5))
    issuer.verify(outside.sign(exp=10**400))  # which no float holds


def test_a_token_of_an_unpublished_key_is_refused(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    with pytest.raises(Unauthorized):
        issuer.verify(outside.sign(new_key()))


def test_an_algorithm_that_is_not_allowed_is_refused(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    with pytest.raises(Unauthorized):
        issuer.verify(outside.sign(algorithm="RS512"))
    public = OctKey.import_key(json.dumps(outside.keys[0].as_dict(private=False)))
    claims = {"iss": outside.url, "aud": AUDIENCE, "sub": "u", "exp": int(time.time()) + 60}
    header = {"alg": "HS256", "kid": outside.keys[0].kid}
    with pytest.raises(Unauthorized):
        issuer.verify(jwt.encode(header, claims, public, algorithms=["HS256"]))
    with pytest.raises(Unauthorized):
        issuer.verify(jwt.encode({"alg": "none"}, claims, OctKey.generate_key(), algorithms=["none"]))


def test_a_key_of_another_kind_may_sign(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    outside.keys.append(ECKey.generate_key("P-256", auto_kid=True))
    issuer.verify(outside.sign(outside.keys[1], "ES256"))


def test_a_discovery_document_of_somebody_else_is_not_believed(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    outside.discovery = {"issuer": "https://evil.example", "jwks_uri": f"{outside.url}/keys"}
    with pytest.raises(Unavailable, match=r"of 'https://evil\.example'"):
        issuer.verify(outside.sign())


def test_a_name_that_cannot_be_a_launcher_is_not_taken(outside: OutsideIssuer, issuer: OIDCIssuer) -> None:
    for name in ("a\nb", "\0", " ", 5, ["ann"]):
        caller = issuer.verify(outside.sign(preferred_username=name))
        assert caller.name == f"client {caller.id[:8]}"
        assert not caller.is_user


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://login.example"},
        {"issuer": "login.example"},
        {"audience": ""},
        {"algorithms": ("HS256",)},
        {"algorithms": ("none",)},
        {"algorithms": ()},
        {"scopes": ("everything",)},
    ],
)
def test_a_trust_that_would_be_too_great_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments):
        replace(trust("https://login.example"), **change)
