"""The console on data whose ids have characters with a meaning in addresses: each page that is linked to opens."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest

from console import Console, add_user, audited, signed_in, texts
from support import Server, serving, whohas
from whohas.console.path_segments import decode_segment, encode_segment

IDS = sorted(
    {
        ".", "..", "...", "../audit", "a/b", "a//b", "/a", "a/", "50%", "%2e%2e", "%252F", "two words", " edge ", "zoë/Ω",
        "a?b=c", "a#b", "a;b", "a+b", "a&b", "a\\b", "~Li4", "~", "'\"><b>", "{id}", "events", "cn=ann,ou=people,dc=acme",
        "\u202e", "x" * 100,
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an identity and a source for each id; the manager of each identity is the next one."""
    folder = tmp_path_factory.mktemp("named")
    data = folder / "data"
    data.mkdir()
    managers = [*IDS[1:], IDS[0]]
    with (data / "identities.ndjson").open("w") as file:
        for id, manager in zip(IDS, managers, strict=True):
            file.write(f"{json.dumps({'id': id, 'name': f'name {id}', 'manager': {'id': manager}})}\n")
    with (data / "accounts.csv").open("w", newline="") as file:
        rows = [(id, f"Source {id}", f"account of {id}", f"account of {id}", id) for id in IDS]
        csv.writer(file).writerows([("sourceId", "sourceName", "nativeIdentity", "name", "identityId"), *rows])
    loaded = whohas(folder / "home", "load", data)
    assert loaded.returncode == 0, loaded.stderr
    with serving(folder / "home") as server:
        add_user(server, "ann", "ORG_ADMIN")
        yield server


@pytest.fixture(scope="module")
def ann(named: Server) -> Iterator[Console]:
    with signed_in(named) as console:
        yield console


def links(page: str, kind: str) -> list[str]:
    """The addresses of the pages of a kind that a page links to, as a browser resolves them."""
    found = re.findall(rf'href="(/console/{kind}/[^"]*)"', page)
    return [
        urljoin("http://x/console/start", html.unescape(address)).removeprefix("http://x/console") for address in found
    ]


@pytest.mark.parametrize("id", IDS)
def test_segment_gives_the_id_back(id: str) -> None:
    segment = encode_segment(id)
    assert decode_segment(segment) == id
    assert re.fullmatch(r"~?[\w.-]*", segment, re.ASCII) and segment not in (".", "..")


@pytest.mark.parametrize("segment", ["~", "~ ", "~é", "~a", "~____", "~Li4=", "plain", ""])
def test_segment_that_is_no_code_is_an_id(segment: str) -> None:
    assert decode_segment(segment) == ("" if segment == "~" else segment)


def test_search_links_to_every_identity(ann: Console) -> None:
    seen: set[str] = set()
    for id in IDS:
        quoted = id.replace("\\", "\\\\").replace('"', '\\"')
        page = ann.get("/search", params={"query": f'id:"{quoted}"'}).text
        (address,) = links(page, "identities")
        assert f"name {id}".split() == texts(re.findall("<h1>.*?</h1>", ann.get(address).text)[0]).split()
        seen.add(address)
    assert len(seen) == len(IDS)


@pytest.mark.parametrize("id", IDS)
def test_identity_links_to_manager_report_and_source(ann: Console, named: Server, id: str) -> None:
    page = ann.get(f"/identities/{encode_segment(id)}").text
    people = links(page, "identities")
    assert len(people) == 2, "the manager, and the one that reports to it"
    for address in people:
        ann.get(address)
    (source,) = links(page, "sources")
    shown = ann.get(source).text
    assert f"Source {id}".split() == texts(re.findall("<h1>.*?</h1>", shown)[0]).split()
    (report,) = links(shown, "reports")
    assert (
        f'value="{html.escape(id).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")}" selected'
        in ann.get(report).text
    )
    subject = audited(named, lambda event: event["type"] == "whohas.identity.viewed" and event["subject"] == id)
    assert subject["data"]["actor"]["name"] == "ann"


def test_lists_link_to_every_source(ann: Console) -> None:
    for path in ("/sources", ""):
        addresses = links(ann.get(path).text, "sources")
        assert len(addresses) == (len(IDS) if path else 12)
        for address in addresses:
            ann.get(address)


@pytest.mark.parametrize("kind", ["identities", "sources", "runs", "loads"])
@pytest.mark.parametrize("segment", ["~", "~Li4", "~AA", "%00", "~__8", "..%2f..%2faudit", "%C0%AF", "~" + "A" * 9_000])
def test_address_of_nothing_is_not_found(ann: Console, kind: str, segment: str) -> None:
    page = ann.http.get(f"/console/{kind}/{segment}")
    known = segment == "~Li4" and kind in ("identities", "sources")
    assert page.status_code == (200 if known else 404), page.text
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("id", ["'\"><b>", "..", "50%", "a//b", "zoë/Ω", " edge "])
def test_report_of_such_a_source_starts(ann: Console, id: str) -> None:
    run = ann.post("/reports/ACCOUNTS", {"application": id, "selectedFormats": ["CSV"]}).headers["Location"]
    shown = " ".join(texts(ann.get(run.removeprefix("/console")).text).split())
    assert f"Accounts Report: Source {' '.join(id.split())}" in shown
