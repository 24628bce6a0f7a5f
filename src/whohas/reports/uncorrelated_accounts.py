"""UNCORRELATED_ACCOUNTS: the accounts of all sources that belong to no identity."""

from __future__ import annotations

from whohas.engine.statement import Column, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, Request
from whohas.warehouse.catalog import Catalogue

_COLUMNS = (
    Column("id", "text", "The account's id."),
    Column("name", "text", "The account's name.", key=True),
    Column("nativeIdentity", "text", "The account's identifier on its source, such as a distinguished name."),
    Column("sourceId", "text", "The source's id."),
    Column("sourceName", "text", "The source's name."),
    Column("disabled", "boolean", "Whether the account is disabled and cannot sign in."),
    Column("locked", "boolean", "Whether the account is locked."),
    Column("privileged", "boolean", "Whether the account is privileged, with more rights than ordinary ones."),
    Column("created", "time", "When the account was created."),
    Column("modified", "time", "When the account was last modified."),
    Column("loaded", "time", "When the accounts of its source were last loaded."),
    Column("loadId", "text", "The id of that load."),
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
    description="The accounts, of all sources, that belong to no identity.",
    arguments={},
    columns=_COLUMNS,
    plan=_plan,
    formats=("csv", "pdf"),
)
