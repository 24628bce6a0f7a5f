"""ORPHAN_IDENTITIES: identities without an account on an authoritative source, and the sources of their accounts."""

from __future__ import annotations

from whohas.engine.statement import ResultColumn, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.warehouse.catalog import Catalog

_COLUMNS = (
    ResultColumn("id", "text", "The identity's id."),
    ResultColumn("name", "text", "Its unique name."),
    ResultColumn("displayName", "text", "Its display name, or its unique name if it has none.", key=True),
    ResultColumn("email", "text", "Its email address."),
    ResultColumn("status", "text", "Its registration status."),
    ResultColumn("lifecycleState", "text", "Its lifecycle state, such as active or terminated."),
    ResultColumn(
        "accountSources", "texts", "The names of the sources of its accounts, none of them authoritative; sorted."
    ),
    ResultColumn("created", "time", "When it was created."),
    ResultColumn("modified", "time", "When it was last modified."),
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


def _plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    return Plan(
        arguments={},
        statement=Statement(sql=_SQL, columns=_COLUMNS, tables={"identities": None, "accounts": None, "sources": None}),
        messages=sources.stale_sources_messages(catalogue.sources, request.now),
    )


REPORT = Report(
    type="ORPHAN_IDENTITIES",
    name="Orphan Identities Report",
    description="The identities that have no account on an authoritative source.",
    arguments={},
    columns=_COLUMNS,
    make_plan=_plan,
    default_formats=("csv", "pdf"),
)
