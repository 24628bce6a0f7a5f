"""The Kafka producer for audit events: structured CloudEvents with the same JSON as in the log file.

The message key is the id of the run or other subject, so events of one subject stay in one partition and in order. One
window of events is in flight at a time, small enough to be one batch for each partition. Kafka accepts or rejects a
batch as a whole. The events of a rejected batch are sent again one by one, which finds the event that is to blame and
keeps the others in order.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whohas import timeouts
from whohas.audit.outbox import PendingEvent
from whohas.errors import InvalidArguments
from whohas.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
WINDOW = 500
WINDOW_BYTES = 400_000
_LINGER_MS = 100
"""Longer than it takes to queue a window, so that it becomes one batch for each partition. `flush` sends at once."""
_OF_THE_EVENT = (
    "CORRUPT_MESSAGE", "INVALID_MSG", "INVALID_MSG_SIZE", "INVALID_RECORD", "INVALID_TIMESTAMP", "MSG_SIZE_TOO_LARGE",
    "POLICY_VIOLATION", "RECORD_LIST_TOO_LARGE", "UNSUPPORTED_FOR_MESSAGE_FORMAT", "_BAD_MSG",
)  # fmt: skip
"""Errors caused by the event itself: sending it again cannot succeed."""
_ALWAYS = {"enable.idempotence": True, "acks": "all", "max.in.flight.requests.per.connection": 5}


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """The result of sending a window of events.

    Attributes:
        sent: events that Kafka acknowledged.
        refused: events that Kafka rejected permanently, each with the reason.
        fault: the error because of which the remaining events must be sent again; empty if all were sent or rejected.
    """

    sent: list[PendingEvent] = field(default_factory=list[PendingEvent])
    refused: list[tuple[PendingEvent, str]] = field(default_factory=list[tuple[PendingEvent, str]])
    fault: str = ""


class KafkaProducer:
    """A producer that sends windows of events one after another: `send`, then `collect` until it returns a result.

    A new producer is created after each failure.
    """

    def __init__(self, settings: Settings) -> None:
        self._configuration = configuration(settings)
        self._topic = settings.kafka_topic
        self._producer: Producer | None = None
        self._window: list[PendingEvent] = []
        self._reports: dict[int, KafkaError | None] = {}
        self._one_by_one: deque[PendingEvent] = deque()
        self._trouble = ""

    @property
    def is_busy(self) -> bool:
        """Whether events are in flight or queued to be sent one by one."""
        return bool(self._window or self._one_by_one)

    def send(self, events: Sequence[PendingEvent]) -> None:
        """Send a window of events; call `collect` for the result before the next `send`."""
        assert not self._window, "one window at a time"
        if self._producer is None:
            self._producer = _producer(self._configuration, self._note_trouble)
        self._window = list(events)
        self._reports = {}
        for event in events:
            self._produce(self._producer, event)

    def collect(self, seconds: float) -> SendOutcome | None:
        """Return the result of the window in flight once all of it is known; None until then.

        After a rejected batch, each further call sends and collects one of its events.

        Args:
            seconds: how long to wait for acknowledgements.
        """
        if not self._window:
            self.send([self._one_by_one.popleft()])
        assert self._producer is not None
        self._producer.flush(seconds)
        if len(self._reports) < len(self._window):
            return None
        window, self._window = self._window, []
        sent = [event for event in window if self._reports[event.number] is None]
        refused: list[tuple[PendingEvent, str]] = []
        for event in window:
            error = self._reports[event.number]
            if error is None:
                continue
            if error.name() not in _OF_THE_EVENT:
                fault = f"{self._topic}: {error.str()}. {self._trouble}".strip()
                self._give_up()
                return SendOutcome(sent, refused, fault)
            if len(window) == 1:
                refused.append((event, f"{error.name()}: {error.str()}"))
            else:
                self._one_by_one.append(event)
        self._trouble = ""
        return SendOutcome(sent, refused)

    def close(self) -> None:
        """Stop. Events without an acknowledgement stay in the outbox, and the next relay sends them again."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1)
        self._give_up()

    def _give_up(self) -> None:
        # After a failure the sequence numbers of an idempotent producer may not be those that Kafka expects. A new
        # producer gets a new id and starts from 0.
        self._window, self._producer = [], None
        self._one_by_one.clear()

    def _produce(self, producer: Producer, event: PendingEvent) -> None:
        from confluent_kafka import KafkaException

        def report(error: KafkaError | None, _message: Message) -> None:
            self._reports[event.number] = error

        try:
            producer.produce(
                self._topic, value=event.text.encode(), key=message_key(event.text), headers=HEADERS, on_delivery=report
            )
        except KafkaException as error:  # such as an event that is too large for any broker
            self._reports[event.number] = error.args[0]

    def _note_trouble(self, error: KafkaError) -> None:
        self._trouble = error.str()


