"""The Python client's arguments, formats, settings and messages, without a server."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

import whohas
import whohas_client
from whohas.formats.registry import formats
from whohas_client import AsyncClient, Client
from whohas_client._arguments import check_source, make_arguments, published_name
from whohas_client._formats import FORMATS, FileKind, file_kind
from whohas_client._progress import ProgressLine
from whohas_client._responses import DEFAULT_RETRY_AFTER, LONGEST_RETRY_AFTER, retry_after
from whohas_client._rows import text_rows, typed_rows
from whohas_client._settings import VARIABLES, Credentials, find_credentials, read_profile
from whohas_client.contract import ReportResults
from whohas_client.errors import InvalidArguments, Unavailable

CONFIG = """
activeenvironment: acme
authtype: pat
environments:
  acme:
    tenanturl: https://acme.identitynow.com
    baseurl: https://acme.api.identitynow.com
    pat: {clientid: one, clientsecret: two}
  Sandbox:
    baseURL: https://sandbox.example
    pat: {clientID: three, clientSecret: four}
  keyring:
    baseurl: https://keyring.example
"""
ACME = Credentials("https://acme.api.identitynow.com", "one", "two")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a file of profiles, and no variables."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / ".sailpoint" / "config.yaml"
    path.parent.mkdir()
    path.write_text(CONFIG)
    return path


def test_keyword_arguments_become_published_names() -> None:
    made = make_arguments(
        {"my_own": 1},
        ["csv", "xlsx"],
        {"correlated_only": True, "timeZone": "UTC", "columns": ["name", "email"], "unknown": None},
    )
    assert made == {
        "my_own": 1,
        "correlatedOnly": True,
        "timeZone": "UTC",
        "columns": "name,email",
        "unknown": None,
        "selectedFormats": ["CSV", "XLSX"],
    }
    assert published_name("authoritative_source") == "authoritativeSource"
    assert make_arguments(None, "pdf", {}) == {"selectedFormats": ["PDF"]}


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [({"correlatedOnly": True}, {"correlated_only": True}), ({}, {"timeZone": "UTC", "time_zone": "UTC"})],
)
def test_an_argument_given_twice_is_refused(arguments: dict[str, Any], keywords: dict[str, Any]) -> None:
    with pytest.raises(InvalidArguments, match="is given twice"):
        make_arguments(arguments, None, keywords)


@pytest.mark.parametrize(("name", "meant"), [("sorce", "source"), ("format", "formats"), ("argument", "arguments")])
def test_a_misspelt_option_is_refused(name: str, meant: str) -> None:
    with pytest.raises(InvalidArguments, match=f"no option {name}. Did you mean {meant}?"):
        make_arguments(None, None, {name: "x"})
    assert make_arguments({name: "x"}, None, {"source_name": "y"}) == {name: "x", "sourceName": "y"}


def test_a_source_is_refused_where_it_would_be_ignored() -> None:
    check_source("ACCOUNTS", {})
    check_source("OUR_REPORT", {})
    with pytest.raises(InvalidArguments, match="UNCORRELATED_ACCOUNTS is a report on all sources"):
        check_source("UNCORRELATED_ACCOUNTS", {})
    with pytest.raises(InvalidArguments, match="Pass either source or application"):
        check_source("ACCOUNTS", {"application": "1"})


@pytest.mark.parametrize(
    ("name", "format", "kind"),
    [
        ("a.csv", None, FileKind("csv", False)),
        ("A.CSV", "csv", FileKind("csv", False)),
        ("a.b.csv.gz", None, FileKind("csv.gz", False)),
        ("a.zip", None, FileKind("csv", True)),
        ("a.xlsx.zip", None, FileKind("xlsx", True)),
        ("a.zip", "xlsx", FileKind("xlsx", True)),
        ("a.zip", "xlsx.zip", FileKind("xlsx", True)),
        ("a.dat", "Parquet", FileKind("parquet", False)),
        ("a.dat", "docx", FileKind("docx", False)),
        (None, "zip", FileKind("csv", True)),
    ],
)
def test_the_format_follows_from_the_name(name: str | None, format: str | None, kind: FileKind) -> None:
    assert file_kind(name, format) == kind


@pytest.mark.parametrize(("name", "format"), [("a.dat", None), (None, None), ("a.csv", "pdf"), ("a.csv", "zip")])
def test_a_name_without_a_format_is_refused(name: str | None, format: str | None) -> None:
    with pytest.raises(InvalidArguments):
        file_kind(name, format)


def test_the_client_knows_every_format_of_the_server() -> None:
    assert tuple(formats()) == FORMATS


def test_the_active_profile_is_used_without_variables(config: Path) -> None:
    assert find_credentials(None, None, None, None) == ACME
    assert find_credentials(None, None, None, "sandbox") == Credentials("https://sandbox.example", "three", "four")
    assert "two" not in repr(ACME)


def test_variables_come_before_the_active_profile(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(VARIABLES, ("http://127.0.0.1:1", "a", "b"), strict=True):
        monkeypatch.setenv(name, value)
    assert find_credentials(None, None, None, None).base_url == "http://127.0.0.1:1"
    assert find_credentials(None, None, None, "acme") == ACME
    monkeypatch.delenv("SAIL_CLIENT_ID")
    with pytest.raises(InvalidArguments, match=r"^SAIL_CLIENT_ID must be set"):
        find_credentials(None, None, None, None)
    monkeypatch.setenv("SAIL_BASE_URL", ACME.base_url)
    assert find_credentials(None, None, None, None) == ACME, "from the profile of this server"


def test_variables_complete_a_profile_of_their_server(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAIL_CLIENT_ID", "a")
    monkeypatch.setenv("SAIL_CLIENT_SECRET", "b")
    assert find_credentials(None, None, None, "keyring") == Credentials("https://keyring.example", "a", "b")
    monkeypatch.setenv("SAIL_BASE_URL", "https://other.example")
    with pytest.raises(InvalidArguments, match=r"lacks pat\.clientid"):
        find_credentials(None, None, None, "keyring")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("http://127.0.0.1:1", None, None, None), "client_id and client_secret must be passed too"),
        (("http://127.0.0.1:1", "a", "b", "acme"), "not both"),
        ((None, None, None, "prod"), "no profile 'prod' .* The profiles are: acme, sandbox, keyring"),
        ((None, None, None, "keyring"), "lacks pat.clientid, pat.clientsecret"),
    ],
)
def test_missing_credentials_are_named(config: Path, given: tuple[str | None, ...], says: str) -> None:
    with pytest.raises(InvalidArguments, match=says):
        find_credentials(*given)


@pytest.mark.parametrize(
    ("text", "says"), [("[", "is not YAML"), ("a: 1", "no profile 'default' .* The profiles are: none")]
)
def test_a_file_of_profiles_that_cannot_be_read_is_named(config: Path, text: str, says: str) -> None:
    config.write_text(text)
    with pytest.raises(InvalidArguments, match=says):
        read_profile(None)
    config.unlink()
    with pytest.raises(InvalidArguments, match="no profile 'acme'"):
        read_profile("acme")
    with pytest.raises(InvalidArguments, match="No server is known"):
        Client()


def test_retry_after_may_be_a_date() -> None:
    def seconds(value: str) -> int:
        return retry_after(httpx2.Response(429, headers={"Retry-After": value}))

    assert seconds("7") == 7
    assert 0 < seconds(format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)) <= 60
    assert seconds("Thu, 01 Jan 2026 00:00:00 GMT") == 0
    assert seconds("soon") == DEFAULT_RETRY_AFTER
    assert seconds("86400") == LONGEST_RETRY_AFTER


def test_rows_have_the_types_of_the_report() -> None:
    lines = b'{"account":{"name":"ann","locked":null},"n":9007199254740993,"when":"2026-07-01T10:00:05.123Z"}\n'
    lines += b'{"account":{"name":"","locked":true},"n":null,"when":null}\n'
    types = {"n": "integer", "account.name": "text", "account.locked": "boolean", "when": "time"}
    when = datetime(2026, 7, 1, 10, 0, 5, 123_000, UTC)
    rows = list(typed_rows(io.BytesIO(lines), types))
    assert rows == [
        {"n": 9007199254740993, "account.name": "ann", "account.locked": None, "when": when},
        {"n": None, "account.name": "", "account.locked": True, "when": None},
    ]
    assert [list(row) for row in rows] == [list(types)] * 2
    assert next(typed_rows(io.BytesIO(b'{"when":"12026-01-01T00:00:00.000Z"}'), {"when": "time"}))["when"].startswith(
        "1"
    )


def test_rows_of_a_csv_keep_every_cell() -> None:
    text = '\ufeffid,mail,mail\n007,"a\nb",\n'.encode()
    assert list(text_rows(io.BytesIO(text))) == [{"id": "007", "mail": "a\nb", "mail_2": ""}]
    assert list(text_rows(io.BytesIO(b""))) == []
    with pytest.raises(Unavailable, match="Line 2 of the file has 1 cells, and its header 2"):
        list(text_rows(io.BytesIO(b"a,b\n1\n")))


class Terminal(io.StringIO):
    """A stream that is a terminal, or is not."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(("is_terminal", "enabled"), [(True, True), (True, False), (False, True)])
