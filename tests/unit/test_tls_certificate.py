"""The server's certificate: read again when it changes, and kept where the new one cannot be used."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from structlog.testing import capture_logs

from certificates import HOUR, pair, written
from whohas.api.tls import ReloadingCertificate
from whohas.errors import InvalidArguments


def shown(certificate: ReloadingCertificate, host: str | None = None) -> str:
    """The name in the certificate that a client is shown."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=host),
        certificate.context().wrap_bio(to_server, to_client, server_side=True),
    )
    for number in range(20):
        try:
            ends[number % 2].do_handshake()
        except ssl.SSLWantReadError:
            continue
    der = ends[0].getpeercert(binary_form=True)
    assert der is not None
    return str(x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("host", [None, "whohas.example"])
def test_a_changed_certificate_is_shown_from_the_next_handshake_on(tmp_path: Path, host: str | None) -> None:
    certificate = ReloadingCertificate(*written(tmp_path, pair("first")))
    assert shown(certificate, host) == "first"
    for number in range(3):
        written(tmp_path, pair(f"next {number}"))
        with capture_logs() as log:
            certificate.reload_if_changed()
        assert shown(certificate, host) == f"next {number}"
        assert [line["event"] for line in log] == ["certificate renewed"]


def test_an_unchanged_certificate_is_read_when_asked(tmp_path: Path) -> None:
    certificate = ReloadingCertificate(*written(tmp_path, pair()))
    with capture_logs() as log:
        certificate.reload_if_changed()
        assert not log
        certificate.request_reload()
        certificate.reload_if_changed()
        certificate.reload_if_changed()
    assert [line["event"] for line in log] == ["certificate renewed"]


def wrong(folder: Path) -> dict[str, tuple[Callable[[], object], str]]:
    """What somebody may put there by mistake, and what is said of it."""
    certificate, key = folder / "server.pem", folder / "server.key"
    good, other = pair(), pair("other")

    def put(first: bytes, second: bytes) -> Callable[[], object]:
        return lambda: written(folder, (first, second))

    def put_out_of_date(begins: timedelta, ends: timedelta) -> Callable[[], object]:
        return put(*pair("late", begins, ends))

    middle = len(good[0]) // 2
    return {
        "no certificate": (lambda: certificate.unlink(missing_ok=True), "cannot be read: No such file"),
        "no key": (lambda: (written(folder, good), key.unlink()), "cannot be read: No such file"),
        "an empty certificate": (put(b"", good[1]), "server.pem holds no certificate"),
        "an empty key": (put(good[0], b""), "server.key holds no private key"),
        "texts": (put(b"no", b"no"), "server.pem holds no certificate"),
        "exchanged": (put(good[1], good[0]), "server.pem holds no certificate"),
        "the key of another": (put(good[0], other[1]), "server.key is not the key of the certificate"),
        "half a certificate": (put(good[0][:middle], good[1]), "one of them is damaged"),
        "a damaged certificate": (put(good[0].replace(b"M", b"N"), good[1]), "one of them is damaged"),
        "a damaged key": (put(good[0], good[1].replace(b"G", b"H")), "cannot be used for TLS"),
        "an encrypted key": (put(*pair(password=b"secret")), "server.key is encrypted"),
        "a folder": (lambda: (certificate.unlink(), certificate.mkdir()), "cannot be read: Is a directory"),
    }


@pytest.mark.parametrize("what", list(wrong(Path())))
def test_a_pair_that_cannot_be_used_is_a_sentence(tmp_path: Path, what: str) -> None:
    paths = written(tmp_path, pair())
    put, says = wrong(tmp_path)[what]
    put()
    with pytest.raises(InvalidArguments) as error:
        ReloadingCertificate(*paths)
    assert says in error.value.message
    assert "\n" not in error.value.message and "WHOHAS_TLS_CERTIFICATE" in error.value.message


OUT_OF_DATE = {"has expired": (-2 * HOUR, -HOUR), "is not valid yet": (HOUR, 2 * HOUR)}


@pytest.mark.parametrize("what", [*wrong(Path()), *OUT_OF_DATE])
def test_a_failed_renewal_keeps_the_certificate_and_says_so(tmp_path: Path, what: str) -> None:
    paths = written(tmp_path, pair("first"))
    certificate = ReloadingCertificate(*paths)
    if what in OUT_OF_DATE:
        written(tmp_path, pair("late", *OUT_OF_DATE[what]))
        says = what
    else:
        put, says = wrong(tmp_path)[what]
        put()
    with capture_logs() as log:
        certificate.reload_if_changed()
        certificate.reload_if_changed()  # which has nothing new to say
    assert [line["event"] for line in log] == ["certificate not renewed"]
    assert says in log[0]["reason"] and "The one from before stays in use" in log[0]["reason"]
    assert shown(certificate) == "first"
    if paths[0].is_dir():
        paths[0].rmdir()
    written(tmp_path, pair("repaired"))
    certificate.reload_if_changed()
    assert shown(certificate) == "repaired"


@pytest.mark.parametrize(("says", "times"), OUT_OF_DATE.items())
def test_a_start_with_a_certificate_out_of_date_says_so(
    tmp_path: Path, says: str, times: tuple[timedelta, timedelta]
) -> None:
    with capture_logs() as log:
        certificate = ReloadingCertificate(*written(tmp_path, pair("late", *times)))
    assert [line["log_level"] for line in log] == ["error"]
    assert f"server.pem {says}" in log[0]["reason"]
    assert shown(certificate) == "late", "clients that do not look at dates can call"


def test_certificate_and_key_may_come_one_after_the_other(tmp_path: Path) -> None:
    certificate = ReloadingCertificate(*written(tmp_path, pair("first")))
    second = pair("second")
    (tmp_path / "server.pem").write_bytes(second[0])
    with capture_logs() as log:
        certificate.reload_if_changed()
        assert shown(certificate) == "first"
        (tmp_path / "server.key").write_bytes(second[1])
        certificate.reload_if_changed()
    assert shown(certificate) == "second"
    assert [line["event"] for line in log] == ["certificate not renewed", "certificate renewed"]


def test_a_key_too_weak_for_tls_is_refused(tmp_path: Path) -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it is to be refused
    with pytest.raises(InvalidArguments, match="key too small"):
        ReloadingCertificate(*written(tmp_path, pair(key=small)))
