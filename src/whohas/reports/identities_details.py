"""IDENTITIES_DETAILS: identities with each of their accounts and its entitlements."""

from __future__ import annotations

import textwrap

from whohas.engine.statement import Column, Statement
from whohas.reports import sources
from whohas.reports.base import Plan, Report, Request
from whohas.reports.identities import CORRELATED_ONLY, IDENTITY_COLUMNS, IDENTITY_SQL, TABLES
from whohas.warehouse.catalog import Catalogue

_ACCOUNT_COLUMNS = (
    Column("account.id", "text", "The id of an account of the identity; empty for an identity without accounts."),
    Column("account.name", "text", "The account's name."),
    Column("account.accountId", "text", "The account's identifier on its source, such as a distinguished name."),
    Column("account.source.name", "text", "The name of the account's source."),
    Column("account.source.type", "text", "The type of the source, such as Active Directory."),
    Column("account.disabled", "boolean", "Whether the account is disabled and cannot sign in."),
    Column("account.locked", "boolean", "Whether the account is locked."),
    Column("account.privileged", "boolean", "Whether the account is privileged, with more rights than ordinary ones."),
    Column("account.manuallyCorrelated", "boolean", "Whether a person correlated the account, instead of a rule."),
    Column("account.passwordLastSet", "time", "When its password was last set."),
    Column("account.entitlements", "texts", "The names of the account's entitlements, sorted."),
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


def _plan(request: Request, catalogue: Catalogue) -> Plan:
    correlated_only = request.flag("correlatedOnly")
    return Plan(
        arguments={"correlatedOnly": correlated_only},
        statement=Statement(
            sql=f"{_SQL}\nWHERE i.correlated" if correlated_only else _SQL,
            columns=(*IDENTITY_COLUMNS, *_ACCOUNT_COLUMNS),
            tables={**TABLES, "account_entitlements": None, "entitlements": None},
            expected_rows=catalogue.rows("accounts"),
        ),
        messages=sources.stale(catalogue.sources, request.now),
    )


REPORT = Report(
    type="IDENTITIES_DETAILS",
    name="Identities Details Report",
    description="The identities with one row for each of their accounts, and the entitlements of each account.",
    arguments=CORRELATED_ONLY,
    columns=(*IDENTITY_COLUMNS, *_ACCOUNT_COLUMNS),
    plan=_plan,
)
