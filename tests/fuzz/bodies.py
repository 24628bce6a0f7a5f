"""Bodies: JSON of runs, schedules and patches, forms of the token endpoint, and the paging of lists."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from fuzz.application import STATUSES, Client
from fuzz.drawing import fuzzed
from fuzz.target import Check, measured, single
from whohas.api.requests import MAX_NESTING, parse_value
from whohas.errors import InvalidArguments

_CLIENT = Client()
_whole = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**38), 10**38), st.floats(allow_nan=False, allow_infinity=False),
    st.text(_whole, max_size=6),
)  # fmt: skip
_json = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(_whole, max_size=4), inner, max_size=3), max_leaves=10
)  # fmt: skip
_reports = st.fixed_dictionaries(
    {"reportType": st.sampled_from(("ACCOUNTS", "IDENTITIES", "SEARCH_EXPORT", "NOTHING"))},
    optional={"arguments": st.dictionaries(st.sampled_from(("application", "query", "indices", "sort", "columns")), _json, max_size=3)},
)  # fmt: skip
_PIECES = (
    "{", "}", "[", "]", ":", ",", '"', "null", "true", "NaN", "-Infinity", "1e999", "-", "0", "9" * 60, "1." + "0" * 400, "\\u0000",
    "\\ud800", "\\udc00\\ud800", "\ufeff", "\0", "\x1f", '{"a":1,"a":2}', "[" * 40, '{"a":' * 40, "'", "//", '"reportType":',
    '"arguments":', '{"op":"replace","path":"/completionStatus","value":"TERMINATED"}', "\u2028", "1_000", "0x1", " \n", "é",
)  # fmt: skip


def _check_value(value: Any) -> bool:
    """What JSON can say is read as it is."""
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert _same(parse_value(text.encode()), value)
    assert _same(parse_value(b"\xef\xbb\xbf" + json.dumps(value).encode()), value)
    return True


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return (
            isinstance(other, dict) and one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
        )
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and one == other


def _depth(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(_depth, inner), default=0)


def _check_json(text: str) -> bool:
    body = text.encode("utf-8", "surrogatepass")
    try:
        value = measured(len(body), parse_value, body)
    except InvalidArguments as error:
        assert error.message.startswith("The body "), error.message
        return False
    assert _depth(value) <= MAX_NESTING
    again = json.dumps(value, allow_nan=False).encode()
    with suppress(InvalidArguments):  # latin-1 that was read as text may be longer
        assert _same(parse_value(again), value)
    return True


def _check_routes(text: str) -> bool:
    """Send a text to each route that takes a body."""
    body, token = text.encode("utf-8", "surrogatepass"), [("authorization", f"Bearer {_CLIENT.token}")]
    run = "0" * 32
    statuses = set[int]()
    for method, path in (
        ("POST", "/v2025/reports/run"),
        ("PATCH", f"/v2025/task-status/{run}"),
        ("POST", "/whohas/schedules"),
        ("POST", "/oauth/token"),
    ):
        status, _, answer = measured(len(body), _CLIENT.send, method, path, token, body)
        assert status in STATUSES, (status, method, path, answer[:500])
        if status != 204 and answer:
            json.loads(answer)
        statuses.add(status)
    return statuses != {400}


_fields = st.dictionaries(
    st.sampled_from(("grant_type", "client_id", "client_secret", "scope", "code", "redirect_uri", "code_verifier", "x")),
    st.sampled_from(("client_credentials", "authorization_code", "a", "", "\u00e9", "a b", "sp:scopes:all")) | st.text(_whole, max_size=6),
)  # fmt: skip
_FORM_PIECES = (
    "&", "=", "%", "%zz", "%00", "%ed%a0%80", "+", "grant_type=client_credentials", "client_id=", ";", "--x\r\n", "--x--\r\n", "\r\n\r\n",
    'Content-Disposition: form-data; name="', '"\r\n', "filename=", "Content-Type: text/plain; charset=", "utf-7", "\0", "\xff", "a=" * 60,
    "Content-Transfer-Encoding: base64\r\n", "filename*=utf-8''x", "{",
)  # fmt: skip
_TYPES = (
    "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", 'multipart/form-data; boundary="x"; charset=utf-8',
    "multipart/form-data", "multipart/form-data; boundary=", "application/json", "",
)  # fmt: skip


def _multipart(fields: dict[str, str]) -> str:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    ]
    return "".join(parts) + "--x--\r\n"


def _check_form(text: str) -> bool:
    statuses = set[int]()
    for kind in _TYPES:
        body = text.encode("latin-1", "replace")
        status, _, answer = measured(len(body), _CLIENT.send, "POST", "/oauth/token", [("content-type", kind)], body)
        assert status in STATUSES, (status, kind, answer[:500])
        assert json.loads(answer)
        statuses.add(status)
    return 401 in statuses


_paging = st.dictionaries(
    st.sampled_from(("limit", "offset", "count", "filters", "sorters", "x")),
    st.sampled_from(("0", "1", "250", "251", "-1", "2147483647", "2147483648", "1e2", "true", "True", "", " 5", "\u0665", "1_0", "created", "-created",
                     'id eq "a"', "9" * 5_000)) | st.text(_whole, max_size=5),
).map(urlencode)  # fmt: skip


def _check_paging(text: str) -> bool:
    token = [("authorization", f"Bearer {_CLIENT.token}")]
    query = quote(text, safe="&=%+;")
    status, _, body = measured(len(text), _CLIENT.send, "GET", "/v2025/task-status", token, b"", query)
    assert status in STATUSES, (status, body[:500])
    json.loads(body)
    return status == 200


def checks() -> tuple[Check, ...]:
    """Return JSON values, JSON texts, texts to the routes, forms, and queries of a list."""
    return (
        single(_json.filter(lambda value: not isinstance(value, float) or math.isfinite(value)), _check_value),
        fuzzed(_json.map(json.dumps), _PIECES, _check_json, 100_000),
        fuzzed(_reports.map(json.dumps), _PIECES, _check_routes, 20_000),
        fuzzed(_fields.map(urlencode) | _fields.map(_multipart), _FORM_PIECES, _check_form, 20_000),
        fuzzed(_paging, ("limit=", "offset=", "&", "filters=", "%22", "%", "sorters=-created", "count=true", "%ff", "%00"), _check_paging, 8_000),
    )  # fmt: skip
