"""ORPHAN_IDENTITIES: identities that no authoritative source knows, and where they do have accounts."""

from __future__ import annotations

from whohas.engine.statement import Column, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, Request
from whohas.warehouse.catalog import Catalogue

_COLUMNS = (
    Column("id", "text", "The identity's id."),
    Column("name", "text", "Its unique name."),
    Column("displayName", "text", "The name that people read.", key=True),
    Column("email", "text", "Mail address."),
    Column("status", "text", "Its registration status."),
    Column("lifecycleState", "text", "Where it is in its life, such as active or terminated."),
    Column("accountSources", "texts", "The sources on which it does have accounts, sorted."),
    Column("created", "time", "When it came to be."),
    Column("modified", "time", "When it last changed."),
)

_SQL = """
WITH held AS (
    SELECT a.identityId, list_sort(list(DISTINCT s.name)) AS sources, bool_or(coalesce(s.authoritative, false)) AS known
    FROM accounts a
    JOIN sources s ON s.id = a.sourceId
    WHERE a.identityId IS NOT NULL
    GROUP BY a.identityId
)
SELECT i.id, i.name, coalesce(nullif(i.displayName, ''), i.name) AS displayName, i.email, i.status,
       i.lifecycleState, h.sources AS accountSources, i.created, i.modified
FROM identities i
LEFT JOIN held h ON h.identityId = i.id
WHERE NOT coalesce(h.known, false)
""".strip()


def _plan(request: Request, catalogue: Catalogue) -> Plan:
    return Plan(
        arguments={},
        statement=Statement(sql=_SQL, columns=_COLUMNS, tables={"identities": None, "accounts": None, "sources": None}),
        messages=sources.stale(catalogue.sources, request.now),
    )


REPORT = Report(
    type="ORPHAN_IDENTITIES",
    name="Orphan Identities Report",
    description="The identities that have no account on an authoritative source.",
    arguments={},
    columns=_COLUMNS,
    plan=_plan,
    formats=("csv", "pdf"),
)
