"""A schedule starts its report with the rights that its owner has when it is due, not with those of the day it was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from support import ACME
from whohas.auth import Caller, User
from whohas.auth.callers import SCOPE_ALL, SCOPE_READ, UserLevel
from whohas.auth.users import person_table
from whohas.errors import NotFound
from whohas.runs.repository import now
from whohas.runs.tables import run
from whohas.schedules.service import schedule
from whohas.services import Services, open_services
from whohas.settings import Settings

SOURCES = [json.loads(line)["id"] for line in (ACME / "sources.ndjson").read_text().splitlines()][:2]


@pytest.fixture
def services(own_home: Path) -> Iterator[Services]:
    with open_services(Settings(home=own_home)) as opened:
        yield opened


def fire(services: Services) -> tuple[int, str]:
    """Has every schedule due now; how many runs that gave, and what the schedule says of its failure."""
    with services.database.begin() as connection:
        connection.execute(sa.update(schedule).values(next_at=now() - timedelta(minutes=1)))
        before = connection.execute(sa.select(sa.func.count()).select_from(run)).scalar_one()
    services.schedules.start_due()
    with services.database.connect() as connection:
        after = connection.execute(sa.select(sa.func.count()).select_from(run)).scalar_one()
    return after - before, services.schedules.get("theirs").last_error


def add(services: Services, caller: Caller, report: str, **arguments: object) -> None:
    services.schedules.add("theirs", report, arguments, "*/5 * * * *", "UTC", caller.name, caller)


def of_user(services: Services, level: UserLevel, *sources: str) -> tuple[Caller, User]:
    person = services.access.users.create("ann", [level], sources)
    client = services.access.clients.create("laptop", [SCOPE_ALL], person=person).client
    return client.caller(), person


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda services: services.access.users.change("ann", disabled=True), "'ann', whose it is, was disabled"),
        (lambda services: services.access.users.change("ann", levels=[]), "may not start a run: that needs the level"),
        (lambda services: services.access.users.change("ann", levels=["HELPDESK"]), "that needs the level"),
        (
            lambda services: services.access.users.change("ann", levels=["SOURCE_ADMIN"], sources=SOURCES[:1]),
            "administers sources and may only have reports on their own",
        ),
    ],
)
def test_rights_that_were_taken_away_start_nothing(
    services: Services, change: Callable[[Services], object], says: str
) -> None:
    caller, _ = of_user(services, UserLevel.CERT_ADMIN)
    add(services, caller, "IDENTITIES")
    assert fire(services) == (1, "")
    services.runs.cancel(services.schedules.get("theirs").last_run or "")
    change(services)
    started, error = fire(services)
    assert (started, says in error) == (0, True), error
    services.access.users.change("ann", levels=["CERT_ADMIN"], sources=[], disabled=False)
    assert fire(services) == (1, ""), "with the rights given back it goes on"


def test_a_source_that_was_taken_away_is_reported_no_more(services: Services) -> None:
    caller, _ = of_user(services, UserLevel.SOURCE_ADMIN, SOURCES[0])
    add(services, caller, "ACCOUNTS", application=SOURCES[0])
    assert fire(services) == (1, "")
    services.runs.cancel(services.schedules.get("theirs").last_run or "")
    services.access.users.change("ann", sources=SOURCES[1:])
    started, error = fire(services)
    assert (started, "reports on their own" in error) == (0, True), error


def test_a_clients_rights_end_where_its_owners_end(services: Services) -> None:
    caller, _ = of_user(services, UserLevel.SOURCE_ADMIN, SOURCES[0])
    add(services, caller, "ACCOUNTS", application=SOURCES[0])
    services.schedules.change("theirs", {"arguments": {"application": SOURCES[1]}})
    started, error = fire(services)
    assert (started, "reports on their own" in error) == (0, True), error


def test_a_revoked_program_starts_nothing(services: Services) -> None:
    client = services.access.clients.create("nightly", [SCOPE_ALL], levels=["ROLE_ADMIN"]).client
    add(services, client.caller(), "IDENTITIES")
    assert fire(services) == (1, "")
    services.runs.cancel(services.schedules.get("theirs").last_run or "")
    services.access.clients.revoke(client.id)
    started, error = fire(services)
    assert (started, "'nightly', whose it is, was revoked" in error) == (0, True), error


def test_a_program_that_may_only_read_starts_nothing(services: Services) -> None:
    client = services.access.clients.create("reader", [SCOPE_READ], levels=["ROLE_ADMIN"]).client
    add(services, client.caller(), "IDENTITIES")
    started, error = fire(services)
    assert (started, "that needs the scope" in error) == (0, True), error


def test_a_deleted_owner_starts_nothing(services: Services, own_home: Path) -> None:
    person = services.access.users.create("ann", [UserLevel.CERT_ADMIN])
    caller = Caller(
        person.id, "ann", frozenset({SCOPE_ALL}), frozenset({UserLevel.CERT_ADMIN}), person.id, is_user=True
    )
    add(services, caller, "IDENTITIES")
    with services.database.begin() as connection:
        connection.execute(sa.delete(person_table).where(person_table.c.id == person.id))
    started, error = fire(services)
    assert (started, "'ann', whose schedule it is, is not known here" in error) == (0, True), error


def test_a_holder_of_an_outside_token_keeps_their_schedule(own_home: Path) -> None:
    trusted = {"oidc_issuer": "https://login.example", "oidc_audience": "whohas"}
    caller = Caller("c" * 32, "eve", frozenset({SCOPE_ALL}), frozenset({UserLevel.CERT_ADMIN}), "c" * 32, is_user=True)
    with open_services(Settings(home=own_home, **trusted)) as services:
        add(services, caller, "IDENTITIES")
        assert fire(services) == (1, "")
        services.runs.cancel(services.schedules.get("theirs").last_run or "")
    with open_services(Settings(home=own_home)) as services:
        started, error = fire(services)
        assert (started, "is not known here" in error) == (0, True), error


def test_a_schedule_of_the_operator_needs_nobodys_rights(services: Services) -> None:
    services.schedules.add("theirs", "IDENTITIES", {}, "*/5 * * * *", "UTC", "operator")
    assert fire(services) == (1, "")
    with pytest.raises(NotFound):
        services.schedules.get("theirs", of_user(services, UserLevel.CERT_ADMIN)[0])
