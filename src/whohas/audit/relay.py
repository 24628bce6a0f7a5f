"""The relay delivers audit events from the outbox to the hash chain, the log file and Kafka.

One process at a time, the leader, does so; every server and worker tries to become the leader. On PostgreSQL leadership
is an advisory lock of a session, and all of the relay's work uses that session: a leader that lost its lock can mark
nothing any more. On SQLite it is a file lock. If the leader dies, the next one repeats the work that was not marked.
Kafka may then get an event twice; consumers recognise it by its id.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from whohas import timeouts
from whohas.audit import outbox
from whohas.audit.kafka import WINDOW, WINDOW_BYTES, KafkaProducer
from whohas.audit.kafka import check_settings as check_kafka
from whohas.audit.outbox import PendingEvent
from whohas.audit.writer import AuditLogWriter
from whohas.background import PeriodicTask, Runner
from whohas.db import locks
from whohas.db.engine import DataVersion
from whohas.errors import WhohasError
from whohas.settings import Settings

log = structlog.get_logger("whohas.audit")


@dataclass
class Relay:
    """The relay of a process: delivers events if the process is the leader, otherwise tries to become it.

    Attributes:
        tasks: other periodic tasks to run in the same thread.
        before_stop: called when the relay stops, before it delivers the last events.
    """

    settings: Settings
    database: sa.Engine
    tasks: Sequence[PeriodicTask] = ()
    before_stop: Callable[[], object] = field(default=lambda: None)
    _leader: _Leader | None = field(default=None, init=False)
    _held: ExitStack = field(default_factory=ExitStack, init=False)
    _copies: AuditLogWriter = field(init=False)
    _copy_fault: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._copies = self._filing()

    @property
    def is_leader(self) -> bool:
        """Whether this process is the leader."""
        return self._leader is not None

    @contextmanager
    def running(self) -> Generator[None]:
        """Run the relay in a thread until the context ends.

        Then it calls `before_stop`. If this process is or becomes the leader, it writes the remaining events to the log
        file, and sends to Kafka what it accepts within seconds. Otherwise, and if a task does not stop in time or an
        error occurs (which is logged), they stay in the outbox for the next leader.

        Raises:
            InvalidArguments: the settings for Kafka are wrong, or its driver is missing.
        """
        if self.settings.kafka_servers:
            check_kafka(self.settings)
        # a separate runner: the relay waits for the disk and for Kafka, and must not delay other tasks
        runner = Runner("audit", (PeriodicTask("audit relay", self._step, self._pause), *self.tasks))
        runner.start()
        try:
            yield
        finally:
            if runner.stop():
                self._end()

    def flush(self) -> None:
        """Write all events of the outbox to the log file, even if another process is the leader."""
        with self.database.connect() as connection:
            self._filing().flush(connection)

    def _filing(self) -> AuditLogWriter:
        return AuditLogWriter(self.settings, kafka=bool(self.settings.kafka_servers))

    def _step(self) -> None:
        """Deliver some events if this process is the leader; otherwise try to become it."""
        if self._leader is None:
            self._lead()
        if self._leader is not None:
            try:
                self._leader.step()
            except BaseException:
                self._let_go()
                raise
        else:
            self._copy()

    def _copy(self) -> None:
        """Bring the log file of this host up to date with what the leader has done."""
        fault = ""
        try:
            with self.database.connect() as connection:
                self._copies.copy(connection)
        except OSError as error:
            fault = f"{self.settings.audit_log_path}: {error.strerror}"
        if fault and fault != self._copy_fault:
            log.warning("copy of the audit log waits", reason=fault)
        self._copy_fault = fault

    def _pause(self) -> float:
        """Return the seconds until the next step."""
        if self._leader is None:
            return timeouts.AUDIT_LEADER_POLL_SECONDS
        return 0.0 if self._leader.has_more else timeouts.AUDIT_POLL_SECONDS

    def _lead(self) -> None:
        connection = self._held.enter_context(self._leading())
        try:
            if connection is not None:
                commits = DataVersion(self.database) if self.database.dialect.name == "sqlite" else None
                self._leader = _Leader(self.settings, connection, self._filing(), commits)
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
            self.before_stop()
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
        """Yield a connection that holds the leader's lock; None if another process is the leader."""
        return locks.open_locked_session(self.database, locks.RELAY_LOCK, self.settings.home / "audit-relay.lock")


