"""The TLS certificate of the server, reloaded when its files change or the process gets SIGHUP.

A new certificate and key are first loaded into a separate context and checked. If they are valid, new connections use
them from then on; open connections are not affected. If they are not, the old ones stay in use, and the log says why.
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
"""OpenSSL's verification errors X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""

log = structlog.get_logger("whohas.http")


class ReloadingCertificate:
    """The certificate and private key of the server, in two files that are replaced from time to time.

    OpenSSL calls `sni_callback` of the listener's context at each handshake; the callback switches the connection to
    the context with the newest certificate.

    Args:
        certificate: a PEM file with the certificate and its chain.
        key: a PEM file with the private key, not encrypted.

    Raises:
        InvalidArguments: the files cannot be read or do not fit together; the message says why. A certificate that has
            expired is only logged.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._lock = threading.Lock()
        self._requested = False
        self._last_stamp = self._stamp()
        self._current = self._load()
        # not refused: clients that do not check dates can still connect
        if (fault := _out_of_date(self._current, certificate)) is not None:
            log.error("certificate out of date", reason=f"{certificate} {fault}. Renew it: most clients refuse it.")
        self._listener = self._load()
        # called at each handshake, even if the client sends no server name
        self._listener.sni_callback = self._switch

    def context(self, _config: Any = None, _default: Callable[[], ssl.SSLContext] | None = None) -> ssl.SSLContext:
        """Return the TLS context of the listening socket; has the signature of uvicorn's `ssl_context_factory`."""
        return self._listener

    def request_reload(self) -> None:
        """Let the next `reload_if_changed` reload the files even if they did not change; safe in a signal handler."""
        self._requested = True

    def reload_if_changed(self) -> None:
        """Reload the files if they changed since the last call, or if `request_reload` was called.

        If the new certificate cannot be used, has expired or is not yet valid, that is logged, and the one in use
        stays. Called at regular intervals. A file that failed is tried again only when it changes or a reload is
        requested.
        """
        with self._lock:
            requested, self._requested = self._requested, False
            stamp = self._stamp()
            if stamp == self._last_stamp and not requested:
                return
            self._last_stamp = stamp
            try:
                loaded = self._load()
                if (fault := _out_of_date(loaded, self._certificate)) is not None:
                    raise InvalidArguments(f"{self._certificate} {fault}. Renew it.")
            except InvalidArguments as error:
                log.error("certificate not renewed", reason=f"{error.message} The one from before stays in use.")
                return
            self._current = loaded
            log.info("certificate renewed", certificate=str(self._certificate))

    def _switch(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _stamp(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in (self._certificate, self._key))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            for path, marker, content in (
                (self._certificate, "-----BEGIN CERTIFICATE-----", "certificate"),
                (self._key, "PRIVATE KEY-----", "private key"),
            ):
                text = path.read_text(encoding="latin-1")
                if marker not in text:
                    raise self._unusable(f"{path} holds no {content} in PEM form")
                if content == "private key" and "ENCRYPTED" in text:
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
            "Correct the files, or name others (WHOHAS_TLS_CERTIFICATE, WHOHAS_TLS_KEY)."
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _out_of_date(server: ssl.SSLContext, certificate: Path) -> str | None:
    """Return "has expired" or "is not valid yet" for a certificate that is out of date, else None.

    A client that trusts this certificate and nothing else makes a handshake with the server in memory, in which OpenSSL
    checks the dates.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        client.load_verify_locations(certificate)
        ends = (server.wrap_bio(to_server, to_client, server_side=True), client.wrap_bio(to_client, to_server))
        for number in range(20):
            try:
                ends[(number + 1) % 2].do_handshake()
            except ssl.SSLWantReadError:
                continue
    except ssl.SSLCertVerificationError as error:
        return {_EXPIRED: "has expired", _NOT_YET: "is not valid yet"}.get(error.verify_code)
    except OSError:  # other faults, such as an unknown issuer, depend on the client
        return None
    return None
