"""ACCOUNTS: the accounts of one source, with one column for each account attribute of the source."""

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
    Column("nativeIdentity", "text", "The account's identifier on its source, such as a distinguished name."),
    Column("name", "text", "The account's name.", key=True),
    Column("sourceId", "text", "The source's id."),
    Column("sourceName", "text", "The source's name."),
    Column(
        "identityId",
        "text",
        "The id of the identity that the account is correlated to; empty for an uncorrelated account.",
    ),
    Column(
        "identityName",
        "text",
        "That identity's display name, else its unique name, else its name in the account's data.",
    ),
    Column("correlated", "boolean", "Whether the account is correlated to an identity."),
    Column("manuallyCorrelated", "boolean", "Whether a person correlated the account, instead of a rule."),
    Column("disabled", "boolean", "Whether the account is disabled and cannot sign in."),
    Column("locked", "boolean", "Whether the account is locked."),
    Column("privileged", "boolean", "Whether the account is privileged, with more rights than ordinary ones."),
    Column("hasEntitlements", "boolean", "Whether the account has entitlements; empty where the data does not say."),
    Column("created", "time", "When the account was created."),
    Column("modified", "time", "When the account was last modified."),
)

_ENTITLED = (
    "LEFT JOIN (SELECT DISTINCT accountId FROM account_entitlements WHERE sourceId = $source) g ON g.accountId = a.id"
)


MOST_COLUMNS: Final = 16_384
"""The most columns of the report: as many as an XLSX sheet may have. The engine's memory use grows with them."""


def _plan(request: Request, catalogue: Catalogue) -> Plan:
    source = _source(request, catalogue)
    fixed = {column.name for column in _COLUMNS}
    # An attribute with the name of a fixed column gets the path that the API uses for it: `attributes.name`.
    attributes = [
        (name, Column(f"attributes.{name}" if name in fixed else name, "texts")) for name in source.account_attributes
    ]
    if (found := len(_COLUMNS) + len(attributes)) > MOST_COLUMNS:
        raise InvalidArguments(
            f"The accounts of the source {source.name!r} have {len(attributes):,} attributes, which makes {found:,} "
            f"columns; ACCOUNTS has {MOST_COLUMNS:,} at most. Load the source with fewer attributes (`[accounts] "
            "attributes` in its mapping), or query the table `accounts` with another tool."
        )
    # Only attributes whose names differ by more than case can be read as columns: engines compare column names without
    # regard to case, unlike the keys of a map.
    names_without_case = Counter(name.casefold() for name in source.account_attributes)
    unambiguous = {name: column.name for name, column in attributes if names_without_case[name.casefold()] == 1}
    # If no entitlements were loaded for the source, it is unknown whether an account has any: the column stays empty.
    partition = frozenset({source.id})
    entitled = catalogue.rows("account_entitlements", partition) > 0
    has_entitlements = (
        "coalesce(a.hasEntitlements, g.accountId IS NOT NULL) AS hasEntitlements" if entitled else "a.hasEntitlements"
    )
    cells = [f"       a.attributes[{literal(name)}] AS {quote(column.name)}" for name, column in attributes]
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
            expected_rows=catalogue.rows("accounts", partition),
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
    description="The accounts of one source with the identities that they belong to, and a column for each attribute.",
    arguments={
        "application": "The source's id. Required unless sourceName is given.",
        "sourceName": "The source's name, which is sufficient if it is unique. If application is given too, both must "
        "mean the same source.",
    },
    columns=_COLUMNS,
    plan=_plan,
)
