"""The Python client against other servers that speak the API, and against what goes wrong on the way."""

from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from whohas.errors import Conflict, Forbidden, NotFound, QuotaExceeded, TooLarge, Unauthorized, Unavailable, WhohasError
from whohas_client import Client

RUN = "ef38f94347e94562b5bb8424a56397d8"
TOKEN = (200, {}, {"access_token": "t", "token_type": "bearer", "expires_in": 749})
Answer = tuple[int, dict[str, str], Any]


@dataclass
class Remote:
    """A server of somebody else's: it answers with what it was told, in that order, and remembers what was asked."""

    url: str
    answers: list[Answer] = field(default_factory=list[Answer])
    asked: list[str] = field(default_factory=list[str])


@pytest.fixture
def remote() -> Iterator[Remote]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}".strip())
            status, headers, body = told.answers.pop(0)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told = Remote(f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield told
        server.shutdown()


@pytest.fixture
def client(remote: Remote) -> Iterator[Client]:
    with Client(remote.url, "id", "secret") as client:
        yield client


def test_answers_without_our_own_additions_are_understood(remote: Remote, client: Client) -> None:
    remote.answers += [
        TOKEN,
        (200, {}, {"id": RUN, "type": "MENTOS", "somethingNew": {"x": 1}}),
        (200, {}, {"id": RUN, "reportType": "ACCOUNTS"}),
        (200, {}, {"id": RUN, "reportType": "Certification Signoff Report-286d", "created": "2024-07-01T22:35:38.709",
                   "status": "SUCCESS", "duration": 2907, "rows": 2, "availableFormats": ["CSV", "PDF"]}),
    ]  # fmt: skip
    run = client.start("IDENTITIES")
    assert run.id == RUN
    assert client.wait(RUN).rows == 2
    assert remote.asked == [
        "POST /oauth/token",
        "POST /v2025/reports/run Bearer t",
        f"GET /v2025/reports/{RUN}/result Bearer t",
        f"GET /v2025/reports/{RUN}/result Bearer t",
    ]


def test_a_token_that_expired_is_fetched_anew_once(remote: Remote, client: Client) -> None:
    expired = (401, {}, {"error": "JWT validation failed: JWT is expired"})
    remote.answers += [TOKEN, expired, TOKEN, (200, {}, {"id": RUN})]
    assert client.result(RUN).id == RUN
    remote.answers += [expired, TOKEN, expired]
    with pytest.raises(Unauthorized, match="JWT is expired"):
        client.result(RUN)
    assert remote.answers == []


def test_a_server_that_says_429_is_waited_for(remote: Remote, client: Client) -> None:
    limited = (429, {"Retry-After": "0"}, {"message": " Rate Limit Exceeded "})
    remote.answers += [TOKEN, limited, limited, (200, {}, {"id": RUN})]
    assert client.result(RUN).id == RUN
    remote.answers += [limited] * 6
    with pytest.raises(QuotaExceeded, match="Rate Limit Exceeded"):
        client.result(RUN)


@pytest.mark.parametrize(
    ("status", "body", "error", "says"),
    [
        (403, {"messages": [{"text": "No."}], "trackingId": "abc"}, Forbidden, r"^No\. \(tracking id abc\)$"),
        (409, {"messages": [{"text": "No."}, {"text": "Never."}]}, Conflict, r"^No\. Never\.$"),
        (413, {"messages": []}, TooLarge, "answered 413"),
        (418, b"short and stout", WhohasError, r"answered 418 .*: short and stout"),
        (500, b"<h1>Bad</h1>", Unavailable, "answered 500 .*: <h1>Bad</h1>"),
        (503, [], Unavailable, "answered 503"),
        (200, b"<html>", Unavailable, "something else than ReportResults"),
        (200, {"rows": 12.5}, Unavailable, "something else than ReportResults: rows"),
    ],
)
def test_a_refusal_or_no_answer_is_a_clear_error(
    remote: Remote, client: Client, status: int, body: Any, error: type[WhohasError], says: str
) -> None:
    remote.answers += [TOKEN, (status, {}, body)]
    with pytest.raises(error, match=says) as refused:
        client.result(RUN)
    assert type(refused.value) is error


def test_a_start_without_an_id_is_no_answer(remote: Remote, client: Client) -> None:
    remote.answers += [TOKEN, (200, {}, {})]
    with pytest.raises(Unavailable, match="answered without a run's id"):
        client.start("IDENTITIES")


def test_a_token_endpoint_that_fails_is_a_clear_error(remote: Remote, client: Client) -> None:
    remote.answers += [(404, {}, b"no such page")]
    with pytest.raises(NotFound, match="no such page"):
        client.start("IDENTITIES")


def test_a_disk_that_rejects_the_file_is_a_clear_error(remote: Remote, client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    remote.answers += [TOKEN, (200, {"Content-Disposition": 'attachment; filename="b.csv"'}, b"id\n")]
    (tmp_path / "a.csv" / "b.csv").mkdir()
    with pytest.raises(Unavailable, match=r"b\.csv cannot be written"):
        client.download(RUN, "csv", tmp_path / "a.csv")


def test_a_client_does_not_wait_for_a_disabled_report(remote: Remote, client: Client) -> None:
    remote.answers += [TOKEN, (200, {}, {})]
    with pytest.raises(WhohasError, match="switched off"):
        client.wait(RUN)


def test_a_wait_ends_after_its_timeout(remote: Remote, client: Client) -> None:
    remote.answers += [TOKEN] + [(200, {}, {"id": RUN, "progress": "Extracting"})] * 50
    with pytest.raises(Unavailable, match=r"not over after 0.2 seconds \(Extracting\)"):
        client.wait(RUN, timeout=0.2)


def test_a_download_that_is_cut_short_leaves_nothing_behind(
    remote: Remote, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whohas_client._protocol.RETRY_PAUSES", (0.0,))
    (tmp_path / "a.csv").write_text("yesterday's")
    remote.answers += [TOKEN, (200, {"Content-Length": "1000", "Connection": "close"}, b"id\n1\n")]
    with pytest.raises(Unavailable, match="cut short"):
        client.download(RUN, "csv", tmp_path / "a.csv")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["yesterday's"]


def test_a_download_whose_hash_is_another_leaves_nothing_behind(remote: Remote, client: Client, tmp_path: Path) -> None:
    remote.answers += [TOKEN, (200, {"ETag": f'"{"0" * 64}"'}, b"id\n1\n")]
    with pytest.raises(Unavailable, match="damaged"):
        client.download(RUN, "csv", tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_download_with_another_etag_or_the_right_hash_stays(remote: Remote, client: Client, tmp_path: Path) -> None:
    content = b"id\n1\n"
    for etag in ('W/"1"', '"v1"', f'"{hashlib.sha256(content).hexdigest()}"'):
        remote.answers += [TOKEN] * (not remote.asked) + [(200, {"ETag": etag}, content)]
        assert client.download(RUN, "csv", tmp_path / "a.csv").read_bytes() == content


def test_a_servers_name_for_a_file_cannot_leave_the_folder(remote: Remote, client: Client, tmp_path: Path) -> None:
    remote.answers += [TOKEN, (200, {"Content-Disposition": 'attachment; filename="../../x.csv"'}, b"id\n")]
    saved = client.download(RUN, "csv", tmp_path)
    assert saved.parent == tmp_path


def test_any_request_has_the_token_and_the_errors(remote: Remote, client: Client) -> None:
    remote.answers += [TOKEN, (200, {}, [{"name": "weekly"}]), (404, {}, {"messages": [{"text": "No such."}]})]
    found = client.request("GET", "/whohas/schedules", query={"limit": "1"}, accept="application/json")
    assert found.json() == [{"name": "weekly"}]
    with pytest.raises(NotFound, match="No such"):
        client.request("POST", "/whohas/schedules/x/run")
    assert remote.asked[1:] == ["GET /whohas/schedules?limit=1 Bearer t", "POST /whohas/schedules/x/run Bearer t"]
