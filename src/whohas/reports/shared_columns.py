"""Columns that several reports have, with the same type, label and meaning."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from whohas.engine.statement import ResultColumn

_IDENTITY: Final = "Identity"
_ACCOUNT: Final = "Account"


def _by_name(*columns: ResultColumn) -> dict[str, ResultColumn]:
    return {column.name: column for column in columns}


_OF_IDENTITIES: Final = _by_name(
    ResultColumn("id", "text", "The identity's id.", label="Identity id", readable="never"),
    ResultColumn("name", "text", "Its unique name.", label="User name"),
    ResultColumn(
        "displayName", "text", "Its display name, or its unique name if it has none.", key=True, label="Identity"
    ),
    ResultColumn("email", "text", "Its email address.", label="Email"),
    ResultColumn("status", "text", "Its registration status.", label="Status"),
    ResultColumn(
        "lifecycleState", "text", "Its lifecycle state, such as active or terminated.", label="Lifecycle state"
    ),
    ResultColumn("created", "time", "When it was created.", label="Created"),
    ResultColumn("modified", "time", "When it was last modified.", label="Modified"),
)

_OF_ACCOUNTS: Final = _by_name(
    ResultColumn("id", "text", "The account's id.", label="Account id", readable="never"),
    ResultColumn("name", "text", "The account's name.", key=True, label="Account"),
    ResultColumn(
        "nativeIdentity",
        "text",
        "The account's identifier on its source, such as a distinguished name.",
        label="Identifier on the source",
    ),
    ResultColumn("sourceId", "text", "The source's id.", label="Source id", readable="never"),
    ResultColumn("sourceName", "text", "The source's name.", label="Source"),
    ResultColumn(
        "manuallyCorrelated",
        "boolean",
        "Whether a person correlated the account, instead of a rule.",
        label="Correlated by a person",
    ),
    ResultColumn("disabled", "boolean", "Whether the account is disabled and cannot sign in.", label="Disabled"),
    ResultColumn("locked", "boolean", "Whether the account is locked.", label="Locked"),
    ResultColumn(
        "privileged",
        "boolean",
        "Whether the account is privileged, with more rights than ordinary ones.",
        label="Privileged",
    ),
    ResultColumn("created", "time", "When the account was created.", label="Created"),
    ResultColumn("modified", "time", "When the account was last modified.", label="Modified"),
)


def identity_columns(*names: str) -> tuple[ResultColumn, ...]:
    """Return columns of an identity, in the section `Identity`.

    Args:
        names: the technical names, in the order wanted.
    """
    return tuple(replace(_OF_IDENTITIES[name], section=_IDENTITY) for name in names)


def account_columns(*names: str, section: str = _ACCOUNT, prefix: str = "") -> tuple[ResultColumn, ...]:
    """Return columns of an account.

    Args:
        names: the technical names without the prefix, in the order wanted.
        section: the heading of the columns.
        prefix: the beginning of the technical names, such as `account.`.
    """
    return tuple(replace(_OF_ACCOUNTS[name], name=f"{prefix}{name}", section=section) for name in names)
