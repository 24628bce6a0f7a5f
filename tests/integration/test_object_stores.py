"""Object stores: conditional puts, the probe, and errors in the words of the store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ports import free_ports
from stores import S3Server, moto, without_conditions
from whohas import timeouts
from whohas.object_stores import ObjectExists, ObjectStore, StoreFailed, StoreFault, open_store, parse_address


def opened(server: S3Server, monkeypatch: pytest.MonkeyPatch, bucket: str | None = None) -> ObjectStore:
    server.use(monkeypatch)
    return open_store(parse_address(f"s3://{bucket or server.new_bucket()}/a/prefix"))


@pytest.fixture
def store(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    return opened(moto_server, monkeypatch)


def test_objects_are_written_read_listed_and_deleted(store: ObjectStore, moto_server: S3Server, tmp_path: Path) -> None:
    store.write("manifests/1.json", b"{}")
    store.write("manifests/2.json", b"[2]")
    store.write("manifests-of-others/1.json", b"")
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (80 << 10))  # three parts
    store.upload(large, "accounts/large")
    assert store.read("accounts/large") == large.read_bytes()
    assert store.read("manifests/2.json") == b"[2]"
    assert [found.key for found in store.list("manifests")] == ["manifests/1.json", "manifests/2.json"]
    assert [found.key for found in store.list("manifests", "manifests/1.json")] == ["manifests/2.json"]
    assert store.head("accounts/large").bytes == large.stat().st_size
    store.delete("accounts/large", "never/there")
    with pytest.raises(FileNotFoundError):
        store.read("accounts/large")
    assert all(key.startswith("a/prefix/") for key in moto_server.keys(store.address.bucket))


def test_an_object_is_created_once(store: ObjectStore) -> None:
    store.create("manifests/1.json", b"first")
    with pytest.raises(ObjectExists):
        store.create("manifests/1.json", b"second")
    assert store.read("manifests/1.json") == b"first"


def test_the_probe_accepts_a_store_and_leaves_nothing(store: ObjectStore, moto_server: S3Server) -> None:
    store.probe()
    assert moto_server.keys(store.address.bucket) == []


def test_the_probe_refuses_a_store_that_overwrites(monkeypatch: pytest.MonkeyPatch) -> None:
    with moto(without_conditions) as server:
        store = opened(server, monkeypatch)
        with pytest.raises(StoreFailed, match=r"does not hold conditional puts.*Use a store that holds them") as caught:
            store.probe()
        assert caught.value.fault is StoreFault.UNSAFE
        assert server.keys(store.address.bucket) == []


def test_a_missing_bucket_is_named(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(moto_server, monkeypatch, "nobody-made-it")
    for act in (store.probe, lambda: store.read("x"), lambda: list(store.list())):
        with pytest.raises(StoreFailed, match=r"NoSuchBucket.*Create the bucket") as caught:
            act()
        assert caught.value.fault is StoreFault.NO_BUCKET


def test_a_store_that_is_not_there_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "STORE_RETRY_SECONDS", 0)
    store = opened(S3Server(f"http://127.0.0.1:{free_ports(1)[0]}"), monkeypatch, "bucket")
    with pytest.raises(StoreFailed, match="Check the network") as caught:
        store.probe()
    assert caught.value.fault is StoreFault.UNREACHABLE


def test_plain_http_must_be_allowed(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = moto_server.new_bucket()
    for name, value in (moto_server.environment | {"AWS_ALLOW_HTTP": ""}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreFailed, match="Set AWS_ALLOW_HTTP=true"):
        open_store(parse_address(f"s3://{bucket}")).probe()


def test_messages_do_not_contain_secrets(moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "hunter2hunter2"
    store = opened(replace(moto_server, secret=secret), monkeypatch, "nobody-made-it")
    with pytest.raises(StoreFailed) as caught:
        store.probe()
    assert secret not in caught.value.message
