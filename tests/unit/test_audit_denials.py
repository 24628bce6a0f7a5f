"""Denied requests are told of, and a flood of them costs a bounded number of events."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from auditing import lines, outbox, settle
from whohas.audit import Actor
from whohas.audit.denials import (
    EVENTS_OF_ALL_ADDRESSES,
    EVENTS_PER_ADDRESS,
    EVENTS_PER_CALLER,
    MAX_WINDOWS,
    Denial,
    DenialLog,
)
from whohas.settings import Settings


def denial(address: str = "192.0.2.1", caller: str = "") -> Denial:
    who = Actor("client", "a script", caller, address=address) if caller else Actor("unknown", address=address)
    status = 403 if caller else 401
    return Denial(who, status, "GET", "/v2025/reports/x", "getReport", "The token is empty.", claimed_identity="x")


def told(settings: Settings, database: sa.Engine) -> list[dict[str, object]]:
    settle(settings, database)
    return [line["data"] for line in lines(settings.audit_log_path)]


@pytest.fixture
def settings(home: Path) -> Settings:
    return Settings(home=home)


def test_a_denial_has_its_event_at_once(settings: Settings) -> None:
    with outbox(settings) as database:
        DenialLog(database).record(denial())
        (data,) = told(settings, database)
        assert (data["outcome"], data["status"], data["from"], data["tried"]) == ("denied", 401, "192.0.2.1", "x")
        assert data["reason"] == "The token is empty."


def test_many_denials_of_one_address_become_few_events(settings: Settings) -> None:
    with outbox(settings) as database:
        denials = DenialLog(database)
        for _ in range(500):
            denials.record(denial())
        assert len(told(settings, database)) == EVENTS_PER_ADDRESS
        denials.flush()
        assert len(told(settings, database)) == EVENTS_PER_ADDRESS, "its minute is not over"
        denials.flush(all=True)
        denials.flush(all=True)
        *_, last = told(settings, database)
        assert last["count"] == 500 - EVENTS_PER_ADDRESS
        assert str(last["since"]) <= str(last["until"])


def test_a_known_caller_has_more_events_of_its_own(settings: Settings) -> None:
    with outbox(settings) as database:
        denials = DenialLog(database)
        for _ in range(EVENTS_PER_CALLER + 5):
            denials.record(denial(caller="c" * 32))
        denials.flush(all=True)
        assert len(told(settings, database)) == EVENTS_PER_CALLER + 1


def test_a_flood_of_denials_costs_few_events_and_all_count(settings: Settings) -> None:
    with outbox(settings) as database:
        denials = DenialLog(database)
        floods = MAX_WINDOWS + 2_000
        for number in range(floods):
            denials.record(denial(f"2001:db8::{number:x}"))
        assert len(told(settings, database)) == EVENTS_OF_ALL_ADDRESSES
        denials.flush(all=True)
        data = told(settings, database)
        assert len(data) <= EVENTS_OF_ALL_ADDRESSES + MAX_WINDOWS + 1
        assert sum(int(str(one.get("count", 1))) for one in data) == floods


def test_a_denial_while_the_database_is_away_is_told_later(settings: Settings) -> None:
    with outbox(settings) as database:
        denials = DenialLog(database)
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE audit_event RENAME TO away")
        denials.record(denial())
        with pytest.raises(sa.exc.OperationalError):
            denials.flush(all=True)
        with database.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE away RENAME TO audit_event")
        denials.flush(all=True)
        (data,) = told(settings, database)
        assert data["count"] == 1
