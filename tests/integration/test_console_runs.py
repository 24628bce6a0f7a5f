"""The console's reports and runs: from a form to the rows, and who may see and do what."""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from console import Console, add_user, audited, signed_in, texts
from support import Server, result_when_over, serving
from whohas.reports import all_reports
from whohas.services import open_services
from whohas.settings import Settings

AD = "Active Directory"


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    add_user(server, "ann", "ORG_ADMIN")
    add_user(server, "rob", "REPORT_ADMIN")
    add_user(server, "cay", "CERT_ADMIN")
    add_user(server, "hal", "HELPDESK")
    add_user(server, "sue", "SOURCE_ADMIN", sources=(sources(server)[AD],))


@pytest.fixture(scope="module")
def ann(server: Server) -> Iterator[Console]:
    with signed_in(server) as console:
        yield console


def sources(server: Server) -> dict[str, str]:
    from whohas.warehouse.catalog import read_catalog
    from whohas.warehouse.store import Warehouse

    return {source.name: source.id for source in read_catalog(Warehouse(server.home / "warehouse").snapshot()).sources}


def started(server: Server, console: Console, type: str = "ACCOUNTS", **fields: object) -> str:
    """Start a run by its form, and wait for its end; its id."""
    if type == "ACCOUNTS":
        fields = {"application": sources(server)[AD], **fields}
    sent = console.post(f"/reports/{type}", fields)
    id = sent.headers["Location"].removeprefix("/console/runs/")
    with server.http() as http:
        result_when_over(http, id)
    return id


@pytest.fixture(scope="module")
def run_id(server: Server, ann: Console) -> str:
    return started(server, ann, selectedFormats=["CSV", "JSON"])


def data(console: Console, run_id: str, detail: str = "complete", **asked: object) -> dict[str, Any]:
    """The answer to a request for rows, with the token of the page."""
    page = console.get(f"/runs/{run_id}/rows?detail={detail}").text
    address = re.findall(r'data-url="([^"]+)"', page)[0].replace("&amp;", "&")
    return console.http.get(address, params={**httpx2.URL(address).params, **asked}).raise_for_status().json()


def test_every_report_has_its_description_and_form(ann: Console) -> None:
    page = texts(ann.get("/reports").text)
    for report in all_reports().values():
        assert report.description in page
        form = ann.get(f"/reports/{report.type}").text
        for name in {*report.arguments} - {"sourceName", "includeNested"}:
            assert f'name="{name}"' in form
        assert 'name="selectedFormats" value="PDF"' in form


def test_sources_are_chosen_by_name(server: Server, ann: Console) -> None:
    form = ann.get("/reports/ACCOUNTS").text
    for name, id in sources(server).items():
        assert f'<option value="{id}">{name}</option>' in form


def test_wrong_argument_is_told_beside_its_field(ann: Console) -> None:
    fields = {"query": 'name:("a', "columns": "displayName", "selectedFormats": ["CSV"], "indices": ["roles"]}
    page = ann.post("/reports/SEARCH_EXPORT", fields, 400).text
    assert re.search(r'<p class="error" id="error-query">The query ', page)
    assert 'aria-describedby="error-query help-query"' in page
    assert "name:(&#34;a</textarea>" in page and 'value="displayName"' in page
    assert 'value="roles" checked' in page and 'value="CSV" checked' in page


def test_missing_argument_keeps_what_was_entered(ann: Console) -> None:
    page = ann.post("/reports/ACCOUNTS", {"csvSeparator": ";", "timeZone": "Nowhere/Land"}, 400).text
    assert 'value=";" selected' in page and 'value="Nowhere/Land"' in page
    assert 'role="alert"' in page


def test_wrong_option_of_a_file_is_told_beside_it(server: Server, ann: Console) -> None:
    page = ann.post("/reports/ACCOUNTS", {"application": sources(server)[AD], "timeZone": "Nowhere/Land"}, 400).text
    assert 'id="error-timeZone"' in page
    assert '<details class="more" open>' in page


