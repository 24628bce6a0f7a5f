"""What the audit trail costs: an event on top of a start and of a download, the chain, and how fast events get on.

`make bench-audit`: on SQLite and on PostgreSQL, with and without the event turn by turn in one run. Needs
PostgreSQL's programs (Debian: postgresql), and for Kafka Java 17 and Maven.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import sqlalchemy as sa

from auditing import act, an_event, left, outbox, until
from factories import publish
from kafka import kafka_broker
from postgres import postgres_server
from support import result_when_over, serving
from whohas import audit
from whohas.audit.outbox import chain_events
from whohas.audit.relay import Relay
from whohas.services import open_services
from whohas.settings import Settings
from whohas.warehouse.store import Warehouse

SOURCES = [{"id": "s", "name": "S", "accountAttributes": []}]
ACCOUNTS = [{"id": "a", "nativeIdentity": "a", "name": "a", "sourceId": "s", "correlated": False, "attributes": []}]
ARGUMENTS = {"application": "s", "selectedFormats": ["CSV"]}
THREADS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description="What the audit trail costs.")
    parser.add_argument("--times", type=int, default=300, help="starts and downloads of each kind")
    parser.add_argument("--events", type=int, default=20_000, help="events that are relayed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgres_server(fsync=True) as postgres:
        home = Path(folder)
        for name, url in (("SQLite", ""), ("PostgreSQL", postgres.new_database())):
            place = home / name
            publish(Warehouse(place / "warehouse"), SOURCES, ACCOUNTS)
            starts(name, place, url, given.times)
            downloads(name, place, url, given.times)
        chains(home / "chains", postgres.new_database(), given.times)
        with kafka_broker(home / "broker") as broker:
            for name, url in (("SQLite", ""), ("PostgreSQL", postgres.new_database())):
                told = Settings(home=home / f"relay-{name}", database_url=url or None)
                relay(f"{name}, into the trail", told, given.events)
                told = told.model_copy(update={"kafka_servers": (broker.servers,), "kafka_topic": broker.new_topic()})
                relay(f"{name}, into the trail and Kafka", told, given.events)
                read = {event["id"] for event in broker.events(told.kafka_topic)}
                print(f"  read from Kafka: {len(read):,} events")


def starts(name: str, home: Path, url: str, times: int) -> None:
    """Starts, each a run of its own, without a worker."""
    settings = Settings(
        home=home,
        database_url=url or None,
        concurrent_reports=("ACCOUNTS",),
        runs_per_launcher=10**6,
        runs_waiting=10**6,
    )
    with open_services(settings) as services:
        compare(f"{name}: a start", times, lambda: services.runs.start("ACCOUNTS", ARGUMENTS, "bench"), without_events)
        for run_id in waiting(services.database):
            services.runs.cancel(run_id)


def waiting(database: sa.Engine) -> list[str]:
    with database.connect() as connection:
        return list(connection.execute(sa.text("SELECT id FROM run")).scalars())


def downloads(name: str, home: Path, url: str, times: int) -> None:
    """Downloads of one small file over HTTP."""
    with serving(home, WHOHAS_DATABASE_URL=url) as server, server.http() as http:
        run_id = http.post("/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": ARGUMENTS}).json()["id"]
        result_when_over(http, run_id)
        asked = {"fileFormat": "csv", "auditable": "true"}

        @contextmanager
        def unasked() -> Iterator[None]:
            asked["auditable"] = "false"
            yield
            asked["auditable"] = "true"

        def download() -> None:
            http.get(f"/v2025/reports/{run_id}", params=asked).raise_for_status()

        compare(f"{name}: a download over HTTP", times, download, unasked)


def compare(what: str, times: int, do: Callable[[], Any], without: Callable[[], Any]) -> None:
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(2 * times + 20):
        if number % 2:
            seconds = timed(do)
        else:
            with without():
                seconds = timed(do)
        if number >= 20:
            taken[bool(number % 2)].append(seconds * 1000)
    medians = {kind: statistics.median(values) for kind, values in taken.items()}
    print(f"{what}: p50 {medians[True]:.2f} ms with its event, {medians[False]:.2f} ms without", flush=True)


def timed(do: Callable[[], Any]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


@contextmanager
def without_events() -> Iterator[None]:
    write, audit.write_event = audit.write_event, lambda *_: None
    yield
    audit.write_event = write


def chains(home: Path, url: str, times: int) -> None:
    """Acts from several threads on PostgreSQL, chained later as it is, or in their own transactions."""
    settings = Settings(home=home, database_url=url)
    with outbox(settings) as database:
        for inline in (False, True, False, True):
            taken: list[float] = []

            def work(inline: bool = inline, taken: list[float] = taken) -> None:
                for _ in range(times):
                    began = time.perf_counter()
                    with database.begin() as connection:
                        connection.execute(sa.text("SELECT pg_sleep(0.005)"))  # the rest of the act
                        audit.write_event(connection, an_event())
                        if inline:
                            chain_events(connection, "/whohas/bench", 1)
                    taken.append((time.perf_counter() - began) * 1000)

            threads = [threading.Thread(target=work) for _ in range(THREADS)]
            began = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rate = THREADS * times / (time.perf_counter() - began)
            how = "chained in the act's transaction" if inline else "chained by the relay"
            print(
                f"PostgreSQL, {THREADS} threads, {how}: p50 {statistics.median(taken):.1f} ms, {rate:,.0f} acts/s",
                flush=True,
            )
            Relay(settings, database).flush()


def relay(what: str, settings: Settings, count: int) -> None:
    with outbox(settings) as database:
        for _ in range(count // 500):
            act(database, *(an_event(f"{number:032x}", bytes=123_456, sha256="a" * 64) for number in range(500)))
        began = time.perf_counter()
        with Relay(settings, database).running():
            until(lambda: left(database) == 0, 600)
        seconds = time.perf_counter() - began
    print(f"{what}: {count:,} events in {seconds:.1f} s, {count / seconds:,.0f} events/s", flush=True)


if __name__ == "__main__":
    main()
