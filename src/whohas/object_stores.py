"""Addresses of stores (`file://`, `s3://`, `gs://`, `az://`), and object stores as whohas uses them.

::

    WHOHAS_WAREHOUSE_URL=s3://acme-identity/whohas
        StoreAddress("s3", "acme-identity", "whohas")     parse_address: no credentials, no query
            open_store(address)                           obstore, for objects
            delta_options(address)                        delta-rs, for the logs of tables

Credentials, region and endpoint come from the environment or the platform, by the variables that AWS, Google and Azure
define, such as `AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`, `AWS_VIRTUAL_HOSTED_STYLE_REQUEST` and
`AWS_ALLOW_HTTP` (for servers without TLS). An address never contains them, so it may be logged.

`obstore` is imported when a store is opened: an installation on the local disk never loads it. Its threads do not
survive a fork, so a child process must not use a store that its parent has opened.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from whohas import timeouts
from whohas.errors import InvalidArguments, Unavailable

PART_BYTES: Final = 8 << 20
"""The size of the parts in which larger files are uploaded; S3 accepts no parts below 5 MiB."""

_SCHEMES: Final = {"file": "local disk", "s3": "S3", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_SEGMENT = re.compile(r"[A-Za-z0-9!_.*'()+=@-]+")
"""A part of a key between two slashes: the characters that all stores accept unencoded."""
_PROBE: Final = "whohas-probe"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """The address of a folder on the local disk or of a prefix in an object store.

    Attributes:
        scheme: `file`, `s3`, `gs` or `az`.
        bucket: the bucket or container; empty for `file`.
        prefix: the prefix of all keys, without slashes at its ends, may be empty; for `file` the absolute path.
    """

    scheme: str
    bucket: str
    prefix: str

    @property
    def is_local(self) -> bool:
        """Whether it is a folder on the local disk."""
        return self.scheme == "file"

    @property
    def path(self) -> Path:
        """The folder of a local address."""
        assert self.is_local
        return Path(self.prefix)

    def child(self, name: str) -> StoreAddress:
        """Return the address of a folder or prefix in this one."""
        return StoreAddress(self.scheme, self.bucket, f"{self.prefix}/{name}" if self.prefix else name)

    def __str__(self) -> str:
        if self.is_local:
            return self.path.as_uri()
        return f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def parse_address(text: str) -> StoreAddress:
    """Parse the address of a store.

    Args:
        text: such as `s3://bucket/prefix` or `file:///srv/whohas`.

    Raises:
        InvalidArguments: it is malformed, or it contains credentials; the message then does not repeat it.
    """
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _SCHEMES:
        expected = ", ".join(f"{name}://" for name in _SCHEMES)
        raise InvalidArguments(f"An address of a store begins with one of {expected}; this one does not.")
    if "?" in rest or "#" in rest or (scheme != "file" and "@" in rest.partition("/")[0]):
        raise InvalidArguments(
            f"The address of a store ({scheme}://…) has no user, password, query or fragment. Put credentials into "
            "the environment, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and the endpoint into "
            "AWS_ENDPOINT_URL. If a secret was in the address, replace the secret."
        )
    if scheme == "file":
        path = unquote(rest)
        if not path.startswith("/") or "\0" in path or ".." in Path(path).parts:
            raise InvalidArguments(
                f"{text[:200]!r} names no absolute path; write file:///srv/whohas, with three slashes."
            )
        return StoreAddress(scheme, "", str(Path(path)))
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise InvalidArguments(
            f"{text[:200]!r} names no bucket; write {scheme}://BUCKET/PREFIX with the name of a bucket (or container)."
        )
    prefix = prefix.strip("/")
    for segment in prefix.split("/") if prefix else ():
        if not _SEGMENT.fullmatch(segment) or segment in (".", ".."):
            raise InvalidArguments(
                f"The prefix of {text[:200]!r} is wrong at {segment[:60]!r}: use letters, digits, and any of "
                "!_.*'()+=@- between single slashes."
            )
    return StoreAddress(scheme, bucket, prefix)


class StoreFault(StrEnum):
    """The kind of an error of a store."""

    DENIED = "denied"
    """The store knows the caller, who lacks a right."""
    UNKNOWN_KEY = "unknown key"
    """The store does not accept the credentials, or none are set."""
    CLOCK = "clock"
    """The clock of this machine differs too much from that of the store."""
    NO_BUCKET = "no bucket"
    """The bucket or container does not exist."""
    FULL = "full"
    """The store has no space left, or a quota is used up."""
    UNREACHABLE = "unreachable"
    """The store does not answer, or answers that it is overloaded."""
    UNSAFE = "unsafe"
    """The store does not hold conditional puts; see `ObjectStore.probe`."""
    OTHER = "other"


_REMEDIES: Final = {
    StoreFault.DENIED: "Allow these credentials to list, read, write and delete objects under that prefix.",
    StoreFault.UNKNOWN_KEY: "Correct the credentials in the environment (for S3: AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or the role of the machine).",
    StoreFault.CLOCK: "Set the clock of this machine, by NTP for example.",
    StoreFault.NO_BUCKET: "Create the bucket, or correct its name and the endpoint (AWS_ENDPOINT_URL).",
    StoreFault.FULL: "Free space in the store, or raise its quota.",
    StoreFault.UNREACHABLE: "Check the network, the endpoint (AWS_ENDPOINT_URL) and that the store runs.",
    StoreFault.OTHER: "See the log of the store.",
}

_CODES: Final = {
    "NoSuchBucket": StoreFault.NO_BUCKET,
    "ContainerNotFound": StoreFault.NO_BUCKET,
    "AccessDenied": StoreFault.DENIED,
    "AllAccessDisabled": StoreFault.DENIED,
    "AuthorizationFailure": StoreFault.DENIED,
    "AuthorizationPermissionMismatch": StoreFault.DENIED,
    "InvalidAccessKeyId": StoreFault.UNKNOWN_KEY,
    "SignatureDoesNotMatch": StoreFault.UNKNOWN_KEY,
    "InvalidToken": StoreFault.UNKNOWN_KEY,
    "ExpiredToken": StoreFault.UNKNOWN_KEY,
    "InvalidClientTokenId": StoreFault.UNKNOWN_KEY,
    "AuthenticationFailed": StoreFault.UNKNOWN_KEY,
    "XAdminUserNotFound": StoreFault.UNKNOWN_KEY,
    "RequestTimeTooSkewed": StoreFault.CLOCK,
    "InsufficientStorage": StoreFault.FULL,
    "InsufficientCapacity": StoreFault.FULL,
    "QuotaExceeded": StoreFault.FULL,
    "XMinioStorageFull": StoreFault.FULL,
    "SlowDown": StoreFault.UNREACHABLE,
    "ServiceUnavailable": StoreFault.UNREACHABLE,
    "InternalError": StoreFault.UNREACHABLE,
}
"""The faults by the error codes of S3-like stores and of Azure."""

_TEXTS: Final = (
    (re.compile(r"BadScheme|scheme is not (?:http|https)|builder error"), StoreFault.OTHER),
    (re.compile(r"/latest/api/token|/latest/meta-data|metadata\.google|169\.254\.169\.254"), StoreFault.UNKNOWN_KEY),
    (re.compile(r"No space left on device|507 Insufficient|\bEDQUOT\b|[Dd]isk quota"), StoreFault.FULL),
    (
        re.compile(r"error sending request|timed out|[Cc]onnection (?:refused|reset|closed)|50[0234] [A-Z]"),
        StoreFault.UNREACHABLE,
    ),
    (re.compile(r"401 Unauthorized"), StoreFault.UNKNOWN_KEY),
    (re.compile(r"403 Forbidden"), StoreFault.DENIED),
)
"""The faults by texts in messages without a code, in the order in which they are tried."""


class StoreFailed(Unavailable):
    """An error of an object store, with the store's own words and what to do.

    Attributes:
        fault: the kind of the error.
    """

    def __init__(self, message: str, fault: StoreFault = StoreFault.OTHER) -> None:
        super().__init__(message)
        self.fault = fault


class ObjectExists(Exception):
    """A create-only put found an object with that key, or a conditional put found another version."""


@contextmanager
def store_errors(address: StoreAddress, action: str = "be used") -> Generator[None]:
    """Turn errors of obstore and of delta-rs into `StoreFailed`; `FileNotFoundError` for a missing object stays.

    Args:
        address: the store, for the message.
        action: what failed, after "The store … could not", such as "take accounts/1.parquet".

    Raises:
        StoreFailed: the store failed.
        FileNotFoundError: there is no such object.
    """
    try:
        yield
    except (InvalidArguments, Unavailable, ObjectExists):
        raise
    except Exception as error:
        if not _is_store_error(error):
            raise
        text = str(error)
        code = _code(text)
        if isinstance(error, FileNotFoundError) and code not in _CODES:
            raise  # the object is missing; a 404 with one of those codes means the bucket or the user
        raise _store_failed(address, action, text, code) from error


def _is_store_error(error: Exception) -> bool:
    module = type(error).__module__.partition(".")[0]
    if module == "_internal":  # delta-rs: an error of its own, unless it contains one of the store
        return _fault(str(error)) is not StoreFault.OTHER
    return module == "obstore" or isinstance(error, OSError)


def _fault(text: str) -> StoreFault:
    known = _CODES.get(_code(text))
    return known or next((fault for pattern, fault in _TEXTS if pattern.search(text)), StoreFault.OTHER)


def _code(text: str) -> str:
    match = re.search(r"<Code>([A-Za-z0-9._]+)</Code>", text)
    return match[1] if match else ""


def _store_failed(address: StoreAddress, action: str, text: str, code: str) -> StoreFailed:
    fault = _fault(text)
    remedy = _REMEDIES[fault]
    if "BadScheme" in text or "scheme is not https" in text:
        remedy = "Set AWS_ALLOW_HTTP=true if the server has no TLS, or write https:// in AWS_ENDPOINT_URL."
    message = re.search(r"<Message>([^<]{1,300})</Message>", text)
    if code:
        words = f"{code}: {message[1]}" if message else code
    else:
        # obstore appends the debug output of its internals, and delta-rs draws a tree in colors
        plain = _DRAWN.sub(": ", text.partition("Debug source:")[0])
        words = " ".join(plain.split())[:400] or "no reason given"
    return StoreFailed(f"The store {address} could not {action}: {words.rstrip('. ')}. {remedy}", fault)


_DRAWN: Final = re.compile(r"\s*\x1b\[[0-9;]*m\u21b3\x1b\[[0-9;]*m\s*")
"""An arrow in the errors of delta-rs, with the escapes that color it."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a store.

    Attributes:
        key: its key, relative to the prefix of the address.
        bytes: its size.
        modified: when it was last written, by the clock of the store.
        e_tag: the tag of its version; empty if the store gives none.
    """

    key: str
    bytes: int
    modified: datetime
    e_tag: str


def delta_options(address: StoreAddress) -> dict[str, str]:
    """Return the options with which delta-rs opens a table below an address; empty for the local disk.

    They set limits of time only: delta-rs takes credentials, region and endpoint from the environment itself.
    """
    if address.is_local:
        return {}
    return {
        "timeout": f"{timeouts.STORE_REQUEST_SECONDS}s",
        "connect_timeout": f"{timeouts.STORE_CONNECT_SECONDS}s",
        "max_retries": str(_RETRIES),
        "retry_timeout": f"{timeouts.STORE_RETRY_SECONDS}s",
        "allow_http": str(_allows_http()).lower(),
    }


_RETRIES: Final = 5


def _allows_http() -> bool:
    # the options of the client replace what the libraries would read from the environment, so it is read here
    return any(os.environ.get(f"{cloud}_ALLOW_HTTP", "").lower() in ("true", "1", "yes") for cloud in ("AWS", "AZURE"))


def open_store(address: StoreAddress) -> ObjectStore:
    """Return the object store at an address that is not local. No request is made.

    Raises:
        StoreFailed: the settings in the environment are contradictory or incomplete.
    """
    from obstore.store import AzureStore, GCSStore, S3Store

    with store_errors(address, "be opened"):
        options: dict[str, Any] = {
            "prefix": address.prefix or None,
            "client_options": {
                "timeout": timedelta(seconds=timeouts.STORE_REQUEST_SECONDS),
                "connect_timeout": timedelta(seconds=timeouts.STORE_CONNECT_SECONDS),
                "allow_http": _allows_http(),
            },
            "retry_config": {
                "max_retries": _RETRIES,
                "retry_timeout": timedelta(seconds=timeouts.STORE_RETRY_SECONDS),
            },
        }
        kinds: dict[str, Any] = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
        return ObjectStore(address, kinds[address.scheme](address.bucket, **options))


class ObjectStore:
    """An object store, for any number of threads. Every method raises `StoreFailed` where the store fails.

    Attributes:
        address: its address.
        raw: the store of `obstore`, for operations that this class lacks; wrap its use in `store_errors`.
    """

    def __init__(self, address: StoreAddress, raw: Any) -> None:
        self.address = address
        self.raw = raw

    def read(self, key: str) -> bytes:
        """Return the content of an object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        import obstore

        with store_errors(self.address, f"give {key}"):
            return bytes(obstore.get(self.raw, key).bytes())

    def head(self, key: str) -> StoredObject:
        """Return the size and version of an object.

        Raises:
            FileNotFoundError: there is no such object.
        """
        import obstore

        with store_errors(self.address, f"give {key}"):
            return _stored_object(obstore.head(self.raw, key))

    def write(self, key: str, content: bytes) -> None:
        """Write an object, replacing any that is there."""
        import obstore

        with store_errors(self.address, f"take {key}"):
            obstore.put(self.raw, key, content)

    def create(self, key: str, content: bytes) -> None:
        """Write an object unless there is one with this key.

        A request that is repeated because its answer was lost may find the object that it wrote itself: compare the
        content where that matters.

        Raises:
            ObjectExists: there is one already.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with store_errors(self.address, f"take {key}"):
            try:
                obstore.put(self.raw, key, content, mode="create")
            except (AlreadyExistsError, PreconditionError) as error:
                raise ObjectExists(key) from error

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Return a part of an object; fewer bytes where the object ends before.

        Raises:
            FileNotFoundError: there is no such object.
        """
        import obstore

        with store_errors(self.address, f"give {key}"):
            return bytes(obstore.get_range(self.raw, key, start=start, length=length))

    def upload(self, path: Path, key: str) -> None:
        """Upload a file, in parts if it is large. The object appears once all of it has arrived."""
        import obstore

        with store_errors(self.address, f"take {key}"):
            obstore.put(self.raw, key, path, chunk_size=PART_BYTES, max_concurrency=4)

    def list(self, prefix: str = "", after: str | None = None) -> Iterator[StoredObject]:
        """Yield the objects whose keys are below a prefix, in the order of the keys, also of nested ones.

        Args:
            prefix: without a slash at its end; it matches whole parts of keys only.
            after: yield only keys that are greater than this one; None for all.
        """
        import obstore

        with store_errors(self.address, f"list {prefix or 'its objects'}"):
            for chunk in obstore.list(self.raw, prefix or None, offset=after):
                for meta in chunk:
                    yield _stored_object(meta)

    def delete(self, *keys: str) -> None:
        """Delete objects; those that are not there are passed over."""
        import obstore

        for key in keys:  # one by one: not every store has the request that deletes several
            with suppress(FileNotFoundError), store_errors(self.address, f"delete {key}"):
                obstore.delete(self.raw, key)

    def probe(self) -> None:
        """Check that the store can be written to, and that it holds conditional puts.

        Two writers that both believe to have created version 5 of a table lose the rows of one of them, without an
        error. So a create-only object is put twice, and the store is refused if it takes the second. Call it at the
        start of each process that writes: a store may be replaced or reconfigured at any time.

        Raises:
            StoreFailed: it takes the second put (`StoreFault.UNSAFE`), or cannot be written to.
        """
        key = f"{_PROBE}/{secrets.token_hex(16)}"
        self.create(key, b"whohas: the first put of a create-only object")
        try:
            self.create(key, b"whohas: the second put, which must be refused")
        except ObjectExists:
            return
        finally:
            self.delete(key)
        raise StoreFailed(
            f"The store {self.address} does not hold conditional puts: it took an object with `If-None-Match: *` "
            "although the object was there. Loads that run at the same time would lose rows without an error, so "
            "whohas does not use it. Use a store that holds them (Amazon S3, Google Cloud Storage, Azure Blob "
            "Storage, VersityGW), update this one, or remove a proxy that drops the header.",
            StoreFault.UNSAFE,
        )


def _stored_object(meta: Any) -> StoredObject:
    return StoredObject(meta["path"], meta["size"], meta["last_modified"], meta["e_tag"] or "")