def test_object_argument_must_be_json(ann: Console) -> None:
    page = ann.post("/reports/SEARCH_EXPORT", {"query": "*", "filters": "{"}, 400).text
    assert "The argument filters is not JSON" in page and 'id="error-filters"' in page


def test_form_starts_the_run_that_the_api_would(server: Server, ann: Console, run_id: str) -> None:
    page = texts(ann.get(f"/runs/{run_id}").text)
    assert "Accounts Report: Active Directory" in page
    assert "304 rows in" in page and "by ann" in page
    with server.http() as http:
        status = http.get("/v2025/task-status", params={"filters": f'id eq "{run_id}"'}).json()[0]
    assert (status["launcher"], status["completionStatus"]) == ("ann", "SUCCESS")


def test_page_of_a_run_has_its_facts(server: Server, ann: Console, run_id: str) -> None:
    page = ann.get(f"/runs/{run_id}").text
    path = next((server.home / "artefacts" / run_id).glob("*.csv"))
    assert hashlib.sha256(path.read_bytes()).hexdigest() in page
    assert "FROM accounts a" in page and "snapshot 1" in texts(page)
    assert f'href="/console/runs/{run_id}/rows"' in page


def test_download_is_the_file_and_an_audit_event(server: Server, ann: Console, run_id: str) -> None:
    answer = ann.get(f"/runs/{run_id}/files/csv")
    path = next((server.home / "artefacts" / run_id).glob("*.csv"))
    assert answer.content == path.read_bytes()
    assert answer.headers["Content-Disposition"].startswith(
        'attachment; filename="Accounts Report - Active Directory.csv"'
    )

    def is_download(event: dict[str, Any]) -> bool:
        return event["type"] == "whohas.report.downloaded" and event["subject"] == run_id

    event = audited(server, is_download)
    assert (event["data"]["actor"]["name"], event["data"]["format"]) == ("ann", "csv")
    assert event["data"]["sha256"] == hashlib.sha256(answer.content).hexdigest()


def test_another_format_is_made_on_download(server: Server, ann: Console) -> None:
    id = started(server, ann, selectedFormats=["CSV", "NDJSON"])
    assert json.loads(ann.get(f"/runs/{id}/files/json").content)
    assert "JSON" in texts(ann.get(f"/runs/{id}").text)


def headings(console: Console, run_id: str, detail: str = "") -> list[str]:
    page = console.get(f"/runs/{run_id}/rows?detail={detail}").text
    return [html.unescape(text) for text in re.findall(r'<a class="sort"[^>]*>([^<]*)</a>', page)]


def test_rows_have_the_columns_of_readable_files(ann: Console, run_id: str) -> None:
    file = ann.get(f"/runs/{run_id}/files/html").text
    (head,) = re.findall(
        "<thead>.*?</thead>", file.rpartition("<table")[2] and file[file.rindex("<thead>") :], re.DOTALL
    )
    of_file = [html.unescape(text) for text in re.findall(r"<th[^>]*>([^<]*)</th>", head.rpartition("<tr>")[2])]
    shown = headings(ann, run_id)
    assert sorted(shown) == sorted(of_file) and "Identity" in " ".join(shown) and "id" not in shown
    page = texts(ann.get(f"/runs/{run_id}/rows").text)
    all_columns = headings(ann, run_id, "complete")
    assert f"{len(shown)} of {len(all_columns)} columns" in page
    assert "Ids left out Account id" in page and "Show all columns" in page
    assert {"id", "sourceId", "identityId"} < set(all_columns)


def test_readable_rows_have_words_for_flags_and_plain_times(server: Server, ann: Console, run_id: str) -> None:
    only_csv = started(server, ann, selectedFormats=["CSV"], timeZone="+03:00")
    seen: list[list[list[str]]] = []
    for id in (run_id, only_csv):  # an extract has types, a CSV file has texts
        shown = headings(ann, id)
        disabled, created = shown.index("Disabled"), shown.index("Created")
        rows = data(ann, id, "readable", count=500)["rows"]
        assert {row[disabled] for row in rows} == {"Yes", "No"}
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row[created]) for row in rows if row[created])
        assert data(ann, id, "readable", text="Yes")["total"] == sum(
            "Yes" in " ".join(filter(None, row)) for row in rows
        )
        places = [shown.index(heading) for heading in ("Account", "Disabled", "Created")]
        seen.append(sorted([row[place] or "" for place in places] for row in rows))
    assert seen[0] == seen[1]