class _Leader:
    """The work of the leader, over the connection that holds the lock.

    Args:
        commits: detects commits to the database, on SQLite; None on other databases.

    Attributes:
        has_more: whether the last step moved events, or Kafka has some in flight, so that the next step is due at once.
    """

    def __init__(
        self, settings: Settings, connection: sa.Connection, filing: AuditLogWriter, commits: DataVersion | None
    ) -> None:
        self.has_more = False
        self._commits = commits
        self._count: int | None = None
        self._settings, self._connection, self._filing = settings, connection, filing
        self._kafka_fault = ""
        self._kafka_retry_at = 0.0  # on the monotonic clock; after an error Kafka is not tried before
        with connection.begin():
            self._fault = outbox.read_fault(connection)
            if not settings.kafka_servers:
                outbox.delete_unsent(connection)
        self._kafka = KafkaProducer(settings) if settings.kafka_servers else None

    def step(self) -> None:
        """Chain some events, append them to the log file and send them to Kafka; set `has_more`."""
        if not self._has_work():
            return
        disk_fault = ""
        moved = self._filing.chain(self._connection)
        try:
            moved += self._filing.append_chained(self._connection)
            self._filing.copy(self._connection)
        except OSError as error:
            disk_fault = f"{self._settings.audit_log_path}: {error.strerror}"
        if self._kafka is not None and time.monotonic() >= self._kafka_retry_at:
            delivered, fault = self._send(self._kafka)
            moved += delivered
            if fault:
                self._kafka_retry_at = time.monotonic() + timeouts.AUDIT_KAFKA_RETRY_SECONDS
            self._kafka_fault = fault or ("" if delivered else self._kafka_fault)
        self._note_fault(" ".join(filter(None, (disk_fault, self._kafka_fault))))
        self.has_more = bool(moved) or (self._kafka is not None and self._kafka.is_busy)

    def _has_work(self) -> bool:
        """Return whether a step is needed, and note the number of commits of the database: call it once for each step.

        False only on SQLite, if nothing was committed since the last call, and the last step moved no event, has none
        in flight and had no fault. This takes a few microseconds; a query, a millisecond.
        """
        if self._commits is None:
            return True
        before, self._count = self._count, self._commits.count()
        return self._count != before or self.has_more or bool(self._fault)

    def finish(self) -> None:
        """Write the remaining events to the log file, and send to Kafka what it accepts within seconds."""
        self._filing.flush(self._connection)
        if self._kafka is not None and not self._kafka_fault:
            self._drain(self._kafka)

    def close(self) -> None:
        """Close the Kafka producer, and the connection that detects commits."""
        if self._kafka is not None:
            self._kafka.close()
        if self._commits is not None:
            self._commits.close()

    def _drain(self, kafka: KafkaProducer) -> None:
        """Send the remaining events to Kafka, for `AUDIT_DRAIN_SECONDS` at most; stop at the first error."""
        until = time.monotonic() + timeouts.AUDIT_DRAIN_SECONDS
        while time.monotonic() < until:
            delivered, fault = self._send(kafka)
            if fault or (not delivered and not kafka.is_busy):
                return

    def _send(self, kafka: KafkaProducer) -> tuple[int, str]:
        """Send the next window to Kafka if none is in flight, and collect results.

        Return the number of events that were acknowledged or rejected, and the error or an empty text.
        """
        if not kafka.is_busy:
            with self._connection.begin():
                events = first_window(outbox.read_unsent(self._connection, WINDOW))
            if not events:
                return 0, ""
            kafka.send(events)
        outcome = kafka.collect(timeouts.AUDIT_COLLECT_SECONDS)
        if outcome is None:
            return 0, ""
        with self._connection.begin():
            outbox.mark_sent(self._connection, outcome.sent)
            for event, why in outcome.refused:
                outbox.mark_rejected(self._connection, event, why)
                log.error("audit event refused by Kafka", sequence=event.sequence, reason=why)
        return len(outcome.sent) + len(outcome.refused), outcome.fault

    def _note_fault(self, fault: str) -> None:
        """Log a change of the delivery error, and store it in the database for the status command and metrics."""
        if fault == self._fault:
            return
        if fault:
            log.warning("audit events wait", reason=fault)
        else:
            log.info("audit events get on again")
        with self._connection.begin():
            outbox.store_fault(self._connection, fault)
        self._fault = fault


def first_window(events: list[PendingEvent]) -> list[PendingEvent]:
    """Return the events from the beginning of a list that fit into one window (`WINDOW_BYTES`), at least one."""
    size = 0
    for count, event in enumerate(events):
        size += len(event.text)
        if size > WINDOW_BYTES and count:
            return events[:count]
    return events
