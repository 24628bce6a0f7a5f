"""The argument `columns`, which every report accepts: the columns that the caller wants, in the order wanted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

from whohas.engine.sql import quote_identifier
from whohas.engine.statement import ResultColumn, Statement, group_title
from whohas.errors import InvalidArguments
from whohas.hints import did_you_mean
from whohas.reports.base import COLUMNS_ARGUMENT, Message, MessageLevel, Plan, ReportRequest


def column_names(request: ReportRequest) -> tuple[str, ...]:
    """Return the names in the argument `columns`, stripped and without duplicates; none if it is absent.

    Raises:
        InvalidArguments: it is no text and no list of texts, or it names too many columns.
    """
    names = parse_names(COLUMNS_ARGUMENT, request.report_type, request.arguments.get(COLUMNS_ARGUMENT))
    if len(names) > (limit := request.limits.columns):
        raise InvalidArguments(
            f"The argument columns names {len(names):,} columns, but may name {limit:,} (WHOHAS_SEARCH_COLUMNS). "
            f"Remove {names[limit][:60]!r} and those after it."
        )
    return names


def parse_names(argument: str, report_type: str, value: object) -> tuple[str, ...]:
    """Return the names in a list, or in a text separated by commas, stripped and without duplicates; none for null.

    Args:
        argument: the argument's name, for the message.
        report_type: the report's type, for the message.
        value: the value as sent.

    Raises:
        InvalidArguments: the value is no text and no list of texts.
    """
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) for part in cast("list[object]", parts)):
        raise InvalidArguments(
            f"The argument {argument} of {report_type} must be a text with commas between names, or a list of texts."
        )
    names = (part.strip() for part in cast("list[str]", parts))
    return tuple(dict.fromkeys(name for name in names if name))


def normalised_names(names: Sequence[str]) -> str | list[str]:
    """Return names as one text with commas between them, or as a list if a name contains a comma."""
    return list(names) if any("," in name for name in names) else ",".join(names)


def select_columns(plan: Plan, names: Sequence[str], report_type: str) -> Plan:
    """Return a plan whose rows have only the named columns, in their order. Readable files show all of them.

    A name that the report does not have becomes an empty column, and a message says so.

    Args:
        plan: the plan of a report with one statement.
        names: the technical names of columns; at least one.
        report_type: the report's type, for the message.
    """
    (statement,) = plan.statements
    known = {column.name: column for column in statement.columns}
    unknown = [name for name in names if name not in known]
    return replace(
        plan,
        arguments={**plan.arguments, COLUMNS_ARGUMENT: normalised_names(names)},
        statement=_narrowed(statement, names),
        messages=(*plan.messages, *(_unknown_column(name, known, report_type) for name in unknown)),
    )


def _narrowed(statement: Statement, names: Sequence[str]) -> Statement:
    known = {column.name: column for column in statement.columns}
    # Engines compare names without regard to case, so columns whose names differ by case alone are told by position.
    by_position = len({name.casefold() for name in known}) < len(statement.columns)
    places = {name: f"c{place}" for place, name in enumerate(known, 1)}
    cells = ", ".join(
        f"NULL::VARCHAR AS {quote_identifier(name)}"
        if name not in known
        else f"r.{places[name]} AS {quote_identifier(name)}"
        if by_position
        else f"r.{quote_identifier(name)}"
        for name in names
    )
    alias = f"r({', '.join(places.values())})" if by_position else "r"
    columns = tuple(replace(known.get(name) or ResultColumn(name, "text"), readable="always") for name in names)
    order = [name for name in statement.order if name in names]
    if len(order) < len(statement.order):  # rows that are equal in all columns may be exchanged
        order = [*order, *(name for name in names if name not in order)]
    possible = (statement.group, group_title(statement.columns, statement.group))
    return replace(
        statement,
        sql=f"SELECT {cells}\nFROM (\n{statement.sql}\n) AS {alias}",
        columns=columns,
        attributes={
            table: {attribute: column for attribute, column in wanted.items() if column in names}
            for table, wanted in statement.attributes.items()
        },
        group=next((name for name in possible if name in names), ""),
        order=tuple(order),
    )


def _unknown_column(name: str, known: Iterable[str], report_type: str) -> Message:
    text = f"There is no column {name[:100]} in {report_type}: it stays empty.{did_you_mean(name, known)}"
    return Message(MessageLevel.WARN, "columns.unknown", text)