def test_columns_that_were_named_are_all_shown(server: Server, ann: Console) -> None:
    id = started(server, ann, columns="id, nothing such,name,identityId", selectedFormats=["CSV", "JSON"])
    assert headings(ann, id) == ["Account id", "nothing such", "Account", "Identity id"]
    assert headings(ann, id, "complete") == ["id", "nothing such", "name", "identityId"]
    assert "There is no column nothing such in ACCOUNTS" in texts(ann.get(f"/runs/{id}").text)


def test_run_of_complete_files_shows_all_columns_first(server: Server, ann: Console) -> None:
    id = started(server, ann, detail="complete", selectedFormats=["CSV", "HTML"])
    assert headings(ann, id) == headings(ann, id, "complete") and "id" in headings(ann, id)
    assert "id" not in headings(ann, id, "readable")
    ann.get(f"/runs/{id}/rows?detail=some", 400)


def test_rows_are_those_of_the_file(server: Server, ann: Console, run_id: str) -> None:
    lines = list(csv.reader(io.StringIO(ann.get(f"/runs/{run_id}/files/csv").text)))
    shown = data(ann, run_id, count=500)
    assert (shown["total"], len(shown["rows"])) == (304, 304)
    ids = [row[0] for row in shown["rows"]]
    assert sorted(ids) == sorted(line[0] for line in lines[1:])
    pages = [data(ann, run_id, start=start, count=100)["rows"] for start in (0, 100, 200, 300, 400)]
    assert [row[0] for page in pages for row in page] == ids


def test_rows_are_sorted_with_empty_cells_last(ann: Console, run_id: str) -> None:
    column = headings(ann, run_id, "complete").index("identityName")
    up = [row[column] for row in data(ann, run_id, sort=column, count=500)["rows"]]
    filled = [cell for cell in up if cell is not None]
    assert None in up and up[-1] is None
    assert filled == sorted(filled, key=str.lower)
    down = [row[column] for row in data(ann, run_id, sort=column, desc=1, count=500)["rows"]]
    assert down[-1] is None and [cell.lower() for cell in down if cell] == [cell.lower() for cell in reversed(filled)]
    assert (
        data(ann, run_id, sort=column, start=10, count=5)["rows"]
        == data(ann, run_id, sort=column, count=500)["rows"][10:15]
    )


def test_rows_are_filtered_in_any_column(ann: Console, run_id: str) -> None:
    everything = data(ann, run_id, count=500)["rows"]
    name = everything[7][2]
    for text in (name, name.upper()):
        found = data(ann, run_id, text=text, count=500)
        expected = [row for row in everything if any(cell and text.lower() in cell.lower() for cell in row)]
        assert found["rows"] == expected and found["total"] == len(expected) > 0
    assert data(ann, run_id, text="no such text") == {"total": 0, "start": 0, "rows": []}
    assert data(ann, run_id, text="' OR 1=1 --")["total"] == 0


@pytest.mark.parametrize("format", ["CSV", "PARQUET"])
def test_filter_finds_what_cells_of_each_type_show(server: Server, ann: Console, format: str) -> None:
    id = started(server, ann, selectedFormats=[format])
    for detail in ("complete", "readable"):
        everything = data(ann, id, detail, count=500)["rows"]
        time = next(cell for row in everything for cell in row if cell and re.match(r"\d{4}-\d\d-\d\d.\d\d:", cell))
        for text in (
            "yes",
            "O",
            "es",
            "TRU",
            "false",
            "0",
            "-",
            time,
            time[:7],
            time[11:16],
            "; ",
            "infinity",
            "no such",
        ):
            found = [row for row in everything if any(cell and text.strip().lower() in cell.lower() for cell in row)]
            assert data(ann, id, detail, text=text, count=500)["rows"] == found, (detail, text)


