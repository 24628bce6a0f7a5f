"""What a report is: arguments in, one statement out, or several where its file is a zip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from whohas.engine.statement import Column, Statement
from whohas.errors import InvalidArguments
from whohas.search.limits import DEFAULT, Limits
from whohas.warehouse.catalog import Catalogue


class Level(StrEnum):
    """How grave a message is, in the contract's words."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Message:
    """Something that a reader of the run should know.

    Attributes:
        key: a stable short name of its kind, for programs.
        text: a sentence, for people.
    """

    level: Level
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a report whose file is a zip.

    Attributes:
        name: the file's name in the zip, without its extension, such as `identities`.
        statement: what gives its rows.
    """

    name: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class Plan:
    """What a start of a report comes to: one statement, or the parts of a zip.

    Attributes:
        arguments: normalised: two starts with the same are the same run.
        statement: what gives its rows; None where `parts` do.
        messages: what a reader of the run should know.
        parts: the files of the zip, in their order; empty where there is one statement.
        attributes: what the contract's `attributes` say of it beside the organisation.
    """

    arguments: Mapping[str, Any]
    statement: Statement | None = None
    messages: tuple[Message, ...] = ()
    parts: tuple[Part, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if (self.statement is None) != bool(self.parts):
            raise ValueError("A plan has one statement, or parts.")
        if len({part.name for part in self.parts}) != len(self.parts):
            raise ValueError("Each part of a plan has a name of its own.")

    @property
    def zipped(self) -> bool:
        """Whether each of its files is a zip."""
        return bool(self.parts)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What gives its rows, in their order; at least one."""
        return (self.statement,) if self.statement is not None else tuple(part.statement for part in self.parts)

    @property
    def text(self) -> str:
        """Its SQL, for people to read; several statements each with the name of its part."""
        if len(self.statements) == 1:
            return self.statements[0].sql
        return "\n\n".join(f"-- {part.name}\n{part.statement.sql};" for part in self.parts)


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
        searches: whether it reads the search index, so that it needs a snapshot that has one.
        parts: arguments as they were sent, to what its zip has a file of each; None where it makes one file that is no
            zip.
        formats: what is made where none are selected, as far as the published API says so; empty where it does not.

    Raises (by `plan`):
        InvalidArguments: an argument is missing, has the wrong type or names what is not there.
    """

    type: str
    name: str
    description: str
    arguments: Mapping[str, str]
    columns: tuple[Column, ...]
    plan: Callable[[Request, Catalogue], Plan]
    searches: bool = False
    formats: tuple[str, ...] = ()
    parts: Callable[[Request], tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A start of a report.

    Attributes:
        arguments: as they were sent.
        now: when it was started; what `now` means in a query.
        launcher: who started it.
        phrases: the setting `search_phrases`.
        limits: how much a search may ask for.
    """

    report_type: str
    arguments: Mapping[str, Any]
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    launcher: str = ""
    phrases: bool = False
    limits: Limits = DEFAULT

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

    def flag(self, name: str) -> bool:
        """An argument that is true or false; false where it is absent or null. Texts that say so count too.

        Raises:
            InvalidArguments: it is something else.
        """
        return flag(name, self.arguments.get(name))


def flag(name: str, value: object) -> bool:
    """The value of an argument that is true or false; false where it is null. Texts that say so count too.

    Raises:
        InvalidArguments: it is something else.
    """
    match value:
        case None:
            return False
        case bool():
            return value
        case str() if value.lower() in ("true", "false"):
            return value.lower() == "true"
        case _:
            raise InvalidArguments(f"The argument {name} must be true or false, not {str(value)[:60]!r}.")


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
