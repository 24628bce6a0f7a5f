"""Conditional requests, held to RFC 9110: each condition alone, and in the order in which they are looked at."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from starlette.datastructures import Headers

from whohas.api.preconditions import PreconditionOutcome, Validators, evaluate_preconditions, parse_http_date

MINE = f'"{"ab" * 32}"'
OTHER = '"other"'
AT = datetime(2024, 2, 29, 12, 30, 45, tzinfo=UTC)
FILE = Validators(MINE, AT)
SAME, EARLIER, LATER = (f"Thu, 29 Feb 2024 12:30:{second} GMT" for second in (45, 44, 46))
WHOLE, RANGE, UNCHANGED, FAILED = (
    PreconditionOutcome.WHOLE,
    PreconditionOutcome.RANGE,
    PreconditionOutcome.UNCHANGED,
    PreconditionOutcome.FAILED,
)


def ask(method: str = "GET", **headers: str | list[str]) -> PreconditionOutcome:
    lines = [
        (name.replace("_", "-").lower().encode(), value.encode("latin-1"))
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    return evaluate_preconditions(method, Headers(raw=lines), FILE)


LISTS = [
    # the header, and whether it has the tag by strong and by weak comparison
    (MINE, True, True), (f"W/{MINE}", False, True), (OTHER, False, False), ("*", True, True),
    (f"{OTHER}, {MINE}", True, True), (f"{OTHER},{MINE}", True, True), (f"{MINE} , {OTHER}", True, True),
    (f"W/{MINE}, {MINE}", True, True), (f"{OTHER}, W/{MINE}", False, True), (f",, {MINE},", True, True),
    (f"\t{MINE}\t", True, True), (f'"a,b", {MINE}', True, True), ("", False, False), (",", False, False),
    ('"*"', False, False), (f"*, {MINE}", False, False), (f"{MINE}, *", False, False), (MINE.strip('"'), False, False),
    (f"w/{MINE}", False, False), (f"W/ {MINE}", False, False), (f"{MINE}{MINE}", False, False), (f"{MINE} {OTHER}", False, False),
    (f"{MINE}, x", False, False), (MINE[:-1], False, False), (MINE[1:], False, False), (f'"{MINE}"', False, False),
    (MINE.upper(), False, False), (f'"a b", {MINE}', False, False), (f'"\xe9", {MINE}', True, True),
    (f"'{MINE}'", False, False), (f"{MINE};{OTHER}", False, False),
]  # fmt: skip
# the date, and whether the file was modified after it; None for what is no date
DATES: list[tuple[str, bool | None]] = [
    (SAME, False), (LATER, False), (EARLIER, True), ("Thursday, 29-Feb-24 12:30:45 GMT", False),
    ("Thursday, 29-Feb-24 12:30:44 GMT", True), ("Thu Feb 29 12:30:45 2024", False), ("Thu Feb 29 12:30:44 2024", True),
    ("Fri Mar  1 00:00:00 2024", False), ("Fri Feb  9 00:00:00 2024", True), ("Sun, 06 Nov 1994 08:49:37 GMT", True),
    ("Sunday, 06-Nov-94 08:49:37 GMT", True), ("Sun Nov  6 08:49:37 1994", True), ("Fri, 31 Dec 9999 23:59:59 GMT", False),
    ("Thu, 29 Feb 2024 12:30:60 GMT", False), ("", None), ("yesterday", None), ("0", None), ("2024-02-29T12:30:45Z", None),
    ("Thu, 29 Feb 2024 12:30:45", None), ("Thu, 29 Feb 2024 12:30:45 UTC", None), ("Thu, 29 Feb 2024 12:30:45 +0000", None),
    ("thu, 29 feb 2024 12:30:45 gmt", None), ("Thu, 29 Feb 2023 12:30:45 GMT", None), ("Thu, 30 Feb 2024 12:30:45 GMT", None),
    ("Thu, 29 Feb 2024 24:30:45 GMT", None), ("Thu, 29 Feb 2024 12:60:45 GMT", None), ("Thu, 29 Feb 2024 12:30:61 GMT", None),
    ("Thu, 29 Feb 24 12:30:45 GMT", None), ("29 Feb 2024 12:30:45 GMT", None), (f"{SAME}, {SAME}", None), (f'"{SAME}"', None),
    ("Thu, 00 Feb 2024 12:30:45 GMT", None), ("Thu, 29 Feb 0000 12:30:45 GMT", None), ("Fri, 31 Dec 9999 23:59:60 GMT", None),
    ("Thu, \u0662\u0669 Feb 2024 12:30:45 GMT".encode().decode("latin-1"), None),
]  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("tags", "strong", "weak"), LISTS)
def test_tags_are_compared_strongly_or_weakly(method: str, tags: str, strong: bool, weak: bool) -> None:
    assert ask(method, if_match=tags) is (WHOLE if strong else FAILED)
    assert ask(method, if_none_match=tags) is (UNCHANGED if weak else WHOLE)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("date", "after"), DATES)
def test_dates_of_all_three_forms_are_compared(method: str, date: str, after: bool | None) -> None:
    assert ask(method, if_unmodified_since=date) is (FAILED if after else WHOLE)
    assert ask(method, if_modified_since=date) is (UNCHANGED if after is False else WHOLE)


def test_several_lines_are_one_list() -> None:
    assert ask(if_match=[OTHER, MINE]) is WHOLE
    assert ask(if_none_match=[OTHER, MINE]) is UNCHANGED
    assert ask(if_none_match=["*", MINE]) is WHOLE, "a star stands alone"
    assert ask(if_modified_since=[SAME, SAME]) is WHOLE, "a date is one"
    assert ask(if_unmodified_since=[EARLIER, EARLIER]) is WHOLE


@pytest.mark.parametrize(
    ("if_range", "outcome"),
    [
        (MINE, RANGE), (OTHER, WHOLE), (f"W/{MINE}", WHOLE), ("*", WHOLE), (f"{MINE}, {OTHER}", WHOLE), ("", WHOLE),
        (SAME, RANGE), (EARLIER, WHOLE), (LATER, WHOLE), ("Thursday, 29-Feb-24 12:30:45 GMT", RANGE),
        ("Thu Feb 29 12:30:45 2024", RANGE), ("rubbish", WHOLE), (MINE.strip('"'), WHOLE),
    ],
)  # fmt: skip
def test_a_range_holds_for_the_file_that_if_range_names(if_range: str, outcome: PreconditionOutcome) -> None:
    assert ask(range="bytes=0-1", if_range=if_range) is outcome
    assert ask("HEAD", range="bytes=0-1", if_range=if_range) is WHOLE, "ranges are for GET alone"
    assert ask(if_range=if_range) is WHOLE, "without a range there is nothing to be"


def expected(method: str, headers: dict[str, str], holds: dict[str, bool]) -> PreconditionOutcome:
    """The steps of RFC 9110, 13.2.2, as its text has them."""
    if "if_match" in headers:
        if not holds["if_match"]:
            return FAILED
    elif "if_unmodified_since" in headers and not holds["if_unmodified_since"]:
        return FAILED
    if "if_none_match" in headers:
        if not holds["if_none_match"]:
            return UNCHANGED
    elif "if_modified_since" in headers and not holds["if_modified_since"]:
        return UNCHANGED
    if method == "GET" and "range" in headers and ("if_range" not in headers or holds["if_range"]):
        return RANGE
    return WHOLE


def test_all_conditions_together_are_looked_at_in_their_order() -> None:
    choices: dict[str, list[tuple[str, bool] | None]] = {
        "if_match": [None, (MINE, True), (OTHER, False)],
        "if_unmodified_since": [None, (SAME, True), (EARLIER, False)],
        "if_none_match": [None, (OTHER, True), (MINE, False)],
        "if_modified_since": [None, (EARLIER, True), (SAME, False)],
        "if_range": [None, (MINE, True), (OTHER, False)],
        "range": [None, ("bytes=0-1", True)],
    }
    tried = 0
    for method, chosen in itertools.product(["GET", "HEAD"], itertools.product(*choices.values())):
        given = {name: one for name, one in zip(choices, chosen, strict=True) if one is not None}
        headers = {name: text for name, (text, _) in given.items()}
        wanted = expected(method, headers, {name: holds for name, (_, holds) in given.items()})
        assert ask(method, **headers) is wanted, (method, headers)
        tried += 1
    assert tried == 2 * 3**5 * 2


def test_a_two_digit_year_is_at_most_fifty_years_ahead() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for digits, year in (("26", 2026), ("76", 2076), ("77", 1977), ("99", 1999), ("00", 2000)):
        found = parse_http_date(f"Monday, 01-Jan-{digits} 00:00:00 GMT", now=now)
        assert found is not None and found.year == year
