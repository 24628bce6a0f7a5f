"""Preconditions of downloads: If-Match and the related headers, evaluated in the order of RFC 9110, 13.2.2.

====  ===================  ==============================================  ====================================
step  header               evaluated                                       result if it is false
====  ===================  ==============================================  ====================================
1     If-Match             always; strong comparison of tags               412
2     If-Unmodified-Since  without If-Match                                412
3     If-None-Match        always; weak comparison of tags                 304
4     If-Modified-Since    without If-None-Match                           304
5     If-Range             for GET with Range; a tag (strong) or a date    the range is ignored: the whole file
====  ===================  ==============================================  ====================================

An invalid date is ignored, as the RFC says. The RFC does not say how to treat a malformed list of tags: here no tag
matches it, so that If-Match gives 412 and If-None-Match sends the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from starlette.datastructures import Headers

PRECONDITION_HEADERS = ("if-match", "if-unmodified-since", "if-none-match", "if-modified-since", "if-range")
"""The names of the headers, for the list of headers that CORS allows."""


class PreconditionOutcome(Enum):
    """The response that the preconditions of a request require."""

    WHOLE = auto()
    """Send the whole file: 200."""
    RANGE = auto()
    """Send the range in the header Range: 206."""
    UNCHANGED = auto()
    """The caller has the file already: 304."""
    FAILED = auto()
    """If-Match or If-Unmodified-Since is false: 412."""


@dataclass(frozen=True, slots=True)
class Validators:
    """The validators of a file (RFC 9110, 8.8).

    Attributes:
        etag: its strong entity tag, including the quotes.
        modified: its `Last-Modified`, in whole seconds. Files are never changed, so it is a strong validator too.
    """

    etag: str
    modified: datetime


def evaluate_preconditions(method: str, headers: Headers, file: Validators) -> PreconditionOutcome:
    """Evaluate the preconditions of a GET or HEAD of an existing file.

    Args:
        method: `GET` or `HEAD`.
        headers: the headers of the request.
        file: the validators of the file.
    """
    if_match, if_none_match = _joined(headers, "if-match"), _joined(headers, "if-none-match")
    if if_match is not None:
        if not _among(if_match, file.etag, weakly=False):
            return PreconditionOutcome.FAILED
    elif (since := _date(headers, "if-unmodified-since")) is not None and file.modified > since:
        return PreconditionOutcome.FAILED
    if if_none_match is not None:
        if _among(if_none_match, file.etag, weakly=True):
            return PreconditionOutcome.UNCHANGED
    elif (since := _date(headers, "if-modified-since")) is not None and file.modified <= since:
        return PreconditionOutcome.UNCHANGED
    if method != "GET" or "range" not in headers:
        return PreconditionOutcome.WHOLE
    if_range = _joined(headers, "if-range")
    same = if_range is None or if_range == file.etag or parse_http_date(if_range) == file.modified
    return PreconditionOutcome.RANGE if same else PreconditionOutcome.WHOLE


# RFC 9110, 8.8.3: a comma may be in a tag, so that a list cannot be split at commas
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_BETWEEN = re.compile(r"[ \t]*(?:,[ \t]*)*")


def _among(text: str, etag: str, *, weakly: bool) -> bool:
    """Return whether a list of entity tags contains a tag; `*` contains all, a malformed list none.

    For the tag `"b"` the lists `"a", "b"` and `*` give True, `W/"b"` gives True if tags are compared weakly, and
    `"a" "b"` without a comma gives False.
    """
    if text == "*":
        return True
    matches = False
    position, end = 0, len(text)
    while (between := _BETWEEN.match(text, position)) is not None:
        if between.end() == end:
            return matches
        if position and "," not in between[0]:
            return False
        tag = _TAG.match(text, between.end())
        if tag is None:
            return False
        matches = matches or (tag[2] == etag and (weakly or tag[1] is None))
        position = tag.end()
    return False


def _joined(headers: Headers, name: str) -> str | None:
    # several lines of one header are one list (RFC 9110, 5.3)
    lines = headers.getlist(name)
    return ", ".join(lines).strip(" \t") if lines else None


def _date(headers: Headers, name: str) -> datetime | None:
    text = _joined(headers, name)
    return None if text is None else parse_http_date(text)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_SHORT, _LONG = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)", "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_DATES = tuple(
    map(
        re.compile,
        (
            rf"{_SHORT}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT",  # IMF-fixdate
            rf"{_LONG}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT",  # RFC 850
            rf"{_SHORT} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})",  # asctime
        ),
    )
)
_LEAP_SECOND = 60


def parse_http_date(text: str, *, now: datetime | None = None) -> datetime | None:
    """Parse a date in any of the three formats of HTTP (RFC 9110, 5.6.7); None if it is not one.

    `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994` are the same time.
    A leap second (60) is taken as the next second.

    Args:
        text: the date.
        now: the present time. A year of two digits that would be more than fifty years after it is taken as one of the
            century before.
    """
    match = next((match for form in _DATES if (match := form.fullmatch(text))), None)
    if match is None:
        return None
    year, second = int(match["year"]), int(match["second"])
    if len(match["year"]) == 2:
        current_year = (now or datetime.now(UTC)).year
        year += current_year // 100 * 100
        year -= 100 if year > current_year + 50 else 0
    try:
        time = datetime(
            year,
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            min(second, _LEAP_SECOND - 1),
            tzinfo=UTC,
        )
        return time + timedelta(seconds=1) if second == _LEAP_SECOND else time if second < _LEAP_SECOND else None
    except (ValueError, OverflowError):
        return None
