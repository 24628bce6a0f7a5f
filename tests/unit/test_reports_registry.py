"""Adding a report is adding one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import whohas.reports
from factories import publish, report_rows
from whohas.errors import InvalidArguments
from whohas.reports.registry import all_reports
from whohas.warehouse.store import Warehouse

FILE = """
from whohas.engine.statement import ResultColumn, Statement
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.warehouse.catalog import Catalog

COLUMNS = (ResultColumn("name", "text", "The source's name."),)


def plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    return Plan({}, Statement("SELECT name FROM sources ORDER BY name", COLUMNS, tables={"sources": None}, ordered=True))


REPORT = Report("OUR_SOURCES", "Our Sources", "The sources.", {}, COLUMNS, plan)
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "our_sources.py").write_text(FILE)
    monkeypatch.setattr(whohas.reports, "__path__", [*whohas.reports.__path__, str(tmp_path)])
    all_reports.cache_clear()
    yield
    sys.modules.pop("whohas.reports.our_sources", None)
    all_reports.cache_clear()


def test_a_file_in_the_folder_is_a_report(added: None, tmp_path: Path) -> None:
    snapshot = publish(
        Warehouse(tmp_path / "warehouse"), [{"id": "2", "name": "Payroll"}, {"id": "1", "name": "Doors"}]
    )
    assert report_rows(snapshot, tmp_path, "OUR_SOURCES", {}) == [{"name": "Doors"}, {"name": "Payroll"}]


def test_without_the_file_there_is_no_such_report() -> None:
    with pytest.raises(InvalidArguments, match="no report type 'OUR_SOURCES'"):
        whohas.reports.find_report("OUR_SOURCES", {})
