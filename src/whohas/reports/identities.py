"""IDENTITIES: all identities, or only those with an account on an authoritative source."""

from __future__ import annotations

from whohas.engine.statement import ResultColumn, Statement
from whohas.engine.summary import Breakdown, KeyFigure, SummaryDefinition
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.reports.shared_columns import identity_columns
from whohas.reports.summaries import by_age, by_value, filtered_out_figure, share
from whohas.warehouse.catalog import Catalog

IDENTITY_COLUMNS = (
    *identity_columns("id", "name", "displayName"),
    ResultColumn("firstName", "text", "Its given name.", label="First name", section="Identity"),
    ResultColumn("lastName", "text", "Its family name.", label="Last name", section="Identity"),
    *identity_columns("email", "status", "lifecycleState"),
    ResultColumn(
        "identityProfile",
        "text",
        "The name of its identity profile, which created it.",
        label="Identity profile",
        section="Identity",
    ),
    ResultColumn(
        "source", "text", "The name of the authoritative source that it comes from.", label="Source", section="Identity"
    ),
    ResultColumn(
        "manager",
        "text",
        "Its manager's name: as given for the identity, otherwise from the manager's own identity.",
        label="Manager",
        section="Identity",
    ),
    ResultColumn(
        "isManager",
        "boolean",
        "Whether it is the manager of other identities; empty where the data does not say.",
        label="Is a manager",
        section="Identity",
    ),
    ResultColumn(
        "employeeNumber", "text", "Its number in the authoritative source.", label="Employee number", section="Identity"
    ),
    ResultColumn("accountCount", "integer", "The number of its accounts.", label="Accounts", section="Identity"),
    ResultColumn(
        "correlated",
        "boolean",
        "Whether it has an account on an authoritative source.",
        label="Correlated",
        section="Identity",
    ),
    *identity_columns("created", "modified"),
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
        unfiltered=catalogue.row_count("identities") if correlated_only else None,
    )


def identity_figures(source: str = "") -> tuple[KeyFigure, ...]:
    """Return the figures of reports on identities.

    Args:
        source: `report_groups` if an identity may have several rows; empty if each row is an identity.
    """

    def count(filtered: str = "") -> str:
        return f"(SELECT count(*){filtered} FROM {source})" if source else f"count(*){filtered}"

    shares = (
        ("correlated", "Correlated identities", "Identities with an account on an authoritative source.", "correlated"),
        ("withoutManager", "Without a manager", "Identities without a manager.", "nullif(manager, '') IS NULL"),
        ("withoutAccounts", "Without accounts", "Identities that have no account.", '"accountCount" = 0'),
    )
    columns = {"correlated": "correlated", "withoutManager": "manager", "withoutAccounts": "accountCount"}
    needs_id = ("id",) if source else ()
    return (
        KeyFigure("identities", "Identities", "The identities of the report.", count(), needs_id),
        *(
            KeyFigure(name, label, doc, count(f" FILTER (WHERE {condition})"), (*needs_id, columns[name]), count())
            for name, label, doc, condition in shares
        ),
    )


_BY_ACCOUNTS = Breakdown(
    "byAccounts",
    "Identities by number of accounts",
    "The identities by the number of their accounts.",
    'SELECT CASE WHEN "accountCount" <= 2 THEN "accountCount"::VARCHAR WHEN "accountCount" <= 5 THEN \'3 to 5\' '
    "WHEN \"accountCount\" <= 10 THEN '6 to 10' ELSE 'more than 10' END AS category, '' AS series, "
    "count(*) AS number FROM report_rows GROUP BY ALL",
    ("accountCount",),
    order=("0", "1", "2", "3 to 5", "6 to 10", "more than 10"),
)


_SUMMARY = SummaryDefinition(
    (
        *identity_figures(),
        share(
            "managers",
            "Managers",
            "Identities that manage others, of those of which the data says it.",
            '"isManager"',
            "isManager",
            of='count("isManager")',
        ),
        filtered_out_figure(),
    ),
    (
        by_value("byState", "Identities by lifecycle state", "The identities by lifecycle state.", "lifecycleState"),
        by_value("bySource", "Identities by source", "The identities by their authoritative source.", "source"),
        _BY_ACCOUNTS,
        by_age("byAge", "Identities by age", "The identities by when they were created.", "created"),
    ),
)


REPORT = Report(
    type="IDENTITIES",
    name="Identities Report",
    description="The identities, each with the number of its accounts and whether it is on an authoritative source.",
    arguments=CORRELATED_ONLY_ARGUMENT,
    columns=IDENTITY_COLUMNS,
    make_plan=_plan,
    summary=_SUMMARY,
)
