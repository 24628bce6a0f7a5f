"""Object stores for tests: moto for the usual ones, and real servers that Go and Maven build or fetch."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from maven import jars
from patience import PATIENCE_SECONDS, until
from ports import free_ports

if TYPE_CHECKING:
    from hosts import Host

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
_CACHE = Path(__file__).resolve().parent.parent / ".cache"
_REGION = "us-east-1"

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class S3Server:
    """An S3 server.

    Attributes:
        endpoint: its URL.
        key, secret: the credentials of its owner.
    """

    endpoint: str
    key: str = "whohas-tests"
    secret: str = "a secret of the tests"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which whohas, obstore and delta-rs find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": _REGION,
        }

    def use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let this process find it."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def files_in(self, bucket: str) -> dict[str, str]:
        """The variables of a server or worker whose files of runs are in a bucket."""
        return {**self.environment, "WHOHAS_FILES_URL": f"s3://{bucket}/files"}

    @property
    def client(self) -> Any:
        """A client by another library than the one that whohas uses."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name=_REGION,
            config=Config(s3={"addressing_style": "path"}),
        )

    def new_bucket(self) -> str:
        """Make a bucket, and return its name."""
        name = f"tests-{uuid.uuid4().hex[:16]}"
        self.client.create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str) -> list[str]:
        """The keys of all objects in a bucket, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return sorted(found["Key"] for page in pages for found in page.get("Contents", ()))

    def uploads(self, bucket: str) -> list[str]:
        """The keys of the incomplete uploads in a bucket."""
        return [found["Key"] for found in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]

    def answers(self) -> bool:
        """Whether it answers."""
        try:
            self.client.list_buckets()
        except (BotoCoreError, ClientError):
            return False
        return True


@contextmanager
def moto(wrapped: Callable[[Wsgi], Wsgi] = lambda app: app) -> Iterator[S3Server]:
    """An S3 of moto in a thread of this process, on a free port.

    Args:
        wrapped: what stands before it, such as a proxy.
    """
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = wrapped(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield S3Server(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def without_conditions(app: Wsgi) -> Wsgi:
    """A proxy that drops the headers of conditional puts, as old proxies do."""

    def call(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        for header in ("HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH"):
            environ.pop(header, None)
        return app(environ, start)

    return call


def versitygw_program() -> Path:
    """The program of VersityGW, built by Go if it is not there yet."""
    program = _CACHE / "versitygw" / "versitygw"
    if not program.is_file():
        go = shutil.which("go")
        if go is None:
            pytest.skip("Go is not installed; it builds VersityGW")
        folder = program.parent.with_name(f"versitygw-{uuid.uuid4().hex[:8]}")
        done = subprocess.run(
            ["env", f"GOBIN={folder}", go, "install", VERSITYGW],
            capture_output=True,
            text=True,
            timeout=6 * PATIENCE_SECONDS,
        )
        if done.returncode:
            pytest.skip(f"VersityGW cannot be built: {done.stderr[-300:]}")
        program.parent.mkdir(parents=True, exist_ok=True)
        (folder / program.name).replace(program)
        folder.rmdir()
    return program


@contextmanager
def versitygw(folder: Path, port: int | None = None, host: Host | None = None) -> Iterator[S3Server]:
    """A VersityGW that keeps its objects in a folder.

    Args:
        port: that of an earlier one on the same folder; None for a free one.
        host: where it runs; None for the loopback address of this machine.
    """
    for name in ("objects", "sidecar"):
        (folder / name).mkdir(exist_ok=True)
    address = f"{host.address if host else '127.0.0.1'}:{port or free_ports(1)[0]}"
    server = S3Server(f"http://{address}")
    command: list[str | os.PathLike[str]] = [versitygw_program(), "--port", address, "--region", _REGION, "--quiet"]
    command += ["--access", server.key, "--secret", server.secret]
    command += ["posix", "--sidecar", folder / "sidecar", folder / "objects"]
    if host:
        command = host.command(*command)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or server.answers(), (folder / "log").read_text)
        assert process.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        process.kill()
        process.wait()


@contextmanager
def s3mock(folder: Path) -> Iterator[S3Server]:
    """An S3Mock of Adobe, which takes every put, whatever its conditions."""
    java = shutil.which("java")
    if java is None:
        pytest.skip("Java is not installed; S3Mock needs version 17")
    (jar,) = jars("S3Mock", Path(__file__).resolve().parent / "s3mock" / "pom.xml").glob("*.jar")
    port, tls = free_ports(2)
    server = S3Server(f"http://127.0.0.1:{port}")
    options = [f"--com.adobe.testing.s3mock.httpPort={port}", f"--server.port={tls}", "--server.address=127.0.0.1"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([java, "-jar", jar, *options], cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or server.answers(), (folder / "log").read_text)
        assert process.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        process.kill()
        process.wait()
