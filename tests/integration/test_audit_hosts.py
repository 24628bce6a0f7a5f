"""The audit log of hosts that share the database alone: each has a copy of all of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from auditing import act, an_event, left, lines, outbox, settle
from patience import until
from postgres import Postgres
from whohas.audit.log_file import append_lines
from whohas.audit.outbox import log_table
from whohas.audit.relay import Relay
from whohas.audit.verify import verify
from whohas.audit.writer import expected_end
from whohas.settings import Settings


@dataclass(frozen=True)
class Host:
    settings: Settings
    database: sa.Engine

    def settle(self) -> None:
        settle(self.settings, self.database)

    def subjects(self) -> list[str]:
        return [line["subject"] for line in lines(self.settings.audit_log_path)]

    def faults(self) -> tuple[str, ...]:
        with self.database.connect() as connection:
            head, size = expected_end(self.settings, connection)
        return verify([self.settings.audit_log_path], head, size).faults


@pytest.fixture
def hosts(postgres: Postgres, tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts with a home folder each."""
    url = postgres.ready_database()
    first, second = (Settings(home=tmp_path / name, database_url=url) for name in ("first", "second"))
    with outbox(first) as database, outbox(second) as other:
        yield Host(first, database), Host(second, other)


def test_every_host_has_the_whole_log(hosts: tuple[Host, Host]) -> None:
    first, second = hosts
    act(first.database, an_event("r1"))
    first.settle()
    act(second.database, *(an_event(f"r{number}") for number in range(2, 1_200)))
    second.settle()
    first.settle()
    assert first.settings.audit_log_path.read_bytes() == second.settings.audit_log_path.read_bytes()
    assert first.subjects() == [f"r{number}" for number in range(1, 1_200)]
    assert first.faults() == second.faults() == ()
    assert left(first.database) == 0


def test_a_relay_that_does_not_lead_copies_the_log(hosts: tuple[Host, Host]) -> None:
    first, second = hosts
    leader, other = Relay(first.settings, first.database), Relay(second.settings, second.database)
    with leader.running():
        until(lambda: leader.is_leader)
        with other.running():
            act(first.database, an_event("r1"))
            until(lambda: second.subjects() == ["r1"])
            assert not other.is_leader


def test_a_host_that_joins_late_gets_the_whole_log(hosts: tuple[Host, Host]) -> None:
    first, second = hosts
    act(first.database, an_event("r1"), an_event("r2"))
    first.settle()
    assert second.faults() == ()
    assert second.subjects() == ["r1", "r2"]


def test_a_log_of_the_file_alone_is_continued(hosts: tuple[Host, Host]) -> None:
    first, second = hosts
    act(first.database, an_event("r1"), an_event("r2"))
    first.settle()
    with first.database.begin() as connection:  # as an earlier version left it
        connection.execute(log_table.delete())
    (first.settings.home / "audit-position.json").unlink()
    assert first.faults() == ()
    act(first.database, an_event("r3"))
    first.settle()
    assert (first.subjects(), first.faults()) == (["r1", "r2", "r3"], ())
    assert second.faults() == ("The events 1 to 2 are missing.",)


def test_changes_of_a_copy_are_found(hosts: tuple[Host, Host]) -> None:
    first, second = hosts
    act(first.database, an_event("r1"), an_event("r2"), an_event("r3"))
    first.settle()
    second.settle()
    path = first.settings.audit_log_path
    kept = path.read_text().splitlines()
    path.write_text(f"{kept[0]}\n")
    assert first.faults() == ("The events 2 to 3 are missing.",)
    path.write_text("")
    append_lines(path, [kept[0], kept[1].replace("download", "upload"), kept[2]])
    assert first.faults() == ("audit.ndjson, line 2: the event 2 was changed.",)
    path.unlink()
    (first.settings.home / "audit-position.json").unlink()
    assert first.faults() == (), "it is copied again"
    assert first.subjects() == ["r1", "r2", "r3"]


def test_a_lost_transaction_loses_no_event(hosts: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = hosts
    act(first.database, an_event("r1"))
    with monkeypatch.context() as patched:

        def break_off(*_: object, **__: object) -> None:
            raise ConnectionError("the host is cut off")

        patched.setattr("whohas.audit.outbox.mark_filed", break_off)
        with pytest.raises(ConnectionError):
            first.settle()
    second.settle()
    assert (second.subjects(), second.faults()) == (["r1"], ())
