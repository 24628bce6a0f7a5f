"""The relay: brings every event from the outbox into the chain, the trail and Kafka. One process at a time does so.

Each server and worker is ready to be that one: on PostgreSQL by an advisory lock of a session, over which all of its
work then goes, so that a relay that lost its lock can mark nothing any more; on SQLite by a lock on a file. A relay
that dies loses nothing: what it had not marked is done again by the next one, and whoever gets an event twice knows it
by its id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import locks, timeouts
from whohas.audit import outbox
from whohas.audit.filing import Filing
from whohas.audit.kafka import WINDOW, WINDOW_BYTES, Kafka
from whohas.audit.kafka import check as check_kafka
from whohas.audit.outbox import Pending
from whohas.background import PeriodicTask, Runner
from whohas.errors import WhohasError
from whohas.settings import Settings

log = structlog.get_logger("whohas.audit")


@dataclass
class Relay:
    """Relays, or waits to.

    Attributes:
        tasks: what else is done again and again, in the same thread.
        before_end: called before the relay brings its last events into the trail.
    """

    settings: Settings
    database: sa.Engine
    tasks: Sequence[PeriodicTask] = ()
    before_end: Callable[[], object] = field(default=lambda: None)
    _leader: _Leader | None = field(default=None, init=False)
    _held: ExitStack = field(default_factory=ExitStack, init=False)

    @property
    def leads(self) -> bool:
        """Whether this process is the one that relays."""
        return self._leader is not None

    @contextmanager
    def going_on(self) -> Generator[None]:
        """Relay in a thread until the context ends; then bring into the trail what there is by then.

        Raises:
            InvalidArguments: the settings for Kafka are wrong, or its driver is missing.
        """
        if self.settings.kafka_servers:
            check_kafka(self.settings)
        # it waits for files and for Kafka, so no other task may wait for it
        runner = Runner("audit", (PeriodicTask("audit relay", self._step, self._pause), *self.tasks))
        runner.start()
        try:
            yield
        finally:
            if runner.stop():
                self._end()

    def settle(self) -> None:
        """Brings all that there is into the trail, whoever relays."""
        with self.database.connect() as connection:
            self._filing().settle(connection)

    def _filing(self) -> Filing:
        return Filing(self.settings, kafka=bool(self.settings.kafka_servers))

    def _step(self) -> None:
        """Relay some events, or try to become the one that does."""
        if self._leader is None:
            self._lead()
        if self._leader is not None:
            try:
                self._leader.step()
            except BaseException:
                self._let_go()
                raise

    def _pause(self) -> float:
        """Return the seconds until the next step."""
        if self._leader is None:
            return timeouts.AUDIT_LEAD_SECONDS
        return 0.0 if self._leader.has_more else timeouts.AUDIT_POLL_SECONDS

    def _lead(self) -> None:
        connection = self._held.enter_context(self._leading())
        try:
            if connection is not None:
                self._leader = _Leader(self.settings, connection, self._filing())
        finally:
            if self._leader is None:
                self._held.close()

    def _let_go(self) -> None:
        leader, self._leader = self._leader, None
        try:
            if leader is not None:
                leader.close()
        finally:
            self._held.close()

    def _end(self) -> None:
        try:
            self.before_end()
            if self._leader is None:
                self._lead()
            if self._leader is not None:
                self._leader.finish()
        except (SQLAlchemyError, OSError, WhohasError) as error:
            log.warning("audit events wait", reason=str(error).splitlines()[0])
        except Exception:
            log.exception("internal fault")
        finally:
            self._let_go()

    def _leading(self) -> AbstractContextManager[sa.Connection | None]:
        """A connection for the one that relays; None where that is another process."""
        return locks.try_session(self.database, locks.RELAY, self.settings.home / "audit-relay.lock")


class _Leader:
    """The one that relays, over a connection that has the lock."""

    def __init__(self, settings: Settings, connection: sa.Connection, filing: Filing) -> None:
        self.has_more = False
        self._settings, self._connection, self._filing = settings, connection, filing
        self._away = ""
        self._rest = 0.0  # when Kafka's fault has been waited out
        with connection.begin():
            self._fault = outbox.read_fault(connection)
            if not settings.kafka_servers:
                outbox.forget_unsent(connection)
        self._kafka = Kafka(settings) if settings.kafka_servers else None

    def step(self) -> None:
        """Chain, file and send some events; `has_more` says whether to go on at once."""
        full = ""
        moved = self._filing.chain(self._connection)
        try:
            moved += self._filing.file(self._connection)
        except OSError as error:
            full = f"{self._settings.trail_path}: {error.strerror}"
        if self._kafka is not None and time.monotonic() >= self._rest:
            settled, fault = self._send(self._kafka)
            moved += settled
            if fault:
                self._rest = time.monotonic() + timeouts.AUDIT_AGAIN_SECONDS
            self._away = fault or ("" if settled else self._away)
        self._say(" ".join(filter(None, (full, self._away))))
        self.has_more = bool(moved) or (self._kafka is not None and self._kafka.busy)

    def finish(self) -> None:
        """Bring into the trail what there is, and into Kafka what it takes soon."""
        self._filing.settle(self._connection)
        if self._kafka is not None and not self._away:
            self._drain(self._kafka)

    def close(self) -> None:
        """Let go of Kafka."""
        if self._kafka is not None:
            self._kafka.close()

    def _drain(self, kafka: Kafka) -> None:
        """Lets Kafka have what there is, within reason."""
        until = time.monotonic() + timeouts.AUDIT_DRAIN_SECONDS
        while time.monotonic() < until:
            settled, fault = self._send(kafka)
            if fault or (not settled and not kafka.busy):
                return

    def _send(self, kafka: Kafka) -> tuple[int, str]:
        """Sends on, or looks what became of what is under way; how many events that settled, and what is wrong."""
        if not kafka.busy:
            with self._connection.begin():
                events = window(outbox.unsent(self._connection, WINDOW))
            if not events:
                return 0, ""
            kafka.send(events)
        outcome = kafka.collect(timeouts.AUDIT_COLLECT_SECONDS)
        if outcome is None:
            return 0, ""
        with self._connection.begin():
            outbox.note_sent(self._connection, outcome.sent)
            for event, why in outcome.refused:
                outbox.note_refused(self._connection, event, why)
                log.error("audit event refused by Kafka", sequence=event.sequence, reason=why)
        return len(outcome.sent) + len(outcome.refused), outcome.fault

    def _say(self, fault: str) -> None:
        """Keeps what is wrong where everybody can see it."""
        if fault == self._fault:
            return
        if fault:
            log.warning("audit events wait", reason=fault)
        else:
            log.info("audit events get on again")
        with self._connection.begin():
            outbox.note_fault(self._connection, fault)
        self._fault = fault


def window(events: list[Pending]) -> list[Pending]:
    """As many events, from the first, as go together."""
    size = 0
    for count, one in enumerate(events):
        size += len(one.text)
        if size > WINDOW_BYTES and count:
            return events[:count]
    return events
