"""What is kept and what goes: by age, by size, never what is held or under way."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from patience import until
from support import result_when_over, serving, whohas
from whohas.errors import NotFound
from whohas.retention.service import Removed, Retention, RetentionKind
from whohas.runs import repository, tables
from whohas.runs.models import RunState
from whohas.services import Services, open_services
from whohas.settings import Settings
from whohas.storage import Artifact

SHA = "0" * 64
LONG_AGO = time.time() - 7200


@pytest.fixture
def services(own_home: Path, database_url: str) -> Iterator[Services]:
    with open_services(
        Settings(home=own_home, database_url=database_url or None, concurrent_reports=("IDENTITIES",))
    ) as opened:
        yield opened


def ended(services: Services, days: float, size: int = 100) -> str:
    """A run with a file, which ended so many days ago; by the statements that end one."""
    run = services.runs.start("IDENTITIES", {}, "ann")
    part = services.artefacts.part_path(run.id, 1, "identities.csv")
    part.write_bytes(b"x" * size)
    file = Artifact("csv", services.artefacts.publish(part), "", size, 3, SHA)
    with services.database.begin() as connection:
        (claimed,) = repository.claim(connection, "e" * 32, 1)
        assert claimed.id == run.id
        assert repository.finish(connection, claimed, RunState.SUCCEEDED, "Done", 3, (), (file,))
        at = repository.now() - timedelta(days=days)
        connection.execute(sa.update(tables.run).where(tables.run.c.id == run.id).values(completed=at))
    return run.id


def retention(services: Services, told: list[Removed] | None = None, **settings: float) -> Retention:
    """Its own rules; whoever is told of what went keeps it in a list."""
    given = {"keep_files_days": 0, "keep_files_bytes": 0, "keep_runs_days": 0, **settings}
    rules = services.settings.model_copy(update=given)
    kept = told if told is not None else []
    return replace(services.retention, settings=rules, on_removed=kept.extend)


def files(services: Services, run_id: str) -> list[str]:
    folder = services.artefacts.root / run_id
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def age(path: Path) -> None:
    for one in [*path.rglob("*"), path]:
        os.utime(one, (LONG_AGO, LONG_AGO))


def test_files_expire_by_age_and_the_run_stays(services: Services) -> None:
    old, young = ended(services, 91), ended(services, 89)
    told: list[Removed] = []
    gone = retention(services, told, keep_files_days=90).sweep()
    assert [(one.kind, one.run_id, one.names, one.bytes) for one in gone] == [
        (RetentionKind.FILES, old, ("1-identities.csv",), 100)
    ]
    assert told == gone
    assert (files(services, old), files(services, young)) == ([], ["1-identities.csv"])
    run = services.runs.get(old)
    assert run.state is RunState.SUCCEEDED and run.artefacts == ()
    assert f"1-identities.csv, 100 bytes, SHA-256 {SHA}" in run.messages[-1].text
    with pytest.raises(NotFound, match=r"were removed on .*Start the report again"):
        services.runs.get_artifact(old, "csv")
    assert retention(services, keep_files_days=90).sweep() == []


def test_the_oldest_files_go_where_all_take_too_much_room(services: Services) -> None:
    ids = [ended(services, days, 100) for days in (4, 3, 2, 1)]
    services.retention.place_hold(ids[0], "eve")
    gone = retention(services, keep_files_bytes=250).sweep()
    assert [one.run_id for one in gone] == [ids[1], ids[2]]
    assert [bool(files(services, id)) for id in ids] == [True, False, False, True]


def test_runs_expire_by_age_with_their_webhook_messages(services: Services) -> None:
    services.webhooks.add("https://example.com/")
    old, young = ended(services, 401), ended(services, 399)
    gone = retention(services, keep_runs_days=400).sweep()
    assert [(one.kind, one.run_id) for one in gone] == [(RetentionKind.RUN, old)]
    with pytest.raises(NotFound):
        services.runs.get(old)
    assert files(services, old) == []
    assert services.runs.get(young).artefacts
    ((_, sent),) = services.webhooks.list()
    assert sent.waiting == 1


def test_a_held_run_stays_until_it_is_released(services: Services) -> None:
    run_id = ended(services, 1000)
    services.retention.place_hold(run_id, "eve", "case 7")
    rules = retention(services, keep_files_days=1, keep_runs_days=1, keep_files_bytes=1)
    assert rules.sweep() == []
    assert files(services, run_id) == ["1-identities.csv"]
    (held,) = services.retention.list_holds()
    assert (held.run_id, held.holder, held.reason) == (run_id, "eve", "case 7")
    assert services.retention.place_hold(run_id, "bob").holder == "eve", "the first hold stands"
    services.retention.release_hold(run_id)
    assert {one.kind for one in rules.sweep()} == {RetentionKind.FILES, RetentionKind.RUN}
    with pytest.raises(NotFound):
        services.retention.release_hold(run_id)


def test_what_cannot_be_held_is_refused(services: Services) -> None:
    with pytest.raises(NotFound, match="no run"):
        services.retention.place_hold("0" * 32, "eve")
    run_id = ended(services, 10)
    retention(services, keep_files_days=1).sweep()
    with pytest.raises(NotFound, match="have been removed"):
        services.retention.place_hold(run_id, "eve")


def test_runs_that_are_not_over_are_never_touched(services: Services) -> None:
    run = services.runs.start("IDENTITIES", {}, "ann")
    with services.database.begin() as connection:
        assert repository.claim(connection, "e" * 32, 1)
        long = repository.now() - timedelta(days=9999)
        connection.execute(sa.update(tables.run).where(tables.run.c.id == run.id).values(created=long, launched=long))
    services.artefacts.part_path(run.id, 1, "identities.csv").write_bytes(b"half")
    spill = services.settings.spill_path / "worker" / f"{run.id}-1"
    spill.mkdir(parents=True)
    (spill / "tmp").write_bytes(b"x")
    age(services.settings.spill_path)
    age(services.artefacts.root)
    assert retention(services, keep_files_days=1, keep_runs_days=1, keep_files_bytes=1).sweep() == []
    assert files(services, run.id) == ["1-identities.csv.part"]
    assert (spill / "tmp").exists()


def test_what_nobody_owns_goes_once_it_has_settled(services: Services) -> None:
    run_id = ended(services, 1)
    folder = services.artefacts.root / run_id
    (folder / "1-identities-ab.pdf.part").write_bytes(b"12345")
    lost = services.artefacts.root / ("f" * 32)
    lost.mkdir()
    (lost / "1-accounts.csv").write_bytes(b"123")
    spill = services.settings.spill_path / "worker" / f"{run_id}-1"
    spill.mkdir(parents=True)
    (spill / "tmp").write_bytes(b"1234567")
    outside = services.settings.home / "kept.txt"
    outside.write_text("kept")
    (lost / "1-link").symlink_to(outside)
    rules = retention(services)
    assert rules.sweep() == [], "it may be in the making"
    age(services.artefacts.root)
    age(services.settings.spill_path)
    os.utime(lost / "1-link", (LONG_AGO, LONG_AGO), follow_symlinks=False)
    would = rules.sweep(dry=True)
    assert folder.joinpath("1-identities-ab.pdf.part").exists() and spill.exists() and lost.exists()
    gone = rules.sweep()
    assert gone == would
    assert {(one.kind, one.names, one.bytes) for one in gone if one.names != ("1-link",)} == {
        (RetentionKind.ORPHANED, ("1-identities-ab.pdf.part",), 5),
        (RetentionKind.ORPHANED, ("1-accounts.csv",), 3),
        (RetentionKind.ORPHANED, (spill.name,), 7),
    }
    assert files(services, run_id) == ["1-identities.csv"]
    assert not spill.exists() and outside.read_text() == "kept"


def test_a_dry_sweep_reports_what_a_real_one_removes(services: Services) -> None:
    ids = [ended(services, days) for days in (500, 100, 5, 1)]
    told: list[Removed] = []
    rules = retention(services, told, keep_files_days=90, keep_runs_days=400, keep_files_bytes=100)
    would = rules.sweep(dry=True)
    assert told == []
    assert all(files(services, id) for id in ids)
    assert rules.sweep() == would
    assert [(one.kind, one.run_id) for one in would] == [
        (RetentionKind.FILES, ids[0]),
        (RetentionKind.FILES, ids[1]),
        (RetentionKind.FILES, ids[2]),
        (RetentionKind.RUN, ids[0]),
    ]


def test_files_that_cannot_be_removed_stay_in_the_record(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = ended(services, 91)
    rules = retention(services, keep_files_days=90)
    with monkeypatch.context() as broken:
        broken.setattr(rules.artefacts, "root", services.artefacts.root / run_id / "1-identities.csv")
        assert rules.sweep() == []
    run = services.runs.get(run_id)
    assert [file.name for file in run.artefacts] == ["1-identities.csv"]
    assert run.messages[-1].key == "files.removing"
    with pytest.raises(NotFound, match="have been removed"):
        services.retention.place_hold(run_id, "eve")
    assert [item.names for item in rules.sweep()] == [("1-identities.csv",)]
    run = services.runs.get(run_id)
    assert (run.artefacts, [message.key for message in run.messages][-1]) == ((), "files.removed")
    assert "files.removing" not in [message.key for message in run.messages]


def test_folders_that_are_not_of_runs_are_left_alone(services: Services) -> None:
    other = services.artefacts.root / "lost+found"
    other.mkdir(parents=True)
    (other / "1-accounts.csv").write_bytes(b"of somebody else")
    age(services.artefacts.root)
    assert retention(services).sweep() == []
    assert (other / "1-accounts.csv").exists()


def test_the_server_sweeps_by_itself_and_the_command_line_holds(own_home: Path) -> None:
    with serving(own_home, WHOHAS_SWEEP_SECONDS="1", WHOHAS_KEEP_FILES_DAYS="0.00003") as server, server.http() as http:
        body = {"reportType": "IDENTITIES", "arguments": {"selectedFormats": ["CSV"]}}
        run_id = http.post("/v2025/reports/run", json=body).json()["id"]
        result_when_over(http, run_id)
        until(lambda: http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"}).status_code != 200)
        gone = http.get(f"/v2025/reports/{run_id}", params={"fileFormat": "csv"})
        assert gone.status_code == 404
        assert "were removed on" in gone.json()["messages"][0]["text"]
        result = http.get(f"/v2025/reports/{run_id}/result").json()
        assert (result["status"], result["availableFormats"]) == ("SUCCESS", [])
        lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
        (removed,) = [line for line in lines if line["event"] == "removed"]
        assert (removed["run_id"], removed["kind"]) == (run_id, "files")
    again = whohas(own_home, "run", "IDENTITIES", "-q", "-o", own_home / "out.csv").stdout
    run_id = again.rpartition("(run ")[2].strip(")\n")
    assert "is held by" in whohas(own_home, "hold", run_id, "--reason", "case 7").stdout
    assert "case 7" in whohas(own_home, "holds").stdout
    sweep = whohas(own_home, "sweep", "--dry-run", WHOHAS_KEEP_FILES_DAYS="0.00000001")
    assert sweep.stdout == "0 would be removed, 0 bytes.\n", sweep.stderr
    assert "no longer held" in whohas(own_home, "release", run_id).stdout
    sweep = whohas(own_home, "sweep", WHOHAS_KEEP_FILES_DAYS="0.00000001")
    assert run_id in sweep.stdout and "1 removed" in sweep.stdout
