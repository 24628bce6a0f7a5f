"""Tokens: what is refused, and with which words."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from whohas.auth import Caller, Clients, Operation, Tokens, check_scope
from whohas.database import connect, create_tables
from whohas.errors import Forbidden, Unauthorized

KEY = ECKey.generate_key("P-256", private=True)


@pytest.fixture
def clients(tmp_path: Path) -> Clients:
    engine = connect(f"sqlite:///{tmp_path / 'whohas.db'}")
    create_tables(engine)
    return Clients(engine, b"k" * 32)


@pytest.fixture
def tokens(clients: Clients) -> Tokens:
    return Tokens(clients, KEY, issuer="acme", lifetime=43_200)


def signed(claims: dict[str, Any], key: ECKey = KEY) -> str:
    return jwt.encode({"alg": "ES256"}, claims, key, algorithms=["ES256"])


def test_a_token_stands_for_its_client(clients: Clients, tokens: Tokens) -> None:
    client = clients.create("nightly", ["sp:report:read"]).client
    token = tokens.issue(client)
    assert tokens.verify(token.text) == Caller(client.id, "nightly", frozenset({"sp:report:read"}))
    assert token.expires_in == 43_200
    assert token.text not in repr(token)


def test_a_token_of_a_revoked_client_is_refused_at_once(clients: Clients, tokens: Tokens) -> None:
    client = clients.create("nightly").client
    token = tokens.issue(client)
    clients.revoke(client.id)
    with pytest.raises(Unauthorized, match="'nightly' was revoked"):
        tokens.verify(token.text)


def test_a_token_of_a_client_that_does_not_exist_is_refused(tokens: Tokens) -> None:
    claims = {"sub": "0" * 32, "exp": int(time.time()) + 60, "scope": []}
    with pytest.raises(Unauthorized, match="does not exist"):
        tokens.verify(signed(claims))


def test_an_expired_token_is_refused_in_the_contracts_words(clients: Clients, tokens: Tokens) -> None:
    client = clients.create("a").client
    with pytest.raises(Unauthorized, match=r"^JWT validation failed: JWT is expired"):
        tokens.verify(signed({"sub": client.id, "exp": int(time.time()) - 1, "scope": []}))


def test_a_token_signed_by_another_server_is_refused(clients: Clients, tokens: Tokens) -> None:
    client = clients.create("a").client
    other = ECKey.generate_key("P-256", private=True)
    with pytest.raises(Unauthorized, match="the signature is not this server's"):
        tokens.verify(signed({"sub": client.id, "exp": int(time.time()) + 60}, other))


def test_a_token_whose_claims_were_changed_is_refused(clients: Clients, tokens: Tokens) -> None:
    head, _, signature = tokens.issue(clients.create("a").client).text.split(".")
    claims = (
        base64.urlsafe_b64encode(json.dumps({"sub": "0" * 32, "exp": 9_999_999_999}).encode()).rstrip(b"=").decode()
    )
    with pytest.raises(Unauthorized, match="the signature is not this server's"):
        tokens.verify(f"{head}.{claims}.{signature}")


def test_the_algorithm_none_is_refused(tokens: Tokens) -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    with pytest.raises(Unauthorized, match="the algorithm must be ES256"):
        tokens.verify(f"{head}.eyJzdWIiOiJ4In0.")


def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(tokens: Tokens) -> None:
    shared = OctKey.import_key(json.dumps(KEY.as_dict(private=False)))
    forged = jwt.encode({"alg": "HS256"}, {"sub": "0" * 32, "exp": 9_999_999_999}, shared, algorithms=["HS256"])
    with pytest.raises(Unauthorized, match="the algorithm must be ES256"):
        tokens.verify(forged)


@pytest.mark.parametrize("text", ["None", "a.b.c", "..", "é", "null", "x" * 100_000, "bnVsbA.bnVsbA.bnVsbA", "\0"])
def test_what_is_no_token_is_refused(tokens: Tokens, text: str) -> None:
    with pytest.raises(Unauthorized, match="not a JSON Web Token"):
        tokens.verify(text)


def test_an_empty_token_is_refused(tokens: Tokens) -> None:
    with pytest.raises(Unauthorized, match="The token is empty"):
        tokens.verify("")


@pytest.mark.parametrize("claims", [{}, {"sub": 5, "exp": 9_999_999_999}, {"sub": "0" * 32, "exp": "soon"}])
def test_a_token_without_its_claims_is_refused(tokens: Tokens, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match="lacks its claims"):
        tokens.verify(signed(claims))


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("sp:scopes:all", set(Operation)),
        ("sp:scopes:default", set(Operation)),
        ("sp:report:manage", set(Operation) - {Operation.TASKS, Operation.END_TASK}),
        ("sp:report:read", {Operation.RESULT, Operation.FILE, Operation.WATCH, Operation.SCHEDULES}),
        ("idn:task-management:read", {Operation.TASKS, Operation.WATCH}),
        ("idn:task-management:write", {Operation.TASKS, Operation.END_TASK, Operation.WATCH}),
        ("idn:sources:read", set[Operation]()),
    ],
)
def test_a_scope_allows_what_the_contract_says(scope: str, allowed: set[Operation]) -> None:
    caller = Caller("0" * 32, "nightly", frozenset({scope}))
    for operation in Operation:
        if operation in allowed:
            check_scope(caller, operation)
        else:
            with pytest.raises(
                Forbidden, match=f"'nightly' may not {operation.value}: that needs the scope .*has {scope}"
            ):
                check_scope(caller, operation)
