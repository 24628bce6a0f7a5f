"""A real Keycloak for tests: from Maven Central, on a loopback port, with a realm `staff`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

import asking
from maven import distribution
from patience import PATIENCE_SECONDS, until
from ports import free_ports

ARTIFACT = "org.keycloak:keycloak-quarkus-dist:26.7.3:tar.gz"
REALM = "staff"
ADMIN, ADMIN_PASSWORD = "admin", "the first administrator's"
PASSWORD = "correct horse battery"
"""The password of all users."""
_OLDEST_JAVA = 17


@dataclass
class Keycloak:
    """A Keycloak that can be stopped and started again, always on the same port; what it knows is kept in its folder."""

    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return f"{self.url}/realms/{REALM}"

    @property
    def environment(self) -> dict[str, str]:
        """What its programs need to know; `kcadm.sh` is on the path, and keeps its sign-in in the folder."""
        return {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
            "KC_BOOTSTRAP_ADMIN_PASSWORD": ADMIN_PASSWORD,
            "KC_CLI_PASSWORD": ADMIN_PASSWORD,
            **_java_variables(),
        }

    def start(self) -> None:
        """Start it, and return when it answers."""
        address = [
            "--http-enabled=true",
            "--hostname-strict=false",
            "--http-host=127.0.0.1",
            f"--http-port={self.port}",
        ]
        command = ["sh", str(self.folder / "bin" / "kc.sh"), "start", "--optimized", *address]
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, env=self.environment, stdout=output, stderr=output)
        until(lambda: self._answers() or self._process is None or self._process.poll() is not None, log.read_text)
        assert self._process.poll() is None, log.read_text()[-2000:]

    def _answers(self) -> bool:
        try:
            return asking.get(f"{self.url}/realms/master").status_code == 200
        except httpx2.TransportError:
            return False

    def stop(self) -> None:
        """SIGTERM, as an operator would."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)

    def admin(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """A call of its admin API; `path` is that below `/admin/realms`."""
        form = {"grant_type": "password", "client_id": "admin-cli", "username": ADMIN, "password": ADMIN_PASSWORD}
        token = asking.post(f"{self.url}/realms/master/protocol/openid-connect/token", data=form)
        headers = {"Authorization": f"Bearer {token.raise_for_status().json()['access_token']}"}
        address = f"{self.url}/admin/realms{path}"
        response = asking.request(method, address, headers=headers, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response

    def find(self, kind: str, name: str) -> dict[str, Any]:
        """The user, client or group of a name; `kind` as the admin API has it: `users`."""
        key = {"users": "username", "clients": "clientId", "groups": "name"}[kind]
        return next(one for one in self.admin("GET", f"/{REALM}/{kind}").json() if one[key] == name)

    def change(self, kind: str, name: str, **changes: object) -> None:
        """Change fields of a user or a client."""
        found = self.find(kind, name)
        self.admin("PUT", f"/{REALM}/{kind}/{found['id']}", {**found, **changes})

    def add_client(self, client_id: str, **fields: object) -> None:
        """Create a client; it is public unless the fields say otherwise."""
        self.admin("POST", f"/{REALM}/clients", {"clientId": client_id, "publicClient": True, **fields})

    def add_user(self, name: str, groups: Sequence[str] = ()) -> None:
        """Create a user with `PASSWORD`, and a profile that leaves nothing to ask for at the first sign-in."""
        profile = {"firstName": name.title(), "lastName": "Example", "email": f"{name}@acme.example"}
        password = {"type": "password", "value": PASSWORD, "temporary": False}
        user = {"username": name, "enabled": True, **profile, "credentials": [password]}
        self.admin("POST", f"/{REALM}/users", user)
        for group in groups:
            self.join(self.find("users", name)["id"], group)

    def add_group(self, name: str, **attributes: list[str]) -> None:
        """Create a group."""
        self.admin("POST", f"/{REALM}/groups", {"name": name, "attributes": attributes})

    def join(self, user_id: str, group: str) -> None:
        """Put a user into a group."""
        self.admin("PUT", f"/{REALM}/users/{user_id}/groups/{self.find('groups', group)['id']}")

    def token(self, **form: str) -> str:
        """The access token that its realm gives for a form."""
        answer = asking.post(f"{self.issuer}/protocol/openid-connect/token", data=form)
        return answer.raise_for_status().json()["access_token"]


@contextmanager
def keycloak(folder: Path) -> Generator[Keycloak]:
    """A Keycloak with an empty realm, started; it ends with the context."""
    _check_java()
    (unpacked,) = distribution(ARTIFACT, _build).glob("keycloak-*")

    def copy(source: str, target: str) -> None:
        # most of the folder, which is only read
        (os.symlink if f"{unpacked}/lib/lib/" in source else shutil.copy2)(source, target)

    shutil.copytree(unpacked, folder, copy_function=copy, dirs_exist_ok=True)
    running = Keycloak(folder)
    try:
        running.start()
        running.admin("POST", "", {"realm": REALM, "enabled": True})
        yield running
    finally:
        running.stop()


def _build(distribution: Path) -> None:
    """Prepare a distribution for its database, a file, which takes most of the time of its first start."""
    (unpacked,) = distribution.glob("keycloak-*")
    command = ["sh", unpacked / "bin" / "kc.sh", "build", "--db=dev-file", "--cache=local"]
    variables = {"PATH": os.environ["PATH"], **_java_variables()}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def _java_variables() -> dict[str, str]:
    """What its programs are told of Java: a short-lived server gains nothing from the slower compiler."""
    home = {"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}
    return {**home, "JAVA_OPTS_APPEND": "-XX:TieredStopAtLevel=1"}


def _check_java() -> None:
    """Skip the test where there is no Java or one that is too old; Keycloak takes that of JAVA_HOME first, as here."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None:
        pytest.skip(f"java is not installed; Keycloak needs a JDK {_OLDEST_JAVA} or later")
    told = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True).stderr
    (version,) = re.findall(r"java\.specification\.version = (\S+)", told)
    if float(version) < _OLDEST_JAVA:
        pytest.skip(f"java is {version}; Keycloak needs a JDK {_OLDEST_JAVA} or later")
