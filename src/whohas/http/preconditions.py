"""Conditional requests on a file that never changes: If-Match and its kin, in the order of RFC 9110, 13.2.2.

====  ===================  ==============================================  ====================================
step  header               is looked at                                    where it does not hold
====  ===================  ==============================================  ====================================
1     If-Match             always; tags are compared strongly              412
2     If-Unmodified-Since  where there is no If-Match                      412
3     If-None-Match        always; tags are compared weakly                304
4     If-Modified-Since    where there is no If-None-Match                 304
5     If-Range             for GET with Range; a tag strongly, or a date   the range is ignored: the whole file
====  ===================  ==============================================  ====================================

A date that is none is ignored, as the RFC says. It leaves open what a list of tags is that cannot be read: here it has
none of them, so that If-Match refuses and If-None-Match sends the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from starlette.datastructures import Headers

CONDITIONS = ("if-match", "if-unmodified-since", "if-none-match", "if-modified-since", "if-range")
"""The headers, as a page of another origin must be allowed to send them."""


class Outcome(Enum):
    """What becomes of a request."""

    WHOLE = auto()
    """The whole file is sent."""
    RANGE = auto()
    """What the header Range asks for is sent."""
    UNCHANGED = auto()
    """The caller has it: 304."""
    FAILED = auto()
    """What the caller relies on does not hold: 412."""


@dataclass(frozen=True, slots=True)
class Validators:
    """By what a file is recognised.

    Attributes:
        etag: its strong entity tag, with its quotes.
        modified: its `Last-Modified`, to the second. No file is ever changed, so it is a strong validator too.
    """

    etag: str
    modified: datetime


def evaluate(method: str, headers: Headers, file: Validators) -> Outcome:
    """Return what becomes of a GET or HEAD of a file that is there.

    Args:
        method: `GET` or `HEAD`.
    """
    if_match, if_none_match = _joined(headers, "if-match"), _joined(headers, "if-none-match")
    if if_match is not None:
        if not _among(if_match, file.etag, weakly=False):
            return Outcome.FAILED
    elif (since := _date(headers, "if-unmodified-since")) is not None and file.modified > since:
        return Outcome.FAILED
    if if_none_match is not None:
        if _among(if_none_match, file.etag, weakly=True):
            return Outcome.UNCHANGED
    elif (since := _date(headers, "if-modified-since")) is not None and file.modified <= since:
        return Outcome.UNCHANGED
    if method != "GET" or "range" not in headers:
        return Outcome.WHOLE
    if_range = _joined(headers, "if-range")
    same = if_range is None or if_range == file.etag or http_date(if_range) == file.modified
    return Outcome.RANGE if same else Outcome.WHOLE


# RFC 9110, 8.8.3: a comma may be in a tag, so that a list cannot be split at commas
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_BETWEEN = re.compile(r"[ \t]*(?:,[ \t]*)*")


def _among(text: str, etag: str, *, weakly: bool) -> bool:
    """Return whether a list of entity tags, or `*`, has a strong tag."""
    if text == "*":
        return True
    found = False
    place, end = 0, len(text)
    while (between := _BETWEEN.match(text, place)) is not None:
        if between.end() == end:
            return found
        if place and "," not in between[0]:
            return False
        tag = _TAG.match(text, between.end())
        if tag is None:
            return False
        found = found or (tag[2] == etag and (weakly or tag[1] is None))
        place = tag.end()
    return False


def _joined(headers: Headers, name: str) -> str | None:
    # several lines of one header are one list (RFC 9110, 5.3)
    lines = headers.getlist(name)
    return ", ".join(lines).strip(" \t") if lines else None


def _date(headers: Headers, name: str) -> datetime | None:
    text = _joined(headers, name)
    return None if text is None else http_date(text)


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


def http_date(text: str, *, now: datetime | None = None) -> datetime | None:
    """Read a date in any of the three forms of HTTP (RFC 9110, 5.6.7); None where it is none.

    Args:
        now: two digits of a year are never more than fifty years after it.
    """
    found = next((match for form in _DATES if (match := form.fullmatch(text))), None)
    if found is None:
        return None
    year, second = int(found["year"]), int(found["second"])
    if len(found["year"]) == 2:
        this = (now or datetime.now(UTC)).year
        year += this // 100 * 100
        year -= 100 if year > this + 50 else 0
    try:
        read = datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(second, _LEAP_SECOND - 1),
            tzinfo=UTC,
        )
        return read + timedelta(seconds=1) if second == _LEAP_SECOND else read if second < _LEAP_SECOND else None
    except (ValueError, OverflowError):
        return None
