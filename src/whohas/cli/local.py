"""The local installation as the backend of commands: it calls the same services as the HTTP API."""

from __future__ import annotations

import csv
import getpass
import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from whohas.cli.backend import RunDetails, RunFacts, RunFile, SearchHits, SearchQuestion

if TYPE_CHECKING:
    from whohas.contract import ReportResults
    from whohas.engine.statement import Statement
    from whohas.runs.models import Run
    from whohas.search.service import SearchPlan
    from whohas.services import Services
    from whohas.settings import Settings


class LocalBackend:
    """The backend of the local installation; see `Backend` for its methods."""

    def __init__(self, services: Services) -> None:
        from whohas.audit.events import operator_actor

        self._services = services
        self._runs = services.runs
        self._by = operator_actor()
        self._audit_downloads = services.settings.audit_downloads == "all"
        self.zone = services.settings.time_zone

    @contextmanager
    def working(self) -> Generator[None]:
        """Make this process the worker of the installation, unless another process already is."""
        import logging

        import structlog

        from whohas.execution.lease import has_live_worker

        # the command itself reports how the run ended; log lines of the worker would only repeat it
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        if has_live_worker(self._services.settings, self._services.database):
            yield
            return
        with self._runs.working():
            yield

    def start(self, report_type: str, arguments: dict[str, Any]) -> str:
        return self._runs.start(report_type, arguments, launcher=getpass.getuser(), by=self._by).id

    def result(self, run_id: str) -> ReportResults:
        from whohas.api.mappers import report_results

        return report_results(self._runs.get(run_id))

    def download(self, run_id: str, format: str, folder: Path, called: str | None) -> tuple[Path, bool]:
        from whohas.filenames import safe_file_name

        run, artefact = self._runs.get_artifact(run_id, format)
        ending = "zip" if artefact.zipped else artefact.format
        to = folder / (safe_file_name(run.report_name, ending) or artefact.name)
        if self._audit_downloads:
            self._runs.record_download(run, artefact, self._by, called or to.name)
        shutil.copyfile(self._runs.path(run, artefact), to)
        return to, artefact.zipped

    def id_of(self, beginning: str) -> str:
        return self._runs.resolve_id(beginning)

    def cancel(self, run_id: str) -> None:
        self._runs.cancel(run_id, by=self._by)

    def runs(self, filters: str, only_active: bool, limit: int) -> list[RunFacts]:
        from whohas.runs.listing import ListRequest, list_page

        request = ListRequest(filters=filters, only_active=only_active, limit=limit)
        return [self._facts(run) for run in list_page(self._services.database, request)]

    def run(self, run_id: str) -> RunFacts:
        return self._facts(self._runs.get(run_id))

    def details(self, run_id: str) -> RunDetails:
        from whohas.api.routes.runs import statement_response
        from whohas.storage import EXTRACT

        run = self._runs.get(run_id)
        return RunDetails(
            self._facts(run),
            run.snapshot,
            tuple((message.level.value, message.text) for message in run.messages),
            tuple(
                RunFile(artefact.name, artefact.bytes, artefact.sha256)
                for artefact in run.artefacts
                if artefact.format != EXTRACT
            ),
            statement_response(run, self._runs.record(run)),
        )

    def sql(self, run_id: str) -> str:
        return self._runs.record(self._runs.get(run_id)).runnable_sql

    def replay(self, run_id: str) -> Mapping[str, Any]:
        from whohas.api.routes.runs import replay_response

        return replay_response(self._services.on_demand.replay(self._runs.get(run_id)))

    def search(self, question: SearchQuestion) -> SearchHits:
        return search_locally(question, self._services.settings)

    def schedules(self) -> list[Mapping[str, Any]]:
        return [_schedule(one) for one in self._services.schedules.list()]

    def schedule(self, which: str) -> Mapping[str, Any]:
        return _schedule(self._services.schedules.get(which))

    def add_schedule(
        self, name: str, report_type: str, arguments: dict[str, Any], cron: str, zone: str, launcher: str | None
    ) -> Mapping[str, Any]:
        launcher = launcher or getpass.getuser()
        return _schedule(self._services.schedules.add(name, report_type, arguments, cron, zone, launcher, by=self._by))

    def pause_schedule(self, which: str, paused: bool) -> Mapping[str, Any]:
        return _schedule(self._services.schedules.change(which, {"paused": paused}, by=self._by))

    def remove_schedule(self, which: str) -> str:
        return self._services.schedules.remove(which, by=self._by).name

    def run_schedule(self, which: str) -> str:
        return self._services.schedules.start_now(which, by=self._by).id

    def describe(self, arguments: Mapping[str, Any]) -> str:
        from whohas.cli.values import describe_arguments

        return describe_arguments(arguments, self._source_name)

    def _facts(self, run: Run) -> RunFacts:
        from whohas.api.routes.runs import run_details
        from whohas.cli.values import describe_run_arguments

        return RunFacts(
            id=run.id,
            report=run.report_type,
            arguments=describe_run_arguments(run.arguments, self._source_name),
            state=run.state.value,
            progress=run.progress,
            percent=run.percent,
            rows=run.rows if run.state.is_over else None,
            seconds=None if run.duration is None else run.duration / 1000,
            created=run.created,
            launcher=run.launcher,
            to_api=lambda: run_details(run, self._source_names).model_dump(mode="json"),
        )

    def _source_name(self, id: str) -> str:
        return self._source_names.get(id, id)

    @cached_property
    def _source_names(self) -> Mapping[str, str]:
        from whohas.warehouse.catalog import read_catalog

        return {source.id: source.name for source in read_catalog(self._services.warehouse.snapshot()).sources}


