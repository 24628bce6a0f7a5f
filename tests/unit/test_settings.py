"""Settings that cannot work are refused at the start; names that are none are said."""

from __future__ import annotations

from pathlib import Path

import pytest

from whohas.errors import InvalidArguments
from whohas.services import open_services
from whohas.settings import Settings, load_settings
from whohas.unknown_settings import unknown_variables


def test_an_unknown_variable_is_named_with_a_suggestion() -> None:
    (text,) = unknown_variables({"WHOHAS_RUN_MEMROY": "secret", "HOME": "/", "WHOHAS_HOME": "/x"})
    assert "WHOHAS_RUN_MEMROY" in text and "Did you mean WHOHAS_RUN_MEMORY?" in text
    assert "secret" not in text


def test_every_setting_and_the_name_of_the_file_are_known() -> None:
    known = {f"WHOHAS_{name.upper()}": "x" for name in Settings.model_fields}
    assert unknown_variables({**known, "WHOHAS_CONFIG": "x", "whohas_home": "x"}) == []


def test_what_kubernetes_sets_for_a_service_is_not_named() -> None:
    given = {
        "WHOHAS_SERVICE_HOST": "10.0.0.1", "WHOHAS_SERVICE_PORT": "8437", "WHOHAS_SERVICE_PORT_HTTP": "8437",
        "WHOHAS_PORT_8437_TCP": "tcp://10.0.0.1:8437", "WHOHAS_PORT_8437_TCP_ADDR": "10.0.0.1",
        "WHOHAS_API_PORT": "tcp://10.0.0.1:80", "WHOHAS_API_SERVICE_HOST": "10.0.0.1",
    }  # fmt: skip
    assert unknown_variables(given) == []


@pytest.mark.parametrize("topic", [".", "..", "a/b", "", "a b", "ä", "x" * 250, "a\nb"])
def test_a_topic_that_kafka_does_not_take_is_refused(topic: str) -> None:
    with pytest.raises(InvalidArguments, match="kafka_topic"):
        load_settings(kafka_topic=topic)


@pytest.mark.parametrize("topic", ["...", ".a", "a.b_c-d", "x" * 249])
def test_a_topic_that_kafka_takes_is_taken(topic: str) -> None:
    assert load_settings(kafka_topic=topic).kafka_topic == topic


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("time_zone", "Europe/Belrin", "Europe/Berlin"),
        ("trusted_proxies", "10.0.0.1/8", "host bits"),
        ("trusted_proxies", "127.0.0.1, proxy.example", "proxy.example"),
        ("cors_origins", "reports.example", "no origin"),
        ("cors_origins", "https://reports.example/", "no origin"),
        ("cors_origins", "https://a b.example", "no origin"),
        ("kafka_servers", "kafka:99999", "HOST:PORT|protocol|port"),
        ("kafka_servers", "https://kafka:9092", "HOST:PORT|protocol|port"),
        ("kafka_servers", "kafka:nine", "HOST:PORT|protocol|port"),
        ("kafka_options", "compression.type", "name=value"),
        ("kafka_options", "=lz4", "name=value"),
        ("kafka_ca", "/no/such/file.pem", "cannot be read"),
        ("kafka_key", "/no/such/file.pem", "cannot be read"),
        ("kafka_certificate", "/no/such/file.pem", "cannot be read"),
        ("database_wait_seconds", "-1", "greater than"),
        ("database_wait_seconds", "nan", "database_wait_seconds"),
    ],
)
def test_a_value_that_would_fail_later_is_refused(name: str, value: str, says: str) -> None:
    with pytest.raises(InvalidArguments, match=says) as refused:
        load_settings(**{name: value})
    assert name in refused.value.message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trusted_proxies", "*"),
        ("trusted_proxies", "127.0.0.1, ::1, 10.0.0.0/8"),
        ("cors_origins", "*"),
        ("cors_origins", "https://a.example, http://127.0.0.1:3000"),
        ("kafka_servers", "kafka, kafka.acme.example:9092, [::1]:9092"),
        ("kafka_options", "compression.type=lz4, sasl.oauthbearer.config=a=b"),
        ("time_zone", "+05:30"),
    ],
)
def test_a_value_that_works_is_taken(name: str, value: str) -> None:
    load_settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("concurrent_reports", "ACCOUNT", "Did you mean ACCOUNTS"),
        ("default_formats", "csv,docx", "no format 'docx'"),
        ("default_formats", "", "names no format"),
    ],
)
def test_a_name_of_nothing_is_refused_at_the_start(home: Path, name: str, value: str, says: str) -> None:
    with pytest.raises(InvalidArguments, match=says), open_services(load_settings(home=home, **{name: value})):
        pass
    assert not home.exists()


def test_an_unknown_kafka_option_is_refused(home: Path) -> None:
    pytest.importorskip("confluent_kafka")
    told = load_settings(home=home, kafka_servers="127.0.0.1:9", kafka_options="compression.tpye=lz4")
    with pytest.raises(InvalidArguments, match="compression"), open_services(told) as services:
        services.relay.running().__enter__()
