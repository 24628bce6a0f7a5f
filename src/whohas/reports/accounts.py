"""ACCOUNTS: the accounts of one source, a column an attribute."""

from __future__ import annotations

from collections import Counter
from typing import Final

from whohas.engine.sql import literal, quote
from whohas.engine.statement import Column, Statement
from whohas.errors import InvalidArguments
from whohas.reports import sources
from whohas.reports.base import Plan, Report, Request
from whohas.warehouse.catalog import Catalogue, Source

_COLUMNS = (
    Column("id", "text", "The account's id."),
    Column("nativeIdentity", "text", "How the source itself names the account."),
    Column("name", "text", "The account's name.", key=True),
    Column("sourceId", "text", "The source's id."),
    Column("sourceName", "text", "The source's name."),
    Column("identityId", "text", "The identity that holds the account; empty where it is uncorrelated."),
    Column("identityName", "text", "That identity's name as people read it."),
    Column("correlated", "boolean", "Whether the account has an identity."),
    Column("manuallyCorrelated", "boolean", "Whether a person chose that identity."),
    Column("disabled", "boolean", "Whether the account may not sign in."),
    Column("locked", "boolean", "Whether the account is locked."),
    Column("privileged", "boolean", "Whether the account can do more than ordinary ones."),
    Column("hasEntitlements", "boolean", "Whether the account holds entitlements; empty where nothing says so."),
    Column("created", "time", "When the account came to be."),
    Column("modified", "time", "When the account last changed."),
)

_HELD = (
    "LEFT JOIN (SELECT DISTINCT accountId FROM account_entitlements WHERE sourceId = $source) g ON g.accountId = a.id"
)


MOST_COLUMNS: Final = 16_384
"""Columns of the report, as many as a sheet of XLSX has: what an engine takes of memory grows with them."""


def _plan(request: Request, catalogue: Catalogue) -> Plan:
    source = _source(request, catalogue)
    fixed = {column.name for column in _COLUMNS}
    # an attribute that is named as a fixed column is told apart as the API's own path does it
    attributes = [
        (name, Column(f"attributes.{name}" if name in fixed else name, "texts")) for name in source.account_attributes
    ]
    if (found := len(_COLUMNS) + len(attributes)) > MOST_COLUMNS:
        raise InvalidArguments(
            f"The accounts of the source {source.name!r} have {len(attributes):,} attributes, which makes {found:,} "
            f"columns; ACCOUNTS has {MOST_COLUMNS:,} at most. Load the source with fewer attributes "
            "(`[accounts] attributes` of its mapping), or read the table `accounts` by another engine."
        )
    # an engine tells columns apart without regard to case, but a map does not
    alike = Counter(name.casefold() for name in source.account_attributes)
    apart = {name: column.name for name, column in attributes if alike[name.casefold()] == 1}
    # where nothing says what the source's accounts hold, it stays unknown whether they hold anything
    own = frozenset({source.id})
    entitled = catalogue.rows("account_entitlements", own) > 0
    held = (
        "coalesce(a.hasEntitlements, g.accountId IS NOT NULL) AS hasEntitlements" if entitled else "a.hasEntitlements"
    )
    cells = [f"       a.attributes[{literal(name)}] AS {quote(column.name)}" for name, column in attributes]
    sql = "\n".join(
        (
            "SELECT a.id, a.nativeIdentity, a.name, a.sourceId, s.name AS sourceName,",
            "       a.identityId,",
            "       coalesce(nullif(i.displayName, ''), nullif(i.name, ''), a.identityName) AS identityName,",
            f"       a.correlated, a.manuallyCorrelated, a.disabled, a.locked, a.privileged, {held},",
            "       a.created, a.modified" + ("," if cells else ""),
            *([",\n".join(cells)] if cells else []),
            "FROM accounts a",
            "JOIN sources s ON s.id = a.sourceId",
            "LEFT JOIN identities i ON i.id = a.identityId",
            *([_HELD] if entitled else []),
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
                "accounts": own,
                "sources": None,
                "identities": None,
                **({"account_entitlements": own} if entitled else {}),
            },
            attributes={"accounts": apart},
            expected_rows=catalogue.rows("accounts", own),
        ),
        messages=sources.stale([source], request.now),
    )


def _source(request: Request, catalogue: Catalogue) -> Source:
    application, name = request.text("application"), request.text("sourceName")
    if application is None:
        return sources.named(name or "", catalogue)
    source = sources.with_id(application, "application", catalogue, like=name)
    if name is not None and name != source.name:
        raise InvalidArguments(
            f"application {application!r} is the source {source.name!r}, but sourceName says {name!r}. "
            "Leave sourceName out or make both name the same source."
        )
    return source


REPORT = Report(
    type="ACCOUNTS",
    name="Accounts Report",
    description="The accounts of one source with the identities that hold them, and a column for each attribute.",
    arguments={
        "application": "The source's id. It decides.",
        "sourceName": "The source's name; enough by itself where it is unique. It must not contradict application.",
    },
    columns=_COLUMNS,
    plan=_plan,
)
