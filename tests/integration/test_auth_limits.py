"""Limits: what counts, what waits, and that counting takes bounded memory; in memory and in a database alike."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from patience import PATIENCE_SECONDS
from ready import ready
from whohas import timeouts
from whohas.auth.throttle import (
    MAX_WRONG,
    MAX_WRONG_PER_ADDRESS,
    MAX_WRONG_PER_NAME,
    DatabaseWindowCounter,
    LoginThrottle,
    MemoryWindowCounter,
    RateLimit,
    WindowCounter,
)
from whohas.db.engine import create_engine
from whohas.errors import QuotaExceeded


@pytest.fixture
def database(tmp_path: Path) -> sa.Engine:
    return create_engine(f"sqlite:///{ready(tmp_path) / 'whohas.db'}")


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that do not end while a test counts in them."""
    for name in ("RATE_LIMIT_WINDOW_SECONDS", "LOGIN_THROTTLE_WINDOW_SECONDS"):
        monkeypatch.setattr(timeouts, name, PATIENCE_SECONDS)


@pytest.fixture(params=["memory", "database"])
def counts(request: pytest.FixtureRequest, database: sa.Engine) -> WindowCounter:
    return MemoryWindowCounter() if request.param == "memory" else DatabaseWindowCounter(database)


def test_a_window_counts_from_its_first_event_and_restarts(counts: WindowCounter) -> None:
    window = PATIENCE_SECONDS
    assert [counts.add("a", window).events for _ in range(3)] == [1, 2, 3]
    assert counts.get("a").events == 3
    assert 0 < counts.get("a").seconds_left <= window
    assert counts.get("b").events == 0
    for _ in range(2):
        counts.add("over", 0)
    assert counts.add("over", 0).events == 1
    assert counts.get("over").events == 0


def test_no_event_of_many_at_once_is_lost(counts: WindowCounter) -> None:
    threads = [
        threading.Thread(target=lambda: [counts.add("a", PATIENCE_SECONDS) for _ in range(25)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.get("a").events == 200


def test_two_servers_on_one_database_have_one_limit(database: sa.Engine) -> None:
    first, second = (RateLimit(DatabaseWindowCounter(database), 3) for _ in range(2))
    for server in (first, second, first):
        server.count_call("client", "v2025")
    with pytest.raises(QuotaExceeded):
        second.count_call("client", "v2025")


def test_a_limit_is_for_one_client_and_one_version(counts: WindowCounter) -> None:
    limit = RateLimit(counts, 2)
    for _ in range(2):
        limit.count_call("client", "v2025")
    with pytest.raises(QuotaExceeded, match="Rate Limit Exceeded") as refused:
        limit.count_call("client", "v2025")
    assert refused.value.retry_after in range(1, PATIENCE_SECONDS + 1)
    limit.count_call("client", "v2026")
    limit.count_call("other", "v2025")


def test_whoever_guesses_waits_and_others_do_not(counts: WindowCounter) -> None:
    guesses = LoginThrottle(counts)
    for number in range(MAX_WRONG):
        guesses.check("id", "10.0.0.1")
        guesses.count_wrong_secret("id", "10.0.0.1", f"secret {number}")
    with pytest.raises(QuotaExceeded) as refused:
        guesses.check("id", "10.0.0.1")
    assert 0 < refused.value.retry_after <= PATIENCE_SECONDS
    guesses.check("id", "10.0.0.2")
    guesses.check("other", "10.0.0.1")


def test_an_old_secret_in_use_does_not_lock_others_out(counts: WindowCounter) -> None:
    guesses = LoginThrottle(counts)
    for _ in range(5 * MAX_WRONG):
        guesses.check("id", "10.0.0.1")
        guesses.count_wrong_secret("id", "10.0.0.1", "the old secret")


def test_one_address_cannot_guess_at_many_users(counts: WindowCounter) -> None:
    guesses = LoginThrottle(counts)
    for number in range(MAX_WRONG_PER_ADDRESS):
        guesses.count_wrong_password(f"user {number}", "10.0.0.1")
    with pytest.raises(QuotaExceeded):
        guesses.check("one more", "10.0.0.1", person=True)
    guesses.check("a client", "10.0.0.1")


def test_many_addresses_cannot_guess_one_password(counts: WindowCounter) -> None:
    guesses = LoginThrottle(counts)
    for number in range(MAX_WRONG_PER_NAME):
        guesses.count_wrong_password("ann", f"10.0.0.{number}")
    with pytest.raises(QuotaExceeded):
        guesses.check("ann", "10.9.9.9", person=True)
    guesses.check("bob", "10.9.9.9", person=True)


def test_memory_is_bounded_whatever_is_sent() -> None:
    counts = MemoryWindowCounter(size=100)
    for number in range(1000):
        counts.add(f"{number}" + "x" * 10_000, 60)
    assert len(counts) == 100


def test_nothing_that_was_sent_is_kept(database: sa.Engine) -> None:
    LoginThrottle(DatabaseWindowCounter(database)).count_wrong_secret("\0' OR 1=1 --\ud800", "10.0.0.1", "\ud800")
    with database.connect() as connection:
        keys = connection.execute(sa.text("SELECT key FROM limit_count")).scalars().all()
    assert len(keys) == 2
    assert all(len(key) == 64 and int(key, 16) for key in keys)
