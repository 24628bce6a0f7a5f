"""Which media type a caller would rather have (RFC 9110, 12.5.1)."""

from __future__ import annotations

import pytest

from whohas.api.negotiation import prefers_media_type

JSON, TEXT = "application/json", "text/plain"


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "Application/JSON",
        "application/json, text/plain, */*",
        "text/plain, application/json",
        "text/plain;q=0.5, application/json;q=0.9",
        "application/*",
        "*/*;q=0.1, application/json",
        "application/json;charset=utf-8",
        'application/json;q=0.5;extension="a,b", text/plain;q=0.4',
        ", ,application/json,",
        "application/json; q=1.000",
    ],
)
def test_json_is_sent_to_a_caller_who_names_it(accept: str) -> None:
    assert prefers_media_type(accept, JSON, TEXT)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "text/plain",
        "application/json;q=0",
        "application/json;q=0.0, */*",
        "application/json;q=0, application/*",
        "text/plain, application/json;q=0.5",
        "text/*, application/json;q=0.9",
        "text/plain;q=0.5, application/*;q=0.4",
        "application/jsonp",
        "x-application/json",
        'text/html;note="application/json"',
        "application/json;q=2",
        "application/json;q=nan",
        "application/json text/plain",
        'application/json;a="',
        "application/json;version=2",
        "application/json,\xff",
    ],
)
def test_text_is_sent_to_all_others(accept: str) -> None:
    assert not prefers_media_type(accept, JSON, TEXT)
