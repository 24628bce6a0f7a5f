"""ORPHAN_IDENTITIES: identities without an account on an authoritative source, and the sources of their accounts."""

from __future__ import annotations

from whohas.engine.statement import ResultColumn, Statement
from whohas.engine.summary import KeyFigure, SummaryDefinition
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.reports.shared_columns import identity_columns
from whohas.reports.summaries import by_age, by_value, share
from whohas.warehouse.catalog import Catalog

_COLUMNS = (
    *identity_columns("id", "name", "displayName", "email", "status", "lifecycleState"),
    ResultColumn(
        "accountSources",
        "texts",
        "The names of the sources of its accounts, none of them authoritative; sorted.",
        label="Sources of its accounts",
        section="Identity",
    ),
    *identity_columns("created", "modified"),
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
        statement=Statement(
            sql=_SQL,
            columns=_COLUMNS,
            tables={"identities": None, "accounts": None, "sources": None},
        ),
        messages=sources.stale_sources_messages(catalogue.sources, request.now),
    )


_SUMMARY = SummaryDefinition(
    (
        KeyFigure(
            "identities",
            "Orphan identities",
            "Identities without an account on an authoritative source.",
            "count(*)",
        ),
        share(
            "withAccounts",
            "With accounts",
            "Orphan identities that have accounts on other sources.",
            'len("accountSources") > 0',
            "accountSources",
        ),
    ),
    (
        by_age("byAge", "Orphan identities by age", "The identities by when they were created.", "created"),
        by_value(
            "bySource",
            "By source of their accounts",
            "The identities by each source of their accounts; one with accounts on two sources counts twice.",
            "accountSources",
            several=True,
        ),
        by_value("byState", "By lifecycle state", "The identities by lifecycle state.", "lifecycleState"),
    ),
)


REPORT = Report(
    type="ORPHAN_IDENTITIES",
    name="Orphan Identities Report",
    description="The identities that have no account on an authoritative source.",
    arguments={},
    columns=_COLUMNS,
    make_plan=_plan,
    summary=_SUMMARY,
    default_formats=("csv", "pdf"),
)
