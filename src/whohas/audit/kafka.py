"""Kafka gets the events: structured CloudEvents, the trail's very lines, each under the id of what it is about.

One window of events is under way at a time, small enough to be one batch a partition. Kafka takes or refuses a batch
as a whole; where it refuses one, its events are sent again one by one, so that the one which is to blame is found and
the others stay in order.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from whohas import timeouts
from whohas.audit.outbox import Pending
from whohas.errors import InvalidArguments
from whohas.settings import Settings

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
WINDOW = 500
WINDOW_BYTES = 400_000
_LINGER_MS = 100
"""Longer than it takes to hand a window over: it then is one batch a partition. `flush` ends the wait at once."""
_OF_THE_EVENT = (
    "CORRUPT_MESSAGE", "INVALID_MSG", "INVALID_MSG_SIZE", "INVALID_RECORD", "INVALID_TIMESTAMP", "MSG_SIZE_TOO_LARGE",
    "POLICY_VIOLATION", "RECORD_LIST_TOO_LARGE", "UNSUPPORTED_FOR_MESSAGE_FORMAT", "_BAD_MSG",
)  # fmt: skip
"""Errors that are an event's own: however often it is sent, Kafka will not take it."""
_ALWAYS = {"enable.idempotence": True, "acks": "all", "max.in.flight.requests.per.connection": 5}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of events that were sent.

    Attributes:
        sent: Kafka has them.
        refused: it does not take them, each with the reason.
        fault: why the others must be sent again; empty where there are none.
    """

    sent: list[Pending] = field(default_factory=list[Pending])
    refused: list[tuple[Pending, str]] = field(default_factory=list[tuple[Pending, str]])
    fault: str = ""


class Kafka:
    """Sends windows of events, one after the other."""

    def __init__(self, settings: Settings) -> None:
        self._configuration = configuration(settings)
        self._topic = settings.kafka_topic
        self._producer: Producer | None = None
        self._window: list[Pending] = []
        self._reports: dict[int, KafkaError | None] = {}
        self._one_by_one: deque[Pending] = deque()
        self._trouble = ""

    @property
    def busy(self) -> bool:
        """Whether events are under way."""
        return bool(self._window or self._one_by_one)

    def send(self, events: Sequence[Pending]) -> None:
        """Sends a window; `collect` tells what became of it."""
        assert not self._window, "one window at a time"
        if self._producer is None:
            self._producer = _producer(self._configuration, self._note_trouble)
        self._window = list(events)
        self._reports = {}
        for one in events:
            self._produce(self._producer, one)

    def collect(self, seconds: float) -> Outcome | None:
        """What became of the window, once all of it is known; None until then.

        Args:
            seconds: how long to wait for it.
        """
        if not self._window:
            self.send([self._one_by_one.popleft()])
        assert self._producer is not None
        self._producer.flush(seconds)
        if len(self._reports) < len(self._window):
            return None
        window, self._window = self._window, []
        sent = [one for one in window if self._reports[one.number] is None]
        refused: list[tuple[Pending, str]] = []
        for one in window:
            error = self._reports[one.number]
            if error is None:
                continue
            if error.name() not in _OF_THE_EVENT:
                fault = f"{self._topic}: {error.str()}. {self._trouble}".strip()
                self._give_up()
                return Outcome(sent, refused, fault)
            if len(window) == 1:
                refused.append((one, f"{error.name()}: {error.str()}"))
            else:
                self._one_by_one.append(one)
        self._trouble = ""
        return Outcome(sent, refused)

    def close(self) -> None:
        """Stops; what is under way and not yet known is sent again by whoever comes next."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1)
        self._give_up()

    def _give_up(self) -> None:
        # a producer that failed once may have numbers of its own that Kafka does not expect: the next one starts afresh
        self._window, self._producer = [], None
        self._one_by_one.clear()

    def _produce(self, producer: Producer, one: Pending) -> None:
        from confluent_kafka import KafkaException

        def report(error: KafkaError | None, _message: Message) -> None:
            self._reports[one.number] = error

        try:
            producer.produce(
                self._topic, value=one.text.encode(), key=key_of(one.text), headers=HEADERS, on_delivery=report
            )
        except KafkaException as error:  # too large for any broker
            self._reports[one.number] = error.args[0]

    def _note_trouble(self, error: KafkaError) -> None:
        self._trouble = error.str()


def key_of(line: str) -> str:
    """The key of an event: the id of its run, else of what else it is about."""
    event: dict[str, Any] = json.loads(line)
    return str(event["data"].get("run") or event["subject"])


def configuration(settings: Settings) -> dict[str, Any]:
    """What librdkafka is told.

    Raises:
        InvalidArguments: the driver is not installed, or settings contradict each other.
    """
    try:
        import confluent_kafka  # noqa: F401 # pyright: ignore[reportUnusedImport] - whether it is there
    except ImportError:
        raise InvalidArguments(
            'WHOHAS_KAFKA_SERVERS needs the driver for Kafka: pip install "whohas[kafka]".'
        ) from None
    sasl = settings.kafka_security.startswith("sasl")
    if sasl and not (settings.kafka_user and settings.kafka_password) and settings.kafka_sasl in _BY_PASSWORD:
        raise InvalidArguments("WHOHAS_KAFKA_SECURITY with SASL needs WHOHAS_KAFKA_USER and WHOHAS_KAFKA_PASSWORD.")
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


def check(settings: Settings) -> None:
    """Refuse settings that librdkafka does not take: options that it does not know, files that it cannot read. No
    broker is waited for.

    Raises:
        InvalidArguments: the message says which.
    """
    _producer(configuration(settings), _nobody_hears)


def _nobody_hears(_: object) -> None:
    """What is wrong with a broker: none is asked anything."""


_BY_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def _producer(configuration: dict[str, Any], on_error: Any) -> Producer:
    from confluent_kafka import KafkaException, Producer

    try:
        return Producer({**configuration, "error_cb": on_error}, logger=logging.getLogger("whohas.audit.kafka"))
    except KafkaException as error:
        raise InvalidArguments(f"The settings for Kafka are wrong: {error.args[0].str()}.") from None
