"""The report definition: a report turns arguments into a plan of one SQL statement, or of several for a zip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from whohas.engine.statement import ResultColumn, Statement
from whohas.engine.summary import EMPTY_SUMMARY, SummaryDefinition
from whohas.errors import InvalidArguments
from whohas.search.limits import DEFAULT_LIMITS, SearchLimits
from whohas.warehouse.catalog import Catalog, CatalogSource

COLUMNS_ARGUMENT: Final = "columns"

COLUMNS_DOC: Final = (
    "The columns of the file, in the order wanted: a text with commas between technical names, or a list. Default: all "
    "of them. A name that the report does not have gives an empty column and a message."
)


class MessageLevel(StrEnum):
    """The severity of a message, in the words of the published API."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Message:
    """A message that a run shows to its users, such as a warning about old data.

    Attributes:
        level: its severity.
        key: a stable short name of its kind, for programs, such as `source.stale`.
        text: one or two sentences, for people.
    """

    level: MessageLevel
    key: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportPart:
    """One file in the zip of a report.

    Attributes:
        name: the file's name in the zip, without its extension, such as `Identities`.
        statement: the SQL statement that gives its rows.
    """

    name: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class Plan:
    """The statements that a run executes: a single one, or one for each file of a zip.

    Attributes:
        arguments: the arguments in normalised form. Two requests with equal ones ask for the same run.
        statement: the SQL statement that gives the rows; None if `parts` give them.
        messages: the messages of the run.
        parts: the files of the zip, in order; empty if there is a single statement.
        attributes: what the field `attributes` of the published API contains in addition to the organization.
        unfiltered: how many rows (or identities, in a report on them) there would be without the arguments that filter
            them; None where none does.

    Raises:
        ValueError: it has both a statement and parts, or neither; or two parts have the same name.
    """

    arguments: Mapping[str, Any]
    statement: Statement | None = None
    messages: tuple[Message, ...] = ()
    parts: tuple[ReportPart, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unfiltered: int | None = None

    def __post_init__(self) -> None:
        if (self.statement is None) != bool(self.parts):
            raise ValueError("A plan must have one statement, or parts.")
        if len({part.name for part in self.parts}) != len(self.parts):
            raise ValueError("Each part of a plan must have a name of its own.")

    @property
    def is_zip(self) -> bool:
        """Whether the run's files are zips, with one entry for each part."""
        return bool(self.parts)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Its SQL statements in order; at least one."""
        return (self.statement,) if self.statement is not None else tuple(part.statement for part in self.parts)

    @property
    def sql(self) -> str:
        """Its SQL, for people to read. Several statements have the name of their part in a comment above."""
        if len(self.statements) == 1:
            return self.statements[0].sql
        return "\n\n".join(f"-- {part.name}\n{part.statement.sql};" for part in self.parts)


@dataclass(frozen=True, slots=True)
class Report:
    """A report type.

    Attributes:
        type: its name in the published API, such as `ACCOUNTS`.
        name: its title, and the default name of its files.
        description: its content, in one sentence.
        arguments: the arguments that it reads, each with its description.
        columns: the columns that it always has, in order.
        make_plan: returns the plan for a request and the catalogue of a snapshot, with all columns. It raises
            InvalidArguments if an argument is missing, has the wrong type, or names something that does not exist.
            Call `registry.plan_report` instead, which also reads the argument `columns`.
        summary: the key figures and breakdowns of its rows. Their SQL may name the parameters `now` (the time of the
            run), `rejected` and `unfiltered` (see `summaries`). A plan may define others for its statements.
        needs_search_index: whether it reads the search index, so that it needs a snapshot with one.
        default_formats: the formats made if the request selects none, as the published API defines them; empty if it
            does not.
        part_names: returns the names of the indices of which its zip has a file each; None for a report that makes no
            zip.
        source_columns: returns the columns that it has in addition for the attributes of a source; None for a report
            without such columns.
    """

    type: str
    name: str
    description: str
    arguments: Mapping[str, str]
    columns: tuple[ResultColumn, ...]
    make_plan: Callable[[ReportRequest, Catalog], Plan]
    summary: SummaryDefinition = EMPTY_SUMMARY
    needs_search_index: bool = False
    default_formats: tuple[str, ...] = ()
    part_names: Callable[[ReportRequest], tuple[str, ...]] | None = None
    source_columns: Callable[[CatalogSource], tuple[ResultColumn, ...]] | None = None

    @property
    def accepted_arguments(self) -> Mapping[str, str]:
        """The arguments that it reads and `columns`, which every report accepts, each with its description."""
        return {**self.arguments, COLUMNS_ARGUMENT: self.arguments.get(COLUMNS_ARGUMENT, COLUMNS_DOC)}


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A request to run a report.

    Attributes:
        report_type: the type of the report.
        arguments: the arguments as sent.
        now: the time of the request, which `now` stands for in a query.
        launcher: the user or client who sent the request.
        words_as_phrase: the setting `search_phrases`.
        limits: the largest search that is accepted.
    """

    report_type: str
    arguments: Mapping[str, Any]
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    launcher: str = ""
    words_as_phrase: bool = False
    limits: SearchLimits = DEFAULT_LIMITS

    def text_argument(self, name: str) -> str | None:
        """Return the stripped value of a text argument; None if it is absent, null or blank.

        Raises:
            InvalidArguments: the value is not a text.
        """
        value = self.arguments.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidArguments(
                f"The argument {name} of {self.report_type} must be a text, not {_json_type(value)}."
            )
        return value.strip() or None

    def flag_argument(self, name: str) -> bool:
        """Return the value of a boolean argument, as `parse_flag` converts it; False if it is absent.

        Raises:
            InvalidArguments: the value is not true or false.
        """
        return parse_flag(name, self.arguments.get(name))


def parse_flag(name: str, value: object) -> bool:
    """Return a boolean argument's value. Null is False; the texts "true" and "false" are accepted in any case.

    Args:
        name: the argument's name, for the message.
        value: the value as sent.

    Raises:
        InvalidArguments: the value is not true or false.
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


def _json_type(value: object) -> str:
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
