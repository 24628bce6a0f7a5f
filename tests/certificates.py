"""Certificates for tests: for 127.0.0.1, by themselves, valid for as long as asked."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOUR = datetime.timedelta(hours=1)


def pair(
    name: str = "whohas test",
    begins: datetime.timedelta = -HOUR,
    ends: datetime.timedelta = HOUR,
    password: bytes | None = None,
    key: Any = None,
) -> tuple[bytes, bytes]:
    """A certificate and its key as PEM; times are counted from now."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return signed.public_bytes(serialization.Encoding.PEM), pem


def written(folder: Path, made: tuple[bytes, bytes]) -> tuple[Path, Path]:
    """Both as files, each put into its place by a rename, as tools that renew certificates do."""
    paths = folder / "server.pem", folder / "server.key"
    for path, content in zip(paths, made, strict=True):
        draft = path.with_name(f"{path.name}.new")
        draft.write_bytes(content)
        draft.rename(path)
    return paths
