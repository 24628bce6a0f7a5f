"""Saving of downloads: written to a `.part` file, verified, and only then renamed to the final path."""

from __future__ import annotations

import hashlib
import re
from os import PathLike
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote

import httpx2

# needs the standard library alone: the client stays installable without the server
from whohas.atomic import Draft
from whohas.errors import InvalidArguments, Unavailable

CHUNK = 256 * 1024


class Download:
    """A download in progress: call `write` for each chunk, then `finish`.

    As a context manager it removes the incomplete file.

    Args:
        response: its headers are read, not its body.
        to: the path of the file, or an existing folder, in which the file gets the name that the server suggests.

    Raises:
        InvalidArguments: no file can be created there.
    """

    def __init__(self, response: httpx2.Response, to: str | PathLike[str]) -> None:
        to = Path(to)
        self.path = to / _name(response) if to.is_dir() else to
        self._hash = hashlib.sha256()
        self._length = 0
        self._headers = response.headers
        try:
            self._draft = Draft(self.path)
        except OSError as error:
            raise InvalidArguments(f"{self.path} cannot be written: {error.strerror}.") from error

    def __enter__(self) -> Download:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._draft.discard()

    def write(self, chunk: bytes) -> None:
        """Append a chunk to the file, and add it to the hash.

        Raises:
            Unavailable: the disk is full or fails.
        """
        try:
            self._draft.write(chunk)
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be written: {error.strerror}.") from error
        self._hash.update(chunk)
        self._length += len(chunk)

    def finish(self) -> Path:
        """Verify the length and the SHA-256 that the server sent, if any, and rename the file to its final path.

        Return that path.

        Raises:
            Unavailable: length or hash differ, that is, the download was cut short or damaged; or the disk is full.
        """
        announced = self._headers.get("content-length", "")
        encoded = self._headers.get("content-encoding", "identity") != "identity"
        if announced.isdecimal() and not encoded and int(announced) != self._length:
            raise Unavailable(f"The download was cut short: {self._length:,} of {int(announced):,} bytes. Repeat it.")
        etag = re.fullmatch('"([0-9a-f]{64})"', self._headers.get("etag", ""))
        if etag and etag[1] != self._hash.hexdigest():
            raise Unavailable("The download was damaged: its SHA-256 is not the one that the server sent. Repeat it.")
        try:
            # not synced to disk: that takes long for a large file, and a download can be repeated
            self._draft.publish(sync=False)
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be written: {error.strerror}.") from error
        return self.path


def _name(response: httpx2.Response) -> str:
    header = response.headers.get("content-disposition", "")
    exact = re.search(r"filename\*=UTF-8''([^;\s]+)", header, re.IGNORECASE)
    plain = re.search(r'filename="(.+?)"', header)
    name = unquote(exact[1]) if exact else plain[1] if plain else ""
    # remove folders from the suggested name, so that a server cannot make the client write outside `to`
    return re.sub(r"[/\\\x00-\x1f]", "_", name).lstrip(".") or "report"
