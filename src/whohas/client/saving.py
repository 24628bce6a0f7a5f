"""A download on its way to disk: a `.part` file that gets its name only when it is whole and as it was sent."""

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


class PartFile:
    """Receives the bytes of a response; `finish` makes them the file. As a context it leaves no part behind.

    Args:
        to: the file, or a folder, in which the file gets the name that the server gives it.

    Raises:
        InvalidArguments: the part cannot be made there.
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

    def __enter__(self) -> PartFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._draft.discard()

    def write(self, chunk: bytes) -> None:
        """Takes the next bytes.

        Raises:
            Unavailable: the disk does not take them.
        """
        try:
            self._draft.write(chunk)
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be written: {error.strerror}.") from error
        self._hash.update(chunk)
        self._length += len(chunk)

    def finish(self) -> Path:
        """Verifies length and hash, as far as the server told them, and gives the file its name.

        Raises:
            Unavailable: they differ: the download was cut short or damaged; or the disk is full.
        """
        announced = self._headers.get("content-length", "")
        encoded = self._headers.get("content-encoding", "identity") != "identity"
        if announced.isdecimal() and not encoded and int(announced) != self._length:
            raise Unavailable(f"The download was cut short: {self._length:,} of {int(announced):,} bytes. Repeat it.")
        etag = re.fullmatch('"([0-9a-f]{64})"', self._headers.get("etag", ""))
        if etag and etag[1] != self._hash.hexdigest():
            raise Unavailable("The download was damaged: its SHA-256 is not the one that the server told. Repeat it.")
        try:
            # not synced: a download can be repeated, and a long one is not waited for twice
            self._draft.publish(sync=False)
        except OSError as error:
            raise Unavailable(f"{self.path} cannot be written: {error.strerror}.") from error
        return self.path


def _name(response: httpx2.Response) -> str:
    header = response.headers.get("content-disposition", "")
    exact = re.search(r"filename\*=UTF-8''([^;\s]+)", header, re.IGNORECASE)
    plain = re.search(r'filename="(.+?)"', header)
    name = unquote(exact[1]) if exact else plain[1] if plain else ""
    # a server is believed about the name, not about the folder
    return re.sub(r"[/\\\x00-\x1f]", "_", name).lstrip(".") or "report"