def test_rows_without_scripts_are_pages(ann: Console, run_id: str) -> None:
    last = ann.get(f"/runs/{run_id}/rows?page=11&sort=2").text
    assert len(re.findall("<tr><td", last)) == 304 - 10 * 30
    assert "page 11 of 11" in texts(last)


@pytest.mark.parametrize("query", ["sort=999", "part=3", "sort=x", "page=-1", "start=1e9", "sort=-1"])
def test_wrong_request_for_rows_is_refused(ann: Console, run_id: str, query: str) -> None:
    ann.get(f"/runs/{run_id}/rows?{query}", 404 if re.search(r"=\d+$", query) else 400)


def test_looking_at_rows_is_one_audit_event(server: Server, ann: Console) -> None:
    id = started(server, ann, selectedFormats=["CSV", "XLSX"])
    page = ann.get(f"/runs/{id}/rows").text
    address = re.findall(r'data-url="([^"]+)"', page)[0].replace("&amp;", "&")
    for start in (0, 100, 200):
        ann.http.get(f"{address}&start={start}&count=100").raise_for_status()
    ann.get(f"/runs/{id}/files/csv")
    audited(server, lambda event: event["type"] == "whohas.report.downloaded" and event["subject"] == id)
    events = [json.loads(line) for line in (server.home / "audit.ndjson").read_text().splitlines()]
    seen = [event["data"] for event in events if event["type"] == "whohas.report.viewed" and event["subject"] == id]
    assert [(one["actor"]["name"], one["rows"]) for one in seen] == [("ann", 304)]


def test_rows_need_the_page_of_the_same_session(server: Server, ann: Console, run_id: str) -> None:
    page = ann.get(f"/runs/{run_id}/rows").text
    address = re.findall(r'data-url="([^"]+)"', page)[0].replace("&amp;", "&")
    assert ann.http.get(f"/console/runs/{run_id}/rows/data?start=0").status_code == 403
    with signed_in(server, "rob") as rob:
        assert rob.http.get(address).status_code == 403
        assert rob.get(f"/runs/{run_id}/rows")


def test_run_of_one_csv_shows_its_rows(server: Server, ann: Console) -> None:
    id = started(server, ann, selectedFormats=["CSV"], csvSeparator=";")
    assert [file.name for file in (server.home / "artefacts" / id).iterdir()] == ["1-accounts.csv"]
    shown = data(ann, id, count=500)
    lines = list(csv.reader(io.StringIO(ann.get(f"/runs/{id}/files/csv").text), delimiter=";"))
    assert [[cell or "" for cell in row] for row in shown["rows"]] == lines[1:]


def test_run_without_a_table_makes_one_first(server: Server, ann: Console) -> None:
    id = started(server, ann, selectedFormats=["JSON"])
    assert "This run kept no table of its rows." in ann.get(f"/runs/{id}/rows").text
    ann.post(f"/runs/{id}/rows")
    assert data(ann, id)["total"] == 304


def test_search_export_has_a_table_for_each_index(server: Server, ann: Console) -> None:
    for formats in (["CSV"], ["PARQUET"], ["CSV", "JSON"]):
        fields = {"query": "*", "indices": ["identities", "roles"], "selectedFormats": formats}
        id = started(server, ann, "SEARCH_EXPORT", **fields)
        page = ann.get(f"/runs/{id}/rows?part=1").text
        assert re.search(r'part=1&amp;detail=readable" aria-current="page">Roles', page), formats
        assert len(re.findall("<tr><td", page)) > 1


