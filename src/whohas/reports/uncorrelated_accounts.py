"""UNCORRELATED_ACCOUNTS: the accounts of all sources that belong to no identity."""

from __future__ import annotations

from whohas.engine.statement import ResultColumn, Statement
from whohas.engine.summary import KeyFigure, SummaryDefinition
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.reports.shared_columns import account_columns
from whohas.reports.summaries import (
    account_figures,
    accounts_by_source_and_state,
    by_age,
    stale_figure,
)
from whohas.warehouse.catalog import Catalog

_COLUMNS = (
    *account_columns("id", "name", "nativeIdentity"),
    *account_columns("sourceId", "sourceName", section="Source"),
    *account_columns("disabled", "locked", "privileged", "created", "modified"),
    ResultColumn(
        "loaded", "time", "When the accounts of its source were last loaded.", label="Source loaded", section="Source"
    ),
    ResultColumn("loadId", "text", "The id of that load.", label="Load id", section="Source", readable="never"),
)

_SQL = """
SELECT a.id, a.name, a.nativeIdentity, a.sourceId, s.name AS sourceName, a.disabled, a.locked, a.privileged,
       a.created, a.modified, s.loaded, s.loadId
FROM accounts a
JOIN sources s ON s.id = a.sourceId
WHERE NOT a.correlated
""".strip()


def _plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    return Plan(
        arguments={},
        statement=Statement(
            sql=_SQL,
            columns=_COLUMNS,
            tables={"accounts": None, "sources": None},
            group="sourceId",
            order=("name", "id"),
        ),
        messages=sources.stale_sources_messages(catalogue.sources, request.now),
    )


_SUMMARY = SummaryDefinition(
    (
        KeyFigure("accounts", "Uncorrelated accounts", "Accounts that belong to no identity.", "count(*)"),
        *account_figures(),
        stale_figure(),
    ),
    (
        accounts_by_source_and_state("sourceName"),
        by_age("byCreated", "Accounts by age", "The accounts by when they were created.", "created"),
    ),
)


REPORT = Report(
    type="UNCORRELATED_ACCOUNTS",
    name="Uncorrelated Accounts Report",
    description="The accounts, of all sources, that belong to no identity.",
    arguments={},
    columns=_COLUMNS,
    make_plan=_plan,
    summary=_SUMMARY,
    default_formats=("csv", "pdf"),
)
