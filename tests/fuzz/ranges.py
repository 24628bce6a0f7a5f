"""Range and conditional headers of a download, held to RFC 9110 as it is written out here."""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from starlette.requests import Request

from fuzz.drawing import fuzzed, latin
from fuzz.target import Check, measured, single
from whohas.api.downloads import Download, byte_range, file_response
from whohas.api.errors import PreconditionFailed, RangeNotSatisfiable
from whohas.storage.folder import LocalFile

_DIGEST = "ab" * 32
_MINE = f'"{_DIGEST}"'
_AT = datetime(2024, 2, 29, 12, 30, 45, tzinfo=UTC)
_SIZE = 1_000
_CONTENT = bytes(number % 251 for number in range(_SIZE))

_position = st.sampled_from((0, 1, 5, 499, 998, 999, 1_000, 1_001, 10**19, 10**30)) | st.integers(0, 1_100)
_digits = st.builds(lambda number, zeros: "0" * zeros + str(number), _position, st.sampled_from((0, 0, 0, 1, 30)))
_spec = (
    st.builds("{}-{}".format, _digits, _digits) | st.builds("{}-".format, _digits) | st.builds("-{}".format, _digits)
)
_range = st.builds(
    "{}={}".format,
    st.sampled_from(("bytes", "bytes", "Bytes", "lines")),
    st.lists(_spec, min_size=1, max_size=2).map(",".join),
)
_RANGE_PIECES = ("bytes", "=", "-", ",", " ", "0", "9", "\xa0", "\u0660", "\t", "bytes=", "0-1", "-5", "5-", ";", "bytes=0-", "e", "+")  # fmt: skip


def by_grammar(header: str) -> list[tuple[int | None, int | None]] | None:
    """Return the ranges of a header in bytes (RFC 9110, 14.1.2); None where it is none."""
    found = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(.*)", header, re.DOTALL)
    if found is None or found[1].lower() != "bytes":
        return None
    specs: list[tuple[int | None, int | None]] = []
    for text in found[2].split(","):
        spec = re.fullmatch(r"([0-9]*)-([0-9]*)", text.strip(" \t"))
        if spec is None or spec[0] == "-" or max(map(len, spec.groups())) > 4_000:
            return None
        first, last = (int(number) if number else None for number in spec.groups())
        if first is not None and last is not None and last < first:
            return None
        specs.append((first, last))
    return specs


def _check_range(one: tuple[str, int]) -> bool:
    header, size = one
    specs = by_grammar(header)
    try:
        found: Any = measured(len(header), byte_range, header, size)
    except RangeNotSatisfiable:
        found = "beyond"
    if specs is None or len(specs) != 1:
        # more blanks than the grammar has may be read; several ranges at once never are
        assert found is None or re.sub(r"\s", "", header) != header, f"{header!r}: {found}"
        return False
    ((first, last),) = specs
    if first is None:
        assert last is not None
        expected: Any = "beyond" if last == 0 else None if size == 0 else (max(0, size - last), size)
    else:
        expected = "beyond" if first >= size else (first, size if last is None else min(last + 1, size))
    assert found == expected, f"{header[:80]!r} of {size}: {found} and not {expected}"
    return True


@dataclass(frozen=True)
class Tags:
    """A list of entity tags as text, and whether it has the file's tag by strong and by weak comparison."""

    text: str
    strong: bool
    weak: bool


@dataclass(frozen=True)
class Date:
    """A date as text, and the moment; None for what is no date."""

    text: str
    at: datetime | None


_OTHERS = ('"other"', '"a,b"', f"W/{_MINE}", '"\xe9"', '""', f'"x{_DIGEST}"', 'W/"other"')
_tag = st.sampled_from((_MINE, *_OTHERS))


def _listed(tags: list[str], comma: str) -> Tags:
    return Tags(comma.join(tags), _MINE in tags, _MINE in tags or f"W/{_MINE}" in tags)


_tags = st.just(Tags("*", True, True)) | st.builds(
    _listed, st.lists(_tag, min_size=1, max_size=4), st.sampled_from((",", ", ", " ,\t", ", ,"))
)
_FORMS = (
    lambda at: format_datetime(at, usegmt=True),
    lambda at: at.strftime("%a %b ") + f"{at.day:2} " + at.strftime("%H:%M:%S %Y"),
    lambda at: at.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
)
_date = st.builds(
    lambda seconds, form: Date(form(_AT + timedelta(seconds=seconds)), _AT + timedelta(seconds=seconds)),
    st.sampled_from((0, 0, 1, -1, 86_400, -86_400, 10**8, -10**8)),
    st.sampled_from(_FORMS),
) | st.sampled_from(
    [Date(text, None) for text in ("yesterday", "Thu, 30 Feb 2024 12:30:45 GMT", "0", _AT.isoformat(), "Thu, 29 Feb 2024 12:30:45 UTC")]
)  # fmt: skip
_valid_range = st.sampled_from(("bytes=0-9", "bytes=990-", "bytes=-1", "bytes=5000-", "bytes=1-2,5-6", "lines=1-2"))
_asked = st.fixed_dictionaries(
    {"method": st.sampled_from(("GET", "HEAD"))},
    optional={
        "if-match": _tags,
        "if-none-match": _tags,
        "if-unmodified-since": _date,
        "if-modified-since": _date,
        "if-range": _date | _tag.map(lambda tag: Tags(tag, tag == _MINE, tag == _MINE)),
        "range": _valid_range,
    },
)
_NAMES = ("if-match", "if-none-match", "if-unmodified-since", "if-modified-since", "if-range", "range")
_PIECES = (_MINE, *_OTHERS, "*", ",", " ", '"', "W/", "w/", "Thu", "GMT", format_datetime(_AT, usegmt=True), "29", "Feb", "\xff", "bytes=0-9")  # fmt: skip


