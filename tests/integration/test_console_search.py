"""The console's search page: hits, checks and completion, whose rights hold, and what hostile queries cost."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from console import Console, add_user, audited, signed_in, texts
from support import Server, serving, whohas
from whohas.console.searches import MAX_QUERY_LENGTH
from whohas.search.fields import INDICES


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    add_user(server, "ann", "ORG_ADMIN")
    add_user(server, "hal", "HELPDESK")
    add_user(server, "sue", "SOURCE_ADMIN", sources=("b0d6d48dbf02c2317764b880d82f079c",))


@pytest.fixture
def ann(server: Server) -> Iterator[Console]:
    with signed_in(server) as console:
        yield console


def options(console: Console, before: str, index: str = "identities") -> list[str]:
    page = console.get("/search/complete", params={"before": before, "index": index}).text
    return [html.unescape(text) for text in re.findall(r'data-text="(.*?)"', page)]


def test_hits_link_to_identities_with_their_number(ann: Console) -> None:
    page = ann.get("/search", params={"query": "lastName:oakenshaw"}).text
    assert "3 found" in texts(page)
    assert len(re.findall(r'href="/console/identities/\w{32}"', page)) == 3


def test_first_hits_are_a_part_with_the_whole_count(ann: Console) -> None:
    page = ann.get("/search", params={"query": "*"}).text
    assert "300 found" in texts(page)
    assert len(re.findall(r'href="/console/identities/', page)) == 25
    assert 'href="/console/reports/SEARCH_EXPORT?query=%2A&amp;indices=identities"' in page


def examples(console: Console) -> list[str]:
    """The addresses of the examples of the page."""
    (listed,) = re.findall(r'<ul class="plain-list examples.*?</ul>', console.get("/search").text, re.DOTALL)
    return [html.unescape(path) for path in re.findall(r'href="/console(/search\?[^"]*)"', listed)]


def find_something(console: Console) -> None:
    for path in examples(console):
        page = texts(console.get(path).text)
        assert re.search(r" [1-9][\d,]* found ", page), path
        assert "The query is valid" in page


def test_each_example_finds_something(ann: Console) -> None:
    assert len(examples(ann)) >= 9
    find_something(ann)


HOSTILE = '<b>"OR" \\\\ (x:y) *? é/'


def test_examples_are_made_of_any_data(tmp_path: Path) -> None:
    people = [
        {"id": f"i{n}", "name": HOSTILE, "lastName": "O'Brien", "attributes": {HOSTILE: [HOSTILE if n % 2 else "AND"]}}
        for n in range(6)
    ]
    for name, rows in {"identities": people, "roles": [{"id": "r1", "name": HOSTILE}]}.items():
        (tmp_path / f"{name}.ndjson").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    accounts = [
        ("sourceId", "sourceName", "nativeIdentity", "identityId"),
        *(("s", HOSTILE, f"a{n}", f"i{n}") for n in range(3)),
    ]
    with (tmp_path / "accounts.csv").open("w", newline="") as file:
        csv.writer(file).writerows(accounts)
    assert whohas(tmp_path / "home", "load", *sorted(tmp_path.glob("*.*"))).returncode == 0
    with serving(tmp_path / "home") as server:
        add_user(server, "ann", "ORG_ADMIN")
        with signed_in(server) as console:
            assert len(examples(console)) >= 5
            assert "<b>" not in console.get("/search").text
            find_something(console)


def test_search_without_data_has_no_examples(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        add_user(server, "ann", "ORG_ADMIN")
        with signed_in(server) as console:
            assert examples(console) == []


@pytest.mark.parametrize("index", INDICES)
def test_every_index_can_be_searched(ann: Console, index: str) -> None:
    assert re.search(r" [1-9][\d,]* found ", texts(ann.get("/search", params={"query": "*", "index": index}).text))


def test_broken_query_is_shown_with_its_position(ann: Console) -> None:
    page = ann.get("/search", 400, params={"query": 'name:"ada AND x'}).text
    assert "The query breaks at column 6: this quotation mark is never closed." in html.unescape(page)
    assert "name:<mark>&#34;</mark>ada AND x" in page


def test_check_answers_while_typing(ann: Console) -> None:
    def check(query: str) -> str:
        return texts(ann.get("/search/check", params={"query": query}).text)

    assert "The query is valid" in check("name:ada")
    assert "There is no field nmae in the index identities" in check("nmae:ada")
    assert "The query breaks at column 6" in check("name:(ada") or "breaks at" in check("name:(ada")
    assert check("") == ""


def test_hostile_query_stays_text(ann: Console) -> None:
    page = ann.get("/search", params={"query": '<script>alert(1)</script> "x'}, status=400).text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    "query", ["a" * (MAX_QUERY_LENGTH + 1), "(" * 2_000, "/" + "(a|b)" * 200 + "{1000}/", "\0", "\ud800"]
)
def test_costly_or_malformed_query_is_refused(ann: Console, query: str) -> None:
    encoded = query.encode("utf-8", "surrogatepass")
    page = ann.http.get("/console/search", params={"query": encoded})
    assert page.status_code in (200, 400), page.text
    assert ann.get("").status_code == 200


def test_unknown_index_is_named(ann: Console) -> None:
    assert "There is no index 'secrets'" in texts(
        ann.get("/search", 400, params={"query": "*", "index": "secrets"}).text
    )


def test_completion_of_names_and_values(ann: Console) -> None:
    assert options(ann, "isMa") == ["isManager:"]
    assert "attributes.city:" in options(ann, "isManager:true AND cit")
    assert options(ann, "isManager:t") == ["true"]
    assert '"São Paulo"' in options(ann, "attributes.city:s")
    assert '"Active Directory"' in options(ann, "@accounts(disabled:true AND source.name:act")
    assert options(ann, "@acce") == ["@access("]
    assert options(ann, "attributes.city:(Athens OR hamb") == ["Hamburg"]
    assert options(ann, "email:oak") == []  # too many values to be enumerated
    assert options(ann, "") == []


def test_searches_are_audited(server: Server, ann: Console) -> None:
    ann.get("/search", params={"query": "firstName:audited"})
    event = audited(server, lambda event: event["data"].get("query") == "firstName:audited")
    assert (event["type"], event["data"]["index"], event["data"]["rows"]) == ("whohas.data.searched", "identities", 0)
    assert event["data"]["actor"]["name"] == "ann"


def test_source_administrator_sees_no_hits_counts_or_values(server: Server) -> None:
    with signed_in(server, "sue") as sue:
        page = sue.get("/search", params={"query": "*"}).text
        assert "a search covers all sources" in texts(page) and "found" not in texts(page)
        assert "oakenshaw" not in page
        for part in ("check?query=*", "complete?before=attributes.city:h"):
            assert "a search covers all sources" in texts(sue.get(f"/search/{part}", 403).text)


def test_helpdesk_may_not_search(server: Server) -> None:
    with signed_in(server, "hal") as hal:
        assert "may not start a run" in hal.get("/search", 403).text
        assert 'href="/console/search"' not in hal.get("").text