def test_summary_of_a_run_has_figures_and_charts(server: Server, ann: Console, run_id: str) -> None:
    page = ann.get(f"/runs/{run_id}").text
    assert 'hx-get="' not in page, "a run whose rows were extracted has its summary"
    assert "Correlated accounts" in texts(page) and "Accounts by source and state" in texts(page)
    assert page.count('<svg class="chart"') == 2 and "pages.css" in page and "style=" not in page
    alone = started(server, ann, selectedFormats=["CSV"], timeZone="+02:00")
    page = ann.get(f"/runs/{alone}").text
    assert f'hx-get="/console/runs/{alone}/summary"' in page and '<svg class="chart"' not in page
    part = ann.http.get(f"/console/runs/{alone}/summary", headers={"HX-Request": "true"}).raise_for_status().text
    assert part.lstrip().startswith("<section") and part.count('<svg class="chart"') == 2
    whole = ann.get(f"/runs/{alone}/summary").text
    assert "<!doctype html>" in whole and "Correlated accounts" in texts(whole)
    assert '<svg class="chart"' in ann.get(f"/runs/{alone}").text, "it is kept with the run"


def test_run_again_starts_a_new_one(server: Server, ann: Console, run_id: str) -> None:
    again = ann.post(f"/runs/{run_id}/again").headers["Location"].removeprefix("/console/runs/")
    assert again != run_id
    with server.http() as http:
        result_when_over(http, again)
    form = ann.get(f"/reports/ACCOUNTS?from={run_id}").text
    assert f'value="{sources(server)[AD]}" selected' in form and 'value="JSON" checked' in form


def test_run_over_cannot_be_cancelled_and_stays(ann: Console, run_id: str) -> None:
    ann.post(f"/runs/{run_id}/cancel")
    assert "Succeeded" in texts(ann.get(f"/runs/{run_id}").text)


