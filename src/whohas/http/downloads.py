"""A finished file as a response: whole or a part of it, streamed, with what a client needs to verify and resume."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from whohas.errors import NotFound
from whohas.http.errors import PreconditionFailed, RangeNotSatisfiable
from whohas.http.filenames import content_disposition, exact_name
from whohas.http.preconditions import Outcome, Validators, evaluate

CHUNK = 256 * 1024

MEDIA_TYPES = {"pdf": "application/pdf"}


@dataclass(frozen=True, slots=True)
class Download:
    """What is served.

    Attributes:
        media_type: the exact Content-Type.
        sha256: of the file, 64 hex digits; its ETag.
        preferred_name: what the caller wants the file to be called.
        default_name: what it is called otherwise, without an extension.
        extension: without its dot.
        begin: called before the first byte goes out, with the file's name and, for a part, the bytes of it; where it
            raises, none does.
    """

    path: Path
    media_type: str
    sha256: str
    preferred_name: str | None
    default_name: str
    extension: str
    begin: Callable[[str, tuple[int, int] | None], None] = lambda _name, _span: None


def serve(request: Request, download: Download) -> Response:
    """Answer GET and HEAD of a file: 200, 206 for one byte range, 304 where the caller has it, else an error.

    Several ranges at once and malformed ones are answered with the whole file, as RFC 9110 allows (14.2). Conditions
    come first (`whohas.http.preconditions`).

    Raises:
        NotFound: the file is gone.
        PreconditionFailed: it is not the one that the request is about.
        RangeNotSatisfiable: the range begins beyond its end.
    """
    try:
        file = download.path.open("rb")
    except FileNotFoundError:
        raise NotFound("The file of this run has been removed. Start the report again.") from None
    try:
        return _serve(request, download, file)
    except BaseException:
        file.close()
        raise


def _serve(request: Request, download: Download, file: BinaryIO) -> Response:
    facts = os.fstat(file.fileno())
    modified = datetime.fromtimestamp(int(facts.st_mtime), UTC)
    validators = Validators(f'"{download.sha256}"', modified)
    headers = {
        "ETag": validators.etag,
        "Last-Modified": format_datetime(modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    # by hand: FileResponse sends the file again to a client that has it, and knows If-Range alone
    outcome = evaluate(request.method, request.headers, validators)
    if outcome is Outcome.FAILED:
        raise PreconditionFailed(
            f"The file is not the one that If-Match or If-Unmodified-Since names: its ETag is {validators.etag}. "
            "Start the download again without them."
        )
    if outcome is Outcome.UNCHANGED:
        file.close()
        return Response(status_code=304, headers=headers)

    # by hand: the audit event names the bytes, and is written before the first of them goes out
    span = byte_range(_range(request), facts.st_size) if outcome is Outcome.RANGE else None
    name = (download.preferred_name, download.default_name, download.extension)
    headers |= {"Content-Type": download.media_type, "Content-Disposition": content_disposition(*name)}
    if request.method == "GET":
        download.begin(exact_name(*name), span)
    return _OpenFileResponse(file, facts, headers, span)


class _OpenFileResponse(FileResponse):
    """Send a file that is open already, or one range of it.

    FileResponse opens a file by its path after the status is sent: one that retention removes in between would be
    broken off where it could be a 404, and would have an audit event without a byte. The path of the descriptor opens
    the same file, though its name may be gone.
    """

    chunk_size = CHUNK

    def __init__(
        self, file: BinaryIO, facts: os.stat_result, headers: Mapping[str, str], span: tuple[int, int] | None
    ) -> None:
        super().__init__(f"/proc/self/fd/{file.fileno()}", headers=headers, stat_result=facts)
        self._file = file
        self._range = [] if span is None else [(b"range", b"bytes=%d-%d" % (span[0], span[1] - 1))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # FileResponse sees the range that `byte_range` has read, and no other. It would answer a unit that it does not
        # know, or a malformed range, with 400 where RFC 9110 (14.2) says that such a header is ignored, a HEAD with 206
        # where ranges are for GET alone, 416 without the contract's body, and several ranges in parts of a multipart
        # body, a hundred of a few bytes as well, which no client of reports has asked for.
        kept = [pair for pair in scope["headers"] if pair[0] not in (b"range", b"if-range")]
        with self._file:
            await super().__call__({**scope, "headers": [*kept, *self._range]}, receive, send)


def _range(request: Request) -> str:
    # several headers are several ranges
    return ",".join(request.headers.getlist("range"))


_RANGE = r"bytes\s*=\s*([0-9]{0,4000})\s*-\s*([0-9]{0,4000})"
"""One range. Python reads numbers of 4,300 digits at most; a header with a longer one is ignored."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The one range that a header asks for, as start and end (exclusive); None where the whole is to be sent.

    Raises:
        RangeNotSatisfiable: it begins at or beyond `size`, or wants the last 0 bytes.
    """
    match = re.fullmatch(_RANGE, header.strip(), re.IGNORECASE) if header else None
    if match is None or not any(match.groups()):
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is None:
        if last and not size:
            return None  # the last bytes of an empty file are all that it has
        start, end = max(0, size - (last or 0)), size
    else:
        start, end = first, size if last is None else min(last + 1, size)
        if last is not None and last < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(f"The file has {size:,} bytes; the range asked for lies beyond them.", size)
    return start, end
