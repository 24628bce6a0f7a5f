"""The certificate of the server, which is read again when its files change or the process gets SIGHUP.

A new pair is loaded and tried by itself first. Only then do new connections get it, all of it at once; those that are
open stay as they are. One that cannot be used changes nothing, and the log says why.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from whohas.errors import InvalidArguments

_NOT_YET, _EXPIRED = 9, 10
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""

log = structlog.get_logger("whohas.http")


class Certificate:
    """A certificate and its key, as two files that somebody replaces from time to time.

    Args:
        certificate: a PEM file with the certificate and its chain.
        key: a PEM file with its private key.

    Raises:
        InvalidArguments: they cannot be used; the message says why.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._lock = threading.Lock()
        self._asked = False
        self._seen = self._stamp()
        self._now = self._load()
        if (fault := _out_of_date(self._now, certificate)) is not None:  # who does not look at dates can still call
            log.error("certificate out of date", reason=f"{certificate} {fault}. Renew it: most clients refuse it.")
        self._outer = self._load()
        # OpenSSL asks for a context at each handshake, whether the client names a host or not
        self._outer.sni_callback = self._switch

    def context(self, _config: Any = None, _default: Callable[[], ssl.SSLContext] | None = None) -> ssl.SSLContext:
        """Return the context of the listener; each handshake gets the newest certificate. A factory for uvicorn."""
        return self._outer

    def ask(self) -> None:
        """Have the files read at the next look, changed or not. Safe in a signal handler."""
        self._asked = True

    def look(self) -> None:
        """Read the files again if they changed, or if that was asked for."""
        with self._lock:
            asked, self._asked = self._asked, False
            stamp = self._stamp()
            if stamp == self._seen and not asked:
                return
            self._seen = stamp
            try:
                loaded = self._load()
                if (fault := _out_of_date(loaded, self._certificate)) is not None:
                    raise InvalidArguments(f"{self._certificate} {fault}.")
            except InvalidArguments as error:
                log.error("certificate not renewed", reason=f"{error.message} The one from before stays in use.")
                return
            self._now = loaded
            log.info("certificate renewed", certificate=str(self._certificate))

    def _switch(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._now

    def _stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._certificate, self._key))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            for path, mark, what in (
                (self._certificate, "-----BEGIN CERTIFICATE-----", "certificate"),
                (self._key, "PRIVATE KEY-----", "private key"),
            ):
                text = path.read_text(encoding="latin-1")
                if mark not in text:
                    raise self._unusable(f"{path} holds no {what} in PEM form")
                if what == "private key" and "ENCRYPTED" in text:
                    raise self._unusable(f"{path} is encrypted, and nobody is there to enter its password")
            context.load_cert_chain(self._certificate, self._key, password=lambda: "")
        except OSError as error:  # SSLError is one
            raise self._unusable(self._why(error)) from None
        return context

    def _why(self, error: OSError) -> str:
        if not isinstance(error, ssl.SSLError):
            return f"{error.filename or 'a file'} cannot be read: {error.strerror}"
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{self._key} is not the key of the certificate"
        if not error.reason or "PEM" in str(error):
            return "one of them is damaged"
        return error.reason.lower().replace("_", " ")

    def _unusable(self, why: str) -> InvalidArguments:
        return InvalidArguments(
            f"{self._certificate} and {self._key} cannot be used for TLS: {why}. "
            "See WHOHAS_TLS_CERTIFICATE and WHOHAS_TLS_KEY."
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _out_of_date(server: ssl.SSLContext, certificate: Path) -> str | None:
    """Say whether a certificate is expired or not yet valid, by a handshake in memory that trusts nothing else."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    ours, theirs = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client.load_verify_locations(certificate)
        ends = (server.wrap_bio(ours, theirs, server_side=True), client.wrap_bio(theirs, ours))
        for number in range(20):
            try:
                ends[(number + 1) % 2].do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        return {_EXPIRED: "has expired", _NOT_YET: "is not valid yet"}.get(error.verify_code)
    except OSError:  # what else clients may dislike is for them to say
        return None
    return None
