"""What the PowerShell SDK sends, as recorded requests: no PowerShell is needed, and none of its habits is forgiven less.

A token before every call, as multipart with a quoted boundary; `Content-Type: application/json` on everything; `True`;
an Accept that does not match; parameters left out unless true; ten repeats of whatever was refused.
"""

from __future__ import annotations

import io
import time
import zipfile
from typing import Any

import httpx2
import pytest

from support import ACME, Server, serving, whohas

AGENT = "SailPoint-SDK-PowerShell/2.1.21 (linux; x64) PowerShell/7.4.6"
BOUNDARY = "0c5b1a9e-6a2b-4c44-9a55-6f0f7c1f3b0d"
PREFIXES = ["/reports/v1", "/v2025/reports"]


class PowerShell:
    """Calls as its `Invoke-ApiClient` makes them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.tokens = 0

    def token(self) -> str:
        fields = {
            "grant_type": "client_credentials",
            "client_id": self.server.client_id,
            "client_secret": self.server.client_secret,
        }
        parts = "".join(
            f"--{BOUNDARY}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Disposition: form-data; name={name}\r\n\r\n{value}\r\n"
            for name, value in fields.items()
        )
        content_type = f'multipart/form-data; boundary="{BOUNDARY}"'
        answer = httpx2.post(
            f"{self.server.url}/oauth/token",
            content=f"{parts}--{BOUNDARY}--\r\n",
            headers={"Content-Type": content_type, "User-Agent": AGENT},
        )
        self.tokens += 1
        body = answer.raise_for_status().json()
        assert isinstance(body["expires_in"], int), "it is added to the time of day"
        return body["access_token"]

    def call(
        self, method: str, path: str, body: bytes | None = None, accept: str = "application/json"
    ) -> httpx2.Response:
        headers = {
            "Authorization": f"Bearer {self.token()}",
            "Content-Type": "application/json",
            "Accept": accept,
            "User-Agent": AGENT,
        }
        return httpx2.request(method, self.server.url + path, content=body, headers=headers, timeout=60)

    def until_over(self, prefix: str, run_id: str) -> dict[str, Any]:
        while (result := self.call("GET", f"{prefix}/{run_id}/result").json())["status"] is None:
            time.sleep(0.1)
        return result


@pytest.fixture
def pwsh(server: Server) -> PowerShell:
    return PowerShell(server)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_report_is_started_watched_downloaded_and_suspended(pwsh: PowerShell, prefix: str) -> None:
    body = '{"reportType":"ACCOUNTS","arguments":{"sourceName":"Active Directory","defaultS3Bucket":true}}'
    started = pwsh.call("POST", f"{prefix}/run", body.encode())
    assert started.status_code == 200
    run_id = started.json()["id"]
    assert pwsh.until_over(prefix, run_id)["status"] == "SUCCESS"
    assert pwsh.call("GET", f"{prefix}/{run_id}/result?completed=True").json()["id"] == run_id
    csv = pwsh.call("GET", f"{prefix}/{run_id}?fileFormat=csv&auditable=True", accept="application/csv")
    assert (csv.status_code, csv.headers["Content-Type"]) == (200, "application/csv")
    pdf = pwsh.call("GET", f"{prefix}/{run_id}?fileFormat=pdf", accept="application/csv")
    assert (pdf.status_code, pdf.headers["Content-Type"]) == (200, "application/pdf"), "never a 406"
    assert pwsh.call("POST", f"{prefix}/{run_id}/cancel", b"").status_code == 204
    assert pwsh.tokens >= 5, "one for every call, and none was refused"


def test_a_zip_has_the_type_that_makes_clients_save_it(pwsh: PowerShell) -> None:
    body = '{"reportType":"SEARCH_EXPORT","arguments":{"query":{"query":"name:a*"},"indices":["identities"]}}'
    run_id = pwsh.call("POST", "/reports/v1/run", body.encode()).json()["id"]
    assert pwsh.until_over("/reports/v1", run_id)["status"] == "SUCCESS"
    file = pwsh.call("GET", f"/reports/v1/{run_id}?fileFormat=csv", accept="application/csv")
    assert file.headers["Content-Type"] == "application/zip"
    assert zipfile.ZipFile(io.BytesIO(file.content)).namelist() == ["Identities.csv"]


def test_a_body_of_an_older_powershell_is_read(pwsh: PowerShell) -> None:
    body = '{"reportType":"ACCOUNTS","arguments":{"sourceName":"Büro"}}'.encode("latin-1")
    refused = pwsh.call("POST", "/reports/v1/run", body)
    assert (refused.status_code, "Büro" in refused.json()["messages"][0]["text"]) == (400, True)


def test_repeated_starts_are_one_run_and_refusals_stay_equal(pwsh: PowerShell) -> None:
    body = b'{"reportType":"IDENTITIES_DETAILS","arguments":{"correlatedOnly":false}}'
    started = [pwsh.call("POST", "/reports/v1/run", body).json() for _ in range(11)]
    by_id = {run["id"]: run for run in started}
    for run_id in by_id:
        pwsh.until_over("/reports/v1", run_id)
    assert len({run["created"] for run in by_id.values()}) == len(by_id)
    refusals = {pwsh.call("POST", "/reports/v1/run", b'{"reportType":"NONE"}').status_code for _ in range(11)}
    assert refusals == {400}
    missing = {pwsh.call("GET", f"/reports/v1/{'0' * 32}?fileFormat=csv").status_code for _ in range(11)}
    assert missing == {404}


def test_an_empty_token_is_a_401(server: Server) -> None:
    refused = httpx2.get(f"{server.url}/reports/v1/{'0' * 32}/result", headers={"Authorization": "Bearer"})
    assert (refused.status_code, set(refused.json())) == (401, {"error"})


def test_the_token_endpoint_is_not_limited_where_calls_are(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("limited") / "home"
    assert whohas(home, "load", ACME).returncode == 0
    with serving(home, WHOHAS_RATE_LIMIT="100") as server:
        pwsh = PowerShell(server)
        path = f"/{{}}/reports/{'0' * 32}/result"
        statuses = [pwsh.call("GET", path.format("v2025")).status_code for _ in range(105)]
        begun = statuses.index(429) if 429 in statuses else len(statuses)
        assert set(statuses[:begun]) == {404}
        token = pwsh.token()
        assert pwsh.tokens > 100
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=server.url, headers=headers) as http:
            answers = [http.get(path.format("v2026")) for _ in range(101)]
            assert [answer.status_code for answer in answers] == [404] * 100 + [429]
            refused = answers[-1]
            assert set(refused.json()) == {"message"}
            wait = int(refused.headers["Retry-After"])
            assert 1 <= wait <= 10
            assert http.get(path.format("v2024")).status_code == 404, "each API version has its own"
            time.sleep(wait)
            assert http.get(path.format("v2026")).status_code == 404
