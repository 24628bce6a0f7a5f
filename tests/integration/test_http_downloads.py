"""The file of a run: its bytes, its headers, parts of it, and not again what the client has."""

from __future__ import annotations

import hashlib
import shutil
from typing import Any

import httpx2
import pytest

from support import Server, result_when_over

ACCOUNTS = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Active Directory"}}


@pytest.fixture(scope="module")
def http(server: Server) -> Any:
    with server.http() as client:
        yield client


@pytest.fixture(scope="module")
def path(http: httpx2.Client) -> str:
    """The path of a finished file."""
    run = http.post("/v2025/reports/run", json=ACCOUNTS).raise_for_status().json()
    assert result_when_over(http, run["id"])["status"] == "SUCCESS"
    return f"/v2025/reports/{run['id']}?fileFormat=csv"


def test_a_file_comes_with_all_that_clients_need(http: httpx2.Client, path: str) -> None:
    response = http.get(path)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/csv"
    assert (
        response.headers["Content-Disposition"]
        == "attachment; filename=\"Accounts Report.csv\"; filename*=UTF-8''Accounts%20Report.csv"
    )
    assert response.headers["Content-Length"] == str(len(response.content))
    assert response.headers["ETag"] == f'"{hashlib.sha256(response.content).hexdigest()}"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Last-Modified"].endswith("GMT")
    assert "private" in response.headers["Cache-Control"]


def test_the_name_asked_for_is_given_and_made_safe(http: httpx2.Client, path: str) -> None:
    response = http.get(f"{path}&name=My%20Rep/../%C3%A9%0D%0AX:1")
    assert 'filename="My Rep_eX_1.csv"' in response.headers["Content-Disposition"]
    assert "filename*=UTF-8''My%20Rep_%C3%A9X_1.csv" in response.headers["Content-Disposition"]


def test_head_has_the_headers_of_get_and_no_body(http: httpx2.Client, path: str) -> None:
    got, asked = http.get(path), http.head(path)
    assert asked.content == b""
    for name in ("Content-Length", "Content-Type", "ETag", "Content-Disposition"):
        assert asked.headers[name] == got.headers[name]


@pytest.mark.parametrize(
    ("asked", "part"),
    [("bytes=0-9", slice(0, 10)), ("bytes=5-", slice(5, None)), ("bytes=-7", slice(-7, None))],
)
def test_a_range_is_a_206_with_that_part(http: httpx2.Client, path: str, asked: str, part: slice) -> None:
    whole = http.get(path).content
    response = http.get(path, headers={"Range": asked})
    expected = whole[part]
    first = whole.index(expected) if asked != "bytes=-7" else len(whole) - 7
    assert (response.status_code, response.content) == (206, expected)
    assert response.headers["Content-Range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"
    assert response.headers["Content-Length"] == str(len(expected))


def test_a_range_beyond_the_end_is_a_416_with_length(http: httpx2.Client, path: str) -> None:
    length = int(http.head(path).headers["Content-Length"])
    response = http.get(path, headers={"Range": f"bytes={length}-"})
    assert (response.status_code, response.headers["Content-Range"]) == (416, f"bytes */{length}")
    assert response.json()["detailCode"] == "416 Range Not Satisfiable"


@pytest.mark.parametrize("asked", ["bytes=9-1", "bytes=a-b", "lines=0-1", "bytes=0-1,4-5", "nonsense"])
def test_a_range_that_is_none_is_answered_with_the_whole(http: httpx2.Client, path: str, asked: str) -> None:
    assert http.get(path, headers={"Range": asked}).status_code == 200


def test_a_range_applies_only_to_the_file_of_if_range(http: httpx2.Client, path: str) -> None:
    headers = http.head(path).headers
    for known in (headers["ETag"], headers["Last-Modified"]):
        assert http.get(path, headers={"Range": "bytes=0-1", "If-Range": known}).status_code == 206
    assert http.get(path, headers={"Range": "bytes=0-1", "If-Range": '"another"'}).status_code == 200


def test_what_the_client_has_is_not_sent_again(http: httpx2.Client, path: str) -> None:
    etag = http.head(path).headers["ETag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        response = http.get(path, headers={"If-None-Match": known})
        assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", etag)
    assert http.get(path, headers={"If-None-Match": '"another"'}).status_code == 200


def test_a_removed_file_is_a_404_with_advice(server: Server, http: httpx2.Client) -> None:
    run = http.post("/v2025/reports/run", json=ACCOUNTS).json()
    result_when_over(http, run["id"])
    shutil.rmtree(server.home / "artefacts" / run["id"])
    response = http.get(f"/v2025/reports/{run['id']}?fileFormat=csv")
    assert response.status_code == 404
    assert "Start the report again" in response.json()["messages"][0]["text"]


def test_a_file_is_served_neither_early_nor_after_a_cancel(http: httpx2.Client) -> None:
    run = http.post("/v2025/reports/run", json=ACCOUNTS).json()
    http.post(f"/v2025/reports/{run['id']}/cancel")
    ended = result_when_over(http, run["id"])
    response = http.get(f"/v2025/reports/{run['id']}?fileFormat=csv")
    if ended["status"] == "TERMINATED":
        assert ended["availableFormats"] == []
        assert response.status_code == 404
        assert "cancelled" in response.json()["messages"][0]["text"]
    else:
        assert response.status_code == 200, "it was over before the cancel arrived"
