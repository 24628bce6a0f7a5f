"""Tokens: what is refused, and with which words."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from joserfc import jwt
from joserfc.jwk import OctKey

from ready import ready
from whohas.auth import (
    ROUTES,
    AccessTokens,
    ApiClient,
    Caller,
    Clients,
    SigningKeys,
    UserLevel,
    Users,
    check_access,
    open_keys,
)
from whohas.auth.keys import SigningKey
from whohas.db.engine import create_engine
from whohas.errors import Forbidden, Unauthorized

ASKING = {route: needs for route, needs in ROUTES.items() if needs is not None}
REPORTS = {"startReport", "getReportResult", "getReport", "cancelReport"}
TASKS = {"getTaskStatus", "getTaskStatusList", "getPendingTasks", "getPendingTaskHeaders", "listRuns", "getRun"}
WATCH = {"watchRuns", "watchRun"}
SCHEDULES = {"everySchedule", "oneSchedule"}
CHANGES = {"addSchedule", "changeSchedule", "removeSchedule", "runSchedule"}


@pytest.fixture
def database(tmp_path: Path) -> sa.Engine:
    return create_engine(f"sqlite:///{ready(tmp_path) / 'whohas.db'}")


@pytest.fixture
def clients(database: sa.Engine) -> Clients:
    return Clients(database, b"k" * 32)


@pytest.fixture
def people(database: sa.Engine) -> Users:
    return Users(database)


@pytest.fixture
def keys(home: Path) -> SigningKeys:
    return open_keys(home).signing


@pytest.fixture
def tokens(clients: Clients, keys: SigningKeys) -> AccessTokens:
    return AccessTokens(clients, keys, issuer="acme", lifetime=43_200)


def claims_of(client: ApiClient, **changed: Any) -> dict[str, Any]:
    now = time.time()
    claims = {"iss": "acme", "client_id": client.id, "iat": now, "exp": int(now) + 60, "scope": list(client.scopes)}
    return {**claims, **changed}


def signed(claims: dict[str, Any], key: SigningKey) -> str:
    return jwt.encode({"alg": "ES256", "kid": key.id}, claims, key.key, algorithms=["ES256"])


def test_a_token_stands_for_its_client(clients: Clients, tokens: AccessTokens) -> None:
    client = clients.create("nightly", ["sp:report:read"], levels=["ORG_ADMIN"]).client
    token = tokens.issue(client)
    levels = frozenset({UserLevel.ORG_ADMIN})
    assert tokens.verify(token.text) == Caller(client.id, "nightly", frozenset({"sp:report:read"}), levels, client.id)
    assert token.expires_in == 43_200
    assert token.text not in repr(token)


def test_a_token_of_a_personal_client_stands_for_its_user(
    clients: Clients, people: Users, tokens: AccessTokens
) -> None:
    ann = people.create("ann", ["SOURCE_ADMIN"], ["ad"])
    client = clients.create("ann's laptop", ["sp:scopes:all"], person=ann).client
    caller = tokens.verify(tokens.issue(client).text)
    assert (caller.id, caller.name, caller.client_id, caller.is_user) == (ann.id, "ann", client.id, True)
    assert (caller.levels, caller.sources) == ({UserLevel.SOURCE_ADMIN}, {"ad"})


def test_a_level_that_is_taken_away_is_gone_at_once(clients: Clients, people: Users, tokens: AccessTokens) -> None:
    ann = people.create("ann", ["ORG_ADMIN"])
    token = tokens.issue(clients.create("laptop", ["sp:scopes:all"], person=ann).client)
    assert tokens.verify(token.text).sees_all
    people.change("ann", levels=["HELPDESK"])
    assert tokens.verify(token.text).levels == {UserLevel.HELPDESK}


def test_tokens_of_a_disabled_user_are_refused_at_once(clients: Clients, people: Users, tokens: AccessTokens) -> None:
    ann = people.create("ann", ["ORG_ADMIN"])
    program = clients.create(
        "console", ["sp:scopes:all"], redirects=["https://console.example/back"], levels=["ORG_ADMIN"]
    ).client
    held = [tokens.issue(clients.create("laptop", ["sp:scopes:all"], person=ann).client), tokens.issue(program, ann)]
    for token in held:
        assert tokens.verify(token.text).name == "ann"
    people.change("ann", disabled=True)
    for token in held:
        with pytest.raises(Unauthorized, match="'ann' was disabled"):
            tokens.verify(token.text)


def test_a_token_of_a_revoked_client_is_refused_at_once(clients: Clients, tokens: AccessTokens) -> None:
    client = clients.create("nightly", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client
    token = tokens.issue(client)
    tokens.verify(token.text)
    clients.revoke(client.id)
    with pytest.raises(Unauthorized, match="'nightly' was revoked"):
        tokens.verify(token.text)


def test_tokens_survive_a_rotation_unless_revoked(clients: Clients, tokens: AccessTokens) -> None:
    client = clients.create("nightly", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client
    token = tokens.issue(client)
    clients.rotate_secret(client.id)
    tokens.verify(token.text)
    clients.rotate_secret(client.id, end_tokens=True)
    with pytest.raises(Unauthorized, match="were ended"):
        tokens.verify(token.text)
    tokens.verify(tokens.issue(client).text)


def test_a_token_of_an_unknown_client_is_refused(clients: Clients, tokens: AccessTokens, keys: SigningKeys) -> None:
    nobody = claims_of(clients.create("a", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client, client_id="0" * 32)
    with pytest.raises(Unauthorized, match="does not exist"):
        tokens.verify(signed(nobody, keys.signing_key()))


def test_an_expired_token_is_refused_even_if_seen_before(
    clients: Clients, tokens: AccessTokens, keys: SigningKeys
) -> None:
    client = clients.create("a", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client
    old = signed(claims_of(client, exp=int(time.time()) - 1), keys.signing_key())
    for _ in range(2):
        with pytest.raises(Unauthorized, match=r"^JWT validation failed: JWT is expired"):
            tokens.verify(old)


def test_a_token_signed_by_another_server_is_refused(
    clients: Clients, tokens: AccessTokens, keys: SigningKeys, tmp_path: Path
) -> None:
    client = clients.create("a", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client
    other = open_keys(tmp_path / "other").signing.signing_key()
    with pytest.raises(Unauthorized, match="the signature is not this server's"):
        tokens.verify(signed(claims_of(client), other))
    pretending = replace(other, id=keys.signing_key().id)
    with pytest.raises(Unauthorized, match="the signature is not this server's"):
        tokens.verify(signed(claims_of(client), pretending))


def test_a_token_of_another_organization_is_refused(clients: Clients, tokens: AccessTokens, keys: SigningKeys) -> None:
    with pytest.raises(Unauthorized, match="lacks its claims"):
        tokens.verify(
            signed(
                claims_of(clients.create("a", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client, iss="globex"),
                keys.signing_key(),
            )
        )


def test_a_token_whose_claims_were_changed_is_refused(clients: Clients, tokens: AccessTokens) -> None:
    client = clients.create("a", ["sp:report:read"], levels=["ORG_ADMIN"]).client
    head, _, signature = tokens.issue(client).text.split(".")
    raised = json.dumps(claims_of(client, scope=["sp:scopes:all"]))
    claims = base64.urlsafe_b64encode(raised.encode()).rstrip(b"=").decode()
    with pytest.raises(Unauthorized, match="the signature is not this server's"):
        tokens.verify(f"{head}.{claims}.{signature}")


def test_the_algorithm_none_is_refused(tokens: AccessTokens) -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    with pytest.raises(Unauthorized, match="the algorithm must be ES256"):
        tokens.verify(f"{head}.eyJzdWIiOiJ4In0.")


def test_a_token_signed_with_the_public_key_is_refused(
    clients: Clients, tokens: AccessTokens, keys: SigningKeys
) -> None:
    key = keys.signing_key()
    shared = OctKey.import_key(json.dumps(key.key.as_dict(private=False)))
    claims = claims_of(clients.create("a", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client)
    forged = jwt.encode({"alg": "HS256", "kid": key.id}, claims, shared, algorithms=["HS256"])
    with pytest.raises(Unauthorized, match="the algorithm must be ES256"):
        tokens.verify(forged)


@pytest.mark.parametrize("text", ["None", "a.b.c", "..", "é", "null", "x" * 100_000, "bnVsbA.bnVsbA.bnVsbA", "\0"])
def test_what_is_no_token_is_refused(tokens: AccessTokens, text: str) -> None:
    with pytest.raises(Unauthorized, match="not a JSON Web Token"):
        tokens.verify(text)


def test_an_empty_token_is_refused(tokens: AccessTokens) -> None:
    with pytest.raises(Unauthorized, match="The token is empty"):
        tokens.verify("")


@pytest.mark.parametrize(
    "changed", [{"client_id": 5}, {"exp": "soon"}, {"iat": None}, {"scope": "sp:scopes:all"}, {"iss": ["acme"]}]
)
def test_a_token_without_its_claims_is_refused(
    clients: Clients, tokens: AccessTokens, keys: SigningKeys, changed: dict[str, Any]
) -> None:
    with pytest.raises(Unauthorized):
        tokens.verify(
            signed(
                claims_of(clients.create("a", ["sp:scopes:all"], levels=["ORG_ADMIN"]).client, **changed),
                keys.signing_key(),
            )
        )


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("sp:scopes:all", set(ASKING)),
        ("sp:scopes:default", set(ASKING)),
        ("sp:report:manage", REPORTS | WATCH | SCHEDULES | CHANGES | {"runStatement", "runSummary", "replayRun"}),
        ("sp:report:read", {"getReportResult", "getReport", "runStatement", "runSummary"} | WATCH | SCHEDULES),
        ("sp:report:create", {"startReport"}),
        ("sp:report-result:read", {"getReportResult"}),
        ("sp:report:delete", {"cancelReport"}),
        ("idn:task-management:read", TASKS | WATCH),
        ("idn:task-management:write", TASKS | WATCH | {"updateTaskStatus"}),
        ("idn:sources:read", set[str]()),
    ],
)
def test_a_scope_allows_what_the_contract_says(scope: str, allowed: set[str]) -> None:
    caller = Caller("0" * 32, "ann", frozenset({scope}), frozenset({UserLevel.ORG_ADMIN}), "0" * 32, is_user=True)
    for route, needs in ASKING.items():
        if route in allowed or not needs.scopes:
            check_access(caller, route)
        else:
            with pytest.raises(Forbidden, match=f"'ann' may not {needs.action}.*has {scope}"):
                check_access(caller, route)


@pytest.mark.parametrize("level", list(UserLevel))
def test_a_level_allows_what_the_contract_says(level: UserLevel) -> None:
    caller = Caller("0" * 32, "ann", frozenset({"sp:scopes:all"}), frozenset({level}), "0" * 32, is_user=True)
    refused = {"startReport", "updateTaskStatus", "replayRun"} | CHANGES if level is UserLevel.HELPDESK else set[str]()
    for route in ASKING:
        if route in refused:
            with pytest.raises(Forbidden, match=r"needs the level .*has HELPDESK"):
                check_access(caller, route)
        else:
            check_access(caller, route)


def test_a_program_cannot_cancel_whatever_its_scopes() -> None:
    program = Caller("0" * 32, "p", frozenset({"sp:scopes:all"}), frozenset(UserLevel), "0" * 32)
    with pytest.raises(Forbidden, match="for users"):
        check_access(program, "cancelReport")


def test_what_is_not_in_the_table_is_refused_to_everybody() -> None:
    anybody = Caller("0" * 32, "a", frozenset({"sp:scopes:all"}), frozenset(UserLevel), "0" * 32, is_user=True)
    with pytest.raises(Forbidden, match="not in the table"):
        check_access(anybody, "somethingNew")
