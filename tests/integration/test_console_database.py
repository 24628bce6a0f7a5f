"""What the console keeps and asks of the database, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from auditing import SOMEBODY
from factories import publish
from ready import ready
from whohas.auth import SCOPE_ALL, Caller, OutsideRights, UserLevel, session_caller
from whohas.errors import InvalidArguments, Unauthorized
from whohas.runs.listing import ORDERS, ListRequest, count_all, list_page
from whohas.services import Services, open_services
from whohas.settings import Settings

SOURCES = [{"id": "s", "name": 'Säulen "A"', "accountAttributes": []}]
ACCOUNTS = [{"id": "a", "nativeIdentity": "a", "name": "a", "sourceId": "s", "correlated": False, "attributes": []}]


@pytest.fixture
def services(home: Path, database_url: str) -> Iterator[Services]:
    ready(home)
    with open_services(Settings(home=home, database_url=database_url or None)) as services:
        publish(services.warehouse, SOURCES, ACCOUNTS)
        yield services


def test_runs_are_found_by_text_and_ordered(services: Services) -> None:
    first = services.runs.start("ACCOUNTS", {"application": "s"}, "Ann_1")
    second = services.runs.start("IDENTITIES", {}, "bob")

    def found(**asked: object) -> list[str]:
        request = ListRequest(**asked)  # pyright: ignore[reportArgumentType]
        runs = [run.id for run in list_page(services.database, request)]
        assert len(runs) == count_all(services.database, request)
        return runs

    for text in ("säulen", 'SÄULEN "a', "ann_1", "accounts", first.id[:9]):
        if not (text.startswith("SÄ") and services.database.dialect.name == "sqlite"):
            assert found(text=text) == [first.id], text
    assert found(text="%") == found(text="ann%") == found(text="zzz") == []
    assert found(order="launcher") == found(order="-report")[::-1] == [first.id, second.id]
    for name in ORDERS:
        assert {*found(order=name)} == {*found(order=f"-{name}")} == {first.id, second.id}
    assert [run.id for run in list_page(services.database, ListRequest(order="launcher", limit=1, offset=1))] == [
        second.id
    ]
    with pytest.raises(InvalidArguments, match="not sorted by 'key'"):
        found(order="key")


def test_sessions_last_until_they_are_ended(services: Services) -> None:
    sessions, users = services.access.sessions, services.access.users
    ann = session_caller(users.create("ann", ["ORG_ADMIN"]))
    one, two = sessions.start(ann, SOMEBODY), sessions.start(ann, SOMEBODY)
    assert sessions.find(one).caller == ann
    users.change("ann", levels=["HELPDESK"])
    assert sessions.find(one).caller.levels == {UserLevel.HELPDESK}
    sessions.end(sessions.find(one), SOMEBODY)
    with pytest.raises(Unauthorized, match="Your session has ended"):
        sessions.find(one)
    assert sessions.end_all(ann, SOMEBODY) == 1
    for id in (two, "", "x" * 43, "ü"):
        with pytest.raises(Unauthorized):
            sessions.find(id)


def test_rights_of_a_provider_are_kept_as_given(services: Services) -> None:
    sessions, end = services.access.sessions, datetime.now(UTC) + timedelta(minutes=5)
    levels = frozenset({UserLevel.SOURCE_ADMIN})
    olga = Caller("a" * 32, "Ölga", frozenset({SCOPE_ALL}), levels, "c" * 32, frozenset({"s"}), is_user=True)
    found = sessions.find(sessions.start(olga, SOMEBODY, OutsideRights(olga, end, "secret")))
    assert found.outside is not None
    assert (found.outside.end, found.outside.renewal) == (end, "secret")
    assert (found.caller.name, found.caller.levels, found.caller.sources) == ("Ölga", levels, {"s"})
    renewed = sessions.renew(found, OutsideRights(olga, end + timedelta(minutes=5)))
    assert renewed.outside is not None and renewed.outside.renewal is None
