"""Parsing of report types and report arguments (`--arg NAME=VALUE`) on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whohas.cli.completions import complete_arguments, complete_reports
from whohas.errors import InvalidArguments, WrongUsage

if TYPE_CHECKING:
    from whohas.cli.output import OutputTarget


_PLACEHOLDERS = {"sourceName": "NAME", "query": "QUERY"}
"""What stands for the value of an argument in messages; the others are ids."""

ReportArgument = Annotated[
    str,
    typer.Argument(metavar="REPORT", help="The report's type, such as ACCOUNTS.", autocompletion=complete_reports),
]
ArgumentsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--arg",
        "-a",
        metavar="NAME=VALUE",
        help="An argument; repeat for more. `whohas reports REPORT` lists them.",
        autocompletion=complete_arguments,
    ),
]


def parse_report_type(text: str) -> str:
    """Return the report type for a name in any case, with `-` or `_`: `search-export` gives `SEARCH_EXPORT`.

    Unknown names are returned unchanged; starting the report then fails with a message.
    """
    from whohas.reports import PUBLISHED_TYPES, all_reports

    known = {name.casefold(): name for name in (*PUBLISHED_TYPES, *all_reports())}
    return known.get(text.strip().casefold().replace("-", "_"), text)


def parse_arguments(texts: Iterable[str], report_type: str) -> dict[str, Any]:
    """Parse the arguments of a report, and check their names.

    Args:
        texts: each NAME=VALUE; see `parse_argument`.
        report_type: as from `parse_report_type`.

    Raises:
        InvalidArguments: a text is not NAME=VALUE, or its value is malformed JSON.
        WrongUsage: the report has no such argument, but one with a similar name; or an argument is given twice.
    """
    arguments: dict[str, Any] = {}
    for name, value in map(parse_argument, texts):
        if name in arguments:
            raise WrongUsage(f'--arg {name} is given twice. Give it once; a list is written \'["a", "b"]\'.')
        arguments[name] = value
    for name in arguments:
        _check(name, report_type)
    return arguments


def parse_argument(text: str) -> tuple[str, Any]:
    """Parse NAME=VALUE, and return the name and the value.

    The value is a string, unless it is `true`, `false`, `null` or begins with `[` or `{`: these are parsed as JSON.

    Raises:
        InvalidArguments: the text is not NAME=VALUE, or the value is malformed JSON.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidArguments(f"--arg {text!r} is not NAME=VALUE.")
    # numbers stay strings, because ids may consist of digits
    if value in ("true", "false", "null") or value[:1] in ("[", "{"):
        try:
            return name, json.loads(value)
        except json.JSONDecodeError as error:
            raise InvalidArguments(f"The value of --arg {name} is not JSON: {error}.") from None
    return name, value


def check_output_name(report_type: str, arguments: dict[str, Any], to: OutputTarget) -> None:
    """Check, before a run starts, that its files fit the output name; see `OutputTarget.check`.

    Args:
        to: the output of the command.

    Raises:
        InvalidArguments: the arguments are wrong.
        WrongUsage: the name does not fit; the message suggests one that does.
    """
    from whohas.reports import PUBLISHED_TYPES, ReportRequest, all_reports

    report = all_reports().get(report_type)
    if report is not None and report.part_names is not None:
        to.check(report_type, report.part_names(ReportRequest(report_type, arguments)))
    elif report_type in PUBLISHED_TYPES:
        to.check(report_type, None)


def check_required(report_type: str, arguments: dict[str, Any]) -> None:
    """Check that a report has an argument of which it needs one.

    Raises:
        WrongUsage: it has none; the message names the options that give them.
    """
    from whohas.reports import PUBLISHED_TYPES, missing_argument

    error = missing_argument(report_type, arguments)
    if error is not None:
        options = " or ".join(f"--arg {name}={_PLACEHOLDERS.get(name, 'ID')}" for name in PUBLISHED_TYPES[report_type])
        raise WrongUsage(f"{error.message} Give {options}; `whohas reports {report_type}` describes them.")


def _check(name: str, report_type: str) -> None:
    from whohas.hints import closest_match
    from whohas.reports import all_reports
    from whohas.runs.service import argument_names

    report = all_reports().get(report_type)
    if report is None or name in argument_names(report, legacy=True):
        return
    similar = closest_match(name, argument_names(report))
    if similar is not None:
        raise WrongUsage(f"{report_type} has no argument {name}. Did you mean {similar}?")
