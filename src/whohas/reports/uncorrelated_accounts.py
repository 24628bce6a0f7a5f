"""UNCORRELATED_ACCOUNTS: accounts of all sources that nobody holds."""

from __future__ import annotations

from whohas.engine.statement import Column, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, Request
from whohas.warehouse.catalog import Catalogue

_COLUMNS = (
    Column("id", "text", "The account's id."),
    Column("name", "text", "The account's name.", key=True),
    Column("nativeIdentity", "text", "How the source itself names the account."),
    Column("sourceId", "text", "The source's id."),
    Column("sourceName", "text", "The source's name."),
    Column("disabled", "boolean", "Whether the account may not sign in."),
    Column("locked", "boolean", "Whether the account is locked."),
    Column("privileged", "boolean", "Whether the account can do more than ordinary ones."),
    Column("created", "time", "When the account came to be."),
    Column("modified", "time", "When the account last changed."),
    Column("loaded", "time", "When a load last brought the accounts of its source."),
    Column("loadId", "text", "That load's id."),
)

_SQL = """
SELECT a.id, a.name, a.nativeIdentity, a.sourceId, s.name AS sourceName, a.disabled, a.locked, a.privileged,
       a.created, a.modified, s.loaded, s.loadId
FROM accounts a
JOIN sources s ON s.id = a.sourceId
WHERE NOT a.correlated
""".strip()


def _plan(request: Request, catalogue: Catalogue) -> Plan:
    return Plan(
        arguments={},
        statement=Statement(sql=_SQL, columns=_COLUMNS, tables={"accounts": None, "sources": None}, group="sourceName"),
        messages=sources.stale(catalogue.sources, request.now),
    )


REPORT = Report(
    type="UNCORRELATED_ACCOUNTS",
    name="Uncorrelated Accounts Report",
    description="The accounts, of all sources, that no identity holds.",
    arguments={},
    columns=_COLUMNS,
    plan=_plan,
    formats=("csv", "pdf"),
)
