"""Runs by the Python client against the real server: files, rows and tables; both twins do the same."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from patience import PATIENCE_SECONDS
from support import Server
from whohas_client import AsyncClient, AsyncRun, Client
from whohas_client.errors import InvalidArguments, MissingExtra, NotFound, ReportWarning

SOURCE = "Active Directory"
Do = Callable[[Callable[[Any], Any]], Any]


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, server: Server) -> Any:
    """A client whose methods can be called without `await`, whichever twin it is."""
    credentials = (server.url, server.client_id, server.client_secret)
    if request.param == "sync":
        with Client(*credentials, progress=False) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        client = AsyncClient(*credentials, progress=False)
        yield Awaited(client, runner)
        runner.run(client.close())


class Awaited:
    """An asynchronous client or run, each of whose methods is awaited."""

    def __init__(self, inner: AsyncClient | AsyncRun, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def __repr__(self) -> str:
        return repr(self._inner)

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._inner, name)
        if not callable(member):
            return member

        def call(*arguments: Any, **keywords: Any) -> Any:
            async def wait() -> Any:
                made = member(*arguments, **keywords)
                if hasattr(made, "__aiter__"):
                    return [row async for row in made]
                return await made if asyncio.iscoroutine(made) else made

            found = self._runner.run(wait())
            return Awaited(found, self._runner) if isinstance(found, AsyncRun) else found

        return call


def test_a_run_is_saved_in_the_format_of_the_name(client: Any, tmp_path: Path) -> None:
    run = client.run("ACCOUNTS", source=SOURCE)
    assert run.to(tmp_path / "accounts.csv", timeout=PATIENCE_SECONDS) == tmp_path / "accounts.csv"
    assert run.to(f"{tmp_path}/accounts.parquet") == tmp_path / "accounts.parquet"
    assert run.to(tmp_path / "accounts.data", format="xlsx").read_bytes().startswith(b"PK")
    assert run.to(tmp_path).name == "Accounts Report.csv"
    assert run.to(tmp_path, name="mine").name == "mine.csv"
    with (tmp_path / "accounts.csv").open(newline="") as file:
        names = {row["sourceName"] for row in csv.DictReader(file)}
    assert names == {SOURCE}
    assert len(list(tmp_path.iterdir())) == 5, "nothing is left behind"


def test_a_run_is_saved_to_open_files(client: Any, tmp_path: Path) -> None:
    run = client.run("ACCOUNTS", source=SOURCE)
    memory = io.BytesIO()
    assert run.to(memory, format="csv") is None
    with (tmp_path / "a.csv").open("wb") as file:
        run.to(file)
    assert (tmp_path / "a.csv").read_bytes() == memory.getvalue() == run.to(tmp_path / "b.csv").read_bytes()
    assert run.to("/dev/null", format="csv") == Path("/dev/null")
    with (tmp_path / "text.csv").open("w") as file, pytest.raises(InvalidArguments, match="Open it in binary mode"):
        run.to(file)
    with pytest.raises(InvalidArguments, match="Pass format="):
        run.to(io.BytesIO())
    with pytest.raises(InvalidArguments, match="there is no folder"):
        run.to(tmp_path / "no" / "a.csv")


def test_rows_are_typed_as_in_parquet(client: Any, tmp_path: Path) -> None:
    run = client.run("ACCOUNTS", source=SOURCE, formats=["csv", "parquet"])
    rows = list(run.rows())
    assert rows == pq.read_table(run.to(tmp_path / "a.parquet")).to_pylist()
    assert rows and {type(row["disabled"]) for row in rows} == {bool}
    assert any(isinstance(value, list) for row in rows for value in row.values())
    times = [value for row in rows for value in row.values() if isinstance(value, datetime)]
    assert times and all(time.tzinfo is not None for time in times)


def test_rows_become_tables_of_arrow_and_pandas(client: Any) -> None:
    run = client.run("IDENTITIES", correlated_only=True)
    table = run.to_arrow()
    assert isinstance(table, pa.Table) and table.to_pylist() == list(run.rows())
    frame = run.to_pandas()
    assert list(frame.columns) == table.column_names and len(frame) == table.num_rows
    assert str(frame["name"].dtype) == "string[pyarrow]"


def test_a_search_export_is_unpacked_or_saved_as_a_zip(client: Any, tmp_path: Path) -> None:
    run = client.run("SEARCH_EXPORT", query="*", indices=["identities"], columns=["name", "displayName"])
    lines = run.to(tmp_path / "people.csv").read_text().splitlines()
    assert lines[0] == "name,displayName"
    with zipfile.ZipFile(run.to(tmp_path / "people.xlsx.zip")) as archive:
        assert archive.namelist() == ["Identities.xlsx"]
    rows = list(run.rows())
    assert len(rows) == len(lines) - 1 and list(rows[0]) == ["name", "displayName"]
    assert run.to_arrow().to_pylist() == rows
    memory = io.BytesIO()
    run.to(memory, format="csv")
    assert memory.getvalue().decode().splitlines() == lines


def test_a_part_of_several_is_named(client: Any, tmp_path: Path) -> None:
    run = client.run("SEARCH_EXPORT", query="*", indices=["identities", "entitlements"])
    with pytest.raises(InvalidArguments, match="Pass part=, one of: Identities, Entitlements"):
        run.rows()
    with pytest.raises(InvalidArguments, match="no part 'Roles'"):
        run.to_arrow(part="Roles")
    with pytest.raises(InvalidArguments, match=r"let the name end in \.zip"):
        run.to(tmp_path / "all.csv")
    assert list(tmp_path.iterdir()) == []
    assert list(run.rows(part="Identities")) == run.to_arrow(part="Identities").to_pylist()
    with zipfile.ZipFile(run.to(tmp_path / "all.zip")) as archive:
        assert sorted(archive.namelist()) == ["Entitlements.csv", "Identities.csv"]
    with pytest.raises(InvalidArguments, match="one file and no zip"):
        client.run("IDENTITIES").to(tmp_path / "one.zip")


def test_a_profile_report_takes_the_name_of_a_source(client: Any, server: Server) -> None:
    run = client.run("IDENTITY_PROFILE_IDENTITY_ERROR", source="Workforce HR")
    assert run.wait(timeout=PATIENCE_SECONDS).status == "SUCCESS"
    with pytest.raises(InvalidArguments, match="There is no source named 'Nowhere'"):
        client.run("IDENTITY_PROFILE_IDENTITY_ERROR", source="Nowhere")


def test_a_refused_run_has_the_words_of_the_server(client: Any, tmp_path: Path) -> None:
    run = client.run("ACCOUNTS", source=SOURCE, time_zone="Europe/Rome")
    run.wait(timeout=PATIENCE_SECONDS)
    assert run.cancel() is None
    assert run.result().status == "SUCCESS"
    with pytest.raises(InvalidArguments, match="Mars"):
        client.run("ACCOUNTS", source=SOURCE, time_zone="Mars")
    with pytest.raises(NotFound, match="There is no run"):
        client.open_run("0" * 32).to(tmp_path / "a.csv")
    with pytest.raises(NotFound, match="There is no run"):
        client.open_run("0" * 32).rows()


def test_an_argument_that_is_ignored_is_a_warning(client: Any) -> None:
    with pytest.warns(ReportWarning, match="IDENTITIES has no argument colour: ignored"):
        client.run("IDENTITIES", colour="red")
    with pytest.raises(InvalidArguments, match="Did you mean source"):
        client.run("ACCOUNTS", sorce=SOURCE)


def test_only_the_owner_can_read_a_new_file(client: Any, tmp_path: Path) -> None:
    run = client.run("IDENTITIES", formats="csv")
    for mode in (0o600, 0o640):
        assert run.to(tmp_path / "a.csv").stat().st_mode & 0o777 == mode, "a replaced file keeps its permissions"
        (tmp_path / "a.csv").chmod(0o640)


def test_the_published_method_names_work(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Details:
        """A model of the official SDK."""

        def to_dict(self) -> dict[str, Any]:
            return {"reportType": "IDENTITIES", "arguments": {"correlatedOnly": True}}

    monkeypatch.chdir(tmp_path)
    for details in (Details(), Details().to_dict()):
        started = client.start_report(details)
    client.wait(started.id, timeout=PATIENCE_SECONDS)
    assert client.get_report_result(started.id, completed=True).status == "SUCCESS"
    saved = client.get_report(started.id, "csv", name="people", auditable=True)
    assert saved == str(tmp_path / "people.csv") and Path(saved).exists()
    assert client.cancel_report(started.id) is None
    with pytest.raises(InvalidArguments, match="reportType"):
        client.start_report({"type": "IDENTITIES"})


def test_a_missing_library_is_named_with_its_extra(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with Client.from_env(server.sail) as client:
        run = client.run("IDENTITIES")
        with pytest.raises(MissingExtra, match=r"pip install 'whohas-client\[pandas\]'"):
            run.to_pandas()
        with pytest.raises(ImportError):
            run.to_pandas()


def test_any_request_may_be_sent(client: Any) -> None:
    run = client.run("IDENTITIES")
    path = f"/whohas/runs/{run.id}/statement"
    assert client.request("GET", path, accept="text/plain").text.lstrip().upper().startswith(("SELECT", "WITH"))
    assert client.request("GET", path, accept="application/json").json()["id"] == run.id
    with pytest.raises(NotFound):
        client.request("GET", "/v2025/nowhere", query={"a": "b"})


def test_an_earlier_run_is_opened_by_its_id(client: Any) -> None:
    run = client.run("IDENTITIES")
    run.wait(timeout=PATIENCE_SECONDS)
    again = client.open_run(client.find(run.id[:20]))
    assert again.id == run.id and list(again.rows()) == list(run.rows())
    assert run.id in repr(client.open_run(run.id))
