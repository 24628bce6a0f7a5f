"""A finished file as a response: whole or a part of it, streamed, with what a client needs to verify and resume."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from whohas.errors import NotFound
from whohas.http.errors import RangeNotSatisfiable
from whohas.http.filenames import content_disposition, exact_name

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
    """Answers GET and HEAD of a file: 200, 206 for one byte range, 304 where the caller has it, else an error.

    Several ranges at once and malformed ones are answered with the whole file, as RFC 9110 allows (14.2).

    Raises:
        NotFound: the file is gone.
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
    etag = f'"{download.sha256}"'
    modified = formatdate(facts.st_mtime, usegmt=True)
    headers = {
        "ETag": etag,
        "Last-Modified": modified,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    if _has_it(request.headers.get("if-none-match"), etag):
        file.close()
        return Response(status_code=304, headers=headers)

    start, end, status = 0, facts.st_size, 200
    if_range = request.headers.get("if-range")
    if request.method == "GET" and if_range in (None, etag, modified):
        wanted = byte_range(request.headers.get("range"), facts.st_size)
        if wanted is not None:
            (start, end), status = wanted, 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{facts.st_size}"
    headers |= {
        "Content-Type": download.media_type,
        "Content-Length": str(end - start),
        "Content-Disposition": content_disposition(download.preferred_name, download.default_name, download.extension),
    }
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers)
    name = exact_name(download.preferred_name, download.default_name, download.extension)
    download.begin(name, (start, end) if status == 206 else None)
    file.seek(start)
    return StreamingResponse(_chunks(file, end - start), status, headers)


def _chunks(file: BinaryIO, length: int) -> Iterator[bytes]:
    with file:
        while length > 0:
            chunk = file.read(min(CHUNK, length))
            if not chunk:
                raise OSError("The file became shorter while it was sent.")
            length -= len(chunk)
            yield chunk


def _has_it(if_none_match: str | None, etag: str) -> bool:
    if if_none_match is None:
        return False
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in known or etag in known


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The one range that a header asks for, as start and end (exclusive); None where the whole is to be sent.

    Raises:
        RangeNotSatisfiable: it begins at or beyond `size`, or wants the last 0 bytes.
    """
    match = re.fullmatch(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})", header.strip(), re.IGNORECASE) if header else None
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise RangeNotSatisfiable(f"The file has {size:,} bytes; the range asked for lies beyond them.", size)
    return start, end
