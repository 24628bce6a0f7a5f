"""Files that are being downloaded: resumed where the connection broke, verified, and only then published."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
import stat
import tempfile
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import unquote

import httpx2

from whohas_client.errors import DamagedDownload, InvalidArguments, Unavailable

_LONGEST_NAME = 180
"""Bytes of the final name that the temporary name repeats; most file systems allow names of 255 bytes."""


@dataclass(frozen=True, slots=True)
class FileHead:
    """What the headers of a response say about the whole file.

    Attributes:
        size: its size in bytes; None if unknown.
        sha256: 64 hex digits; None if unknown.
        etag: its strong entity tag, with which a download can be resumed; None if it has none.
        name: the file name that the server suggests.
        is_zip: whether the file is a zip.
    """

    size: int | None
    sha256: str | None
    etag: str | None
    name: str
    is_zip: bool

    @staticmethod
    def of(response: httpx2.Response) -> FileHead:
        """Read the headers of a response with status 200."""
        headers = response.headers
        # the length of an encoded body is not that of the file, and it cannot be resumed
        encoded = headers.get("content-encoding", "identity") != "identity"
        length = headers.get("content-length", "")
        etag = headers.get("etag", "")
        return FileHead(
            size=int(length) if length.isdecimal() and not encoded else None,
            sha256=_redirected_sha256(response) or _sha256(etag, headers.get("repr-digest", "")),
            etag=etag if etag.startswith('"') and not encoded else None,
            name=_name(headers.get("content-disposition", "")),
            is_zip=headers.get("content-type", "").partition(";")[0].strip().lower() == "application/zip",
        )

    def continues(self, response: httpx2.Response, offset: int) -> bool:
        """Return whether a response with status 206 is the rest of this file, from an offset on."""
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("content-range", ""))
        if match is None or int(match[1]) != offset:
            return False
        is_same_size = self.size is None or match[3] == "*" or int(match[3]) == self.size
        return is_same_size and response.headers.get("etag", self.etag) == self.etag


def _redirected_sha256(response: httpx2.Response) -> str | None:
    """Return the SHA-256 of a file that a server redirected to an object store, which does not know it itself."""
    for redirect in response.history:
        if match := re.fullmatch("[0-9a-f]{64}", redirect.headers.get("x-whohas-sha256", "")):
            return match[0]
    return None


def _sha256(etag: str, digest: str) -> str | None:
    """Return the SHA-256 of a file in hex digits, from `Repr-Digest` (RFC 9530) or an entity tag of 64 hex digits."""
    if match := re.search(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):", digest):
        return base64.b64decode(match[1]).hex()
    match = re.fullmatch('"([0-9a-f]{64})"', etag)
    return match[1] if match else None


def _name(disposition: str) -> str:
    exact = re.search(r"filename\*=UTF-8''([^;\s]+)", disposition, re.IGNORECASE)
    plain = re.search(r'filename="(.+?)"', disposition)
    name = unquote(exact[1]) if exact else plain[1] if plain else ""
    # remove folders from the suggested name, so that a server cannot make the client write elsewhere
    return re.sub(r"[/\\\x00-\x1f]", "_", name).lstrip(".") or "report"


class PartialFile:
    """A file that is being downloaded, in a temporary file without a name. As a context manager it is removed."""

    def __init__(self) -> None:
        self.file: IO[bytes] = self._open()
        self.length = 0
        self._hash = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.discard()

    def _open(self) -> IO[bytes]:
        return tempfile.TemporaryFile()

    @property
    def place(self) -> str:
        """The name of the file in messages."""
        return f"A temporary file in {tempfile.gettempdir()}"

    def write(self, chunk: bytes) -> None:
        """Append a chunk.

        Raises:
            Unavailable: the disk is full or fails.
        """
        try:
            self.file.write(chunk)
        except OSError as error:
            raise self.not_writable(error) from error
        self._hash.update(chunk)
        self.length += len(chunk)

    def restart(self) -> None:
        """Throw the content away.

        Raises:
            Unavailable: the disk fails.
        """
        try:
            self.file.seek(0)
            self.file.truncate()
        except OSError as error:
            raise self.not_writable(error) from error
        self.length, self._hash = 0, hashlib.sha256()

    def verify(self, head: FileHead) -> None:
        """Compare the content with what the server announced.

        Raises:
            DamagedDownload: its length or its SHA-256 is another.
            Unavailable: the disk is full or fails.
        """
        if head.size is not None and head.size != self.length:
            raise DamagedDownload(f"The download has {self.length:,} bytes, not {head.size:,} as announced. Repeat it.")
        if head.sha256 is not None and head.sha256 != self._hash.hexdigest():
            raise DamagedDownload(
                "The download was damaged: its SHA-256 is not the one that the server sent. Repeat it."
            )
        try:
            self.file.flush()
            self.file.seek(0)
        except OSError as error:
            raise self.not_writable(error) from error

    def discard(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):  # closing flushes, which may fail; the content is thrown away anyhow
            self.file.close()

    def not_writable(self, error: OSError) -> Unavailable:
        """Return the error for a file that cannot be written."""
        return Unavailable(f"{self.place} cannot be written: {error.strerror}.")


class Draft(PartialFile):
    """A file that is being downloaded next to its final path, to which `publish` renames it in one step.

    Args:
        folder: the folder of the final path.
        name: the name of the final path, or a part of it.

    Raises:
        InvalidArguments: no file can be created there.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._final = folder / name
        short = os.fsencode(name)[:_LONGEST_NAME].decode(errors="ignore")
        self.path = folder / f".{short}.{secrets.token_hex(4)}.part"
        super().__init__()

    def _open(self) -> IO[bytes]:
        try:
            # data on people: nobody else may read it
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            return os.fdopen(descriptor, "w+b")
        except OSError as error:
            raise InvalidArguments(f"{self._final} cannot be written: {error.strerror}.") from error

    @property
    def place(self) -> str:
        return str(self._final)

    def publish(self, path: Path) -> Path:
        """Rename the file to its final path, replacing an existing file, and return that path.

        Only its owner can read a new file; a file that replaces another one gets the permissions of that one.

        Raises:
            Unavailable: the path is a folder, or the disk is full or fails.
        """
        self._final = path
        try:
            self.file.close()
            with suppress(FileNotFoundError):
                self.path.chmod(stat.S_IMODE(path.stat().st_mode))  # a file that is replaced keeps its permissions
            # not synced to disk: that takes long for a large file, and a download can be repeated
            self.path.replace(path)
        except OSError as error:
            raise self.not_writable(error) from error
        return path

    def discard(self) -> None:
        super().discard()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def open_zip(file: IO[bytes]) -> zipfile.ZipFile:
    """Open a downloaded zip, after a check of all its files.

    Raises:
        DamagedDownload: it is no zip, or a file in it does not fit its checksum.
    """
    try:
        archive = zipfile.ZipFile(file)
        damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error) as error:
        raise DamagedDownload(f"The download is no zip that can be read: {error}. Repeat it.") from error
    if damaged is not None:
        raise DamagedDownload(f"The file {damaged} in the downloaded zip is damaged. Repeat the download.")
    return archive
