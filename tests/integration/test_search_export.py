"""SEARCH_EXPORT from end to end: over HTTP, and on the command line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rendering import unzstd
from support import ACME, Server, result_when_over, serving, whohas
from whohas.search.index import build_index
from whohas.warehouse.store import Warehouse


@pytest.fixture
def http(server: Server) -> Iterator[httpx2.Client]:
    with server.http() as client:
        yield client


def start(http: httpx2.Client, **arguments: Any) -> dict[str, Any]:
    body = {"reportType": "SEARCH_EXPORT", "arguments": arguments}
    answer = http.post("/v2025/reports/run", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def download(http: httpx2.Client, run_id: str) -> dict[str, list[dict[str, str]]]:
    """The rows of each file of the zip."""
    answer = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="Search Export.zip"')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        assert file.testzip() is None
        return {name: list(csv.DictReader(io.TextIOWrapper(file.open(name), "utf-8"))) for name in file.namelist()}


def acme(name: str) -> list[dict[str, Any]]:
    (path,) = ACME.glob(f"{name}.*json*")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_search_gives_a_zip_with_a_file_an_index(http: httpx2.Client) -> None:
    run = start(http, query="name:a*", indices=["roles", "identities"], columns="id,name,displayName", sort=["-name"])
    assert run["attributes"]["queryParams"] == {
        "columns": "id,name,displayName",
        "indices": "identities,roles",
        "ownerId": run["launcher"],
        "query": "name:a*",
        "sort": "-name",
    }
    assert len(run["attributes"]["queryHash"]) == 40
    result = result_when_over(http, run["id"])
    assert (result["status"], result["taskDefName"], result["availableFormats"]) == (
        "SUCCESS",
        "Search Export",
        ["CSV"],
    )
    files = download(http, run["id"])
    assert list(files) == ["Identities.csv", "Roles.csv"]
    assert result["rows"] == sum(map(len, files.values()))
    found = [row["name"] for row in files["Identities.csv"]]
    assert found == sorted(found, reverse=True)
    # a name's words end at its hyphens; a dot between letters joins
    expected = [one["name"] for one in acme("identities") if any(word[0] == "a" for word in one["name"].split("-"))]
    assert sorted(found) == sorted(expected)
    assert len(found) == 18


def test_each_file_of_a_zip_is_what_its_name_says(http: httpx2.Client) -> None:
    wanted = ["CSV", "CSV.GZ", "CSV.ZST"]
    run = start(http, query="name:a*", indices=["roles", "identities"], columns="id,name", selectedFormats=wanted)
    assert result_when_over(http, run["id"])["status"] == "SUCCESS"
    texts: list[list[bytes]] = []
    for format, unpacked in (("csv", bytes), ("csv.gz", gzip.decompress), ("csv.zst", unzstd)):
        answer = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": format}).raise_for_status()
        with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
            assert file.namelist() == [f"Identities.{format}", f"Roles.{format}"]
            texts.append([unpacked(file.read(name)) for name in file.namelist()])
    plain, *others = texts
    assert plain[0].count(b"\n") > 10 and others == [plain, plain]


def test_without_indices_all_are_searched(http: httpx2.Client) -> None:
    run = start(http, query="*")
    result = result_when_over(http, run["id"])
    files = download(http, run["id"])
    assert {name: len(rows) for name, rows in files.items()} == {
        "Identities.csv": 300,
        "Access Profiles.csv": len(acme("access_profiles")),
        "Entitlements.csv": len(acme("entitlements")),
        "Roles.csv": len(acme("roles")),
        "Events.csv": 300,
        "Account Activities.csv": len(acme("account_activities")),
    }
    assert result["rows"] == sum(map(len, files.values()))
    assert start(http, query="*", indices=["*"])["id"] != run["id"]


def test_who_has_what_can_be_asked(http: httpx2.Client) -> None:
    """Each identity with a role, a row an access item: as the documents themselves say."""
    run = start(
        http,
        query="@access(type:ROLE)",
        indices=["identities"],
        columns="id,displayName,access.type,access.name,access.spread",
    )
    result_when_over(http, run["id"])
    rows = download(http, run["id"])["Identities.csv"]
    documents = [one for one in acme("identities") if any(item["type"] == "ROLE" for item in one.get("access", []))]
    expected = sorted((one["id"], item["type"], item["id"]) for one in documents for item in one["access"])
    assert sorted((row["id"], row["access.type"], row["access.id"]) for row in rows) == expected
    assert len(expected) > 300


def test_the_older_forms_of_the_arguments_mean_the_same(http: httpx2.Client) -> None:
    filters = {"attributes.department": {"type": "TERMS", "terms": ["Finance"]}}
    old = start(
        http,
        defaultS3Bucket=True,
        s3Bucket="x",
        includeNested=True,
        query={"query": "name:a*", "timeZone": "GMT", "fields": "name"},
        indices="identities",
        sort="displayName",
        filters=filters,
    )
    result = result_when_over(http, old["id"])
    assert result["status"] == "SUCCESS", result
    rows = download(http, old["id"])["Identities.csv"]
    expected = [
        one
        for one in acme("identities")
        if one["name"].startswith("a") and one["attributes"].get("department") == "Finance"
    ]
    assert {row["id"] for row in rows} == {one["id"] for one in expected}


def test_the_same_search_twice_is_one_run_while_it_goes(big_home: Path) -> None:
    warehouse = Warehouse(big_home / "warehouse")
    build_index(warehouse, warehouse.snapshot())
    with serving(big_home, WHOHAS_RUNS_AT_ONCE="1") as server, server.http() as http:
        # the one worker is busy, so that the searches wait
        http.post("/v2025/reports/run", json={"reportType": "ACCOUNTS", "arguments": {"application": "big"}})
        forms = ({"query": "name:a"}, {"query": {"query": "name:a"}, "indices": "*"}, {"query": "name:a", "sort": []})
        assert len({start(http, **form)["id"] for form in forms}) == 1
        assert start(http, query="name:b")["id"] != start(http, query="name:a")["id"]


def test_a_large_load_that_is_not_indexed_yet_says_so(big_home: Path) -> None:
    with serving(big_home) as server, server.http() as http:
        answer = http.post("/v2025/reports/run", json={"reportType": "SEARCH_EXPORT", "arguments": {"query": "a"}})
        assert answer.status_code == 503
        assert "`whohas index`" in answer.json()["messages"][0]["text"]
    assert whohas(big_home, "index").returncode == 0
    assert whohas(big_home, "search", "a").stdout == "0 found\n"


def test_something_missing_makes_a_warning_and_a_file(http: httpx2.Client) -> None:
    run = start(http, query="nosuch:x OR name:alice*", indices=["identities"], columns="name,attributes.nope")
    result = result_when_over(http, run["id"])
    assert result["status"] == "WARNING"
    assert [message["localizedText"] for message in result["messages"]] == [
        "There is no field nosuch in the index identities: the condition on it finds nothing.",
        "There is no column attributes.nope in the index identities: it stays empty.",
    ]
    assert [message["type"] for message in result["messages"]] == ["WARN", "WARN"]
    assert len(download(http, run["id"])["Identities.csv"]) == result["rows"] > 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"query": "name:(a"}, "The query breaks at column 8"),
        ({"query": "  "}, "must be a text"),
        ({"query": 7}, "must be a text"),
        ({"query": {"fields": ["name"]}}, "must be a text"),
        ({"query": "a", "indices": ["people"]}, "There is no index 'people'"),
        ({"query": "a", "indices": ["workflowsummaries"]}, "keeps no workflowsummaries"),
        ({"query": "a", "indices": {"a": 1}}, "indices"),
        ({"query": "a", "columns": 5}, "columns"),
        ({"query": "a", "columns": [5]}, "columns"),
        ({"query": "a", "sort": {"name": "asc"}}, "sort"),
        ({"query": "a", "filters": ["x"]}, "filters"),
        ({"query": "a", "filters": {"name": {"type": "LIKE"}}}, "EXISTS, RANGE or TERMS"),
        ({"query": {"query": "a", "timeZone": "Mars"}}, "no time zone 'Mars'"),
        ({"query": {"query": "a", "innerHit": {"query": "x"}}}, "innerHit"),
        ({"query": {"query": "a", "innerHit": {"type": "access", "query": "x("}}}, "The query breaks at column 3"),
        ({"query": "created:someday", "indices": ["identities"]}, "is no date"),
        ({"query": "a" * 500_001}, "longer than 500,000"),
        ({"query": 'name.exact:"a\0b"'}, "NUL"),
        ({"query": r"name.exact:a\u0000b"}, "NUL"),
        ({"query": "a", "columns": "id,x\0y"}, "NUL"),
    ],
)
def test_what_cannot_be_searched_is_a_400_that_says_why(
    http: httpx2.Client, arguments: dict[str, Any], says: str
) -> None:
    answer = http.post("/v2025/reports/run", json={"reportType": "SEARCH_EXPORT", "arguments": arguments})
    assert answer.status_code == 400
    assert says in answer.json()["messages"][0]["text"]


def test_a_query_of_many_clauses_runs(http: httpx2.Client) -> None:
    ids = [one["id"] for one in acme("identities")][:200]
    query = " OR ".join([f"id:{id}" for id in ids] + [f"id:{n:032x}" for n in range(3_000)])
    run = start(http, query=query, indices=["identities"], columns="id")
    assert result_when_over(http, run["id"])["rows"] == 200
    mixed = " OR ".join(f"displayName:x{n} OR (name:y{n} AND NOT email:z{n})" for n in range(800))
    run = start(http, query=f"{mixed} OR name:alice*", indices=["identities"], columns="id")
    assert result_when_over(http, run["id"])["rows"] == 2


def test_a_search_over_an_empty_home_gives_only_headers(home: Path) -> None:
    with serving(home) as server, server.http() as http:
        run = start(http, query="name:a*", columns="id,name,access.spread")
        result = result_when_over(http, run["id"])
        assert result["rows"] == 0
        answer = http.get(f"/v2025/reports/{run['id']}", params={"fileFormat": "csv"})
        with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
            assert file.read("Identities.csv").startswith(b"id,name,access.id,")
            assert file.read("Roles.csv") == b"id,name\n"


def test_the_command_line_searches(acme_home: Path) -> None:
    done = whohas(acme_home, "search", "name:alice*", "-c", "name,attributes.department", "-n", "1", COLUMNS="100")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["name", "attributes.department"]
    assert lines[1].startswith("alice.")
    assert lines[-1] == "2 found, the first 1 shown"
    none = whohas(acme_home, "search", "name:zzz*", "--index", "roles")
    assert none.stdout == "0 found\n"


def test_the_command_line_explains(acme_home: Path) -> None:
    done = whohas(acme_home, "search", "a OR name:b AND nosuch:c", "--explain")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "group\n  may (changes nothing) any text has 'a'\n  must name has 'b'\n  must nosuch has 'c'\n\n"
        "Fields\n  name: name, text\n  nosuch: not in identities\n\nSQL\nSELECT\n"
    )
    assert "There is no field nosuch" in done.stderr


def test_the_command_line_says_where_a_query_breaks(acme_home: Path) -> None:
    done = whohas(acme_home, "search", "name:(a AND", "-q")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[1:] == ["name:(a AND", "           ^"]
    other = whohas(acme_home, "search", "a", "--index", "people")
    assert "There is no index 'people'. The indices are: identities," in other.stderr


def test_a_run_shows_the_statement_that_gave_its_rows(http: httpx2.Client, server: Server) -> None:
    run = start(http, query="name:a\\\x1b* OR id:x", indices=["identities", "roles"], columns="id")
    result = result_when_over(http, run["id"])
    assert result["snapshot"] == 1
    assert "statement" not in result
    statement = http.get(f"/whohas/runs/{run['id']}/statement").text
    assert statement.startswith('-- Identities\nSELECT\n  d.id AS "id"\nFROM "identities" AS d\nWHERE\n')
    assert "-- Roles\nSELECT" in statement
    shown = whohas(server.home, "show", run["id"]).stdout
    assert "Report:    SEARCH_EXPORT\n" in shown
    assert "State:     succeeded\nSnapshot:  1\n" in shown
    assert "\n-- Identities\nSELECT\n" in shown
    assert "search_export.csv.zip" in shown
    assert "\x1b" not in shown
    assert whohas(server.home, "show", "0" * 32).returncode == 1


def test_a_load_makes_the_index_or_a_command_does_later(home: Path) -> None:
    done = whohas(home, "load", ACME)
    assert "Search index of snapshot 1 made in" in done.stdout
    folder = home / "warehouse" / "search" / "000000001"
    (folder / "index.json").rename(folder / "gone.json")
    again = whohas(home, "index")
    assert again.returncode == 0, again.stderr
    assert (folder / "index.json").is_file()
    assert whohas(home, "load", ACME, "--check").stdout.count("Search index") == 0


def test_a_search_before_anything_was_loaded_says_so(home: Path) -> None:
    done = whohas(home, "search", "name:a*")
    assert (done.returncode, done.stdout) == (0, "0 found\n")
    assert "no data has been loaded yet" in done.stderr
    assert home.stat().st_mode & 0o777 == 0o700