def message_key(line: str) -> str:
    """Return the Kafka message key of an event: the id of its run, or else its subject."""
    event: dict[str, Any] = json.loads(line)
    return str(event["data"].get("run") or event["subject"])


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the configuration of librdkafka; options that protect against loss cannot be overridden.

    Raises:
        InvalidArguments: the driver is not installed, or settings are incomplete or malformed.
    """
    try:
        import confluent_kafka  # noqa: F401 # pyright: ignore[reportUnusedImport] - whether it is there
    except ImportError:
        raise InvalidArguments(
            'WHOHAS_KAFKA_SERVERS needs the driver for Kafka: pip install "whohas[kafka]".'
        ) from None
    sasl = settings.kafka_security.startswith("sasl")
    if sasl and not (settings.kafka_user and settings.kafka_password) and settings.kafka_sasl in _BY_PASSWORD:
        raise InvalidArguments(
            "WHOHAS_KAFKA_SECURITY with SASL needs WHOHAS_KAFKA_USER and WHOHAS_KAFKA_PASSWORD. Set both."
        )
    chosen: dict[str, Any] = {
        "bootstrap.servers": ",".join(settings.kafka_servers),
        "client.id": "whohas-audit",
        "compression.type": "zstd",
        "message.timeout.ms": timeouts.KAFKA_SECONDS * 1000,
        "security.protocol": settings.kafka_security,
        "ssl.ca.location": settings.kafka_ca,
        "ssl.certificate.location": settings.kafka_certificate,
        "ssl.key.location": settings.kafka_key,
        "sasl.mechanism": settings.kafka_sasl if sasl else None,
        "sasl.username": settings.kafka_user if sasl else None,
        "sasl.password": settings.kafka_password.get_secret_value() if sasl and settings.kafka_password else None,
    }
    for option in settings.kafka_options:
        name, equals, value = option.partition("=")
        if not equals:
            raise InvalidArguments(f"WHOHAS_KAFKA_OPTIONS has {option!r}; write name=value.")
        chosen[name.strip()] = value.strip()
    known = {name: str(value) for name, value in chosen.items() if value is not None}
    return {**known, **_ALWAYS, "linger.ms": _LINGER_MS}


def check_settings(settings: Settings) -> None:
    """Check the Kafka settings without waiting for a broker: unknown options, unreadable files.

    Raises:
        InvalidArguments: a setting is wrong; the message names it.
    """
    _producer(configuration(settings), _ignore_error)


def _ignore_error(_: object) -> None:
    """Ignore errors of brokers: only the settings are checked."""


_BY_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def _producer(configuration: dict[str, Any], on_error: Any) -> Producer:
    from confluent_kafka import KafkaException, Producer

    try:
        return Producer({**configuration, "error_cb": on_error}, logger=logging.getLogger("whohas.audit.kafka"))
    except KafkaException as error:
        raise InvalidArguments(f"The settings for Kafka are wrong: {error.args[0].str()}.") from None