def test_progress_is_shown_on_terminals_alone(
    is_terminal: bool, enabled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal(is_terminal)
    monkeypatch.setattr("sys.stderr", stream)
    line = ProgressLine("ACCOUNTS", enabled)
    line.show_result(ReportResults(progress="Extracting\x1b[2J", percentComplete=40))
    line.clear()
    shown = stream.getvalue()
    if is_terminal and enabled:
        assert "ACCOUNTS 40 %: Extracting [2J" in shown
        assert shown.endswith("\r\x1b[K")
    else:
        assert shown == ""


def test_both_packages_have_one_version_and_license() -> None:
    root = Path(__file__).parents[2]
    assert (root / "client" / "LICENSE").read_text() == (root / "LICENSE").read_text()
    assert whohas.__version__ == whohas_client.__version__
    assert whohas.Client is Client and whohas.AsyncClient is AsyncClient


def test_the_former_module_of_the_client_still_works() -> None:
    from whohas.client import AsyncClient as FormerAsyncClient
    from whohas.client import Client as FormerClient

    assert (FormerClient, FormerAsyncClient) == (Client, AsyncClient)


def test_errors_of_the_client_are_those_of_the_server() -> None:
    assert whohas.errors.NotFound is whohas_client.errors.NotFound
    with pytest.raises(AttributeError):
        whohas_client.NoSuchName  # noqa: B018 - the access is the test


def test_both_clients_have_the_same_methods() -> None:
    for one, other in ((Client, AsyncClient), (whohas_client.Run, whohas_client.AsyncRun)):
        public = [{name for name in vars(it) if not name.startswith("_")} for it in (one, other)]
        assert public[0] == public[1]
