"""Azurite, the emulator of Azure Blob Storage, for tests."""

from __future__ import annotations

import hmac
import shutil
import socket
import subprocess
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import pytest

import asking
from patience import PATIENCE_SECONDS, until
from ports import free_ports

AZURITE = "azurite@3.35.0"
_CACHE = Path(__file__).resolve().parent.parent / ".cache"
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account and the key that every Azurite has."""


@dataclass(frozen=True)
class AzureServer:
    """An Azurite, the emulator of Azure Blob Storage, on the loopback address.

    Attributes:
        endpoint: its URL, with the name of the account.
    """

    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which whohas, obstore and delta-rs find it."""
        return {
            "AZURE_ENDPOINT": self.endpoint,
            "AZURE_ALLOW_HTTP": "true",
            "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
        }

    def new_container(self) -> str:
        """Make a container, and return its name."""
        name, date = f"tests-{uuid.uuid4().hex[:16]}", formatdate(usegmt=True)
        headers = {"x-ms-date": date, "x-ms-version": "2021-08-06"}
        signed = "PUT" + 12 * "\n" + "".join(f"{key}:{value}\n" for key, value in headers.items())
        signed += f"/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
        signature = b64encode(hmac.digest(b64decode(_KEY), signed.encode(), "sha256")).decode()
        headers["Authorization"] = f"SharedKey {_ACCOUNT}:{signature}"
        asking.request("PUT", f"{self.endpoint}/{name}?restype=container", headers=headers).raise_for_status()
        return name


def azurite_program() -> Path:
    """The program of Azurite, installed by npm if it is not there yet."""
    program = _CACHE / "azurite" / "node_modules" / ".bin" / "azurite-blob"
    if not program.is_file():
        if shutil.which("npm") is None:
            pytest.skip("npm is not installed; it installs Azurite")
        (_CACHE / "azurite").mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", _CACHE / "azurite", AZURITE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=6 * PATIENCE_SECONDS)
        if done.returncode:
            pytest.skip(f"Azurite cannot be installed: {done.stderr[-300:]}")
    return program


@contextmanager
def azurite(folder: Path) -> Iterator[AzureServer]:
    """An Azurite that keeps its objects in a folder."""
    port = free_ports(1)[0]
    command = [azurite_program(), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", folder]
    with (folder / "log").open("ab") as log:
        # newer versions of the protocol, which clients may speak, are accepted as well
        process = subprocess.Popen([*command, "--silent", "--skipApiVersionCheck"], stdout=log, stderr=log)
    try:
        until(lambda: process.poll() is not None or _listens(port), (folder / "log").read_text)
        assert process.poll() is None, (folder / "log").read_text()
        yield AzureServer(f"http://127.0.0.1:{port}/{_ACCOUNT}")
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0
