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
    GUESSES,
    GUESSES_OF_ADDRESS,
    GUESSES_OF_NAME,
    Counts,
    CountsInDatabase,
    CountsInMemory,
    Guesses,
    RateLimit,
)
from whohas.db.engine import connect
from whohas.errors import QuotaExceeded


@pytest.fixture
def database(tmp_path: Path) -> sa.Engine:
    return connect(f"sqlite:///{ready(tmp_path) / 'whohas.db'}")


@pytest.fixture(autouse=True)
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that do not end while a test counts in them."""
    for name in ("LIMIT_CALLS_SECONDS", "LIMIT_GUESSES_SECONDS"):
        monkeypatch.setattr(timeouts, name, PATIENCE_SECONDS)


@pytest.fixture(params=["memory", "database"])
def counts(request: pytest.FixtureRequest, database: sa.Engine) -> Counts:
    return CountsInMemory() if request.param == "memory" else CountsInDatabase(database)


def test_a_window_counts_from_its_first_event_and_starts_anew_when_it_ended(counts: Counts) -> None:
    window = PATIENCE_SECONDS
    assert [counts.add("a", window).events for _ in range(3)] == [1, 2, 3]
    assert counts.look("a").events == 3
    assert 0 < counts.look("a").left <= window
    assert counts.look("b").events == 0
    for _ in range(2):
        counts.add("over", 0)
    assert counts.add("over", 0).events == 1
    assert counts.look("over").events == 0


def test_no_event_of_many_at_once_is_lost(counts: Counts) -> None:
    threads = [
        threading.Thread(target=lambda: [counts.add("a", PATIENCE_SECONDS) for _ in range(25)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts.look("a").events == 200


def test_two_servers_on_one_database_have_one_limit(database: sa.Engine) -> None:
    first, second = (RateLimit(CountsInDatabase(database), 3) for _ in range(2))
    for server in (first, second, first):
        server.check("client", "v2025")
    with pytest.raises(QuotaExceeded):
        second.check("client", "v2025")


def test_a_limit_is_for_one_client_and_one_version(counts: Counts) -> None:
    limit = RateLimit(counts, 2)
    for _ in range(2):
        limit.check("client", "v2025")
    with pytest.raises(QuotaExceeded, match="Rate Limit Exceeded") as refused:
        limit.check("client", "v2025")
    assert refused.value.retry_after in range(1, PATIENCE_SECONDS + 1)
    limit.check("client", "v2026")
    limit.check("other", "v2025")


def test_whoever_guesses_waits_and_others_do_not(counts: Counts) -> None:
    guesses = Guesses(counts)
    for number in range(GUESSES):
        guesses.check("id", "10.0.0.1")
        guesses.wrong_secret("id", "10.0.0.1", f"secret {number}")
    with pytest.raises(QuotaExceeded) as refused:
        guesses.check("id", "10.0.0.1")
    assert 0 < refused.value.retry_after <= PATIENCE_SECONDS
    guesses.check("id", "10.0.0.2")
    guesses.check("other", "10.0.0.1")


def test_a_script_with_an_old_secret_does_not_keep_the_one_with_the_new_secret_out(counts: Counts) -> None:
    guesses = Guesses(counts)
    for _ in range(5 * GUESSES):
        guesses.check("id", "10.0.0.1")
        guesses.wrong_secret("id", "10.0.0.1", "the old secret")


def test_one_address_cannot_guess_at_many_users(counts: Counts) -> None:
    guesses = Guesses(counts)
    for number in range(GUESSES_OF_ADDRESS):
        guesses.wrong_password(f"user {number}", "10.0.0.1")
    with pytest.raises(QuotaExceeded):
        guesses.check("one more", "10.0.0.1", person=True)
    guesses.check("a client", "10.0.0.1")


def test_many_addresses_cannot_guess_one_password(counts: Counts) -> None:
    guesses = Guesses(counts)
    for number in range(GUESSES_OF_NAME):
        guesses.wrong_password("ann", f"10.0.0.{number}")
    with pytest.raises(QuotaExceeded):
        guesses.check("ann", "10.9.9.9", person=True)
    guesses.check("bob", "10.9.9.9", person=True)


def test_memory_is_bounded_whatever_is_sent() -> None:
    counts = CountsInMemory(size=100)
    for number in range(1000):
        counts.add(f"{number}" + "x" * 10_000, 60)
    assert len(counts) == 100


def test_nothing_that_was_sent_is_kept(database: sa.Engine) -> None:
    Guesses(CountsInDatabase(database)).wrong_secret("\0' OR 1=1 --\ud800", "10.0.0.1", "\ud800")
    with database.connect() as connection:
        keys = connection.execute(sa.text("SELECT key FROM limit_count")).scalars().all()
    assert len(keys) == 2
    assert all(len(key) == 64 and int(key, 16) for key in keys)
