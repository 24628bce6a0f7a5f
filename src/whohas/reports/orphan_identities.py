"""ORPHAN_IDENTITIES: identities without an account on an authoritative source, and the sources of their accounts."""

from __future__ import annotations

from whohas.engine.statement import Column, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, Request
from whohas.warehouse.catalog import Catalogue

_COLUMNS = (
    Column("id", "text", "The identity's id."),
    Column("name", "text", "Its unique name."),
    Column("displayName", "text", "Its display name, or its unique name if it has none.", key=True),
    Column("email", "text", "Its email address."),
    Column("status", "text", "Its registration status."),
    Column("lifecycleState", "text", "Its lifecycle state, such as active or terminated."),
    Column("accountSources", "texts", "The names of the sources of its accounts, none of them authoritative; sorted."),
    Column("created", "time", "When it was created."),
    Column("modified", "time", "When it was last modified."),
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
