"""IDENTITIES: every identity, or those with an account on an authoritative source."""

from __future__ import annotations

from whohas.engine.statement import Column, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, Request
from whohas.warehouse.catalog import Catalogue

IDENTITY_COLUMNS = (
    Column("id", "text", "The identity's id."),
    Column("name", "text", "Its unique name."),
    Column("displayName", "text", "The name that people read.", key=True),
    Column("firstName", "text", "Given name."),
    Column("lastName", "text", "Family name."),
    Column("email", "text", "Mail address."),
    Column("status", "text", "Its registration status."),
    Column("lifecycleState", "text", "Where it is in its life, such as active or terminated."),
    Column("identityProfile", "text", "The profile that made it."),
    Column("source", "text", "The authoritative source it comes from."),
    Column("manager", "text", "Its manager: as its document names it, else by the manager's own name."),
    Column("isManager", "boolean", "Whether others report to it."),
    Column("employeeNumber", "text", "Its number in the authoritative source."),
    Column("accountCount", "integer", "How many accounts it has."),
    Column("correlated", "boolean", "Whether it has an account on an authoritative source."),
    Column("created", "time", "When it came to be."),
    Column("modified", "time", "When it last changed."),
)

IDENTITY_SQL = """
WITH held AS (
    SELECT a.identityId, count(*) AS accounts, count(*) FILTER (WHERE s.authoritative) AS authoritative
    FROM accounts a
    JOIN sources s ON s.id = a.sourceId
    WHERE a.identityId IS NOT NULL
    GROUP BY a.identityId
),
named AS (
    SELECT managerId, bool_or(managerId <> id) AS others
    FROM identities
    WHERE managerId IS NOT NULL
    GROUP BY managerId
),
managers AS (
    SELECT m.id, min(coalesce(nullif(m.displayName, ''), m.name)) AS name, bool_or(n.others) AS others
    FROM named n
    JOIN identities m ON m.id = n.managerId
    GROUP BY m.id
)
SELECT i.id, i.name, coalesce(nullif(i.displayName, ''), i.name) AS displayName, i.firstName, i.lastName, i.email,
       i.status, i.lifecycleState, i.identityProfileName AS identityProfile, coalesce(s.name, i.sourceName) AS source,
       coalesce(nullif(i.managerDisplayName, ''), nullif(i.managerName, ''), m.name) AS manager,
       coalesce(i.isManager, o.others, CASE WHEN (SELECT count(*) FROM managers) > 0 THEN false END) AS isManager,
       i.employeeNumber, coalesce(h.accounts, 0) AS accountCount,
       coalesce(h.authoritative, 0) > 0 AS correlated, i.created, i.modified
FROM identities i
LEFT JOIN held h ON h.identityId = i.id
LEFT JOIN managers m ON m.id = i.managerId
LEFT JOIN managers o ON o.id = i.id
LEFT JOIN sources s ON s.id = i.sourceId
""".strip()
"""Identities with what their accounts, their managers and those they manage say of them: one row an identity.

What a document says of a manager stands. Where it says nothing, a manager is whom another identity's `managerId` names;
as long as no identity names any, `isManager` stays unknown.
"""

CORRELATED_ONLY = {"correlatedOnly": "true: only identities with an account on an authoritative source."}

TABLES = {"identities": None, "accounts": None, "sources": None}


def _plan(request: Request, catalogue: Catalogue) -> Plan:
    correlated_only = request.flag("correlatedOnly")
    return Plan(
        arguments={"correlatedOnly": correlated_only},
        statement=Statement(
            sql=f"{IDENTITY_SQL}\nWHERE h.authoritative > 0" if correlated_only else IDENTITY_SQL,
            columns=IDENTITY_COLUMNS,
            tables=dict(TABLES),
            expected_rows=catalogue.rows("identities"),
        ),
        messages=sources.stale(catalogue.sources, request.now),
    )


REPORT = Report(
    type="IDENTITIES",
    name="Identities Report",
    description="The identities, each with how many accounts it has and whether an authoritative source knows it.",
    arguments=CORRELATED_ONLY,
    columns=IDENTITY_COLUMNS,
    plan=_plan,
)
