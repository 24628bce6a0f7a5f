"""IDENTITIES_DETAILS: identities with each of their accounts and its entitlements."""

from __future__ import annotations

import textwrap
from dataclasses import replace

from whohas.engine.statement import ResultColumn, Statement
from whohas.engine.summary import Breakdown, KeyFigure, SummaryDefinition
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.reports.identities import (
    CORRELATED_ONLY_ARGUMENT,
    IDENTITY_COLUMNS,
    IDENTITY_SQL,
    IDENTITY_TABLES,
    identity_figures,
)
from whohas.reports.shared_columns import account_columns
from whohas.reports.summaries import account_figures, accounts_by_source_and_state, filtered_out_figure
from whohas.warehouse.catalog import Catalog

_ONLY_IN_XLSX = frozenset(
    {
        "firstName", "lastName", "status", "identityProfile", "isManager", "accountCount", "correlated", "created",
        "modified",
    }
)  # fmt: skip
"""Columns of the identity that would make the heading of a person longer than a line. The name and the rows below say
most of them, and the report IDENTITIES has all."""

_PERSON_COLUMNS = tuple(
    replace(column, readable="xlsx_only") if column.name in _ONLY_IN_XLSX else column for column in IDENTITY_COLUMNS
)

_ACCOUNT_COLUMNS = (
    ResultColumn(
        "account.id",
        "text",
        "The id of an account of the identity; empty for an identity without accounts.",
        label="Account id",
        section="Account",
        readable="never",
    ),
    *(replace(column, key=False) for column in account_columns("name", prefix="account.")),
    *(replace(column, name="account.accountId") for column in account_columns("nativeIdentity")),
    ResultColumn("account.source.name", "text", "The name of the account's source.", label="Source", section="Account"),
    ResultColumn(
        "account.source.type",
        "text",
        "The type of the source, such as Active Directory.",
        label="Source type",
        section="Account",
    ),
    *account_columns("disabled", "locked", "privileged", "manuallyCorrelated", prefix="account."),
    ResultColumn(
        "account.passwordLastSet",
        "time",
        "When its password was last set.",
        label="Password last set",
        section="Account",
    ),
    ResultColumn(
        "account.entitlements",
        "texts",
        "The names of the account's entitlements, sorted.",
        label="Entitlements",
        section="Account",
    ),
)

_SQL = f"""
WITH identity AS (
{textwrap.indent(IDENTITY_SQL, "    ")}
),
entitled AS (
    SELECT g.accountId, coalesce(nullif(e.displayName, ''), nullif(e.name, ''), e.value, g.value) AS entitlement
    FROM account_entitlements g
    LEFT JOIN entitlements e ON e.id = g.entitlementId
),
granted AS (
    SELECT accountId, list(entitlement ORDER BY entitlement) AS entitlements
    FROM entitled
    GROUP BY accountId
)
SELECT i.*,
       a.id AS "account.id", a.name AS "account.name", a.nativeIdentity AS "account.accountId",
       s.name AS "account.source.name", s.type AS "account.source.type", a.disabled AS "account.disabled",
       a.locked AS "account.locked", a.privileged AS "account.privileged",
       a.manuallyCorrelated AS "account.manuallyCorrelated", a.passwordLastSet AS "account.passwordLastSet",
       g.entitlements AS "account.entitlements"
FROM identity i
LEFT JOIN accounts a ON a.identityId = i.id
LEFT JOIN sources s ON s.id = a.sourceId
LEFT JOIN granted g ON g.accountId = a.id
""".strip()


def _plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    correlated_only = request.flag_argument("correlatedOnly")
    return Plan(
        arguments={"correlatedOnly": correlated_only},
        statement=Statement(
            sql=f"{_SQL}\nWHERE i.correlated" if correlated_only else _SQL,
            columns=(*_PERSON_COLUMNS, *_ACCOUNT_COLUMNS),
            tables={**IDENTITY_TABLES, "account_entitlements": None, "entitlements": None},
            expected_rows=catalogue.row_count("accounts"),
            group="id",
            order=("account.source.name", "account.name", "account.id"),
        ),
        messages=sources.stale_sources_messages(catalogue.sources, request.now),
        unfiltered=catalogue.row_count("identities") if correlated_only else None,
    )


_ACCOUNTS = 'count("account.id")'


_SUMMARY = SummaryDefinition(
    (
        *identity_figures("report_groups"),
        filtered_out_figure("(SELECT count(*) FROM report_groups)", "id"),
        KeyFigure("accounts", "Accounts", "The accounts of these identities.", _ACCOUNTS, ("account.id",)),
        *(replace(figure, columns=(*figure.columns, "account.id")) for figure in account_figures("account.")),
    ),
    (
        accounts_by_source_and_state("account.source.name", "account."),
        Breakdown(
            "holdersByEntitlement",
            "Holders by entitlement",
            "The number of identities that hold each entitlement, on any of their accounts.",
            "SELECT category, '' AS series, count(DISTINCT id) AS number "
            'FROM (SELECT id, unnest("account.entitlements") AS category FROM report_rows) GROUP BY ALL',
            ("id", "account.entitlements"),
        ),
    ),
    groups=("id", "correlated", "manager", "accountCount"),
)


REPORT = Report(
    type="IDENTITIES_DETAILS",
    name="Identities Details Report",
    description="The identities with one row for each of their accounts, and the entitlements of each account.",
    arguments=CORRELATED_ONLY_ARGUMENT,
    columns=(*_PERSON_COLUMNS, *_ACCOUNT_COLUMNS),
    make_plan=_plan,
    summary=_SUMMARY,
)
