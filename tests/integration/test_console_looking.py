"""Which acts of looking at data in the console are audit events: those that showed data of persons, once each."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest

from auditing import lines
from console import Console, add_user, audited, signed_in
from support import Server, result_when_over

LOOKS = ("report.viewed", "report.downloaded", "data.searched", "identity.viewed")


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    add_user(server, "ann", "ORG_ADMIN")


@pytest.fixture(scope="module")
def ann(server: Server) -> Iterator[Console]:
    with signed_in(server) as console:
        yield console


@pytest.fixture(scope="module")
def run_id(server: Server, ann: Console) -> str:
    source = re.findall(r'<option value="(\w+)">Active Directory', ann.get("/reports/ACCOUNTS").text)[0]
    sent = ann.post("/reports/ACCOUNTS", {"application": source, "selectedFormats": ["CSV"]})
    id = sent.headers["Location"].removeprefix("/console/runs/")
    with server.http() as http:
        result_when_over(http, id)
    return id


@pytest.fixture(scope="module")
def pages(ann: Console, run_id: str) -> Mapping[str, str]:
    """The page of each kind of look."""
    hits = ann.get("/search?query=lastName:oakenshaw").text
    return {
        "report.viewed": f"/runs/{run_id}/rows",
        "report.downloaded": f"/runs/{run_id}/files/csv",
        "data.searched": "/search?query=lastName:oakenshaw",
        "identity.viewed": re.findall(r'href="/console(/identities/\w+)"', hits)[0],
    }


class Looks:
    """The looks between its making and `found`: events before and after are told apart by searches for a mark."""

    def __init__(self, server: Server, console: Console) -> None:
        self._server, self._console = server, console
        self._begin = self._mark()

    def _mark(self) -> int:
        query = f"firstName:m{uuid.uuid4().hex}"
        self._console.get("/search", params={"query": query})
        audited(self._server, lambda event: event["data"].get("query") == query)
        return next(n for n, event in enumerate(self._events()) if event["data"].get("query") == query)

    def _events(self) -> list[dict[str, Any]]:
        return lines(self._server.home / "audit.ndjson")

    @property
    def found(self) -> list[str]:
        """The types of the looks since, in order."""
        end = self._mark()
        types = [event["type"].removeprefix("whohas.") for event in self._events()[self._begin + 1 : end]]
        return [type for type in types if type in LOOKS]


@pytest.mark.parametrize("look", LOOKS)
def test_look_at_data_is_one_event(server: Server, ann: Console, pages: Mapping[str, str], look: str) -> None:
    looks = Looks(server, ann)
    ann.get(pages[look])
    assert looks.found == [look]


@pytest.mark.parametrize("look", LOOKS)
def test_head_shows_nothing_and_is_no_event(server: Server, ann: Console, pages: Mapping[str, str], look: str) -> None:
    looks = Looks(server, ann)
    answer = ann.http.head(f"/console{pages[look]}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert looks.found == []


@pytest.mark.parametrize(
    "page",
    [
        "/identities/nobody",
        "/search?query=name:(",
        "/search?query=*&index=secrets",
        "/runs/{run}/rows?sort=999",
        "/runs/{run}/rows?part=9",
        "/runs/{run}/rows?page=x",
        "/runs/00000000000000000000000000000000/rows",
        "/runs/{run}/files/nothing",
    ],
)
def test_page_that_showed_nothing_is_no_event(server: Server, ann: Console, run_id: str, page: str) -> None:
    looks = Looks(server, ann)
    assert ann.http.get(f"/console{page.replace('{run}', run_id)}").status_code in (400, 404)
    assert looks.found == []


def test_pages_of_numbers_and_states_are_no_events(server: Server, ann: Console, run_id: str) -> None:
    looks = Looks(server, ann)
    source = re.findall(r'href="/console(/sources/\w+)"', ann.get("/sources").text)[0]
    for page in ("", "/runs", f"/runs/{run_id}", source, "/reports", "/search", "/audit"):
        ann.get(page)
    assert looks.found == []


def test_further_rows_of_an_open_table_are_no_events(server: Server, ann: Console, run_id: str) -> None:
    looks = Looks(server, ann)
    page = ann.get(f"/runs/{run_id}/rows").text
    address = httpx2.URL(re.findall(r'data-url="([^"]+)"', page)[0].replace("&amp;", "&"))
    for start in (0, 100, 200):
        ann.http.get(address, params={**address.params, "start": start, "count": 100}).raise_for_status()
    assert looks.found == ["report.viewed"]


def test_completion_and_check_are_no_events(server: Server, ann: Console) -> None:
    looks = Looks(server, ann)
    for typed in ("l", "la", "lastName:o", "attributes.city:a"):
        ann.get("/search/complete", params={"before": typed})
        ann.get("/search/check", params={"query": typed})
    assert looks.found == []
