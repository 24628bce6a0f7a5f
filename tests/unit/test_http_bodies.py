"""Bodies that are wrong: each gets a 400 that says what and where, never a 500."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whohas.api.requests import parse_object, parse_value
from whohas.errors import InvalidArguments


def test_a_utf8_body_is_read_with_or_without_a_mark() -> None:
    assert parse_object('{"a": "é"}'.encode()) == {"a": "é"}
    assert parse_object('{"a": "é"}'.encode("utf-8-sig")) == {"a": "é"}


def test_a_body_that_is_not_utf8_is_read_as_latin1() -> None:
    assert parse_object('{"a": "é"}'.encode("latin-1")) == {"a": "é"}


def test_an_empty_body_says_which_value_is_needed() -> None:
    with pytest.raises(InvalidArguments, match=r"^The body is empty\. It must be a JSON object\.$"):
        parse_object(b"")
    with pytest.raises(InvalidArguments, match=r"^The body is empty\. It must be JSON\.$"):
        parse_value(b"")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "The body is empty"),
        (b" \n ", "The body is empty"),
        (b'{"a": 1,\n "b": }', "at line 2, column 7"),
        (b"{", "at line 1, column 2"),
        (b'{"a": 1} x', "Extra data at line 1, column 10"),
        (b"reportType=ACCOUNTS", "not JSON"),
        (b"\x00\xff\xfe", "not JSON"),
        (b"[]", "not an array"),
        (b'"ACCOUNTS"', "not a text"),
        (b"null", "not null"),
        (b"true", "not a boolean"),
        (b"5", "not a number"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' twice"),
        (b'{"x": {"a": 1, "a": 1}}', "the key 'a' twice"),
        (b'{"a": NaN}', "has NaN, which is no JSON"),
        (b'{"a": -Infinity}', "has -Infinity, which is no JSON"),
        (b'{"a": 1e999}', "1e999, which is too large"),
        (b'{"a": ' + b"1" * 5000 + b"}", "5,000 digits"),
        (b'{"a": "\\u0000"}', "NUL"),
        (b'{"a": "\\ud800"}', "half a surrogate pair"),
        (b'{"\\udfff": 1}', "half a surrogate pair"),
        (b'{"a": ' + b"[" * 40 + b"]" * 40 + b"}", "32 levels"),
        (b"[" * 200_000, "32 levels"),
        (b'{"a":' * 200_000, "32 levels"),
    ],
)
def test_a_wrong_body_is_refused_with_what_is_wrong(body: bytes, says: str) -> None:
    with pytest.raises(InvalidArguments) as refused:
        parse_object(body)
    assert says in str(refused.value)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    with suppress(InvalidArguments):
        json.dumps(parse_object(body)).encode()
