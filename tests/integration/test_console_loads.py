"""The console on an installation with hostile names and loads that went wrong: identities, sources, loads."""

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
from whohas.cli.exits import ExitCode

HOSTILE = '<script>alert("x")</script>'
COLUMNS = ("sourceId", "sourceName", "nativeIdentity", "name", "identityId", "disabled")


def write_accounts(folder: Path, *rows: tuple[str, ...]) -> Path:
    folder.mkdir()
    with (folder / "accounts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return folder


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose data has hostile names and rejected rows, and whose last loads were stopped and failed."""
    folder = tmp_path_factory.mktemp("damaged")
    home = folder / "home"
    good = folder / "good"
    rows = [("hr", HOSTILE, f"n{n}", HOSTILE, "i1" if n < 3 else "", "false") for n in range(60)]
    write_accounts(good, *rows, ("hr", HOSTILE, "n60", "cyd", "", "perhaps"), ("hr", HOSTILE, "", "dan", "", ""))
    identities = [
        {
            "id": "i1",
            "name": HOSTILE,
            "displayName": HOSTILE,
            "attributes": {HOSTILE: HOSTILE},
            "manager": {"id": "i2"},
        },
        {"id": "i2", "name": "boss", "displayName": "The Boss"},
    ]
    (good / "identities.ndjson").write_text("".join(f"{json.dumps(one)}\n" for one in identities))
    assert whohas(home, "load", good).returncode == ExitCode.INCOMPLETE
    assert whohas(home, "load", write_accounts(folder / "half", *rows[:9])).returncode == ExitCode.STOPPED
    (folder / "broken").mkdir()
    (folder / "broken" / "accounts.csv").write_text("sourceId,sourceId\n")
    assert whohas(home, "load", folder / "broken").returncode == 1
    with serving(home) as server:
        add_user(server, "ann", "ORG_ADMIN")
        add_user(server, "cat", "CERT_ADMIN")
        add_user(server, "sue", "SOURCE_ADMIN", sources=("elsewhere",))
        add_user(server, "hrm", "SOURCE_ADMIN", sources=("hr",))
        yield server


@pytest.fixture
def ann(damaged: Server) -> Iterator[Console]:
    with signed_in(damaged) as console:
        yield console


def load_links(page: str) -> list[str]:
    return re.findall(r'href="/console(/loads/\w{32})"', page)


def test_start_shows_loads_that_published_nothing(ann: Console) -> None:
    page = ann.get("").text
    assert len(load_links(page)) == 2
    assert "Load failed" in page and "Load stopped" in page and "accounts.csv: the header names" in texts(page)


def test_stopped_load_names_the_command_that_repairs_it(ann: Console, damaged: Server) -> None:
    page = texts(ann.get(load_links(ann.get("").text)[1]).text)
    assert "Nothing was published" in page and "are in no file of this load and would be removed" in page
    assert f"WHOHAS_HOME={damaged.home} whohas load --accept-loss {damaged.home.parent / 'half'}" in page


def test_failed_load_shows_its_error(ann: Console, damaged: Server) -> None:
    page = texts(ann.get(load_links(ann.get("").text)[0]).text)
    assert "the header names 'sourceId' more than once" in page
    assert f"whohas load {damaged.home.parent / 'broken'}" in page


def test_published_load_lists_rejected_rows_and_their_file(ann: Console, damaged: Server) -> None:
    page = ann.get(load_links(ann.get("/sources").text)[2]).text
    shown = texts(page)
    assert "no nativeIdentity" in shown and "'perhaps' is neither true nor false" in shown
    assert str(next((damaged.home / "rejects").iterdir()).parent) in shown
    assert "1 row was rejected and 1 cell emptied" in shown


def test_source_shows_what_is_missing(ann: Console) -> None:
    page = ann.get("/sources/hr").text
    assert HOSTILE not in page and html.escape(HOSTILE).replace("&quot;", "&#34;") in page
    shown = texts(page)
    assert "1 row rejected, 1 cell emptied." in shown
    assert "Accounts 61 With an identity 3 Without an identity 58" in shown
    unknown = "not known: the data does not say"
    assert f"Disabled 0 (not known for 1) Locked {unknown} Privileged {unknown}" in shown
    ann.get("/sources/nothing", 404)
    ann.get("/sources/" + "x" * 3_000, 404)


def test_identity_shows_hostile_names_as_text(ann: Console, damaged: Server) -> None:
    page = ann.get("/identities/i1").text
    assert HOSTILE not in page
    shown = texts(page)
    assert shown.count("alert") > 3 and "3 accounts" in shown
    assert 'href="/console/identities/i2"' in page
    assert audited(damaged, lambda event: event["type"] == "whohas.identity.viewed")["subject"] == "i1"
    assert 'href="/console/identities/i1"' in ann.get("/identities/i2").text


@pytest.mark.parametrize("id", ["nobody", "'; DROP TABLE identities", "x" * 3_000, "<b>"])
def test_unknown_identity_says_what_to_do(ann: Console, id: str) -> None:
    page = ann.get(f"/identities/{id}", 404).text
    assert "Search for the name" in page and "<b>" not in page


def test_loads_are_for_those_who_see_all_runs(damaged: Server, ann: Console) -> None:
    link = load_links(ann.get("").text)[0]
    with signed_in(damaged, "cat") as cat:
        assert not load_links(cat.get("").text) and not load_links(cat.get("/sources").text)
        cat.get(link, 403)
        cat.get("/sources/hr")


def test_source_administrators_see_their_sources_only(damaged: Server) -> None:
    with signed_in(damaged, "sue") as sue:
        assert "None of your sources has data" in sue.get("/sources").text
        sue.get("/sources/hr", 404)
        assert "shows its access on all sources" in sue.get("/identities/i1", 403).text
    with signed_in(damaged, "hrm") as hrm:
        assert "/console/sources/hr" in hrm.get("/sources").text
        hrm.get("/sources/hr")


@pytest.mark.parametrize("id", ["x", "0" * 32, "..%2Faudit"])
def test_unknown_load_is_not_found(ann: Console, id: str) -> None:
    ann.get(f"/loads/{id}", 404)


def test_changed_audit_log_is_found(ann: Console, damaged: Server) -> None:
    assert "Verified:" in texts(ann.post("/audit/verify", status=200).text)
    path = damaged.home / "audit.ndjson"
    with path.open("r+b") as file:  # an event of the same length
        file.seek(file.read().index(b'"whohas.') + 1)
        file.write(b"W")
    page = texts(ann.post("/audit/verify", status=200).text)
    assert re.search(r"\d faults? in \d+ lines?\. audit.ndjson, line \d+", page) and "Verified" not in page