def expected(asked: dict[str, Any]) -> tuple[int, tuple[int, int] | None]:
    """Return the status and, for 206, the first byte and the one after the last (RFC 9110, 13.2.2)."""
    match asked:
        case {"if-match": Tags(strong=False)}:
            return 412, None
        case {"if-match": Tags()}:
            pass
        case {"if-unmodified-since": Date(at=datetime() as at)} if at < _AT:
            return 412, None
        case _:
            pass
    match asked:
        case {"if-none-match": Tags(weak=True)}:
            return 304, None
        case {"if-none-match": Tags()}:
            pass
        case {"if-modified-since": Date(at=datetime() as at)} if at >= _AT:
            return 304, None
        case _:
            pass
    specs = by_grammar(asked.get("range", "")) if asked["method"] == "GET" else None
    match asked.get("if-range"):
        case Tags(strong=False):
            specs = None
        case Date(at=at) if at != _AT:
            specs = None
        case _:
            pass
    if specs is None or len(specs) != 1:
        return 200, None
    ((first, last),) = specs
    if first is None:
        return 206, (max(0, _SIZE - (last or 0)), _SIZE)
    return (206, (first, min((last or _SIZE - 1) + 1, _SIZE))) if first < _SIZE else (416, None)


@cache
def _file() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="whohas-fuzz-"))
    atexit.register(shutil.rmtree, folder)
    path = folder / "file"
    path.write_bytes(_CONTENT)
    os.utime(path, (_AT.timestamp(), _AT.timestamp()))
    return path


def answered(method: str, headers: list[tuple[str, str]]) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body with which the file is served."""
    lines = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "path": "/", "query_string": b"", "headers": lines, "extensions": {}}
    sent: list[Any] = []

    async def receive() -> Any:
        return await asyncio.Event().wait()  # the caller stays

    async def send(message: Any) -> None:
        sent.append(message)

    try:
        response = file_response(
            Request(scope), Download(lambda: LocalFile(_file()), "text/csv", _DIGEST, None, "x", "csv")
        )
    except PreconditionFailed:
        return 412, {}, b""
    except RangeNotSatisfiable:
        return 416, {}, b""
    asyncio.run(response(scope, receive, send))
    found = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])


def _check_conditions(asked: dict[str, Any]) -> bool:
    headers = [
        (name, value if isinstance(value, str) else value.text) for name, value in asked.items() if name in _NAMES
    ]
    status, _, body = _checked(asked["method"], headers)
    wanted, span = expected(asked)
    assert status == wanted, f"{status} and not {wanted}"
    if span is not None:
        assert body == _CONTENT[slice(*span)]
    return True


def _checked(method: str, headers: list[tuple[str, str]]) -> tuple[int, dict[str, str], bytes]:
    size = sum(len(value) for _, value in headers)
    status, found, body = measured(size, answered, method, headers)
    assert status in (200, 206, 304, 412, 416)
    if status == 206:
        first, last, whole = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", found["content-range"]).groups())  # type: ignore[union-attr]
        assert (whole, body) == (_SIZE, _CONTENT[first : last + 1])
        assert int(found["content-length"]) == len(body)
    if status == 200:
        assert body == (_CONTENT if method == "GET" else b"")
        assert int(found["content-length"]) == _SIZE
    return status, found, body


def _check_ranges(text: str) -> bool:
    accepted = [_check_range((latin(text), size)) for size in (0, 1, 10, _SIZE, 2**40)]
    return any(accepted)


def _check_text(text: str) -> bool:
    """Send a text in each header, alone and with a range; then all at once."""
    header = latin(text)
    for name in _NAMES[:-1]:
        for more in ([], [("range", "bytes=0-9")]):
            _checked("GET", [(name, header), *more])
    return _checked("GET", [(name, header) for name in _NAMES])[0] < 400


def checks() -> tuple[Check, ...]:
    """Return ranges; conditions with a known meaning; and conditions of any text."""
    return (
        fuzzed(_range, _RANGE_PIECES, _check_ranges, 16_000),
        single(_asked, _check_conditions),
        fuzzed(_tags.map(lambda one: one.text) | _date.map(lambda one: one.text), _PIECES, _check_text, 16_000),
    )
