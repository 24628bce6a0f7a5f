"""HTTPS by settings, and whom the server believes about where a call comes from."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import asking
from patience import PATIENCE_SECONDS
from support import environment, serving
from whohas.auth.throttle import MAX_WRONG


def certificate(folder: Path) -> dict[str, str]:
    """A certificate for 127.0.0.1 and its key, as settings."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "whohas test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.key").write_bytes(pem)
    return {"WHOHAS_TLS_CERTIFICATE": str(folder / "server.pem"), "WHOHAS_TLS_KEY": str(folder / "server.key")}


def test_the_server_speaks_https_where_it_has_a_certificate(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = certificate(tmp_path)
    trusted = ssl.create_default_context(cafile=settings["WHOHAS_TLS_CERTIFICATE"])
    monkeypatch.setenv("SSL_CERT_FILE", settings["WHOHAS_TLS_CERTIFICATE"])  # for the fixture, which asks for health
    with serving(home, **settings) as server:
        assert server.url.startswith("https://127.0.0.1:")
        answer = asking.get(f"{server.url}/healthz", verify=trusted)
        assert answer.status_code == 200
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        with pytest.raises(httpx2.TransportError):
            asking.get(server.url.replace("https", "http") + "/healthz")


@pytest.mark.parametrize("content", ["", "no certificate"])
def test_a_certificate_that_is_none_is_a_clear_error(home: Path, tmp_path: Path, content: str) -> None:
    settings = certificate(tmp_path)
    Path(settings["WHOHAS_TLS_CERTIFICATE"]).write_text(content)
    done = serve(home, **settings)
    assert (done.returncode, "cannot be used for TLS" in done.stderr) == (1, True), done.stderr


def test_half_of_the_settings_of_tls_is_a_clear_error(home: Path, tmp_path: Path) -> None:
    done = serve(home, WHOHAS_TLS_KEY=certificate(tmp_path)["WHOHAS_TLS_KEY"])
    assert (done.returncode, "needed together" in done.stderr) == (1, True), done.stderr


def serve(home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "whohas", "serve", "--port", "0"]
    return subprocess.run(
        command, env=environment(home, **settings), capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )


@pytest.mark.parametrize("proxies", ["", "127.0.0.1"])
def test_only_trusted_proxies_may_forward_addresses(home: Path, proxies: str) -> None:
    with serving(home, WHOHAS_TRUSTED_PROXIES=proxies) as server:
        statuses = [
            asking.post(
                f"{server.url}/oauth/token",
                data={"grant_type": "client_credentials", "client_id": "f" * 32, "client_secret": f"x{number}"},
                headers={"X-Forwarded-For": f"10.0.0.{number}"},
            ).status_code
            for number in range(MAX_WRONG + 1)
        ]
    last = 401 if proxies else 429
    assert statuses == [401] * MAX_WRONG + [last]
