"""UNCORRELATED_ACCOUNTS: the accounts of all sources that belong to no identity."""

from __future__ import annotations

from whohas.engine.statement import ResultColumn, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.warehouse.catalog import Catalog

_COLUMNS = (
    ResultColumn("id", "text", "The account's id."),
    ResultColumn("name", "text", "The account's name.", key=True),
    ResultColumn("nativeIdentity", "text", "The account's identifier on its source, such as a distinguished name."),
    ResultColumn("sourceId", "text", "The source's id."),
    ResultColumn("sourceName", "text", "The source's name."),
    ResultColumn("disabled", "boolean", "Whether the account is disabled and cannot sign in."),
    ResultColumn("locked", "boolean", "Whether the account is locked."),
    ResultColumn("privileged", "boolean", "Whether the account is privileged, with more rights than ordinary ones."),
    ResultColumn("created", "time", "When the account was created."),
    ResultColumn("modified", "time", "When the account was last modified."),
    ResultColumn("loaded", "time", "When the accounts of its source were last loaded."),
    ResultColumn("loadId", "text", "The id of that load."),
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
        statement=Statement(sql=_SQL, columns=_COLUMNS, tables={"accounts": None, "sources": None}, group="sourceName"),
        messages=sources.stale_sources_messages(catalogue.sources, request.now),
    )


REPORT = Report(
    type="UNCORRELATED_ACCOUNTS",
    name="Uncorrelated Accounts Report",
    description="The accounts, of all sources, that belong to no identity.",
    arguments={},
    columns=_COLUMNS,
    make_plan=_plan,
    default_formats=("csv", "pdf"),
)
