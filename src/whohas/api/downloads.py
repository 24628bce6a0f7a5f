"""Downloads: streams a finished file or a byte range of it, with the headers to verify, cache and resume it."""

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

from whohas.api.errors import PreconditionFailed, RangeNotSatisfiable
from whohas.api.filenames import content_disposition, unicode_file_name
from whohas.api.preconditions import PreconditionOutcome, Validators, evaluate_preconditions
from whohas.audit import Actor
from whohas.errors import NotFound
from whohas.formats.registry import find_format
from whohas.runs.models import Artifact, Run
from whohas.services import Services
from whohas.storage import ZIP_MEDIA_TYPE

CHUNK_BYTES = 256 * 1024
"""Bytes that are read and sent at a time."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file to serve, with the metadata for its headers.

    Attributes:
        path: the file.
        media_type: the exact Content-Type.
        sha256: the SHA-256 of the file, 64 hex digits; its ETag.
        preferred_name: the file name that the caller asked for, or None.
        default_name: the file name otherwise, without an extension.
        extension: the extension of the file name, without a dot.
        on_start: called for a GET before the first byte is sent, with the file name and the range as start and end
            (exclusive), or None for the whole file. If it raises, nothing is sent.
    """

    path: Path
    media_type: str
    sha256: str
    preferred_name: str | None
    default_name: str
    extension: str
    on_start: Callable[[str, tuple[int, int] | None], None] = lambda _name, _span: None


def run_download(
    services: Services, run: Run, artefact: Artifact, by: Actor, name: str | None = None, *, audited: bool
) -> Download:
    """Return the download of a file of a run. Its default name is that of the report.

    Args:
        services: the services of the installation.
        run: the run.
        artefact: the file.
        by: the actor for the audit log.
        name: the file name that the caller asked for; None for the default.
        audited: whether the download is an audit event.
    """
    default = services.settings.csv_media_type if artefact.format == "csv" else find_format(artefact.format).media_type
    media_type = artefact.media_type or default

    def begin(file_name: str, span: tuple[int, int] | None) -> None:
        if audited:
            services.runs.record_download(run, artefact, by, file_name, span)

    return Download(
        path=services.artefacts.path(run.id, artefact),
        media_type=media_type,
        sha256=artefact.sha256,
        preferred_name=name,
        default_name=run.report_name,
        extension="zip" if media_type == ZIP_MEDIA_TYPE else artefact.format,
        on_start=begin,
    )


def file_response(request: Request, download: Download) -> Response:
    """Return the response to a GET or HEAD of a file: 200, 206 for one byte range, or 304 if the caller has the file.

    Preconditions are evaluated first (`whohas.api.preconditions`). A request for several ranges, or for a malformed
    one, gets the whole file, as RFC 9110 (14.2) allows.

    Raises:
        NotFound: the file was removed.
        PreconditionFailed: If-Match or If-Unmodified-Since does not hold for the file.
        RangeNotSatisfiable: the range begins beyond the end of the file.
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
    status = os.fstat(file.fileno())
    modified = datetime.fromtimestamp(int(status.st_mtime), UTC)
    validators = Validators(f'"{download.sha256}"', modified)
    headers = {
        "ETag": validators.etag,
        "Last-Modified": format_datetime(modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    # not left to FileResponse, which evaluates If-Range only, and sends the file again to a client that has it
    outcome = evaluate_preconditions(request.method, request.headers, validators)
    if outcome is PreconditionOutcome.FAILED:
        raise PreconditionFailed(
            f"The file is not the one that If-Match or If-Unmodified-Since names: its ETag is {validators.etag}. "
            "Start the download again without them."
        )
    if outcome is PreconditionOutcome.UNCHANGED:
        file.close()
        return Response(status_code=304, headers=headers)

    # not left to FileResponse: the audit event has the range, and is written before the first byte is sent
    span = byte_range(_range(request), status.st_size) if outcome is PreconditionOutcome.RANGE else None
    name = (download.preferred_name, download.default_name, download.extension)
    headers |= {"Content-Type": download.media_type, "Content-Disposition": content_disposition(*name)}
    if request.method == "GET":
        download.on_start(unicode_file_name(*name), span)
    return _OpenFileResponse(file, status, headers, span)


class _OpenFileResponse(FileResponse):
    """A response that sends an open file, or one range of it, and closes it.

    FileResponse opens a file by its path after the status is sent. If retention removed the file in between, the
    response would break off instead of being a 404, after an audit event of the download. `/proc/self/fd/N`, the path
    of the descriptor, opens the same file even if its name was removed.
    """

    chunk_size = CHUNK_BYTES

    def __init__(
        self, file: BinaryIO, status: os.stat_result, headers: Mapping[str, str], span: tuple[int, int] | None
    ) -> None:
        super().__init__(f"/proc/self/fd/{file.fileno()}", headers=headers, stat_result=status)
        self._file = file
        self._range = [] if span is None else [(b"range", b"bytes=%d-%d" % (span[0], span[1] - 1))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # FileResponse gets the range that `byte_range` parsed instead of the client's header, because it would
        # - answer an unknown unit or a malformed range with 400, where RFC 9110 (14.2) says that the header is ignored,
        # - answer HEAD with 206, although ranges are defined for GET only,
        # - send 416 without the contract's body,
        # - send several ranges, even a hundred of a few bytes, as a multipart body, which no client of reports needs.
        other_headers = [pair for pair in scope["headers"] if pair[0] not in (b"range", b"if-range")]
        with self._file:
            await super().__call__({**scope, "headers": [*other_headers, *self._range]}, receive, send)


def _range(request: Request) -> str:
    # several header lines are one list (RFC 9110, 5.3)
    return ",".join(request.headers.getlist("range"))


_RANGE = r"bytes\s*=\s*([0-9]{0,4000})\s*-\s*([0-9]{0,4000})"
"""A single byte range. Numbers have at most 4,000 digits, because Python's `int` refuses more than 4,300; a header with
a longer number is ignored."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Parse a Range header with a single range; None if the whole file is to be sent.

    For a file of 1,000 bytes `bytes=0-99` gives (0, 100), `bytes=900-` and `bytes=-100` give (900, 1000), and
    `bytes=0-9,20-29`, `bytes=9-0` and `lines=1-2` give None.

    Args:
        header: the value of the header, or None.
        size: the size of the file in bytes.

    Returns:
        The start and the end (exclusive) of the range.

    Raises:
        RangeNotSatisfiable: the range begins at or beyond `size`, or asks for the last 0 bytes.
    """
    match = re.fullmatch(_RANGE, header.strip(), re.IGNORECASE) if header else None
    if match is None or not any(match.groups()):
        return None
    first, last = (int(digits) if digits else None for digits in match.groups())
    if first is None:
        if last and not size:
            return None  # the last N bytes of an empty file are the whole file
        start, end = max(0, size - (last or 0)), size
    else:
        start, end = first, size if last is None else min(last + 1, size)
        if last is not None and last < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(
            f"The requested range begins beyond the end of the file, which has {size:,} bytes. Ask for bytes within "
            "it, or for the whole file without Range.",
            size,
        )
    return start, end
