"""The Python client on a server that has the published operations alone, as a tenant has."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from support import whohas
from whohas_client import Client
from whohas_client.errors import Forbidden, InvalidArguments, NotFound

RUN = "ef38f94347e94562b5bb8424a56397d8"
SOURCES = [
    {"id": "s1", "name": "Active Directory", "type": "Active Directory - Direct"},
    {"id": "s2", "name": 'The "old" one', "authoritative": True},
    {"id": "s3", "name": "Twice"},
    {"id": "s4", "name": "Twice"},
]
TASK = {
    "id": RUN, "type": "QUARTZ", "uniqueName": "Accounts Report", "launcher": "ann",
    "created": "2024-07-01T22:35:38.709Z", "launched": "2024-07-01T22:35:39.000Z",
    "completed": "2024-07-01T22:35:40.000Z", "completionStatus": "SUCCESS", "messages": [], "progress": None,
    "percentComplete": 100, "target": {"id": "s1", "type": "APPLICATION", "name": "Active Directory"},
}  # fmt: skip
CSV = 'Account ID,Disabled,Number,Number\n"1",true,007,\n'


@dataclass
class Tenant:
    """A server with the published operations: token, sources, start, result, file.

    Attributes:
        url: its address.
        scopes: what the client may do.
        started: the body of each start.
        unknown: the path of each request that is not of the published API.
    """

    url: str = ""
    scopes: set[str] = field(default_factory=lambda: {"idn:sources:read", "sp:report:manage"})
    started: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    unknown: list[str] = field(default_factory=list[str])

    def answer(self, method: str, url: str, accept: str, body: bytes) -> tuple[int, str, bytes]:
        """Return the status, the media type and the body of the response to a request."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match method, parts.path:
            case "POST", "/oauth/token":
                return 200, "application/json", b'{"access_token": "t", "token_type": "bearer", "expires_in": 749}'
            case "GET", "/v2025/sources":
                if "idn:sources:read" not in self.scopes:
                    text = "The server understood the request but refuses to authorize it."
                    return 403, "application/json", json.dumps({"messages": [{"text": text}]}).encode()
                wanted = [one for one in SOURCES if query["filters"] == f"name eq {json.dumps(one['name'])}"]
                return 200, "application/json", json.dumps(wanted).encode()
            case "GET", "/v2025/task-status":
                return 200, "application/json", json.dumps([TASK]).encode()
            case "GET", path if path == f"/v2025/task-status/{RUN}":
                return 200, "application/json", json.dumps(TASK).encode()
            case "POST", "/v2025/reports/run":
                self.started.append(json.loads(body))
                return 200, "application/json", json.dumps({"id": RUN, "type": "MENTOS"}).encode()
            case "GET", path if path == f"/v2025/reports/{RUN}/result":
                result = {"id": RUN, "status": "SUCCESS", "created": "2024-07-01T22:35:38.709", "rows": 1}
                return 200, "application/json", json.dumps(result).encode()
            case "GET", path if path == f"/v2025/reports/{RUN}":
                if query.get("fileFormat") not in ("csv", "pdf"):
                    return 400, "application/json", b'{"messages": [{"text": "Bad fileFormat."}]}'
                # the published service sends a file only to a caller that accepts its media type
                if accept != f"application/{query['fileFormat']}":
                    return 406, "application/json", b"{}"
                return 200, accept, CSV.encode()
            case _:
                self.unknown.append(parts.path)
                return 404, "application/json", b"{}"


@pytest.fixture
def tenant() -> Iterator[Tenant]:
    tenant = Tenant()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, media_type, content = tenant.answer(self.command, self.path, self.headers["Accept"], body)
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        tenant.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield tenant
        server.shutdown()


@pytest.fixture
def client(tenant: Tenant) -> Iterator[Client]:
    with Client(tenant.url, "id", "secret") as client:
        yield client


def test_a_source_becomes_the_arguments_that_are_published(tenant: Tenant, client: Client) -> None:
    client.run("ACCOUNTS", source="Active Directory")
    client.run("IDENTITY_PROFILE_IDENTITY_ERROR", source='The "old" one')
    client.run("IDENTITIES", correlated_only=False)
    assert tenant.started == [
        {"reportType": "ACCOUNTS", "arguments": {"application": "s1", "sourceName": "Active Directory"}},
        {"reportType": "IDENTITY_PROFILE_IDENTITY_ERROR", "arguments": {"authoritativeSource": "s2"}},
        {"reportType": "IDENTITIES", "arguments": {"correlatedOnly": False}},
    ]
    assert tenant.unknown == []


def test_a_source_that_is_not_one_starts_nothing(tenant: Tenant, client: Client) -> None:
    with pytest.raises(NotFound, match="has no source named 'Nowhere'"):
        client.run("ACCOUNTS", source="Nowhere")
    with pytest.raises(InvalidArguments, match="Pass the id of one of them: s3, s4"):
        client.run("ACCOUNTS", source="Twice")
    tenant.scopes.remove("idn:sources:read")
    with pytest.raises(Forbidden, match=r"refuses to authorize it.*idn:sources:read.*authoritativeSource="):
        client.run("IDENTITY_PROFILE_IDENTITY_ERROR", source="HR")
    assert tenant.started == []


def test_files_are_saved_with_the_published_formats(tenant: Tenant, client: Client, tmp_path: Path) -> None:
    run = client.run("ACCOUNTS", source="Active Directory")
    assert run.to(tmp_path / "a.csv").read_text() == CSV
    assert run.to(tmp_path / "a.pdf").exists()
    with pytest.raises(InvalidArguments, match="Bad fileFormat"):
        run.to(tmp_path / "a.xlsx")
    assert tenant.unknown == []


def test_rows_and_tables_are_the_texts_of_the_csv(tenant: Tenant, client: Client) -> None:
    run = client.run("IDENTITIES")
    row = {"Account ID": "1", "Disabled": "true", "Number": "007", "Number_2": ""}
    assert list(run.rows()) == run.to_arrow().to_pylist() == run.to_pandas().to_dict("records") == [row]
    assert tenant.unknown == [f"/whohas/runs/{RUN}/statement"], "asked once for each run"


def test_the_command_line_says_what_a_tenant_does_not_tell(tenant: Tenant, home: Path) -> None:
    variables = {"SAIL_BASE_URL": tenant.url, "SAIL_CLIENT_ID": "i", "SAIL_CLIENT_SECRET": "s"}
    listed = whohas(home, "runs", "-o", "csv", **variables)
    assert listed.returncode == 0, listed.stderr
    assert f"{RUN},Accounts Report,source name: Active Directory,succeeded,,2024-07-01T22:35:38.709Z" in listed.stdout
    assert "rows of lists, arguments but the source, and files are not known" in listed.stderr
    shown = whohas(home, "show", RUN, **variables)
    assert "Rows:      1\n" in shown.stdout and "are not known" in shown.stderr, shown.stderr
    assert "are not known" not in whohas(home, "runs", "-q", **variables).stderr
