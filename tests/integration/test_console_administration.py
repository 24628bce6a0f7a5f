"""The console's schedules, webhooks, clients, users and audit log: what they do, for whom, and what is audited."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest

from console import Console, add_user, audited, signed_in, texts
from support import Server
from whohas.services import open_services
from whohas.settings import Settings

OPERATOR_PAGES = ("/webhooks", "/clients", "/users", "/audit")


@pytest.fixture(scope="module", autouse=True)
def users(server: Server) -> None:
    add_user(server, "ann", "ORG_ADMIN")
    add_user(server, "rob", "REPORT_ADMIN")
    add_user(server, "hal", "HELPDESK")
    add_user(server, "cat", "CERT_ADMIN")


@pytest.fixture
def ann(server: Server) -> Iterator[Console]:
    with signed_in(server) as console:
        yield console


def schedule(**fields: object) -> dict[str, object]:
    known = {"act": "schedule", "schedule_name": "Orphans", "schedule_cron": "0 6 * * MON"}
    return {**known, "selectedFormats": "CSV", **fields}


def ids(page: str, kind: str) -> list[str]:
    return list(dict.fromkeys(re.findall(rf'action="/console/{kind}/(\w{{32}})/', page)))


@pytest.mark.parametrize("page", OPERATOR_PAGES)
def test_operator_pages_need_an_org_admin(server: Server, page: str) -> None:
    for user in ("rob", "hal"):
        with signed_in(server, user) as console:
            assert "needs the level ORG_ADMIN" in console.get(page, 403).text
            assert f'href="/console{page}"' not in console.get("").text
            act = "/audit/verify" if page == "/audit" else page
            console.post(act, {"name": "x", "url": "https://example.com"}, 403)


def test_schedule_is_created_paused_run_and_removed(ann: Console, server: Server) -> None:
    ann.post("/reports/ORPHAN_IDENTITIES", schedule())
    page = ann.get("/schedules").text
    assert "The schedule Orphans was created." in page and "every Monday at 6:00" in page
    [id] = ids(page, "schedules")
    event = audited(server, lambda event: event["subject"] == id)
    assert (event["type"], event["data"]["actor"]["name"]) == ("whohas.schedule.created", "ann")
    ann.post(f"/schedules/{id}/pause")
    assert "Paused" in texts(ann.get("/schedules").text)
    ann.post(f"/schedules/{id}/resume")
    assert re.fullmatch(r"/console/runs/\w{32}", ann.post(f"/schedules/{id}/run").headers["Location"])
    ann.post(f"/schedules/{id}/remove")
    assert not ids(ann.get("/schedules").text, "schedules")
    ann.post(f"/schedules/{id}/remove", status=404)


@pytest.mark.parametrize(
    ("changed", "field", "text"),
    [
        ({"schedule_cron": "99 * * * *"}, "schedule_cron", "is wrong"),
        ({"schedule_name": ""}, "schedule_name", "needs a name"),
        ({"schedule_zone": "Mars/Olympus"}, "schedule_zone", "time zone"),
    ],
)
def test_wrong_schedule_names_the_field(ann: Console, changed: dict[str, object], field: str, text: str) -> None:
    page = ann.post("/reports/ORPHAN_IDENTITIES", schedule(**changed), 400).text
    error = re.search(rf'id="error-{field}">(.*?)<', page)
    assert error and text in error[1]
    assert 'value="Orphans"' in page or field == "schedule_name"


def test_schedules_of_others_are_not_there(server: Server, ann: Console) -> None:
    ann.post("/reports/ORPHAN_IDENTITIES", schedule(schedule_name="Of ann"))
    [id] = ids(ann.get("/schedules").text, "schedules")
    with signed_in(server, "cat") as cat, signed_in(server, "hal") as hal:
        assert "Of ann" not in cat.get("/schedules").text
        for act in ("pause", "remove", "run"):
            cat.post(f"/schedules/{id}/{act}", status=404)
        assert "New schedule" not in hal.get("/schedules").text
        hal.get("/schedules/new", 403)
    ann.post(f"/schedules/{id}/remove")


def test_webhook_secret_is_shown_once(ann: Console, server: Server) -> None:
    page = ann.post("/webhooks", {"url": "https://hooks.invalid/runs", "report": "ACCOUNTS"}, 200).text
    assert "whsec_" in page
    shown = ann.get("/webhooks").text
    assert "whsec_" not in shown
    [id] = ids(shown, "webhooks")
    assert "did not accept the test message" in texts(ann.post(f"/webhooks/{id}/test", status=200).text)
    ann.post(f"/webhooks/{id}/remove")
    event = audited(server, lambda event: event["subject"] == id and event["type"] == "whohas.hook.removed")
    assert event["data"]["actor"]["name"] == "ann"


@pytest.mark.parametrize("url", ["", "ftp://x", "https://127.0.0.1/x", "javascript:alert(1)", "https://x.example/<b>"])
def test_wrong_webhook_is_refused_beside_the_field(ann: Console, url: str) -> None:
    assert 'id="error-url"' in ann.post("/webhooks", {"url": url}, 400).text


def test_client_has_least_rights_and_can_be_revoked(ann: Console, server: Server) -> None:
    page = ann.post("/clients", {"name": "exporter", "scope": "sp:report:read"}, 200).text
    facts = html.unescape(texts(page))
    id = re.search(r"Client id (\w{32})", facts)
    secret = re.search(r"Client secret (\w{64})", facts)
    assert id and secret
    with open_services(Settings(home=server.home)) as services:
        client = services.access.clients.verify(id[1], secret[1])
        assert (client.levels, client.scopes) == ((), ("sp:report:read",))
    assert secret[1] not in ann.get("/clients").text
    assert secret[1] not in ann.post(f"/clients/{id[1]}/rotate", status=200).text
    ann.post(f"/clients/{id[1]}/revoke")
    assert audited(server, lambda event: event["type"] == "whohas.client.revoked")["subject"] == id[1]


def test_console_itself_cannot_be_revoked(ann: Console) -> None:
    ann.get("/clients")
    assert "is the web console itself" in ann.post(f"/clients/{'c0450137' * 4}/revoke", status=409).text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"name": "", "scope": "sp:report:read"}, "error-name"),
        ({"name": "x", "scope": "sp:root"}, "There is no scope"),
        ({"name": "x"}, "needs a scope"),
        ({"name": "x", "scope": "sp:report:read", "level": "GOD"}, "There is no level"),
        ({"name": "x", "scope": "sp:report:read", "level": "ORG_ADMIN", "user": "hal"}, "choose none here"),
    ],
)
def test_wrong_client_is_refused(ann: Console, fields: dict[str, object], text: str) -> None:
    assert text in ann.post("/clients", fields, 400).text


def test_new_user_signs_in_with_the_password_shown(ann: Console, server: Server) -> None:
    page = texts(ann.post("/users", {"name": "new one", "level": "HELPDESK"}, 200).text)
    password = re.search(r"Password (\S{24})", page)
    assert password
    with open_services(Settings(home=server.home)) as services:
        assert services.access.users.sign_in("new one", password[1]).levels == ("HELPDESK",)
    ann.post("/users/levels", {"name": "new one"})
    ann.post("/users/disable", {"name": "new one"})
    with open_services(Settings(home=server.home)) as services:
        user = services.access.users.get("new one")
        assert user.levels == () and user.disabled
    changed = "whohas.user.changed"
    assert audited(server, lambda event: event["type"] == changed and event["data"]["actor"]["name"] == "ann")
    assert "There is a user" in ann.post("/users", {"name": "new one"}, 409).text


def test_administrators_cannot_lock_themselves_out(ann: Console) -> None:
    ann.post("/users/disable", {"name": "ann"}, 409)
    ann.post("/users/levels", {"name": "ann", "level": "HELPDESK"}, 409)
    ann.post("/users/disable", {"name": "nobody"}, 404)
    ann.post("/users/password", {"name": "nobody"}, 404)


def test_audit_log_is_filtered_and_verified(ann: Console) -> None:
    ann.get("/search", params={"query": "name:filtered"})
    page = texts(ann.post("/audit/verify", status=200).text)
    assert re.search(r"Verified: [\d,]+ events, complete, in order and unchanged", page)
    shown = ann.get("/audit", params={"type": "data.searched", "who": "ann"}).text
    assert "name:filtered" in shown
    assert set(re.findall(r'<th scope="row">(.*?)</th>', shown)) == {"data.searched"}
    assert "No event matches." in ann.get("/audit", params={"who": "<nobody>"}).text
    assert "error-since" in ann.get("/audit", 400, params={"since": "yesterday"}).text
    ann.get("/audit", params={"before": "9" * 30})