def search_locally(question: SearchQuestion, settings: Settings) -> SearchHits:
    """Search the newest data of the local installation; needs no database.

    Raises:
        InvalidArguments: the query is malformed, or above a limit.
    """
    with planned_search(question, settings) as (plan, notes):
        statement = plan.statements[question.index]
        rows, objects, total = _first(statement, settings, question)
    return SearchHits([column.name for column in statement.columns], rows, objects, total, notes)


@contextmanager
def planned_search(question: SearchQuestion, settings: Settings) -> Generator[tuple[SearchPlan, list[str]]]:
    """Plan a search on the newest data, and yield the plan with notes for the user; its files are there until the end.

    Raises:
        InvalidArguments: the query is malformed, or above a limit.
    """
    from datetime import UTC, datetime

    from whohas.search.index import locked_index, open_index, searchable_snapshot
    from whohas.search.limits import SearchLimits
    from whohas.search.service import SearchRequest, plan_search
    from whohas.warehouse.opening import open_warehouse

    request = SearchRequest(
        question.query,
        (question.index,),
        question.columns,
        question.sort,
        zone=question.zone,
        words_as_phrase=settings.search_phrases if question.phrases is None else question.phrases,
        limits=SearchLimits.from_settings(settings),
    )
    warehouse = open_warehouse(settings)
    snapshot = searchable_snapshot(warehouse)
    notes = ["no data has been loaded yet: see `whohas load --help`."] if snapshot.number == 0 else []
    with locked_index(warehouse, snapshot):  # a load that ends meanwhile may remove old indexes
        plan = plan_search(request, open_index(snapshot), datetime.now(UTC))
        yield plan, [*notes, *(note.text for note in plan.notes)]


def _first(
    statement: Statement, settings: Settings, question: SearchQuestion
) -> tuple[list[list[str]], list[Any], int]:
    """Return the cells or the objects of the first rows, as in a CSV or NDJSON file, and the number of all rows."""
    from whohas.engine.duckdb import open_duckdb
    from whohas.engine.statement import FileLayout, TableFiles
    from whohas.formats.base import ReportMetadata, RowsQuery, WriteOptions
    from whohas.formats.csv import copy_statement as csv_statement
    from whohas.formats.json import copy_statement as json_statement

    tables = [TableFiles(name, (), (FileLayout(files),)) for name, files in statement.files.items()]
    with (
        TemporaryDirectory() as folder,
        open_duckdb(tables, settings.run_memory, settings.run_threads, Path(folder) / "spill") as engine,
    ):
        path = Path(folder) / "rows"
        query = RowsQuery(f"SELECT * FROM (\n{statement.sql}\n) LIMIT {question.limit}", statement.columns)
        if question.as_objects:
            about = ReportMetadata("", "SEARCH_EXPORT", "", "", {}, "", 0, 0, 0, "")
            copy = json_statement(query, path, about, WriteOptions())
        else:
            copy = csv_statement(query, path)
        engine.copy(copy, statement.parameters)
        total = engine.count(statement.sql, statement.parameters)
        with path.open(newline="", encoding="utf-8") as file:
            if question.as_objects:
                return [], [json.loads(line) for line in file], total
            return list(csv.reader(file))[1:], [], total


def _schedule(schedule: Any) -> Mapping[str, Any]:
    from whohas.api.routes.schedules import schedule_response

    return schedule_response(schedule).model_dump(mode="json")
