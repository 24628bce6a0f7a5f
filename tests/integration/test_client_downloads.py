"""Downloads by the Python client from servers that break connections, change files, send wrong bytes or are busy."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.server
import io
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import asking
from support import Server
from whohas_client import AsyncClient, Client
from whohas_client.errors import (
    DamagedDownload,
    NotFound,
    QuotaExceeded,
    ReportFailed,
    ReportWarning,
    TimedOut,
    Unavailable,
)

RUN = "ef38f94347e94562b5bb8424a56397d8"
CONTENT = b"id,name\n" + b"".join(b"%d,name %d\n" % (n, n) for n in range(40_000))
OTHER = CONTENT.replace(b"name", b"NAME")
HALF = len(CONTENT) // 2
Save = Callable[..., Any]


def etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()}"'


@dataclass
class FileServer:
    """A server of one file, which does what its fields say.

    Attributes:
        url: its address.
        contents: the file of each request in turn; the last one stays.
        breaks: after how many bytes of each response the connection breaks; None: never.
        headers: of each response with the file; an empty value removes a header.
        ranges: whether it understands `Range`.
        busy: responses before any other, as status and `Retry-After`.
        state: the result of the run.
        ranged: the `Range` and `If-Range` of each request for the file.
    """

    url: str = ""
    contents: list[bytes] = field(default_factory=lambda: [CONTENT])
    breaks: list[int | None] = field(default_factory=list[int | None])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    ranges: bool = True
    busy: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    state: dict[str, Any] = field(default_factory=lambda: {"id": RUN, "status": "SUCCESS"})
    ranged: list[tuple[str | None, str | None]] = field(default_factory=list[tuple[str | None, str | None]])

    def answer(self, path: str, range: str | None, if_range: str | None) -> tuple[int, dict[str, str], bytes]:
        """Return the status, the headers and the body of the response to a request."""
        if self.busy:
            status, seconds = self.busy.pop(0)
            return status, {"Retry-After": seconds} if seconds else {}, b'{"message": "busy"}'
        if path == "/oauth/token":
            return 200, {}, json.dumps({"access_token": "t", "expires_in": 749}).encode()
        if path.endswith("/result"):
            return 200, {}, json.dumps(self.state).encode()
        if not path.startswith(f"/v2025/reports/{RUN}?"):
            return 404, {}, b"{}"
        self.ranged.append((range, if_range))
        content = self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]
        headers = {"ETag": etag(content), "Accept-Ranges": "bytes", **self.headers}
        headers = {name: value for name, value in headers.items() if value}
        start = re.fullmatch(r"bytes=(\d+)-", range or "") if self.ranges else None
        if start and if_range in (None, headers.get("ETag")):
            offset = int(start[1])
            headers["Content-Range"] = f"bytes {offset}-{len(content) - 1}/{len(content)}"
            return 206, headers, content[offset:]
        return 200, headers, content


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr("whohas_client._protocol.RETRY_PAUSES", (0.0, 0.0, 0.0))
    file_server = FileServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            is_file = self.path.startswith(f"/v2025/reports/{RUN}?") and not file_server.busy
            status, headers, body = file_server.answer(self.path, self.headers["Range"], self.headers["If-Range"])
            cut = file_server.breaks.pop(0) if is_file and file_server.breaks else None
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:cut])
            if cut is not None:
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        file_server.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield file_server
        server.shutdown()


@pytest.fixture(params=["sync", "async"])
def save(request: pytest.FixtureRequest, remote: FileServer) -> Save:
    """Saves the run's file by either client."""

    def save(*arguments: Any, **keywords: Any) -> Any:
        with Client(remote.url, "id", "secret") as client:
            return client.open_run(RUN).to(*arguments, **keywords)

    def save_async(*arguments: Any, **keywords: Any) -> Any:
        async def run() -> Any:
            async with AsyncClient(remote.url, "id", "secret") as client:
                return await client.open_run(RUN).to(*arguments, **keywords)

        return asyncio.run(run())

    return save if request.param == "sync" else save_async


