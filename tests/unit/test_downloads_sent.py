"""A download as it is sent, without a server: the file that was opened, the audit event first, nothing left open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.requests import Request

from patience import PATIENCE_SECONDS
from whohas.api.downloads import Download, file_response
from whohas.errors import WhohasError
from whohas.storage.folder import CHUNK_BYTES, LocalFile


@dataclass
class Sent:
    """What went out, and what was asked of the audit log when nothing had gone out yet."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    begun: list[tuple[str, tuple[int, int] | None]] = field(default_factory=list[Any])


def send(path: Path, method: str = "GET", removed: bool = False, leaves: bool = False, **headers: str) -> Sent:
    """Ask for a file; it may be removed before the first byte, and the client may leave after the first part."""
    sent = Sent()
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": method, "path": "/", "query_string": b"",
        "headers": [(name.replace("_", "-").lower().encode(), text.encode()) for name, text in headers.items()],
    }  # fmt: skip

    async def main() -> None:
        gone = anyio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def put(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                sent.status = message["status"]
                sent.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                sent.body += message["body"]
                if leaves:
                    gone.set()
                    await anyio.sleep_forever()

        with anyio.fail_after(PATIENCE_SECONDS):
            await response(scope, receive, put)

    download = Download(
        lambda: LocalFile(path), "text/csv", "ab" * 32, None, "Accounts", "csv", lambda *what: sent.begun.append(what)
    )
    response = file_response(Request(scope), download)
    if removed:
        path.unlink()
    anyio.run(main)
    return sent


def open_files() -> list[str]:
    return [name for one in Path("/proc/self/fd").iterdir() if "report.csv" in (name := os.path.realpath(one))]


@pytest.fixture
def content() -> bytes:
    return os.urandom(3 * CHUNK_BYTES)


@pytest.fixture
def path(tmp_path: Path, content: bytes) -> Path:
    (tmp_path / "report.csv").write_bytes(content)
    return tmp_path / "report.csv"


def test_a_whole_file_is_sent_byte_by_byte(path: Path, content: bytes) -> None:
    sent = send(path)
    assert (sent.status, sent.body, sent.begun) == (200, content, [("Accounts.csv", None)])
    assert sent.headers["content-type"] == "text/csv", "and no charset that nobody set"
    assert (sent.headers["content-length"], sent.headers["etag"]) == (str(len(content)), f'"{"ab" * 32}"')
    assert not open_files()


def test_a_part_is_sent_and_named_in_the_audit_event(path: Path, content: bytes) -> None:
    sent = send(path, Range=f"bytes={CHUNK_BYTES - 1}-{2 * CHUNK_BYTES}")
    assert (sent.status, sent.body) == (206, content[CHUNK_BYTES - 1 : 2 * CHUNK_BYTES + 1])
    assert sent.begun == [("Accounts.csv", (CHUNK_BYTES - 1, 2 * CHUNK_BYTES + 1))]
    assert sent.headers["content-range"] == f"bytes {CHUNK_BYTES - 1}-{2 * CHUNK_BYTES}/{len(content)}"
    assert sent.headers["content-length"] == str(len(sent.body))


@pytest.mark.parametrize("asked", [{}, {"Range": "bytes=5-"}])
def test_a_file_removed_before_it_is_sent_is_sent_whole(path: Path, content: bytes, asked: dict[str, str]) -> None:
    sent = send(path, removed=True, **asked)
    assert sent.body == (content[5:] if asked else content)
    assert not open_files()


def test_a_file_without_bytes_is_a_200(tmp_path: Path) -> None:
    (tmp_path / "report.csv").touch()
    sent = send(tmp_path / "report.csv")
    assert (sent.status, sent.body, sent.headers["content-length"]) == (200, b"", "0")
    with pytest.raises(WhohasError, match="has 0 bytes"):
        send(tmp_path / "report.csv", Range="bytes=0-")


@pytest.mark.parametrize("asked", ["rows=0-1", "bytes=9-1", "bytes=0-1,4-5", "bytes=0-1_0", "bytes"])
def test_a_range_that_is_none_is_ignored(path: Path, content: bytes, asked: str) -> None:
    sent = send(path, Range=asked)
    assert (sent.status, len(sent.body), sent.begun) == (200, len(content), [("Accounts.csv", None)])


def test_head_ignores_ranges_and_is_no_download(path: Path, content: bytes) -> None:
    sent = send(path, "HEAD", Range="bytes=0-1")
    assert (sent.status, sent.body, sent.begun) == (200, b"", [])
    assert sent.headers["content-length"] == str(len(content))
    assert not open_files()


def test_a_client_that_leaves_leaves_no_file_open(path: Path) -> None:
    sent = send(path, leaves=True)
    assert len(sent.body) == CHUNK_BYTES and sent.begun == [("Accounts.csv", None)]
    assert not open_files()


def test_a_client_that_has_the_file_is_no_download(path: Path) -> None:
    sent = send(path, If_None_Match=f'"{"ab" * 32}"')
    assert (sent.status, sent.body, sent.begun) == (304, b"", [])
    assert not open_files()
