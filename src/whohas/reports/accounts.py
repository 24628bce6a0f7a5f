"""ACCOUNTS: the accounts of one source, with one column for each account attribute of the source."""

from __future__ import annotations

from collections import Counter
from typing import Final

from whohas.engine.sql import quote_identifier, string_literal
from whohas.engine.statement import ResultColumn, Statement
from whohas.engine.summary import KeyFigure, SummaryDefinition
from whohas.errors import InvalidArguments
from whohas.reports import sources
from whohas.reports.base import Plan, Report, ReportRequest
from whohas.reports.columns import column_names
from whohas.reports.shared_columns import account_columns
from whohas.reports.summaries import (
    account_figures,
    accounts_by_source_and_state,
    by_age,
    share,
    stale_figure,
)
from whohas.warehouse.catalog import Catalog, CatalogSource

_COLUMNS = (
    *account_columns("id", "nativeIdentity", "name", "sourceId", "sourceName"),
    ResultColumn(
        "identityId",
        "text",
        "The id of the identity that the account is correlated to; empty for an uncorrelated account.",
        label="Identity id",
        section="Identity",
        readable="never",
    ),
    ResultColumn(
        "identityName",
        "text",
        "That identity's display name, else its unique name, else its name in the account's data.",
        label="Identity",
        section="Identity",
    ),
    ResultColumn(
        "correlated",
        "boolean",
        "Whether the account is correlated to an identity.",
        label="Correlated",
        section="Identity",
    ),
    *account_columns("manuallyCorrelated", section="Identity"),
    *account_columns("disabled", "locked", "privileged", section="State"),
    ResultColumn(
        "hasEntitlements",
        "boolean",
        "Whether the account has entitlements; empty where the data does not say.",
        label="Has entitlements",
        section="State",
    ),
    *account_columns("created", "modified", section="State"),
)

_ENTITLED = (
    "LEFT JOIN (SELECT DISTINCT accountId FROM account_entitlements WHERE sourceId = $source) g ON g.accountId = a.id"
)


MAX_COLUMNS: Final = 16_384
"""The most columns of the report: as many as an XLSX sheet may have. The engine's memory use grows with them."""


def _plan(request: ReportRequest, catalogue: Catalog) -> Plan:
    source = sources.find_source(request, "application", catalogue)
    attributes = list(zip(source.account_attributes, _attribute_columns(source), strict=True))
    if wanted := frozenset(column_names(request)):
        attributes = [(name, column) for name, column in attributes if column.name in wanted]
    if (found := len(_COLUMNS) + len(attributes)) > MAX_COLUMNS:
        raise InvalidArguments(
            f"The accounts of the source {source.name!r} have {len(attributes):,} attributes, which makes {found:,} "
            f"columns; ACCOUNTS has {MAX_COLUMNS:,} at most. Name those "
            "that you need in the argument columns, load the source with fewer attributes (`[accounts] attributes` in "
            "its mapping), or query the table `accounts` with another tool."
        )
    # Only attributes whose names differ by more than case can be read as columns: engines compare column names without
    # regard to case, unlike the keys of a map.
    names_without_case = Counter(name.casefold() for name in source.account_attributes)
    unambiguous = {name: column.name for name, column in attributes if names_without_case[name.casefold()] == 1}
    # If no entitlements were loaded for the source, it is unknown whether an account has any: the column stays empty.
    partition = frozenset({source.id})
    entitled = catalogue.row_count("account_entitlements", partition) > 0
    has_entitlements = (
        "coalesce(a.hasEntitlements, g.accountId IS NOT NULL) AS hasEntitlements" if entitled else "a.hasEntitlements"
    )
    cells = [
        f"       a.attributes[{string_literal(name)}] AS {quote_identifier(column.name)}" for name, column in attributes
    ]
    sql = "\n".join(
        (
            "SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,",
            "       a.identityId,",
            "       coalesce(nullif(i.displayName, ''), nullif(i.name, ''), a.identityName) AS identityName,",
            f"       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, {has_entitlements},",
            "       a.created, a.modified" + ("," if cells else ""),
            *([",\n".join(cells)] if cells else []),
            "FROM accounts a",
            "JOIN sources s ON s.id = a.sourceId",
            "LEFT JOIN identities i ON i.id = a.identityId",
            *([_ENTITLED] if entitled else []),
            "WHERE a.sourceId = $source",
        )
    )
    return Plan(
        arguments={"application": source.id, "sourceName": source.name},
        statement=Statement(
            sql=sql,
            columns=(*_COLUMNS, *(column for _, column in attributes)),
            parameters={"source": source.id},
            tables={
                "accounts": partition,
                "sources": None,
                "identities": None,
                **({"account_entitlements": partition} if entitled else {}),
            },
            attributes={"accounts": unambiguous},
            expected_rows=catalogue.row_count("accounts", partition),
        ),
        messages=sources.stale_sources_messages([source], request.now),
    )


def _attribute_columns(source: CatalogSource) -> tuple[ResultColumn, ...]:
    """Return the column of each account attribute of a source, in the order of the attributes."""
    fixed = {column.name for column in _COLUMNS}
    # An attribute with the name of a fixed column gets the path that the API uses for it: `attributes.name`.
    return tuple(
        ResultColumn(f"attributes.{name}" if name in fixed else name, "texts", label=name, section="Attributes")
        for name in source.account_attributes
    )


_SUMMARY = SummaryDefinition(
    (
        KeyFigure("accounts", "Accounts", "The accounts of the source.", "count(*)"),
        share("correlated", "Correlated accounts", "Accounts that belong to an identity.", "correlated", "correlated"),
        *account_figures(),
        stale_figure(),
        share(
            "withEntitlements",
            "Accounts with entitlements",
            "Accounts that have an entitlement.",
            '"hasEntitlements"',
            "hasEntitlements",
            of='count("hasEntitlements")',
        ),
    ),
    (
        accounts_by_source_and_state("sourceName"),
        by_age("byModified", "Accounts by last change", "The accounts by when they were last modified.", "modified"),
        by_age("byCreated", "Accounts by age", "The accounts by when they were created.", "created"),
    ),
)


REPORT = Report(
    type="ACCOUNTS",
    name="Accounts Report",
    description="The accounts of one source with the identities that they belong to, and a column for each attribute.",
    arguments={
        "application": "The source's id. Required unless sourceName is given.",
        "sourceName": "The source's name, which is sufficient if it is unique. If application is given too, both must "
        "mean the same source.",
    },
    columns=_COLUMNS,
    make_plan=_plan,
    summary=_SUMMARY,
    source_columns=_attribute_columns,
)
