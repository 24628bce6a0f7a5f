"""Downloads: streams a finished file or a byte range of it, with the headers to verify, cache and resume it.

A file in an object store may also be answered with a redirect to a signed address of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from whohas.api.errors import PreconditionFailed, RangeNotSatisfiable
from whohas.api.preconditions import PreconditionOutcome, Validators, evaluate_preconditions
from whohas.errors import NotFound
from whohas.filenames import content_disposition, unicode_file_name
from whohas.formats.registry import media_type_of
from whohas.storage import ZIP_MEDIA_TYPE, Artifact, OpenFile

if TYPE_CHECKING:
    from whohas.audit import Actor
    from whohas.runs.models import Run
    from whohas.services import Services

SHA256_HEADER = "X-Whohas-SHA256"
"""The header of a redirect with the SHA-256 of the file, 64 hex digits, which the store that sends the file lacks."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file to serve, with the metadata for its headers.

    Attributes:
        open: opens the file.
        media_type: the exact Content-Type.
        sha256: the SHA-256 of the file, 64 hex digits; its ETag.
        preferred_name: the file name that the caller asked for, or None.
        default_name: the file name otherwise, without an extension.
        extension: the extension of the file name, without a dot.
        on_start: called for a GET before the first byte is sent, with the file name and the range as start and end
            (exclusive), or None for the whole file. If it raises, nothing is sent.
        sign: returns a signed address to redirect the caller to, if the file is not to be sent from here; None to send
            it.
        on_redirect: called with the file name before such an address is sent. If it raises, nothing is sent.
    """

    open: Callable[[], OpenFile]
    media_type: str
    sha256: str
    preferred_name: str | None
    default_name: str
    extension: str
    on_start: Callable[[str, tuple[int, int] | None], None] = lambda _name, _span: None
    sign: Callable[[], str] | None = None
    on_redirect: Callable[[str], None] = lambda _name: None


def artifact_response(
    request: Request,
    services: Services,
    run: Run,
    artefact: Artifact,
    *,
    by: Actor,
    is_audited: bool,
    preferred_name: str | None = None,
) -> Response:
    """Return the response to a GET or HEAD of a file of a run; see `file_response`.

    With `WHOHAS_DOWNLOADS=redirect` it is a redirect to the object store, unless the caller asked for a file name: the
    store has the default one.

    Args:
        by: the actor for the audit log.
        is_audited: whether the audit log records the download.
        preferred_name: the file name that the caller asked for, or None.
    """

    def on_start(file_name: str, span: tuple[int, int] | None) -> None:
        if is_audited:
            services.runs.record_download(run, artefact, by, file_name, span)

    def on_redirect(file_name: str) -> None:
        if is_audited:
            services.runs.record_address(run, artefact, by, file_name)

    media_type = artefact.media_type or media_type_of(artefact.format, services.settings.csv_media_type)
    redirects = services.settings.downloads == "redirect" and preferred_name is None
    download = Download(
        open=partial(services.artefacts.open, run.id, artefact),
        media_type=media_type,
        sha256=artefact.sha256,
        preferred_name=preferred_name,
        default_name=run.report_name,
        extension="zip" if media_type == ZIP_MEDIA_TYPE else artefact.format,
        on_start=on_start,
        sign=partial(services.artefacts.sign, run.id, artefact) if redirects else None,
        on_redirect=on_redirect,
    )
    return file_response(request, download)


def file_response(request: Request, download: Download) -> Response:
    """Return the response to a GET or HEAD of a file.

    It is 200, 206 for one byte range, 304 if the caller has the file, or 307 to a signed address.

    Preconditions are evaluated first (`whohas.api.preconditions`). A request for several ranges, or for a malformed
    one, gets the whole file, as RFC 9110 (14.2) allows.

    Raises:
        NotFound: the file was removed.
        PreconditionFailed: If-Match or If-Unmodified-Since does not hold for the file.
        RangeNotSatisfiable: the range begins beyond the end of the file.
        Unavailable: the file cannot be read.
    """
    try:
        file = download.open()
    except FileNotFoundError:
        raise NotFound("The file of this run has been removed. Start the report again.") from None
    try:
        return _serve(request, download, file)
    except BaseException:
        file.close()
        raise


def _serve(request: Request, download: Download, file: OpenFile) -> Response:
    validators = Validators(f'"{download.sha256}"', file.modified)
    headers = {
        "ETag": validators.etag,
        "Last-Modified": format_datetime(file.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    outcome = evaluate_preconditions(request.method, request.headers, validators)
    if outcome is PreconditionOutcome.FAILED:
        raise PreconditionFailed(
            f"The file is not the one that If-Match or If-Unmodified-Since names: its ETag is {validators.etag}. "
            "Start the download again without them."
        )
    if outcome is PreconditionOutcome.UNCHANGED:
        file.close()
        return Response(status_code=304, headers=headers)

    span = byte_range(_range(request), file.size) if outcome is PreconditionOutcome.RANGE else None
    name = (download.preferred_name, download.default_name, download.extension)
    if download.sign is not None and request.method == "GET":
        # the client sends its Range to the store again; a HEAD is answered here, because the signature is for GET
        file.close()
        address = download.sign()
        download.on_redirect(unicode_file_name(*name))
        return Response(
            status_code=307,
            headers={"Location": address, SHA256_HEADER: download.sha256, "Cache-Control": "no-store"},
        )
    start, end = span or (0, file.size)
    headers |= {
        "Content-Type": download.media_type,
        "Content-Disposition": content_disposition(*name),
        "Content-Length": str(end - start),
    }
    if request.method != "GET":
        file.close()
        return Response(headers=headers)
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    file.begin(start, end)  # before the audit event and the status: a store that fails is a 503
    download.on_start(unicode_file_name(*name), span)
    return _OpenFileResponse(file, 200 if span is None else 206, headers)


class _OpenFileResponse(StreamingResponse):
    """A response that sends an open file, or one range of it, and closes it.

    If the file cannot be read to its end, the response breaks off before its Content-Length, so that no client takes a
    part for the whole.
    """

    def __init__(self, file: OpenFile, status: int, headers: Mapping[str, str]) -> None:
        self._file = file
        self._chunks = file.chunks()
        super().__init__(self._chunks, status, headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):  # also where the client has left
                await self._chunks.aclose()
            self._file.close()


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
