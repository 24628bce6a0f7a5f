"""The summary of a run: computed with its files, or when it is first looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import asking
from factories import link_copy
from patience import until
from support import Server, result_when_over
from whohas.errors import NotFound
from whohas.execution.processes import ForkServer
from whohas.runs import tables
from whohas.runs.models import Run, RunState
from whohas.runs.plans import RunPlan
from whohas.services import Services, open_services
from whohas.settings import Settings


@pytest.fixture(params=[True, False], ids=["extracts kept", "no extracts"])
def services(
    acme_home: Path, tmp_path: Path, fork_server: ForkServer, request: pytest.FixtureRequest
) -> Iterator[Services]:
    """An installation with examples/acme, and no worker."""
    (tmp_path / "home").mkdir()
    link_copy(acme_home / "warehouse", tmp_path / "home")
    with open_services(Settings(home=tmp_path / "home", keep_extracts=request.param)) as opened:
        opened.on_demand.children.fork_server = fork_server
        yield opened


def carried_out(services: Services, report: str, arguments: dict[str, Any]) -> Run:
    run = services.runs.start(report, arguments, "ann")
    with services.runs.working():
        return until(lambda: now if (now := services.runs.get(run.id)).state.is_over else None) or run


def test_a_run_with_a_pdf_has_its_summary_when_it_ends(services: Services) -> None:
    run = carried_out(services, "UNCORRELATED_ACCOUNTS", {"selectedFormats": ["CSV", "HTML"]})
    stored = services.runs.record(run).summary
    assert stored is not None
    (summary,) = stored
    assert summary.rows == run.rows
    assert summary.figures[0].value == run.rows
    (accounts, *_) = summary.breakdowns
    assert sum(category.total for category in accounts.rows) == run.rows
    assert services.on_demand.summarize(run) == (summary,)


@pytest.mark.parametrize(
    ("report", "arguments"),
    [
        ("IDENTITIES_DETAILS", {}),
        ("ACCOUNTS", {"sourceName": "Nimbus CRM"}),
        ("SEARCH_EXPORT", {"query": "*", "indices": ["roles", "identities"]}),
    ],
)
def test_a_csv_alone_is_summarized_when_first_looked_at(
    services: Services, report: str, arguments: dict[str, Any]
) -> None:
    run = carried_out(services, report, {**arguments, "selectedFormats": ["CSV"]})
    assert services.runs.record(run).summary is None
    summary = services.on_demand.summarize(run)
    assert services.runs.record(run).summary == summary
    with_page = carried_out(services, report, {**arguments, "selectedFormats": ["CSV", "HTML"]})
    assert services.runs.record(with_page).summary == summary
    assert sum(part.rows for part in summary) == run.rows
    assert not list((services.settings.spill_path / "later").glob("*")), "temporary extracts are removed"


def test_a_run_without_rows_or_a_plan_has_no_summary(services: Services) -> None:
    waiting = services.runs.start("ORPHAN_IDENTITIES", {"selectedFormats": ["CSV"]}, "ann")
    under_way = replace(waiting, state=RunState.RUNNING, rows=3)
    for run in (waiting, under_way, replace(under_way, state=RunState.CANCELLED)):
        with pytest.raises(NotFound, match="it has no rows"):
            services.on_demand.summarize(run)
        with pytest.raises(NotFound, match="it has no rows"):
            services.on_demand.replay(run)
    over = carried_out(services, "ORPHAN_IDENTITIES", {"selectedFormats": ["CSV"]})
    with services.database.begin() as connection:
        connection.execute(sa.delete(tables.run_plan).where(tables.run_plan.c.run == over.id))
    with pytest.raises(NotFound, match="kept no plan to summarize"):
        services.on_demand.summarize(over)


def test_a_plan_of_an_earlier_version_has_no_figures_and_is_complete(services: Services) -> None:
    run = carried_out(services, "ORPHAN_IDENTITIES", {"selectedFormats": ["CSV"]})
    plan = services.runs.record(run).plan
    assert plan is not None and plan.options.detail == "readable"
    document = plan.to_json()
    del document["display"]
    for part in document["parts"]:
        del part["display"], part["summary"]
    with services.database.begin() as connection:
        its_plan = tables.run_plan.c.run == run.id
        connection.execute(sa.update(tables.run_plan).where(its_plan).values(plan=document))
    earlier = RunPlan.from_json(document)
    assert (earlier.options.detail, earlier.parts[0].statement.columns[0].label) == ("complete", "")
    (summary,) = services.on_demand.summarize(run)
    assert (summary.rows, summary.figures, summary.breakdowns) == (run.rows, (), ())


def test_the_summary_is_had_over_http(server: Server) -> None:
    body = {"reportType": "ACCOUNTS", "arguments": {"sourceName": "Nimbus CRM", "selectedFormats": ["CSV"]}}
    with server.http() as http:
        run_id = http.post("/v2025/reports/run", json=body).raise_for_status().json()["id"]
        result = result_when_over(http, run_id)
        found = http.get(f"/whohas/runs/{run_id}/summary").raise_for_status().json()
        assert found["id"] == run_id
        (part,) = found["parts"]
        assert (part["rows"], part["figures"][0]) == (
            result["rows"],
            {"name": "accounts", "label": "Accounts", "value": result["rows"], "of": None},
        )
        assert part["breakdowns"][0]["name"] == "accountsBySource"
        assert http.get(f"/whohas/runs/{'0' * 32}/summary").status_code == 404
        assert asking.get(f"{server.url}/whohas/runs/{run_id}/summary").status_code == 401


def test_detail_is_part_of_a_run_only_where_it_changes_a_file(services: Services) -> None:
    def arguments(**given: Any) -> dict[str, Any]:
        return dict(services.runs.plan("IDENTITIES", given, "ann").run.arguments)

    plain = arguments(selectedFormats=["CSV"])
    assert arguments(selectedFormats=["CSV"], detail="complete", labels=True) == plain
    assert arguments(selectedFormats=["PDF"], detail="complete")["detail"] == "complete"
    assert arguments(selectedFormats=["XLSX"], labels="true")["labels"] is True
    assert "detail" not in arguments(selectedFormats=["PDF"], detail="Readable")
