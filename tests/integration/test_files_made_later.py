"""A file in a format that its run did not make: of each report, of the data as the run saw it."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from openpyxl import load_workbook

from patience import until
from printed import Printed
from support import ACME, whohas
from whohas.errors import NotFound
from whohas.runs import tables
from whohas.runs.models import Run
from whohas.services import Services, open_services
from whohas.settings import Settings

REPORTS: dict[str, tuple[str, dict[str, Any]]] = {
    "accounts": ("ACCOUNTS", {"sourceName": "Nimbus CRM"}),
    "identities": ("IDENTITIES", {}),
    "details": ("IDENTITIES_DETAILS", {}),
    "errors": ("IDENTITY_PROFILE_IDENTITY_ERROR", {}),
    "orphans": ("ORPHAN_IDENTITIES", {}),
    "uncorrelated": ("UNCORRELATED_ACCOUNTS", {}),
    "search of one": ("SEARCH_EXPORT", {"query": "*", "indices": ["identities"]}),
    "search of several": ("SEARCH_EXPORT", {"query": "*", "indices": ["roles", "entitlements"]}),
}


@pytest.fixture(scope="module")
def services(acme_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """An installation that keeps no rows of its runs, on data that was loaded once more since they ran."""
    home = tmp_path_factory.mktemp("later") / "home"
    shutil.copytree(acme_home / "warehouse", home / "warehouse")
    with open_services(Settings(home=home, keep_extracts=False)) as opened:
        yield opened


@pytest.fixture(scope="module")
def runs(services: Services) -> dict[str, Run]:
    """A CSV of each report; then the data changes, and the search indexes of before go."""
    made: dict[str, Run] = {}
    with services.runs.working():
        for name, (report, given) in REPORTS.items():
            hr = next(one.id for one in sources(services) if one.authoritative)
            arguments = {"authoritativeSource": hr} if report == "IDENTITY_PROFILE_IDENTITY_ERROR" else given
            made[name] = services.runs.start(report, {**arguments, "selectedFormats": ["CSV"]}, "ann")
        for name, run in made.items():
            until(lambda run=run: services.runs.get(run.id).state.is_over)
            made[name] = services.runs.get(run.id)
    assert whohas(services.settings.home, "load", "-q", ACME / "roles.ndjson", ACME / "accounts.ndjson").returncode == 0
    shutil.rmtree(services.settings.warehouse_address.path / "search" / f"{made['identities'].snapshot:09}")
    return made


def sources(services: Services) -> Any:
    from whohas.warehouse.catalog import read_catalog

    return read_catalog(services.warehouse.snapshot()).sources


def opened(services: Services, run: Run, format: str) -> dict[str, bytes]:
    """The files of a run in a format, by their names."""
    found, artefact = services.runs.get_artifact(run.id, format)
    content = services.runs.path(found, artefact).read_bytes()
    if not artefact.zipped:
        return {"": content}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name.rpartition(f".{format}")[0]: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("name", REPORTS)
def test_an_xlsx_is_made_later_of_the_same_rows(services: Services, runs: dict[str, Run], name: str) -> None:
    run = runs[name]
    assert {one.format for one in run.artefacts} == {"csv"}
    texts, sheets = opened(services, run, "csv"), opened(services, run, "xlsx")
    assert texts.keys() == sheets.keys()
    for part, text in texts.items():
        header, *rows = csv.reader(io.StringIO(text.decode(), newline=""))
        cells = [list(row) for row in load_workbook(io.BytesIO(sheets[part])).worksheets[1].iter_rows(values_only=True)]
        assert cells[0] == header
        assert sorted(row[0] or "" for row in cells[1:]) == sorted(row[0] for row in rows)
    folder = services.artefacts.root / run.id
    assert len(list(folder.iterdir())) == 2, "no rows and no parts are left behind"


def test_a_run_of_another_version_executes_its_stored_sql(services: Services, runs: dict[str, Run]) -> None:
    sql = services.runs.record(runs["identities"]).sql
    run = of_before(services, runs["identities"], f"{sql}\n-- of another version")
    assert services.runs.get_artifact(run.id, "ndjson")[1].rows == run.rows


def test_attributes_that_a_version_before_named_as_columns_are_found(services: Services, runs: dict[str, Run]) -> None:
    sql = services.runs.record(runs["accounts"]).sql
    named = re.sub(r"a\.attributes\['([^']*)'\]", r'a."attributes.\1"', sql)
    assert named != sql
    run = of_before(services, runs["accounts"], named)
    assert len(json.loads(opened(services, run, "json")[""])) == run.rows


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"snapshot": 4711}, "There is no snapshot 4711"),
        ({"rows": 4711}, "and gave 4,711 then"),
    ],
)
def test_what_cannot_be_made_of_the_same_rows_is_refused(
    services: Services, runs: dict[str, Run], change: dict[str, Any], text: str
) -> None:
    run = store(services, runs["orphans"], **change)
    with pytest.raises(NotFound, match="made no JSON file; it made CSV") as refused:
        services.runs.get_artifact(run.id, "json")
    assert text in refused.value.message
    assert not list((services.artefacts.root / run.id).glob("*.json*")), "nothing is left behind"
    store(services, runs["orphans"])


@pytest.mark.parametrize("sql", ["SELECT id FROM identities", "no SQL"])
def test_an_old_run_whose_sql_has_other_columns_is_refused(services: Services, runs: dict[str, Run], sql: str) -> None:
    run = of_before(services, runs["errors"], sql)
    with pytest.raises(NotFound, match="An earlier version of whohas made it with other columns"):
        services.runs.get_artifact(run.id, "json")


def test_a_later_pdf_is_laid_out_as_its_run_was(services: Services, runs: dict[str, Run], tmp_path: Path) -> None:
    """Version 0.2 stored its plans without `display` and without a summary, and printed every column by its name."""
    assert runs
    with services.runs.working():
        run = services.runs.start("ORPHAN_IDENTITIES", {"selectedFormats": ["CSV"]}, "bob")
        until(lambda: services.runs.get(run.id).state.is_over)
        run = services.runs.get(run.id)
    assert printed_headers(services, run, tmp_path)[:3] == ["User name", "Identity", "Email"]
    forget_pdf(services, run)
    with services.database.begin() as connection:
        where = tables.run_plan.c.run == run.id
        plan = connection.execute(sa.select(tables.run_plan.c.plan).where(where)).scalar_one()
        del plan["display"]
        for part in plan["parts"]:
            del part["display"], part["summary"]
        connection.execute(sa.update(tables.run_plan).where(where).values(plan=plan))
    assert printed_headers(services, run, tmp_path)[:3] == ["id", "name", "displayName"]
    forget_pdf(services, run)
    of_before(services, run, services.runs.record(run).sql)
    assert printed_headers(services, run, tmp_path)[:3] == ["id", "name", "displayName"]


def printed_headers(services: Services, run: Run, folder: Path) -> list[str]:
    path = folder / "later.pdf"
    path.write_bytes(opened(services, run, "pdf")[""])
    return [text for role, text in Printed(path).marked(0) if role == "TH"]


def forget_pdf(services: Services, run: Run) -> None:
    with services.database.begin() as connection:
        found = services.runs.get(run.id)
        others = [asdict(one) for one in found.artefacts if one.format != "pdf"]
        connection.execute(sa.update(tables.run).where(tables.run.c.id == run.id).values(artefacts=others))


def of_before(services: Services, run: Run, sql: str) -> Run:
    """A run as versions left it that kept no plan with it."""
    with services.database.begin() as connection:
        connection.execute(sa.delete(tables.run_plan).where(tables.run_plan.c.run == run.id))
        connection.execute(sa.update(tables.run).where(tables.run.c.id == run.id).values(statement=sql))
    return run


def store(services: Services, run: Run, **change: Any) -> Run:
    """A run as another version, or another time, would have left it."""
    changed = replace(run, **change)
    values = {name: getattr(changed, name) for name in ("snapshot", "rows")}
    with services.database.begin() as connection:
        connection.execute(sa.update(tables.run).where(tables.run.c.id == run.id).values(values))
    return changed
