"""The Python client against the real server: both twins do the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from patience import PATIENCE_SECONDS
from support import Server
from whohas.contract import ReportResults
from whohas.errors import InvalidArguments, NotFound, Unauthorized, Unavailable, WhohasError
from whohas_client import AsyncClient, Client

SOURCE = {"sourceName": "Active Directory"}
Do = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture(params=["sync", "async"])
def do(request: pytest.FixtureRequest, server: Server) -> Do:
    """Gives a client to a function; what it returns is awaited where the client is the asynchronous one."""
    if request.param == "sync":

        def with_client(use: Callable[[Any], Any]) -> Any:
            with Client.from_env(server.sail) as client:
                return use(client)

        return with_client

    def with_async_client(use: Callable[[Any], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            async with AsyncClient.from_env(server.sail) as client:
                return await use(client)

        return asyncio.run(run())

    return with_async_client


def finished(do: Do) -> str:
    run_id = do(lambda client: client.start("ACCOUNTS", SOURCE)).id
    assert do(lambda client: client.wait(run_id, timeout=PATIENCE_SECONDS)).status == "SUCCESS"
    return run_id


def test_a_run_is_started_watched_and_its_file_saved(do: Do, tmp_path: Path) -> None:
    seen: list[ReportResults] = []
    run = do(lambda client: client.start("ACCOUNTS", SOURCE))
    result = do(lambda client: client.wait(run.id, on_progress=seen.append, timeout=PATIENCE_SECONDS))
    assert (result.status, result.availableFormats) == ("SUCCESS", ["CSV", "PDF"])
    assert seen[-1] == result
    assert len({str(one) for one in seen}) == len(seen), "only what is new is told"
    saved = do(lambda client: client.download(run.id, "CSV", tmp_path / "a.csv"))
    assert saved == tmp_path / "a.csv"
    assert len(saved.read_bytes().splitlines()) > 1
    assert list(tmp_path.iterdir()) == [saved], "no part is left behind"


def test_a_path_may_be_text_and_an_id_a_prefix(do: Do, tmp_path: Path) -> None:
    run_id = finished(do)
    assert do(lambda client: client.find(run_id[:16])) == do(lambda client: client.find(run_id)) == run_id
    assert do(lambda client: client.download(run_id, "csv", f"{tmp_path}/a.csv")) == tmp_path / "a.csv"
    assert do(lambda client: client.download(run_id, "csv", str(tmp_path))) == tmp_path / "Accounts Report.csv"
    for none in ("", "zz"):
        with pytest.raises(NotFound, match="no run whose id begins"):
            do(lambda client, none=none: client.find(none))


def test_a_file_saved_to_a_folder_has_the_servers_name(do: Do, tmp_path: Path) -> None:
    run_id = finished(do)
    assert do(lambda client: client.download(run_id, "csv", tmp_path)).name == "Accounts Report.csv"
    assert do(lambda client: client.download(run_id, "csv", tmp_path, name="../Zürich")).name == "Zürich.csv"


def test_a_cancel_of_what_is_over_is_no_error(do: Do) -> None:
    run_id = finished(do)
    assert do(lambda client: client.cancel(run_id)) is None
    assert do(lambda client: client.result(run_id)).status == "SUCCESS"


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda client: client.start("ACCOUNT"), InvalidArguments, "There is no report type 'ACCOUNT'"),
        (lambda client: client.start("ACCOUNTS", {"sourceName": "Nowhere"}), InvalidArguments, "Nowhere"),
        (lambda client: client.result("0" * 32), NotFound, "There is no run"),
        (lambda client: client.result("a/b?c#d"), NotFound, "There is no run with the id 'a/b?c#d'"),
        (lambda client: client.cancel("0" * 32), NotFound, "There is no run"),
        (lambda client: client.wait("0" * 32), NotFound, "There is no run"),
    ],
)
def test_an_error_response_has_its_words_and_tracking_id(
    do: Do, ask: Callable[[Any], Any], error: type[WhohasError], says: str
) -> None:
    with pytest.raises(error) as refused:
        do(ask)
    assert says in refused.value.message
    assert "tracking id" in refused.value.message


def test_a_file_that_cannot_be_had_leaves_nothing_behind(do: Do, tmp_path: Path) -> None:
    run_id = do(lambda client: client.start("ACCOUNTS", {**SOURCE, "selectedFormats": ["CSV"]})).id
    assert do(lambda client: client.wait(run_id, timeout=PATIENCE_SECONDS)).status == "SUCCESS"
    with pytest.raises(NotFound, match="no run"):
        do(lambda client: client.download("0" * 32, "pdf", tmp_path / "a.pdf"))
    with pytest.raises(InvalidArguments, match="csv, pdf, "):
        do(lambda client: client.download(run_id, "docx", tmp_path / "a.docx"))
    with pytest.raises(InvalidArguments, match="cannot be written"):
        do(lambda client: client.download(run_id, "csv", tmp_path / "no" / "such" / "folder.csv"))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_secret_is_refused_with_the_reason(server: Server) -> None:
    with (
        Client(server.url, server.client_id, "wrong") as client,
        pytest.raises(Unauthorized, match=r"gives no token.*secret is wrong"),
    ):
        client.result("0" * 32)


@pytest.mark.parametrize("prefix", ["/v3", "/v2024", "latest/", "/reports/v1"])
def test_every_version_of_the_api_can_be_chosen(server: Server, prefix: str) -> None:
    with Client(f"{server.url}/", server.client_id, server.client_secret, prefix=prefix) as client:
        run = client.start("ACCOUNTS", SOURCE)
        assert client.wait(run.id or "", timeout=PATIENCE_SECONDS).status == "SUCCESS"


def test_what_is_missing_in_the_environment_is_named() -> None:
    with pytest.raises(InvalidArguments, match=r"^SAIL_CLIENT_ID, SAIL_CLIENT_SECRET must be set"):
        Client.from_env({"SAIL_BASE_URL": "http://127.0.0.1:1"})
    with pytest.raises(InvalidArguments, match="must be like https://"):
        Client("127.0.0.1:8437", "a", "b")


def test_a_server_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("whohas_client._protocol.RETRY_PAUSES", (0.01,))
    with (
        Client("http://127.0.0.1:1", "a", "b") as client,
        pytest.raises(Unavailable, match=r"http://127.0.0.1:1 does not answer.*Is the server running"),
    ):
        client.result("0" * 32)
