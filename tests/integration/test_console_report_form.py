"""The form of a report in the console: columns to choose from, the preview of a search, schedules, and bad input."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from console import Console, add_user, audited, hidden_fields, signed_in, texts
from support import Server, result_when_over
from whohas.console.report_preview import HITS, PREVIEWS
from whohas.console.searches import MAX_QUERY_LENGTH
from whohas.reports import all_reports
from whohas.services import open_services
from whohas.settings import Settings

TOO_MANY = Settings.model_fields["search_columns"].default + 1


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    add_user(server, "ann", "ORG_ADMIN")
    add_user(server, "bob", "ORG_ADMIN")
    add_user(server, "hal", "HELPDESK")
    add_user(server, "sue", "SOURCE_ADMIN", sources=("b0d6d48dbf02c2317764b880d82f079c",))


@pytest.fixture(scope="module")
def ann(server: Server) -> Iterator[Console]:
    with signed_in(server) as console:
        yield console


def sent(console: Console, path: str, status: int = 200, **fields: object) -> str:
    """The part of the page of a form that a request of htmx gets."""
    return console.post(f"/reports/{path}", fields, status).text


def preview(console: Console, query: str, **fields: object) -> str:
    return texts(sent(console, "SEARCH_EXPORT/preview", query=query, **fields))


def column_names(page: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'data-text="([^"]*)" aria-pressed', page)]


def source_id(console: Console, name: str = "Active Directory") -> str:
    return re.findall(rf'<option value="(\w+)"[^>]*>{name}', console.get("/reports/ACCOUNTS").text)[0]


def test_new_search_has_the_default_index_ticked(ann: Console) -> None:
    page = ann.get("/reports/SEARCH_EXPORT").text
    assert re.findall(r'name="indices" value="(\w+)" checked', page) == ["identities"]
    page = ann.get("/reports/SEARCH_EXPORT?query=*&indices=roles").text
    assert re.findall(r'name="indices" value="(\w+)" checked', page) == ["roles"]


@pytest.mark.parametrize("type", all_reports())
def test_each_report_has_its_columns_to_choose_from(ann: Console, type: str) -> None:
    names = column_names(ann.get(f"/reports/{type}").text)
    wanted = [column.name for column in all_reports()[type].columns] or ["id", "name", "attributes.city"]
    assert set(wanted) <= set(names) and len(set(names)) == len(names)


def test_columns_follow_the_source_and_the_indices(ann: Console) -> None:
    assert "memberOf" not in column_names(ann.get("/reports/ACCOUNTS").text)
    assert "memberOf" in column_names(sent(ann, "ACCOUNTS/columns", application=source_id(ann)))
    assert "memberOf" in column_names(ann.get(f"/reports/ACCOUNTS?application={source_id(ann)}").text)
    roles = column_names(sent(ann, "SEARCH_EXPORT/columns", indices=["roles"]))
    assert "accessProfileCount" in roles and "attributes.city" not in roles


def test_chosen_columns_are_those_of_the_file_in_their_order(server: Server, ann: Console) -> None:
    fields = {"application": source_id(ann), "columns": "disabled, name,id", "selectedFormats": ["CSV"]}
    id = ann.post("/reports/ACCOUNTS", fields).headers["Location"].removeprefix("/console/runs/")
    with server.http() as http:
        result_when_over(http, id)
    assert ann.get(f"/runs/{id}/files/csv").text.splitlines()[0] == "disabled,name,id"
    assert 'name="columns" value="disabled,name,id"' in ann.get(f"/reports/ACCOUNTS?from={id}").text


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("x" * 40 + ",", "There is no column xxxx"),
        ("nmae", "There is no column nmae in IDENTITIES: it stays empty. Did you mean name?"),
        ("<script>alert(1)</script>", "There is no column <script>alert(1)</script>"),
        ('["a,b"]', "There is no column a,b"),
        ("../../etc/passwd; DROP TABLE identities", "There is no column ../../etc/passwd; DROP TABLE identities"),
    ],
)
def test_unknown_column_stays_empty_with_a_message(server: Server, ann: Console, columns: str, message: str) -> None:
    run = ann.post("/reports/IDENTITIES", {"columns": f"{columns}", "selectedFormats": ["CSV"]}).headers["Location"]
    with server.http() as http:
        result_when_over(http, run.removeprefix("/console/runs/"))
    page = ann.get(run.removeprefix("/console")).text
    assert message in texts(page) and "<script>alert" not in page


def test_name_with_a_comma_survives_change_and_run(server: Server, ann: Console) -> None:
    run = ann.post("/reports/IDENTITIES", {"columns": '["a,b", "name"]', "selectedFormats": ["CSV"]})
    id = run.headers["Location"].removeprefix("/console/runs/")
    form = html.unescape(ann.get(f"/reports/IDENTITIES?from={id}").text)
    assert 'name="columns" value="["a,b", "name"]"' in form


@pytest.mark.parametrize(
    ("fields", "name", "message"),
    [
        ({"columns": '["a"'}, "columns", "begins with [ but is no JSON list"),
        ({"columns": "[1, 2]"}, "columns", "a list of texts"),
        ({"columns": ",".join(f"c{n}" for n in range(TOO_MANY))}, "columns", f"names {TOO_MANY:,} columns"),
        ({"detail": "some"}, "detail", "must be readable or complete"),
        ({"labels": "perhaps"}, "labels", ""),
    ],
)
def test_bad_input_is_told_beside_its_field(ann: Console, fields: dict[str, str], name: str, message: str) -> None:
    if not message:  # a checkbox is true, whatever its value
        ann.post("/reports/IDENTITIES", fields)
        return
    page = ann.post("/reports/IDENTITIES", fields, 400).text
    (error,) = re.findall(rf'<p class="error" id="error-{name}">(.*?)</p>', page)
    assert message in html.unescape(error)


def test_detail_is_chosen_and_labels_are_ticked(server: Server, ann: Console) -> None:
    page = ann.get("/reports/IDENTITIES").text
    assert '<option value="">Readable</option>' in page and 'type="checkbox" name="labels"' in page
    run = ann.post("/reports/IDENTITIES", {"detail": "complete", "labels": "true", "selectedFormats": ["XLSX"]})
    id = run.headers["Location"].removeprefix("/console/runs/")
    form = ann.get(f"/reports/IDENTITIES?from={id}").text
    assert '<option value="complete" selected>' in form and re.search(r'name="labels"[^>]* checked', form)


# --- the preview of a search


def test_preview_has_the_count_and_first_hits(ann: Console) -> None:
    page = sent(ann, "SEARCH_EXPORT/preview", query="lastName:oakenshaw", indices=["identities"])
    assert "3 found" in texts(page) and page.count("<tr><td>") == 3 and "Oakenshaw" in page
    page = sent(ann, "SEARCH_EXPORT/preview", query="*", indices=["identities", "roles"])
    assert re.search(r"3\d\d found : Identities 300, Roles \d+", texts(page)) and page.count("<tr><td>") == HITS


def test_preview_shows_the_columns_that_are_chosen(ann: Console) -> None:
    page = sent(ann, "SEARCH_EXPORT/preview", query="*", indices=["roles"], columns="name,created")
    assert re.findall('<th scope="col">([^<]*)', page) == ["Name", "Created"]


def test_preview_obeys_all_arguments_of_the_search(ann: Console) -> None:
    for fields in ({"filters": '{"lastName": {"type": "TERMS", "terms": ["Oakenshaw"]}}'}, {"fields": "lastName"}):
        query = "oakenshaw" if "fields" in fields else "*"
        assert "3 found" in preview(ann, query, indices=["identities"], **fields), fields


def test_broken_query_is_told_with_its_place(ann: Console) -> None:
    page = sent(ann, "SEARCH_EXPORT/preview", query='name:"ada AND x')
    assert "The query breaks at column 6: this quotation mark is never closed." in html.unescape(page)
    assert "name:<mark>&#34;</mark>ada AND x" in page and "found" not in texts(page)
    assert "There is no field nmae" in preview(ann, "nmae:x", indices=["identities"])
    assert preview(ann, "") == ""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"query": "*", "filters": "{"}, "The argument filters is not JSON"),
        ({"query": "*", "innerHit": "[]"}, "The argument innerHit must be a JSON object"),
        ({"query": "*", "innerHit": '{"type": "access", "query": "name:("}'}, "The query"),
        ({"query": "*", "indices": ["secrets"]}, "There is no index 'secrets'"),
        ({"query": "*", "timeZone": "Nowhere/Land"}, "Nowhere/Land"),
        ({"query": "*", "sort": "-nothing"}, "nothing"),
        ({"query": "a" * (MAX_QUERY_LENGTH + 1)}, "4,001 characters"),
        ({"query": "(" * 2_000}, ""),
        ({"query": "<b>x</b> \"'"}, ""),
    ],
)
def test_preview_of_bad_input_is_a_message(ann: Console, fields: dict[str, object], message: str) -> None:
    page = sent(ann, "SEARCH_EXPORT/preview", **fields)
    assert message in texts(page) and "<b>x" not in page


def test_preview_works_without_scripts(ann: Console) -> None:
    page = ann.post("/reports/SEARCH_EXPORT", {"act": "check", "query": "lastName:oakenshaw"}, 200).text
    assert "3 found" in texts(page) and "lastName:oakenshaw</textarea>" in page
    assert '<noscript><button class="secondary outline" name="act" value="check">' in page
    first = re.findall(
        r"<form method=\"post\" action=\"/console/reports.*?(<button(?! type).*?</button>)", page, re.DOTALL
    )
    assert "Run the report" in first[0], "Enter in a field presses the first button"


def test_reports_without_a_query_have_no_preview(ann: Console) -> None:
    sent(ann, "ACCOUNTS/preview", 404, query="*")
    sent(ann, "NOTHING/preview", 404, query="*")
    page = ann.get("/reports/SEARCH_EXPORT/preview", 405)
    assert page.headers["Allow"] == "POST" and page.headers["content-type"].startswith("text/html")


def test_source_administrator_gets_no_hits_or_fields(server: Server) -> None:
    with signed_in(server, "sue") as sue:
        assert "a search covers all sources" in texts(sent(sue, "SEARCH_EXPORT/preview", 403, query="*"))
        sent(sue, "SEARCH_EXPORT", 403, query="*", act="check")
        assert column_names(sue.get("/reports/SEARCH_EXPORT").text) == []
        foreign = column_names(sent(sue, "ACCOUNTS/columns", application="b8a9ba3a2a7c1b3c4a6c2d7f0f9b1d11"))
        assert foreign == [column.name for column in all_reports()["ACCOUNTS"].columns]
    with signed_in(server, "hal") as hal:
        for part in ("preview", "columns"):
            sent(hal, f"SEARCH_EXPORT/{part}", 403, query="*")


def test_source_administrator_sees_no_columns_of_other_sources(server: Server, ann: Console) -> None:
    with signed_in(server, "sue") as sue:
        other = column_names(sent(ann, "ACCOUNTS/columns", application=source_id(ann, "Workforce HR")))
        shown = column_names(sent(sue, "ACCOUNTS/columns", application=source_id(ann, "Workforce HR")))
        assert shown == [column.name for column in all_reports()["ACCOUNTS"].columns] != other


def test_preview_needs_the_form_of_the_session(ann: Console) -> None:
    answer = ann.http.post("/console/reports/SEARCH_EXPORT/preview", data={"query": "*"})
    assert answer.status_code == 403 and "not one of your session" in answer.text


def test_previews_are_events_but_do_not_flood_the_log(server: Server) -> None:
    with signed_in(server, "bob") as bob:
        shown = [preview(bob, f"accountCount:[{n % 3} TO *]", indices=["identities"]) for n in range(PREVIEWS + 3)]
        assert all("found" in text for text in shown[:PREVIEWS])
        assert all("found" not in text and "previews were shown within a minute" in text for text in shown[PREVIEWS:])
        assert "breaks at column" in preview(bob, "name:("), "the check goes on"
        ended = "firstName:endofpreviews"
        bob.get("/search", params={"query": ended})
    audited(server, lambda event: event["data"].get("query") == ended)
    from auditing import lines

    seen = [
        event["data"]
        for event in lines(server.home / "audit.ndjson")
        if event["data"].get("preview") and event["data"]["actor"]["name"] == "bob"
    ]
    assert [(one["query"], one["index"]) for one in seen] == [
        (f"accountCount:[{n % 3} TO *]", "identities") for n in range(PREVIEWS)
    ]


def test_same_preview_again_is_one_event(server: Server) -> None:
    add_user(server, "cyn", "ORG_ADMIN")
    with signed_in(server, "cyn") as cyn:
        for _ in range(PREVIEWS + 2):
            assert "300 found" in preview(cyn, "*", indices=["identities"])
        assert "0 found" in preview(cyn, "name:nothing", indices=["identities"])


# --- schedules


def test_form_creates_a_schedule(server: Server, ann: Console) -> None:
    fields = {
        "act": "schedule",
        "schedule_name": "Identities <weekly>",
        "schedule_cron": "0 6 * * MON",
        "schedule_zone": "Europe/Berlin",
        "columns": "name,email",
        "selectedFormats": ["CSV"],
    }
    made = ann.post("/reports/IDENTITIES", fields)
    assert made.headers["Location"] == "/console/schedules"
    page = ann.get("/schedules").text
    assert "Identities &lt;weekly&gt;" in page and "every Monday at 6:00" in page
    with open_services(Settings(home=server.home)) as services:
        (one,) = services.schedules.list()
    assert dict(one.arguments) == {"columns": "name,email", "selectedFormats": ["CSV"]}
    assert (one.cron, one.time_zone, one.launcher) == ("0 6 * * MON", "Europe/Berlin", "ann")
    event = audited(server, lambda event: event["type"] == "whohas.schedule.created")
    assert event["data"]["actor"]["name"] == "ann"
    again = ann.post("/reports/IDENTITIES", fields, 409).text
    assert 'id="error-schedule_name"' in again and "The schedule was not created" in again


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"schedule_name": ""}, "schedule_name"),
        ({"schedule_name": "x" * 101}, "schedule_name"),
        ({"schedule_cron": ""}, "schedule_cron"),
        ({"schedule_cron": "99 6 * * MON"}, "schedule_cron"),
        ({"schedule_cron": "0 0 30 2 *"}, "schedule_cron"),
        ({"schedule_zone": "Nowhere/Land"}, "schedule_zone"),
        ({"columns": '["a"'}, "columns"),
        ({"timeZone": "Nowhere/Land"}, "timeZone"),
    ],
)
def test_bad_schedule_is_told_beside_its_field(ann: Console, changed: dict[str, str], place: str) -> None:
    fields = {
        "act": "schedule",
        "schedule_name": "bad",
        "schedule_cron": "0 6 * * *",
        "schedule_zone": "UTC",
        **changed,
    }
    page = ann.post("/reports/IDENTITIES", fields, 400).text
    assert re.findall(r'id="error-(\w+)"', page) == [place]
    assert "The schedule was not created" in page and 'id="schedule" open' in page
    assert "bad" not in ann.get("/schedules").text


def test_new_schedule_leads_to_the_form_of_its_report(ann: Console) -> None:
    assert ann.get("/schedules/new?report=IDENTITIES", 303).headers["Location"].endswith("/IDENTITIES?schedule=1")
    assert 'id="schedule" open' in ann.get("/reports/IDENTITIES?schedule=1").text
    ann.get("/schedules/new?report=NOTHING", 404)
    assert "form_token" in hidden_fields(ann.get("/reports/IDENTITIES").text)
