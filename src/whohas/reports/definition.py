"""What a report is: arguments in, one statement out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from whohas.engine.statement import Column, Statement
from whohas.errors import InvalidArguments
from whohas.warehouse.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class Plan:
    """What a start of a report comes to.

    Attributes:
        arguments: normalised: two starts with the same are the same run.
        statement: what gives its rows.
        formats: the files that are made, lower case.
    """

    arguments: Mapping[str, Any]
    statement: Statement
    formats: tuple[str, ...] = ("csv",)


@dataclass(frozen=True, slots=True)
class Report:
    """One report type.

    Attributes:
        type: the contract's name.
        name: its title, also the default name of its files.
        description: what it shows, one sentence.
        arguments: the arguments that mean something to it, each with its meaning.
        columns: the columns that it always has, in order.
        plan: arguments as they were sent and the data they are about, to a plan.

    Raises (by `plan`):
        InvalidArguments: an argument is missing, has the wrong type or names what is not there.
    """

    type: str
    name: str
    description: str
    arguments: Mapping[str, str]
    columns: tuple[Column, ...]
    plan: Callable[[Request, Catalogue], Plan]


@dataclass(frozen=True, slots=True)
class Request:
    """The arguments of a start, as they were sent."""

    report_type: str
    arguments: Mapping[str, Any]

    def text(self, name: str) -> str | None:
        """An argument that is a text; None where it is absent, null or empty.

        Raises:
            InvalidArguments: it is something else.
        """
        value = self.arguments.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidArguments(f"The argument {name} of {self.report_type} must be a text, not {_kind(value)}.")
        return value.strip() or None


def _kind(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return type(value).__name__
