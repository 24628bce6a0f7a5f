"""IDENTITIES: all identities, or only those with an account on an authoritative source."""

from __future__ import annotations

from whohas.engine.statement import ResultColumn, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.warehouse.catalog import Catalog

IDENTITY_COLUMNS = (
    ResultColumn("id", "text", "The identity's id."),
    ResultColumn("name", "text", "Its unique name."),
    ResultColumn("displayName", "text", "Its display name, or its unique name if it has none.", key=True),
    ResultColumn("firstName", "text", "Its given name."),
    ResultColumn("lastName", "text", "Its family name."),
    ResultColumn("email", "text", "Its email address."),
    ResultColumn("status", "text", "Its registration status."),
    ResultColumn("lifecycleState", "text", "Its lifecycle state, such as active or terminated."),
    ResultColumn("identityProfile", "text", "The name of its identity profile, which created it."),
    ResultColumn("source", "text", "The name of the authoritative source that it comes from."),
    ResultColumn(
        "manager", "text", "Its manager's name: as given for the identity, otherwise from the manager's own identity."
    ),
    ResultColumn(
        "isManager", "boolean", "Whether it is the manager of other identities; empty where the data does not say."
    ),
    ResultColumn("employeeNumber", "text", "Its number in the authoritative source."),
    ResultColumn("accountCount", "integer", "The number of its accounts."),
    ResultColumn("correlated", "boolean", "Whether it has an account on an authoritative source."),
    ResultColumn("created", "time", "When it was created."),
    ResultColumn("modified", "time", "When it was last modified."),
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
"""The identities, one row each, with figures from their accounts and from the identities that they manage.

Values that the loaded data gives for `manager` and `isManager` take precedence. Otherwise `manager` is the name of the
identity that `managerId` refers to, and `isManager` is whether another identity's `managerId` refers to this one. If no
`managerId` refers to a loaded identity, `isManager` is null.
"""

CORRELATED_ONLY_ARGUMENT = {
    "correlatedOnly": "true: only identities with an account on an authoritative source (default: all identities)."
}

IDENTITY_TABLES = {"identities": None, "accounts": None, "sources": None}


def _plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    correlated_only = request.flag_argument("correlatedOnly")
    return Plan(
        arguments={"correlatedOnly": correlated_only},
        statement=Statement(
            sql=f"{IDENTITY_SQL}\nWHERE h.authoritative > 0" if correlated_only else IDENTITY_SQL,
            columns=IDENTITY_COLUMNS,
            tables=dict(IDENTITY_TABLES),
            expected_rows=catalogue.row_count("identities"),
        ),
        messages=sources.stale_sources_messages(catalogue.sources, request.now),
    )


REPORT = Report(
    type="IDENTITIES",
    name="Identities Report",
    description="The identities, each with the number of its accounts and whether it is on an authoritative source.",
    arguments=CORRELATED_ONLY_ARGUMENT,
    columns=IDENTITY_COLUMNS,
    make_plan=_plan,
)
