"""Events reach a real Kafka: all of them, none that was not, in order, whatever dies in between."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from test_transport import certificate

from auditing import act, an_event, left, lines, outbox, waiting
from chance import chance
from kafka import PASSWORD, USER, Broker, in_order, kafka_broker
from patience import PATIENCE_SECONDS, until
from postgres import Postgres
from processes import Process, python
from whohas.audit import write_event
from whohas.audit.outbox import read_backlog, read_rejected, retry_rejected
from whohas.audit.relay import Relay
from whohas.errors import InvalidArguments
from whohas.settings import Settings

RELAY = """
import sys, time
from whohas.audit.relay import Relay
from whohas.db.engine import create_engine
from whohas.settings import load_settings
settings = load_settings()
with Relay(settings, create_engine(settings.sqlalchemy_url)).running():
    print("relays", flush=True)
    sys.stdin.read()
"""


@contextmanager
def relaying(settings: Settings) -> Generator[Process | subprocess.Popen[bytes]]:
    """A process that relays until it is killed, or the context ends."""
    told = {
        "WHOHAS_HOME": str(settings.home),
        "WHOHAS_KAFKA_SERVERS": ",".join(settings.kafka_servers),
        "WHOHAS_KAFKA_TOPIC": settings.kafka_topic,
    }
    if settings.database_url:
        told["WHOHAS_DATABASE_URL"] = settings.database_url
    (read, go_on), (said, write) = os.pipe(), os.pipe()
    with os.fdopen(go_on, "w"), os.fdopen(said) as said_lines:
        with os.fdopen(read) as stdin, os.fdopen(write, "w") as stdout, Path(os.devnull).open("w") as stderr:
            process = python("-c", RELAY, env={**os.environ, **told}, stdin=stdin, stdout=stdout, stderr=stderr)
        assert said_lines.readline() == "relays\n"
        yield process
    process.wait(PATIENCE_SECONDS)


class Ledger:
    """What was done, to hold what was read against; half of the acts, about, are undone."""

    def __init__(self, seed: int) -> None:
        self.committed: set[str] = set()
        self.undone: set[str] = set()
        self._random = chance(seed)
        self._lock = threading.Lock()

    def act(self, database: sa.Engine, subject: str) -> None:
        events = [
            an_event(subject, note="x" * self._random.randrange(2_000)) for _ in range(self._random.randrange(1, 4))
        ]
        ids = {event.id for event in events}
        kept = self._random.random() < 0.7
        with database.connect() as connection, connection.begin() as transaction:
            for event in events:
                write_event(connection, event)
            transaction.commit() if kept else transaction.rollback()
        with self._lock:
            (self.committed if kept else self.undone).update(ids)

    def check(self, broker: Broker, settings: Settings) -> str:
        """Holds topic and trail to what was done; the figures."""
        read = broker.events(settings.kafka_topic)
        seen = Counter(event["id"] for event in read)
        missing, phantom = self.committed - set(seen), set(seen) - self.committed
        figures = f"sent {len(self.committed)}, read {len(read)}, missing {len(missing)}, phantom {len(phantom)}"
        assert not missing and not phantom, figures
        assert in_order(read)
        filed = Counter(event["id"] for event in lines(settings.audit_log_path))
        assert filed == Counter(dict.fromkeys(self.committed, 1)), "the trail has each once"
        return f"{figures}, twice {sum(seen.values()) - len(seen)}"


@pytest.fixture
def settings(home: Path, database_url: str, kafka: Broker) -> Settings:
    topic = kafka.new_topic()
    return Settings(home=home, database_url=database_url or None, kafka_servers=(kafka.servers,), kafka_topic=topic)


def test_an_event_arrives_as_a_cloudevent_keyed_by_its_run(settings: Settings, kafka: Broker) -> None:
    with outbox(settings) as database:
        act(database, an_event("r1", bytes=7), an_event("r2"))
        with Relay(settings, database).running():
            until(lambda: left(database) == 0)
    read = kafka.read(settings.kafka_topic)
    messages = {message.key(): message for message in read}
    assert len(read) == 2 and set(messages) == {b"r1", b"r2"}
    message = messages[b"r1"]
    assert dict(message.headers() or ()) == {"content-type": b"application/cloudevents+json; charset=UTF-8"}
    assert (message.value() or b"").decode() in settings.audit_log_path.read_text().splitlines()


def test_events_wait_for_a_broker_that_does_not_answer(home: Path) -> None:
    told = Settings(home=home, kafka_servers=("127.0.0.1:9",), kafka_options=("message.timeout.ms=1000",))
    with outbox(told) as database, Relay(told, database).running():
        act(database, an_event())
        until(lambda: fault(database) != "")
        assert (waiting(database), len(lines(told.audit_log_path))) == (1, 1)


def test_what_was_undone_is_never_sent(settings: Settings, kafka: Broker) -> None:
    with outbox(settings) as database, Relay(settings, database).running():
        ledger = Ledger(seed=1)
        for number in range(60):
            ledger.act(database, f"r{number % 7}")
        until(lambda: left(database) == 0)
        ledger.check(kafka, settings)
        assert ledger.undone


def test_events_that_the_broker_rejects_are_set_aside(settings: Settings, kafka: Broker) -> None:
    topic = kafka.new_topic(partitions=1, max_message_bytes="4000", compression_type="producer")
    told = settings.model_copy(update={"kafka_topic": topic})
    too_large = an_event("r3", note=random.Random(7).randbytes(5_000).hex())
    events = [an_event(f"r{number % 5}") for number in range(20)]
    with outbox(told) as database, Relay(told, database).running():
        act(database, *events[:10], too_large, *events[10:])
        until(lambda: waiting(database) == 0)
        with database.connect() as connection:
            ((aside, why),) = read_rejected(connection)
            assert read_backlog(connection).refused == 1
        assert too_large.id in aside.text and "MSG_SIZE_TOO_LARGE" in why
        assert {event["id"] for event in kafka.events(topic)} == {event.id for event in events}
        assert len(lines(told.audit_log_path)) == 21, "the trail has it all the same"
        kafka.change_topic(topic, max_message_bytes="1000000")

        def taken() -> bool:  # the broker takes a moment to know its new limit
            with database.begin() as connection:
                retry_rejected(connection)
            return left(database) == 0

        until(taken)
        assert too_large.id in {event["id"] for event in kafka.events(topic)}


def test_a_topic_that_is_not_there_yet_is_waited_for(settings: Settings, kafka: Broker) -> None:
    told = settings.model_copy(update={"kafka_topic": f"{settings.kafka_topic}-later"})
    with outbox(told) as database, Relay(told, database).running():
        act(database, an_event())
        until(lambda: "-later" in fault(database))
        kafka.new_topic(name=told.kafka_topic)
        until(lambda: left(database) == 0)
        until(lambda: not fault(database))
        assert len(kafka.events(told.kafka_topic)) == 1


def fault(database: sa.Engine) -> str:
    with database.connect() as connection:
        return read_backlog(connection).fault


@pytest.mark.engine
def test_a_broker_that_is_away_delays_events_and_loses_none(home: Path, tmp_path: Path) -> None:
    with kafka_broker(tmp_path / "kafka") as broker:
        told = Settings(
            home=home, kafka_servers=(broker.servers,), kafka_topic=broker.new_topic(),
            kafka_options=("message.timeout.ms=2000", "reconnect.backoff.max.ms=500"),  # what is seen in ten seconds by default
        )  # fmt: skip
        with outbox(told) as database, Relay(told, database).running():
            ledger = Ledger(seed=2)
            stop = threading.Event()

            def until_more_arrived() -> None:
                there = len(ledger.committed)
                until(lambda: len(ledger.committed) - left(database) > there)

            def storm(number: int) -> None:
                draw = chance(number)
                while not stop.is_set():
                    ledger.act(database, f"r{number}-{draw.randrange(5)}")
                    time.sleep(0.05)

            threads = [threading.Thread(target=storm, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            try:
                for end in (broker.stop, broker.kill):
                    until_more_arrived()
                    end()
                    ledger.act(database, "meanwhile")  # which ends: no act waits for the broker
                    until(lambda: fault(database) != "")
                    assert waiting(database) > 0
                    broker.start()
                until_more_arrived()
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            until(lambda: left(database) == 0)
            assert fault(database) == ""
            print(ledger.check(broker, told))


@pytest.mark.engine
@pytest.mark.property
@pytest.mark.parametrize("seed", [11, 12])
def test_a_relay_killed_repeatedly_loses_and_invents_no_event(settings: Settings, kafka: Broker, seed: int) -> None:
    draw = chance(seed)
    with outbox(settings) as database:
        ledger = Ledger(seed)
        for _ in range(12):
            with relaying(settings) as process:
                until_killed = time.monotonic() + draw.uniform(0.02, 0.6)
                while time.monotonic() < until_killed:
                    ledger.act(database, f"r{draw.randrange(6)}")
                process.send_signal(signal.SIGKILL)
        with Relay(settings, database).running():
            until(lambda: left(database) == 0)
        print(ledger.check(kafka, settings))


@pytest.mark.engine
def test_a_relay_killed_before_the_mark_sends_once_more(settings: Settings, kafka: Broker) -> None:
    with outbox(settings) as database:
        ledger = Ledger(seed=3)
        for number in range(80):  # less than one window
            ledger.act(database, f"r{number % 9}")
        Relay(settings, database).flush()
        # the broker can be answered, but the mark cannot be made: somebody holds the rows
        with database.connect() as other:
            lock(other)
            with relaying(settings) as process:
                until(lambda: len(kafka.read(settings.kafka_topic)) >= len(ledger.committed))
                time.sleep(0.3)
                process.send_signal(signal.SIGKILL)
            other.rollback()
        assert left(database) == len(ledger.committed)
        with Relay(settings, database).running():
            until(lambda: left(database) == 0)
        figures = ledger.check(kafka, settings)
        print(figures)
        assert figures.endswith(f"twice {len(ledger.committed)}")


def lock(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("SELECT * FROM audit_event FOR UPDATE")


@pytest.mark.engine
def test_one_process_of_several_relays_at_a_time(home: Path, postgres: Postgres, kafka: Broker) -> None:
    told = Settings(
        home=home, database_url=postgres.new_database(), kafka_servers=(kafka.servers,), kafka_topic=kafka.new_topic()
    )
    with outbox(told) as database, ExitStack() as stack:
        processes = [stack.enter_context(relaying(told)) for _ in range(3)]
        ledger = Ledger(seed=4)
        for _ in range(2):
            for number in range(100):
                ledger.act(database, f"r{number % 5}")
            until(lambda: leaders(database) == 1)
            until(lambda: left(database) == 0)
            assert ledger.check(kafka, told).endswith("twice 0"), "two that relayed at once would send things twice"
            leader = next(process for process in processes if process.pid == leading(database, processes))
            leader.send_signal(signal.SIGKILL)
            leader.wait()
            processes.remove(leader)
        until(lambda: leaders(database) == 1)
        for process in processes:
            process.kill()


def leaders(database: sa.Engine) -> int:
    return len(sessions(database))


def sessions(database: sa.Engine) -> list[int]:
    """The ports of the sessions that hold the relay's lock."""
    query = (
        "SELECT client_port FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted "
        "AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with database.connect() as connection:
        return list(connection.execute(sa.text(query)).scalars())


def leading(database: sa.Engine, processes: list[Process | subprocess.Popen[bytes]]) -> int:
    """The process that relays."""
    import psutil

    (port,) = sessions(database)
    for process in processes:
        if any(one.laddr.port == port for one in psutil.Process(process.pid).net_connections()):
            return process.pid
    raise AssertionError("nobody relays")


@pytest.mark.engine
def test_it_speaks_tls_and_signs_in(home: Path, tmp_path: Path) -> None:
    proof = certificate(tmp_path)
    with kafka_broker(tmp_path / "kafka", proof) as broker:
        told = Settings(
            home=home, kafka_servers=(broker.secure,), kafka_topic=broker.new_topic(), kafka_security="sasl_ssl",
            kafka_sasl="PLAIN", kafka_user=USER, kafka_password=PASSWORD, kafka_ca=Path(proof["WHOHAS_TLS_CERTIFICATE"]),
        )  # fmt: skip
        wrong = told.model_copy(update={"kafka_password": type(told.kafka_password)("a guess")})
        with outbox(told) as database:
            act(database, an_event())
            with Relay(wrong, database).running():
                until(lambda: "uthentication" in fault(database))
                assert "a guess" not in fault(database)
            with Relay(told, database).running():
                until(lambda: left(database) == 0)
        assert len(broker.events(told.kafka_topic)) == 1


def test_impossible_settings_are_a_clear_error_at_the_start(home: Path) -> None:
    for faulty in ({"kafka_security": "sasl_ssl"}, {"kafka_options": ("nothing=1",)}):
        told = Settings(home=home, kafka_servers=("127.0.0.1:9",), **faulty)
        relay = Relay(told, sa.create_engine("sqlite://"))
        with pytest.raises(InvalidArguments, match=r"WHOHAS_KAFKA_|No such configuration property"), relay.running():
            pass
