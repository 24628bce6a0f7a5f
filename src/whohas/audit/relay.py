"""The relay: brings every event from the outbox into the chain, the trail and Kafka. One process at a time does so.

Each server and worker is ready to be that one: on PostgreSQL by an advisory lock of a session, over which all of its
work then goes, so that a relay that lost its lock can mark nothing any more; on SQLite by a lock on a file. A relay
that dies loses nothing: what it had not marked is done again by the next one, and whoever gets an event twice knows it
by its id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import locks, timeouts
from whohas.audit import outbox
from whohas.audit.filing import Filing
from whohas.audit.kafka import WINDOW, WINDOW_BYTES, Kafka, configuration
from whohas.audit.outbox import Pending
from whohas.errors import WhohasError
from whohas.settings import Settings

_POLL_SECONDS = timeouts.AUDIT_POLL_SECONDS
_LEAD_SECONDS = timeouts.AUDIT_LEAD_SECONDS
_AGAIN_SECONDS = timeouts.AUDIT_AGAIN_SECONDS
_COLLECT_SECONDS = timeouts.AUDIT_COLLECT_SECONDS
_DRAIN_SECONDS = timeouts.AUDIT_DRAIN_SECONDS

log = structlog.get_logger("whohas.audit")


@dataclass(frozen=True, slots=True)
class Errand:
    """What is done beside, again and again.

    Attributes:
        seconds: from one time to the next.
        by_all: whether each process does it, and not only the one that relays.
    """

    do: Callable[[], object]
    seconds: float
    by_all: bool = False


@dataclass
class Relay:
    """Relays, or waits to."""

    settings: Settings
    database: sa.Engine
    errands: tuple[Errand, ...] = ()
    _done: dict[int, float] = field(default_factory=dict[int, float], init=False)
    _fault: str = field(default="", init=False)

    @contextmanager
    def going_on(self) -> Generator[None]:
        """Relays in a thread until the context ends; then what there is by then is brought into the trail.

        Raises:
            InvalidArguments: the settings for Kafka are wrong, or its driver is missing.
        """
        if self.settings.kafka_servers:
            configuration(self.settings)
        stop = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(stop,), name="audit", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def settle(self) -> None:
        """Brings all that there is into the trail, whoever relays."""
        with self.database.connect() as connection:
            self._filing().settle(connection)

    def _filing(self) -> Filing:
        return Filing(self.settings, kafka=bool(self.settings.kafka_servers))

    def _go_on(self, stop: threading.Event) -> None:
        while True:
            try:
                self._run_errands(leads=False, last=stop.is_set())
                with self._leading() as connection:
                    if connection is not None:
                        self._lead(connection, stop)
            except (SQLAlchemyError, OSError, WhohasError) as error:
                log.warning("audit events wait", reason=str(error).splitlines()[0])
            except Exception:
                log.exception("internal fault")
            if stop.is_set():
                return
            stop.wait(_LEAD_SECONDS)

    def _lead(self, connection: sa.Connection, stop: threading.Event) -> None:
        filing = self._filing()
        kafka = Kafka(self.settings) if self.settings.kafka_servers else None
        with connection.begin():
            self._fault = outbox.read_fault(connection)
        away = ""
        rest = 0.0  # when Kafka's fault has been waited out
        try:
            if kafka is None:
                with connection.begin():
                    outbox.forget_unsent(connection)
            while not stop.is_set():
                self._run_errands(leads=True)
                full = ""
                moved = filing.chain(connection)
                try:
                    moved += filing.file(connection)
                except OSError as error:
                    full = f"{self.settings.trail_path}: {error.strerror}"
                if kafka is not None and time.monotonic() >= rest:
                    settled, fault = self._send(connection, kafka)
                    moved += settled
                    if fault:
                        rest = time.monotonic() + _AGAIN_SECONDS
                    away = fault or ("" if settled else away)
                self._say(connection, " ".join(filter(None, (full, away))))
                if not moved and not (kafka is not None and kafka.busy):
                    stop.wait(_POLL_SECONDS)
            self._run_errands(leads=True, last=True)
            filing.settle(connection)
            if kafka is not None and not away:
                self._drain(connection, kafka)
        finally:
            if kafka is not None:
                kafka.close()

    def _drain(self, connection: sa.Connection, kafka: Kafka) -> None:
        """Lets Kafka have what there is, within reason."""
        until = time.monotonic() + _DRAIN_SECONDS
        while time.monotonic() < until:
            settled, fault = self._send(connection, kafka)
            if fault or (not settled and not kafka.busy):
                return

    def _send(self, connection: sa.Connection, kafka: Kafka) -> tuple[int, str]:
        """Sends on, or looks what became of what is under way; how many events that settled, and what is wrong."""
        if not kafka.busy:
            with connection.begin():
                events = window(outbox.unsent(connection, WINDOW))
            if not events:
                return 0, ""
            kafka.send(events)
        outcome = kafka.collect(_COLLECT_SECONDS)
        if outcome is None:
            return 0, ""
        with connection.begin():
            outbox.note_sent(connection, outcome.sent)
            for event, why in outcome.refused:
                outbox.note_refused(connection, event, why)
                log.error("audit event refused by Kafka", sequence=event.sequence, reason=why)
        return len(outcome.sent) + len(outcome.refused), outcome.fault

    def _say(self, connection: sa.Connection, fault: str) -> None:
        """Keeps what is wrong where everybody can see it."""
        if fault == self._fault:
            return
        if fault:
            log.warning("audit events wait", reason=fault)
        else:
            log.info("audit events get on again")
        with connection.begin():
            outbox.note_fault(connection, fault)
        self._fault = fault

    def _run_errands(self, *, leads: bool, last: bool = False) -> None:
        for number, errand in enumerate(self.errands):
            due = time.monotonic() - self._done.get(number, -errand.seconds) >= errand.seconds
            if (due or (last and errand.by_all)) and (leads or errand.by_all):
                self._done[number] = time.monotonic()
                try:
                    errand.do()
                except (SQLAlchemyError, OSError, WhohasError) as error:
                    log.warning("audit events wait", reason=str(error).splitlines()[0])

    def _leading(self) -> AbstractContextManager[sa.Connection | None]:
        """A connection for the one that relays; None where that is another process."""
        return locks.try_session(self.database, locks.RELAY, self.settings.home / "audit-relay.lock")


def window(events: list[Pending]) -> list[Pending]:
    """As many events, from the first, as go together."""
    size = 0
    for count, one in enumerate(events):
        size += len(one.text)
        if size > WINDOW_BYTES and count:
            return events[:count]
    return events
