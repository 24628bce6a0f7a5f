"""The file of the trail: lines are added whole or not at all, found again by who and when, and followed."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from auditing import act, an_event, left, lines, outbox, settle
from whohas.audit import Actor, Event, EventType
from whohas.audit.chain import ChainHead
from whohas.audit.log_file import EventFilter, append_lines, last_hashes, last_lines, read_events
from whohas.audit.verify import verify
from whohas.audit.writer import AuditLogWriter, expected_end
from whohas.settings import Settings


@pytest.fixture
def settings(home: Path, database_url: str) -> Settings:
    return Settings(home=home, database_url=database_url or None)


def in_order(settings: Settings, database: sa.Engine) -> bool:
    with database.connect() as connection:
        head, size = expected_end(settings, connection)
    return verify([settings.audit_log_path], head, size).faults == ()


def test_events_are_filed_once_in_the_order_of_their_acts(settings: Settings) -> None:
    with outbox(settings) as database:
        events = [an_event(f"r{number}") for number in range(1_200)]
        act(database, *events)
        settle(settings, database)
        settle(settings, database)
        assert [line["id"] for line in lines(settings.audit_log_path)] == [event.id for event in events]
        assert left(database) == 0
        assert in_order(settings, database)


def test_what_was_rolled_back_leaves_no_trace(settings: Settings) -> None:
    from whohas.audit import write_event

    with outbox(settings) as database:
        with database.connect() as connection, connection.begin() as transaction:
            write_event(connection, an_event())
            transaction.rollback()
        settle(settings, database)
        assert lines(settings.audit_log_path) == []


def test_many_that_file_at_once_file_each_event_once(settings: Settings) -> None:
    with outbox(settings) as database:

        def work(number: int) -> None:
            for count in range(20):
                act(database, an_event(f"r{number}-{count}"))
                settle(settings, database)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        subjects = [line["subject"] for line in lines(settings.audit_log_path)]
        assert sorted(subjects) == sorted(f"r{number}-{count}" for number in range(4) for count in range(20))
        assert in_order(settings, database)


def test_an_unfinished_line_after_a_crash_is_cut_and_rewritten(settings: Settings) -> None:
    with outbox(settings) as database:
        act(database, an_event("r1"), an_event("r2"))
        settle(settings, database)
        whole = settings.audit_log_path.read_bytes()
        act(database, an_event("r3"))
        with database.connect() as connection:
            AuditLogWriter(settings, kafka=False).chain(connection)
        with settings.audit_log_path.open("ab") as file:
            file.write(b'{"data":{"actor"')
        settle(settings, database)
        assert settings.audit_log_path.read_bytes().startswith(whole)
        assert [line["subject"] for line in lines(settings.audit_log_path)] == ["r1", "r2", "r3"]
        assert in_order(settings, database)


def test_a_line_written_before_a_crash_is_not_written_twice(settings: Settings) -> None:
    with outbox(settings) as database:
        act(database, an_event("r1"), an_event("r2"))
        with database.connect() as connection:
            AuditLogWriter(settings, kafka=False).chain(connection)
            from whohas.audit import outbox as statements

            with connection.begin():
                first = statements.read_unfiled(connection, 0, 1)
        append_lines(settings.audit_log_path, [first[0].text])  # and killed before it could say so
        assert in_order(settings, database)
        settle(settings, database)
        assert [line["subject"] for line in lines(settings.audit_log_path)] == ["r1", "r2"]


def test_a_full_disk_adds_nothing_and_events_wait(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        path = small / "audit.ndjson"
        append_lines(path, ["first"])
        with pytest.raises(OSError, match="No space left"):
            append_lines(path, ["x" * 100_000])
        assert path.read_text() == "first\n"
        append_lines(path, ["second"])
        assert path.read_text() == "first\nsecond\n"
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def test_a_moved_audit_log_continues_in_a_new_file(settings: Settings) -> None:
    old = settings.home / "audit-2026.ndjson"
    with outbox(settings) as database:
        act(database, an_event("r1"))
        settle(settings, database)
        settings.audit_log_path.rename(old)
        act(database, an_event("r2"))
        settle(settings, database)
        with database.connect() as connection:
            head, size = expected_end(settings, connection)
    assert verify([old, settings.audit_log_path], head, size).faults == ()
    assert verify([settings.audit_log_path], head, size).faults == ("The event 1 is missing.",)


def test_the_head_finds_a_tail_that_was_cut_off(settings: Settings) -> None:
    with outbox(settings) as database:
        act(database, *(an_event(f"r{number}") for number in range(5)))
        settle(settings, database)
        kept = settings.audit_log_path.read_text().splitlines(keepends=True)[:3]
        settings.audit_log_path.write_text("".join(kept))
        with database.connect() as connection:
            head, size = expected_end(settings, connection)
        assert verify([settings.audit_log_path], head, size).faults == ("The events 4 to 5 are missing.",)
        # and what comes later does not hide it
        act(database, an_event("r6"))
        settle(settings, database)
        with database.connect() as connection:
            head, size = expected_end(settings, connection)
        assert verify([settings.audit_log_path], head, size).faults == ("The events 4 to 5 are missing.",)


def test_the_trail_is_for_its_owner_alone(tmp_path: Path) -> None:
    append_lines(tmp_path / "audit.ndjson", ["x"])
    assert (tmp_path / "audit.ndjson").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("length", [1, 10, 70_000, 200_000])
def test_the_last_lines_are_whole_however_long_they_are(tmp_path: Path, length: int) -> None:
    path = tmp_path / "audit.ndjson"
    texts = [f"{number}{'x' * length}" for number in range(7)]
    append_lines(path, texts)
    for most in (1, 3, 7, 9):
        assert [line.decode() for line in last_lines(path, most)] == texts[-most:]
    assert last_lines(tmp_path / "none", 3) == []
    assert last_hashes(path, 3) == set()


EVENTS = [
    Event(EventType.RUN_STARTED, "r1", Actor("user", "Ann Lee", "u1", "c1"), details={"run": "r1"}),
    Event(EventType.REPORT_DOWNLOADED, "r1", Actor("client", "nightly", "c2"), details={"run": "r1"}),
    Event(EventType.REQUEST_DENIED, "unknown", Actor("unknown", address="192.0.2.1")),
    Event(EventType.CLIENT_CREATED, "c9", Actor("operator", "root")),
]


@pytest.mark.parametrize(
    ("wanted", "subjects"),
    [
        (EventFilter(), ["r1", "r1", "unknown", "c9"]),
        (EventFilter(type="run"), ["r1"]),
        (EventFilter(type="whohas.run.started"), ["r1"]),
        (EventFilter(type="downloaded"), ["r1"]),
        (EventFilter(type="den"), []),
        (EventFilter(run="r1"), ["r1", "r1"]),
        (EventFilter(who="ann"), ["r1"]),
        (EventFilter(who="c2"), ["r1"]),
        (EventFilter(since="2999"), []),
        (EventFilter(until="2999"), ["r1", "r1", "unknown", "c9"]),
    ],
)
def test_events_are_found_by_type_run_who_and_when(
    settings: Settings, wanted: EventFilter, subjects: list[str]
) -> None:
    with outbox(settings) as database:
        act(database, *EVENTS)
        settle(settings, database)
    import json

    assert [json.loads(line)["subject"] for line in read_events(settings.audit_log_path, wanted)] == subjects


def test_a_followed_audit_log_survives_partial_lines_and_rotation(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    steps = iter([
        lambda: path.write_text('{"subject": 1}\n{"sub'),
        lambda: path.open("a").write('ject": 2}\nno event\n'),
        lambda: path.rename(tmp_path / "old"),
        lambda: path.write_text('{"subject": 3}\n'),
    ])  # fmt: skip

    def go_on() -> bool:
        step = next(steps, None)
        if step is not None:
            step()
            return True
        return next(more)

    more = iter([True, True, False])
    assert list(read_events(path, EventFilter(), follow=go_on)) == [
        b'{"subject": 1}',
        b'{"subject": 2}',
        b'{"subject": 3}',
    ]


def test_the_end_of_a_trail_that_has_nothing_is_nothing(settings: Settings) -> None:
    with outbox(settings) as database, database.connect() as connection:
        assert expected_end(settings, connection) == (ChainHead(), 0)
