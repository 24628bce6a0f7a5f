"""Key figures and breakdowns that several reports have."""

from __future__ import annotations

from typing import Final

from whohas.engine.sql import quote_identifier
from whohas.engine.summary import NO_DATE, Breakdown, KeyFigure

STATES: Final = ("enabled", "locked", "disabled", "unknown")
"""The states of accounts, in the order in which they are shown."""

STALE_DAYS: Final = 180
"""An enabled account that was last modified longer ago than this is counted as stale."""

_AGES: Final = (
    (30, "under 30 days"),
    (90, "30 to 89 days"),
    (180, "90 to 179 days"),
    (365, "180 to 364 days"),
    (730, "1 to 2 years"),
)
_OLDEST: Final = "2 years or more"
_IN_FUTURE: Final = "in the future"


def share(name: str, label: str, doc: str, condition: str, *columns: str, of: str = "count(*)") -> KeyFigure:
    """Return the number of rows that meet a condition, as a share of all rows.

    Args:
        name: the figure's name.
        label: its name for people.
        doc: its meaning in one sentence.
        condition: the condition, as SQL.
        columns: the columns that the condition reads.
        of: the aggregate of which it is a share.
    """
    return KeyFigure(name, label, doc, f"count(*) FILTER (WHERE {condition})", columns, of)


def account_figures(prefix: str = "") -> tuple[KeyFigure, ...]:
    """Return the shares of disabled, locked and privileged accounts among those of which the data says it.

    Args:
        prefix: the beginning of the columns' names, such as `account.`.
    """
    figures = (
        ("disabled", "Disabled accounts", "Accounts that are disabled, of those of which the data says it."),
        ("locked", "Locked accounts", "Accounts that are locked, of those of which the data says it."),
        ("privileged", "Privileged accounts", "Accounts with more rights than ordinary ones, likewise."),
    )
    return tuple(
        share(name, label, doc, quote_identifier(f"{prefix}{name}"), f"{prefix}{name}", of=f"count({column})")
        for name, label, doc in figures
        for column in [quote_identifier(f"{prefix}{name}")]
    )


def stale_figure() -> KeyFigure:
    """Return the share of stale accounts among those with a time of modification; see `STALE_DAYS`.

    The parameter `now` is the time of the run.
    """
    return share(
        "stale",
        f"Enabled, unchanged for {STALE_DAYS} days",
        f"Accounts that are not disabled and were last modified more than {STALE_DAYS} days before the run.",
        f"disabled IS NOT TRUE AND modified < $now::TIMESTAMPTZ - INTERVAL {STALE_DAYS} DAY",
        "disabled",
        "modified",
        of="count(modified)",
    )


def accounts_by_source_and_state(source: str, prefix: str = "") -> Breakdown:
    """Return the breakdown of accounts by source, and by state within each source.

    Args:
        source: the column with the name of the source.
        prefix: the beginning of the other columns' names, such as `account.`, in a report whose rows may have no
            account. An account has an id.
    """
    condition = f"{quote_identifier(f'{prefix}id')} IS NOT NULL" if prefix else "true"
    disabled, locked = (quote_identifier(f"{prefix}{name}") for name in ("disabled", "locked"))
    return Breakdown(
        "accountsBySource",
        "Accounts by source and state",
        "The accounts of each source that are enabled, locked or disabled; unknown where the data does not say.",
        f"SELECT {quote_identifier(source)} AS category, {state_sql(disabled, locked)} AS series, count(*) AS number "
        f"FROM report_rows WHERE {condition} GROUP BY ALL",
        (source, f"{prefix}disabled", f"{prefix}locked", *([f"{prefix}id"] if prefix else [])),
        STATES,
    )


def state_sql(disabled: str, locked: str) -> str:
    """Return the SQL of an account's state, one of `STATES`.

    Args:
        disabled: the SQL of whether it is disabled.
        locked: the SQL of whether it is locked.
    """
    return (
        f"CASE WHEN {disabled} THEN 'disabled' WHEN {locked} THEN 'locked' "
        f"WHEN {disabled} IS NULL THEN 'unknown' ELSE 'enabled' END"
    )


def by_age(name: str, label: str, doc: str, column: str) -> Breakdown:
    """Return a breakdown of rows by the age of a time; the parameter `now` is the time of the run.

    Args:
        name: the breakdown's name.
        label: its name for people.
        doc: its meaning in one sentence.
        column: the column with the time.
    """
    time = quote_identifier(column)
    steps = " ".join(f"WHEN {time} > $now::TIMESTAMPTZ - INTERVAL {days} DAY THEN '{text}'" for days, text in _AGES)
    age = (
        f"CASE WHEN {time} IS NULL THEN '{NO_DATE}' WHEN {time} > $now::TIMESTAMPTZ THEN '{_IN_FUTURE}' "
        f"{steps} ELSE '{_OLDEST}' END"
    )
    return Breakdown(
        name,
        label,
        doc,
        f"SELECT {age} AS category, '' AS series, count(*) AS number FROM report_rows GROUP BY ALL",
        (column,),
        order=(_IN_FUTURE, *(text for _, text in _AGES), _OLDEST, NO_DATE),
    )


def by_value(name: str, label: str, doc: str, column: str, *, several: bool = False) -> Breakdown:
    """Return a breakdown of rows by the value of a column.

    Args:
        name: the breakdown's name.
        label: its name for people.
        doc: its meaning in one sentence.
        column: the column.
        several: whether the column is a list; a row counts once for each of its values, and an empty list as no value.
    """
    value = quote_identifier(column)
    if several:
        value = f"unnest(CASE WHEN len({value}) > 0 THEN {value} ELSE [NULL] END)"
    return Breakdown(
        name,
        label,
        doc,
        "SELECT category, '' AS series, count(*) AS number "
        f"FROM (SELECT {value}::VARCHAR AS category FROM report_rows) GROUP BY ALL",
        (column,),
    )


def filtered_out_figure(shown: str = "count(*)", *columns: str) -> KeyFigure:
    """Return how many rows the arguments of a report filtered out.

    The parameter `unfiltered` is the number without the filter. It has no value where there is no filter, and then the
    figure is left out.

    Args:
        shown: the aggregate of what is left.
        columns: the columns that it reads.
    """
    return KeyFigure(
        "filteredOut",
        "Filtered out",
        "What the arguments of the report left out.",
        f"greatest($unfiltered - {shown}, 0)",
        columns,
        of="$unfiltered",
    )


REJECTED_FIGURE: Final = KeyFigure(
    "rejected",
    "Rows rejected at load",
    "Rows that the loads of this data rejected, so that the report cannot have them.",
    "$rejected",
)
"""A figure of every report. The parameter `rejected` is that number."""