def test_a_broken_download_is_resumed(remote: FileServer, save: Save, tmp_path: Path) -> None:
    remote.breaks += [HALF, 1_000, None]
    assert save(tmp_path / "a.csv").read_bytes() == CONTENT
    whole, second, third = remote.ranged
    assert whole == (None, None)
    (first,) = re.findall(r"^bytes=(\d+)-$", second[0] or "")
    assert 0 < int(first) <= HALF and second[1] == third[1] == etag(CONTENT)
    assert third[0] is not None and third[0] > second[0]
    assert list(tmp_path.iterdir()) == [tmp_path / "a.csv"]


def test_a_file_that_changed_meanwhile_is_fetched_whole(remote: FileServer, save: Save, tmp_path: Path) -> None:
    remote.contents = [CONTENT, OTHER]
    remote.breaks += [HALF]
    assert save(tmp_path / "a.csv").read_bytes() == OTHER
    assert remote.ranged[1][1] == etag(CONTENT)


def test_halves_of_two_files_are_never_joined(remote: FileServer, save: Save, tmp_path: Path) -> None:
    """A server that ignores If-Range sends the rest of another file under the tag of the first, or under its own."""
    remote.contents = [CONTENT, OTHER]
    remote.breaks += [HALF]
    remote.headers["ETag"] = etag(CONTENT)
    with pytest.raises(DamagedDownload, match="SHA-256"):
        save(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("tag", ["", 'W/"1"', '"v1"'])
def test_a_download_without_ranges_begins_again(remote: FileServer, save: Save, tmp_path: Path, tag: str) -> None:
    remote.ranges = False
    remote.headers["ETag"] = tag
    remote.breaks += [HALF, 100, None]
    assert save(tmp_path / "a.csv").read_bytes() == CONTENT
    assert [bool(range) for range, _ in remote.ranged[1:]] == [tag == '"v1"'] * 2


def test_a_wrong_range_is_not_appended(remote: FileServer, save: Save, tmp_path: Path) -> None:
    remote.breaks += [HALF]
    answer = remote.answer

    def wrong(path: str, range: str | None, if_range: str | None) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = answer(path, range, if_range)
        return status, {**headers, "Content-Range": "bytes 0-9/10"} if status == 206 else headers, body

    remote.answer = wrong  # type: ignore[method-assign]
    assert save(tmp_path / "a.csv").read_bytes() == CONTENT
    assert [range is None for range, _ in remote.ranged] == [True, False, True]


def test_a_download_that_never_ends_is_given_up(remote: FileServer, save: Save, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("yesterday's")
    remote.breaks += [0] * 50
    with pytest.raises(Unavailable, match="cut short"):
        save(tmp_path / "a.csv")
    remote.ranges = False
    remote.breaks = [HALF, 10] * 50
    with pytest.raises(Unavailable, match="cut short"):
        save(tmp_path / "a.csv")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["yesterday's"]


@pytest.mark.parametrize("format", ["csv", "zip"])
def test_wrong_bytes_leave_no_file(remote: FileServer, save: Save, tmp_path: Path, format: str) -> None:
    remote.headers["ETag"] = etag(OTHER)
    if format == "zip":  # no SHA-256, but a zip that is damaged
        remote.headers = {"ETag": '"v1"', "Content-Type": "application/zip"}
    memory = io.BytesIO()
    for target in (tmp_path / "a.csv", memory):
        with pytest.raises(DamagedDownload):
            save(target, format="csv")
    assert list(tmp_path.iterdir()) == [] and memory.getvalue() == b""


def test_a_digest_header_is_verified(remote: FileServer, save: Save, tmp_path: Path) -> None:
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    remote.headers = {"ETag": '"v1"', "Repr-Digest": f"md5=:AAAA:, sha-256=:{digest}:"}
    assert save(tmp_path / "a.csv").read_bytes() == CONTENT
    remote.contents = [OTHER]
    with pytest.raises(DamagedDownload, match="SHA-256"):
        save(tmp_path / "b.csv")
    assert not (tmp_path / "b.csv").exists()


def test_a_busy_server_is_waited_for(remote: FileServer, save: Save, tmp_path: Path) -> None:
    remote.busy = [(503, "0"), (429, "0"), (503, "Thu, 01 Jan 2026 00:00:00 GMT"), (429, "0")]
    assert save(tmp_path / "a.csv").read_bytes() == CONTENT
    assert remote.busy == []


def test_a_server_that_stays_busy_is_given_up(remote: FileServer, save: Save, tmp_path: Path) -> None:
    with Client(remote.url, "id", "secret") as client:
        client.result(RUN)
        for status, error in ((429, QuotaExceeded), (503, Unavailable)):
            remote.busy = [(status, "0")] * 6
            with pytest.raises(error, match="busy"):
                client.result(RUN)
            assert remote.busy == []
        remote.busy = [(503, "")]
        with pytest.raises(Unavailable):
            client.result(RUN)
        remote.busy = [(503, "0")]
        with pytest.raises(Unavailable):
            client.start("IDENTITIES")
        assert remote.busy == []


@pytest.mark.parametrize("status", ["FAILURE", "TERMINATED"])
def test_a_run_that_failed_has_its_messages(remote: FileServer, save: Save, tmp_path: Path, status: str) -> None:
    message = {"type": "ERROR", "error": True, "localizedText": "The disk is full."}
    remote.state = {"id": RUN, "status": status, "messages": [message, {"type": "INFO", "localizedText": "Begun."}]}
    with pytest.raises(ReportFailed, match=rf"^The run {RUN} ended as {status}\. The disk is full\.$") as failed:
        save(tmp_path / "a.csv")
    assert failed.value.result.status == status and len(failed.value.result.messages) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_warning_of_a_run_is_issued_once(remote: FileServer, tmp_path: Path) -> None:
    message = {"type": "WARN", "warning": True, "localizedText": "The data is a year old."}
    remote.state = {"id": RUN, "status": "WARNING", "messages": [message]}
    with Client(remote.url, "id", "secret") as client:
        run = client.open_run(RUN)
        with pytest.warns(ReportWarning, match="The data is a year old") as warned:
            run.to(tmp_path / "a.csv")
            run.to(tmp_path / "b.csv")
    assert len(warned) == 1


def test_a_run_that_does_not_end_times_out(remote: FileServer, save: Save, tmp_path: Path) -> None:
    remote.state = {"id": RUN, "progress": "Extracting"}
    with pytest.raises(TimedOut, match=r"not over after 0\.1 seconds"):
        save(tmp_path / "a.csv", timeout=0.1)


def test_a_file_that_does_not_exist_is_named(remote: FileServer, tmp_path: Path) -> None:
    with Client(remote.url, "id", "secret") as client, pytest.raises(NotFound):
        client.open_run("0" * 32).to(tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_download_from_whohas_is_resumed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between client and server is a proxy that breaks the first connection with a file after a few thousand bytes."""
    monkeypatch.setattr("whohas_client._protocol.RETRY_PAUSES", (0.0, 0.0, 0.0))
    seen: list[tuple[int, str | None]] = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = asking.request(self.command, f"{server.url}{self.path}", content=body, headers=kept)
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "content-encoding", "connection", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            is_file = "fileFormat" in self.path
            self.wfile.write(answer.content[:5_000] if is_file and not seen else answer.content)
            if is_file:
                seen.append((answer.status_code, self.headers["Range"]))
                self.close_connection = True

        do_GET = do_POST = forward

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{proxy.server_address[1]}"
        with Client(url, server.client_id, server.client_secret) as client:
            run = client.run("ACCOUNTS", source="Active Directory", formats="csv")
            broken = run.to(tmp_path / "broken.csv").read_bytes()
            whole = run.to(tmp_path / "whole.csv").read_bytes()
        proxy.shutdown()
    assert broken == whole and len(whole) > 5_000
    assert seen == [(200, None), (206, "bytes=5000-"), (200, None)]
