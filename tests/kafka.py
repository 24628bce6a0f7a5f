"""A real Apache Kafka for tests: one node (KRaft), its jars from Maven Central, and readers that count."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic

from maven import jars
from patience import PATIENCE_SECONDS, until
from ports import free_ports

_HERE = Path(__file__).resolve().parent / "broker"
_ATTEMPT_SECONDS = 10
USER, PASSWORD = "whohas", "a broker's secret"


@dataclass
class Broker:
    """A broker that can be stopped, killed and started again, always on the same ports of the loopback address.

    Attributes:
        servers: the address of its plain listener.
        secure: the address of its listener with TLS and SASL (PLAIN); empty without a certificate.
    """

    folder: Path
    certificate: dict[str, str] = field(default_factory=dict[str, str])
    _process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        plain, controller, secure = free_ports(3)
        self.servers = f"127.0.0.1:{plain}"
        self.secure = f"127.0.0.1:{secure}" if self.certificate else ""
        listeners = [f"PLAINTEXT://{self.servers}", f"CONTROLLER://127.0.0.1:{controller}"]
        settings = {
            "process.roles": "broker,controller", "node.id": "1", "log.dirs": str(self.folder / "data"),
            "controller.quorum.voters": f"1@127.0.0.1:{controller}", "controller.listener.names": "CONTROLLER",
            "offsets.topic.replication.factor": "1", "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1", "auto.create.topics.enable": "false",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
        }  # fmt: skip
        if self.certificate:
            listeners.append(f"SASL_SSL://{self.secure}")
            one_line = {name: Path(path).read_text().replace("\n", "\\n") for name, path in self.certificate.items()}
            login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            settings |= {
                "ssl.keystore.type": "PEM", "ssl.keystore.certificate.chain": one_line["WHOHAS_TLS_CERTIFICATE"],
                "ssl.keystore.key": one_line["WHOHAS_TLS_KEY"], "sasl.enabled.mechanisms": "PLAIN",
                "listener.name.sasl_ssl.plain.sasl.jaas.config": login,
            }  # fmt: skip
        settings["listeners"] = ",".join(listeners)
        (self.folder / "server.properties").write_text("".join(f"{n}={v}\n" for n, v in settings.items()))
        name = ["-t", "4L6g3nShT-eMCtK--X86sw", "-c", str(self.folder / "server.properties")]
        subprocess.run(_java("kafka.tools.StorageTool", "format", *name), check=True, capture_output=True)

    def start(self) -> None:
        """Starts it, and returns when it answers."""
        with (self.folder / "log").open("ab") as log:
            command = _java("kafka.Kafka", str(self.folder / "server.properties"))
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: self._answers() or self._over, (self.folder / "log").read_text)
        assert not self._over, (self.folder / "log").read_text()[-2000:]

    @property
    def _over(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _answers(self) -> bool:
        try:
            self.admin().list_topics(timeout=_ATTEMPT_SECONDS)
        except KafkaException:
            return False
        return True

    def stop(self) -> None:
        """SIGTERM, as an operator would; it takes its leave."""
        self._end(hard=False)

    def kill(self) -> None:
        """kill -9, as a crash would."""
        self._end(hard=True)

    def _end(self, *, hard: bool) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill() if hard else self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)

    def admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.servers, "log_level": 0})

    def new_topic(self, partitions: int = 3, name: str = "", **config: str) -> str:
        """A topic of its own for a test; `max_message_bytes` is `max.message.bytes`."""
        name = name or f"test-{uuid.uuid4().hex[:12]}"
        told = {option.replace("_", "."): value for option, value in config.items()}
        admin = self.admin()  # what is asked of it lasts as long as it does
        admin.create_topics([NewTopic(name, partitions, 1, config=told)])[name].result(PATIENCE_SECONDS)
        return name

    def change_topic(self, name: str, **config: str) -> None:
        told = {option.replace("_", "."): value for option, value in config.items()}
        entries = [
            ConfigEntry(option, value, incremental_operation=AlterConfigOpType.SET) for option, value in told.items()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        admin = self.admin()
        next(iter(admin.incremental_alter_configs([resource]).values())).result(PATIENCE_SECONDS)

    def read(self, topic: str) -> list[Message]:
        """Every message of a topic as it stands now, partition by partition."""
        consumer = Consumer(
            {"bootstrap.servers": self.servers, "group.id": uuid.uuid4().hex, "enable.auto.commit": False}
        )
        try:
            partitions = consumer.list_topics(topic, timeout=PATIENCE_SECONDS).topics[topic].partitions
            found: list[Message] = []
            for number in partitions:
                _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=PATIENCE_SECONDS)
                consumer.assign([TopicPartition(topic, number, 0)])
                at = 0
                while at < end:
                    message = until(lambda: consumer.poll(1), lambda: f"{topic} cannot be read to its end")
                    if message is not None and message.error() is None:
                        found.append(message)
                        at = (message.offset() or 0) + 1
            return found
        finally:
            consumer.close()

    def events(self, topic: str) -> list[dict[str, Any]]:
        """Every event of a topic, as often as it is there."""
        return [json.loads(message.value() or b"") for message in self.read(topic)]


@contextmanager
def kafka_broker(folder: Path, certificate: dict[str, str] | None = None) -> Generator[Broker]:
    """A running broker; stopped when the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    broker = Broker(folder, certificate or {})
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def in_order(events: Sequence[dict[str, Any]]) -> bool:
    """Whether each subject's events are in the order of the chain, by the first time that each is there."""
    first: dict[str, dict[str, str]] = {}
    for event in events:
        first.setdefault(event["subject"], {}).setdefault(event["id"], event["sequence"])
    return all(list(seen.values()) == sorted(seen.values()) for seen in first.values())


def _java(*arguments: str) -> list[str]:
    java = shutil.which("java")
    if java is None:
        pytest.skip("java is not installed; Kafka needs Java 17 or later")
    classes = f"{jars('Kafka', _HERE / 'pom.xml')}/*"
    log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return [java, "-XX:TieredStopAtLevel=1", "-Xmx256m", log, "-cp", classes, *arguments]