def test_waiting_run_is_cancelled_from_its_page(acme_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(acme_home, home)
    with serving(home, WHOHAS_WORKER="false") as idle:
        add_user(idle, "ann", "ORG_ADMIN")
        with signed_in(idle) as console:
            run = console.post("/reports/IDENTITIES").headers["Location"].removeprefix("/console")
            page = console.get(run).text
            assert "Waiting for a free worker" in page and "Cancel the run" in page
            assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in page
            assert f'action="/console{run}/cancel"' in console.get("/runs").text
            console.get(f"{run}/rows", 404)
            console.post(f"{run}/cancel")
            assert "Cancelled" in texts(console.get(run).text) and "Cancel the run" not in console.get(run).text
            event = audited(idle, lambda event: event["type"] == "whohas.run.cancelled")
            assert event["data"]["actor"]["name"] == "ann"


def test_hold_and_release_of_a_run(server: Server, ann: Console, run_id: str) -> None:
    ann.post(f"/runs/{run_id}/hold", {"reason": "audit <2026>"})
    page = ann.get(f"/runs/{run_id}").text
    assert "audit &lt;2026&gt;" in page and "Held" in texts(page)
    held = audited(server, lambda event: event["type"] == "whohas.run.held" and event["subject"] == run_id)
    assert held["data"]["actor"]["name"] == "ann"
    ann.post(f"/runs/{run_id}/release")
    assert "Not held" in texts(ann.get(f"/runs/{run_id}").text)


def test_list_filters_sorts_and_pages(ann: Console, run_id: str) -> None:
    assert run_id in ann.get("/runs").text
    for query in (
        "text=active+dir",
        "report=ACCOUNTS",
        "state=succeeded",
        "launcher=ann",
        f"text={run_id[:8]}",
        "text=ANN",
    ):
        assert run_id in ann.get(f"/runs?{query}").text, query
    for query in ("text=nothing+such", "report=ROLES", "state=failed", "launcher=rob", "page=99", 'launcher=a"\\b'):
        assert run_id not in ann.get(f"/runs?{query}").text, query
    numbers = [int(n) for n in re.findall(r'<td class="number">([\d]+)</td>', ann.get("/runs?order=rows").text)]
    assert numbers == sorted(numbers)
    ann.get("/runs?order=secret", 400)
    ann.get("/runs?page=x", 400)


def test_others_see_no_summary(server: Server, run_id: str) -> None:
    with signed_in(server, "sue") as sue:
        assert sue.http.get(f"/console/runs/{run_id}/summary").status_code == 404


def test_others_see_neither_run_nor_rows(server: Server, run_id: str) -> None:
    with signed_in(server, "cay") as cay:
        assert run_id not in cay.get("/runs").text and "Accounts Report" not in cay.get("").text
        for path in ("", "/rows", "/files/csv", "/events"):
            cay.get(f"/runs/{run_id}{path}", 404)
        for act in ("cancel", "again", "rows"):
            cay.post(f"/runs/{run_id}/{act}", status=404)
        cay.post(f"/runs/{run_id}/hold", status=403)


def test_source_administrator_has_own_sources_only(server: Server) -> None:
    with signed_in(server, "sue") as sue:
        form = sue.get("/reports/ACCOUNTS").text
        assert AD in form and "Workforce HR" not in form
        assert "Workforce HR" not in sue.get("").text
        refused = sue.post("/reports/ACCOUNTS", {"application": sources(server)["Workforce HR"]}, 403)
        assert "may only have reports on their own" in refused.text
        id = started(server, sue)
        assert data(sue, id)["total"] == 304


def test_helpdesk_starts_nothing(server: Server) -> None:
    with signed_in(server, "hal") as hal:
        assert ">Reports<" not in hal.get("").text
        hal.get("/reports", 403)
        hal.get("/reports/ACCOUNTS", 403)
        hal.post("/reports/ACCOUNTS", {"application": "x"}, 403)
        assert "No report has been run yet" in hal.get("/runs").text


def test_refused_page_is_in_the_audit_log(server: Server) -> None:
    with signed_in(server, "hal") as hal:
        hal.get("/reports", 403)
    denied = audited(
        server, lambda event: event["type"] == "whohas.request.denied" and "start a run" in json.dumps(event)
    )
    assert denied["data"]["actor"]["name"] == "hal"


def test_stream_of_a_run_ends_with_its_last_state(server: Server, ann: Console) -> None:
    sent = ann.post("/reports/IDENTITIES", {"selectedFormats": ["CSV", "JSON"]})
    with ann.http.stream("GET", f"{sent.headers['Location']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = "".join(answer.iter_text())
    assert text.rstrip().endswith("event: end\ndata:")
    assert "Succeeded" in texts(text.replace("data: ", ""))
    ids = sent.headers["Location"].removeprefix("/console/runs/")
    with ann.http.stream("GET", f"/console/runs/events?ids={ids}") as answer:
        row = "".join(answer.iter_text())
    assert f'id="run-{ids}" hx-swap-oob="outerMorph"' in row and "event: end" in row


def test_session_that_ends_sends_scripts_a_reload(server: Server, run_id: str) -> None:
    with signed_in(server) as console:
        console.post("/sign-out")
        answer = console.http.get(f"/console/runs/{run_id}/events", headers={"HX-Request": "true"})
        assert (answer.status_code, answer.headers["HX-Refresh"]) == (403, "true")
        page = console.http.get(f"/console/runs/{run_id}?a=b")
        assert page.headers["Location"] == f"/console/sign-in?next=%2Fconsole%2Fruns%2F{run_id}%3Fa%3Db"


def test_every_page_keeps_the_policy(ann: Console, run_id: str) -> None:
    for path in ("/reports", "/reports/SEARCH_EXPORT", "/runs", f"/runs/{run_id}", f"/runs/{run_id}/rows"):
        page = ann.get(path)
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=\"/)|javascript:", page.text), path


def test_home_without_data_says_what_to_do(tmp_path: Path) -> None:
    with serving(tmp_path / "home") as empty:
        add_user(empty, "ann", "ORG_ADMIN")
        with signed_in(empty) as console:
            assert "No data has been loaded yet" in console.get("").text
            assert "No report has been run yet" in console.get("/runs").text
            assert "No data has been loaded yet" in console.get("/reports/ACCOUNTS").text
            with open_services(Settings(home=empty.home)) as services:
                assert services.warehouse.snapshot().number == 0
