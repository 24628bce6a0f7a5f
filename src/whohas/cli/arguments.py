"""Reports and their arguments as a command line names them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from whohas.errors import InvalidArguments, WrongUsage

if TYPE_CHECKING:
    from whohas.cli.output import Output


def report_named(text: str) -> str:
    """The type of a report that is named in any case, `search-export` too; a text that names none as it is."""
    from whohas.reports import PUBLISHED, reports

    known = {name.casefold(): name for name in (*PUBLISHED, *reports())}
    return known.get(text.strip().casefold().replace("-", "_"), text)


def arguments_of(texts: Iterable[str], report_type: str) -> dict[str, Any]:
    """The arguments of a report.

    Args:
        texts: each NAME=VALUE.

    Raises:
        InvalidArguments: one is none.
        WrongUsage: the report has no such argument, but one that was probably meant.
    """
    arguments = dict(argument(text) for text in texts)
    for name in arguments:
        _check(name, report_type)
    return arguments


def argument(text: str) -> tuple[str, Any]:
    """An argument of a report as a command line has it: its name and its value.

    Raises:
        InvalidArguments: it is none.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidArguments(f"--arg {text!r} is not NAME=VALUE.")
    # ids that look like numbers stay texts; only what cannot be meant as a text is read as JSON
    if value in ("true", "false", "null") or value[:1] in ("[", "{"):
        try:
            return name, json.loads(value)
        except json.JSONDecodeError as error:
            raise InvalidArguments(f"The value of --arg {name} is not JSON: {error}.") from None
    return name, value


def check_files(report_type: str, arguments: dict[str, Any], to: Output) -> None:
    """Refuses a name for the file of a run before the run starts, as far as the report says which files it makes.

    Raises:
        InvalidArguments: the arguments are wrong.
        WrongUsage: the name does not fit; the message says which would.
    """
    from whohas.reports import PUBLISHED, Request, reports

    report = reports().get(report_type)
    if report is not None and report.parts is not None:
        to.check(report_type, report.parts(Request(report_type, arguments)))
    elif report_type in PUBLISHED:
        to.check(report_type, None)


def _check(name: str, report_type: str) -> None:
    from whohas.hints import near
    from whohas.reports import reports
    from whohas.runs.service import argument_names

    report = reports().get(report_type)
    if report is None or name in argument_names(report, legacy=True):
        return
    found = near(name, argument_names(report))
    if found is not None:
        raise WrongUsage(f"{report_type} has no argument {name}. Did you mean {found}?")
