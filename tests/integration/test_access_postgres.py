"""Users, clients, codes and counts on PostgreSQL, as several servers share them."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import sqlalchemy as sa

from postgres import Postgres
from whohas.auth import AuthorizationCodes, Caller, Clients, LoginThrottle, RateLimit, UserLevel, Users
from whohas.auth.throttle import MAX_WRONG, DatabaseWindowCounter, open_window_counter
from whohas.db.engine import create_engine
from whohas.errors import QuotaExceeded, Unauthorized
from whohas.runs import repository, visibility

BACK = "https://console.example/back"


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    return postgres.ready_database()


@pytest.fixture(scope="module")
def database(url: str) -> Iterator[sa.Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


def test_clients_and_users_are_kept_and_read_back(database: sa.Engine) -> None:
    people, clients = Users(database), Clients(database, b"k" * 32)
    ann = people.create("ann", ["SOURCE_ADMIN"], ["ad"], "correct horse battery")
    made = clients.create("laptop", ["sp:scopes:all"], person=ann)
    assert clients.verify(made.client.id, made.secret) == made.client
    assert people.sign_in("ann", "correct horse battery") == ann
    for name in ("'; DROP TABLE person; --", "a\0b", "x" * 10_000):
        with pytest.raises(Unauthorized):
            people.sign_in(name, "x")


def test_two_servers_accept_the_same_code_only_once(database: sa.Engine) -> None:
    people, clients = Users(database), Clients(database, b"k" * 32)
    bob = people.create("bob", ["ORG_ADMIN"])
    console = clients.create("console", ["sp:scopes:all"], redirects=[BACK], levels=["ORG_ADMIN"]).client
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    code = AuthorizationCodes(database, clients).issue(console, bob, BACK, challenge, console.scopes)
    redeemed: list[str] = []

    def redeem() -> None:
        with suppress(Unauthorized):
            redeemed.append(AuthorizationCodes(database, clients).redeem(code, console.id, BACK, verifier).user.name)

    _at_once(redeem, 8)
    assert redeemed == ["bob"]


def test_servers_count_together_and_lose_nothing(database: sa.Engine, url: str) -> None:
    servers = [DatabaseWindowCounter(create_engine(url)) for _ in range(2)]
    _at_once(lambda: [one.add("many", 60) for one in servers for _ in range(25)], 8)
    assert servers[0].get("many").events == 400
    limits = [RateLimit(open_window_counter(database), 3), RateLimit(servers[1], 3)]
    for number in range(3):
        limits[number % 2].count_call("client", "v2025")
    for limit in limits:
        with pytest.raises(QuotaExceeded):
            limit.count_call("client", "v2025")
    for number in range(MAX_WRONG):
        LoginThrottle(servers[0]).count_wrong_secret("id", "10.0.0.1", f"secret {number}")
    with pytest.raises(QuotaExceeded):
        LoginThrottle(servers[1]).check("id", "10.0.0.1")


def test_the_condition_under_which_a_run_is_seen_is_understood(database: sa.Engine) -> None:
    for level in (UserLevel.ORG_ADMIN, UserLevel.CERT_ADMIN, UserLevel.SOURCE_ADMIN):
        caller = Caller("0" * 32, "ann", frozenset(), frozenset({level}), "0" * 32, frozenset({"ad"}), is_user=True)
        with database.connect() as connection:
            assert repository.get(connection, "f" * 32, visibility.visible_to(caller)) is None


def _at_once(act: Callable[[], object], times: int) -> None:
    threads = [threading.Thread(target=act) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
